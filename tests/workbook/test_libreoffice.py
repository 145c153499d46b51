"""The workbooks of these tests are opened by LibreOffice; this module runs last."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import pytest

from batchrun.model import JSON, Cell, Outcome
from batchrun.settings.location import is_practice
from batchrun.workbook.cells import EXCEL, Fitter
from batchrun.workbook.form import Audience
from batchrun.workbook.layout import AGAIN, MORE, layout_of
from batchrun.workbook.reasons import RowsToShow
from batchrun.workbook.sheets import short_address
from tests.workbook.batches import batch, row
from tests.workbook.office import ALL_SHEETS, TIMEOUT_SECONDS, Held, convert, csv_cells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.workbook.office import Shelf

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS + 10)  # about a hundred workbooks

EVERYTHING: JSON = {
    "text": "Größe: 3 < 4 & 5 > 4",
    "lines": "one\ntwo\n\nfour",
    "formula": "=1+1",
    "number": 12.5,
    "whole": 123456789012345,
    "long number": 1234567890123456789,
    "yes": True,
    "day": "2026-05-01",
    "moment": "2026-05-01T10:11:12Z",
    "spaces": "  kept  ",
    "escape": "_x0041_",
}


@pytest.fixture
def everything(written: Callable[..., Path]) -> Path:
    """At least one workbook, also when this module runs alone."""
    return written(batch([row(0, EVERYTHING), row(1, None, Outcome.FAILED, message="no domain")]))


@pytest.mark.usefixtures("everything")
def test_every_workbook_becomes_a_pdf(shelf: Shelf, tmp_path: Path) -> None:
    """Some of them, since each takes a while; the next test opens more."""
    printed = [path for path, held in shelf.held.items() if held.printed][::24]
    convert(printed, "pdf", tmp_path / "pdf")
    for path in printed:
        page = tmp_path / "pdf" / f"{path.stem}.pdf"
        assert page.read_bytes().startswith(b"%PDF"), path


@pytest.mark.usefixtures("everything")
def test_every_workbook_holds_what_was_meant(shelf: Shelf, tmp_path: Path) -> None:
    compared = {path: held for path, held in shelf.held.items() if has_the_usual_columns(held)}
    convert(list(compared), ALL_SHEETS, tmp_path / "csv")
    for path, (results, shape, _, _) in compared.items():
        rows = RowsToShow(results, for_people=False)
        layout = layout_of(replace(results, rows=rows), shape, arranged=True)
        values_of = layout.values if shape.raw_text else layout.readable_values
        titles = [column.head for column in layout.results]
        end = len(layout.header) - (layout.header[-1] == MORE)  # of all but what had no room
        header = [*layout.header[: end - len(titles)], *titles, *layout.header[end:]]
        meant: list[list[Cell]] = [[*header], *map(values_of, rows)]
        for values, result in zip(meant[1:], rows, strict=True):
            values[len(layout.original)] = result.outcome.words
        for values, cell in zip(meant, [AGAIN, *[None] * len(meant)], strict=False):
            values.insert(len(layout.original) + 2, cell)
        found = csv_cells(tmp_path / "csv" / f"{path.stem}-Results.csv")
        assert len(found) == len(meant), path
        for cells, values in zip(found, meant, strict=True):
            assert [
                each for each, value in zip(cells, values, strict=True) if not same(each, value)
            ] == []


def has_the_usual_columns(held: Held) -> bool:
    """Whether the sheet Results has the columns of a batch; others have tests of their own."""
    summary, shape = held.results.summary, held.shape
    if held.results.earlier is not None or shape.audience is Audience.PEOPLE:
        return False  # other columns
    if summary.practice or is_practice(summary.base_url):
        return False  # no times
    return held.limits == EXCEL and summary.source.format != "xlsx"  # one sheet, no formats


def same(cell: str, meant: Cell) -> bool:
    """Whether a cell of LibreOffice's CSV is this value; its locale is the United States."""
    fitted = Fitter(EXCEL, "OUT.jsonl").fit(meant)
    if isinstance(fitted, (int, float)) and not isinstance(fitted, bool):
        return math.isclose(float(cell), fitted, rel_tol=1e-9)
    match fitted:
        case str():
            if cell == short_address(fitted):
                return True
            spelled = re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), fitted)
            return cell.replace("\r", "") == spelled.replace("\r", "")
        case datetime():
            spelled = f"{fitted:%Y-%m-%d %H:%M:%S}"
        case date():
            spelled = f"{fitted:%Y-%m-%d}"
        case time():
            spelled = f"{fitted:%I:%M:%S %p}"
        case _:
            spelled = "" if fitted is None else str(fitted).upper()
    return cell == spelled
