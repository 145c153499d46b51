from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.workbook.cells import EXCEL, Limits
from batchrun.workbook.excel import write_excel
from batchrun.workbook.form import Form
from tests.workbook.office import Held, Shelf
from tests.workbook.ooxml import check_workbook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchrun.model import BatchResults


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """LibreOffice comes last: it opens the workbooks of all the other tests at once."""
    items.sort(key=lambda item: "test_libreoffice" in item.nodeid)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Every workbook that a test writes."""
    return Shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def written(shelf: Shelf, request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Writes a batch as a workbook, holds it to Excel's rules and puts it on the shelf."""

    def write(
        results: BatchResults,
        shape: Form | None = None,
        limits: Limits = EXCEL,
        *,
        printed: bool = True,
    ) -> Path:
        path = shelf.place(Held(results, shape or Form(), limits, printed), request.node)
        write_excel(results, path, shape, limits=limits)
        check_workbook(path)
        return path

    return write
