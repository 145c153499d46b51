"""Numbers that a format shows with leading zeros are sent as they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun.estimate import EstimateRates
from batchrun.model import Role, Workflow
from batchrun.plan import Parameters, make_plan
from batchrun.tables import load
from batchrun.tables.details import leading_zeros
from batchrun.text import as_displayed
from tests.tables.files import OTHER_UUID, UUID

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("00000", 1234, "01234"),
        ("00000", 123456, "123456"),
        ("00000;@", 7, "00007"),
        ("[$-409]00000", 7, "00007"),
        ("00000\\-0000", 12345, "00001-2345"),
        ("000\\-00\\-0000", 12345678, "012-34-5678"),
        ("00000", True, True),
        ("00000", -7, -7),
        ("00000", 1.5, 1.5),
        ("General", 7, 7),
        ("0", 7, 7),
        ("0.00", 7, 7),
        ("#,##0", 7, 7),
        ("[<=99999]00000;00000-0000", 7, 7),
        ("dd.mm.yyyy", 7, 7),
    ],
)
def test_a_number_is_shown_as_its_format_shows_it(code: str, value: object, shown: object) -> None:
    found = as_displayed(value, leading_zeros(code))
    assert (found, type(found)) == (shown, type(shown))


@pytest.mark.parametrize(("second", "sent"), [("00000", ["01234", "00987"]), ("0", [1234, 987])])
def test_a_parameter_carries_what_a_person_sees(
    tmp_path: Path, second: str, sent: list[object]
) -> None:
    """Where only some of a column's numbers have the format, they are numbers."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["Company ID", "Zip"], [UUID, 1234], [OTHER_UUID, 987]):
        sheet.append(row)
    sheet["B2"].number_format, sheet["B3"].number_format = "00000", second
    book.save(tmp_path / "list.xlsx")
    table = load(tmp_path / "list.xlsx")
    assert table.cells[1].tolist() == [1234, 987]
    rates = EstimateRates(requests_per_minute=60, seconds_per_execution=45)
    workflow, parameters = Workflow("wf", "Research"), Parameters(columns={"zip": 1})
    plan = make_plan(table, workflow, {Role.COMPANY: 0}, parameters, rates)
    assert [f'"zip": {str(value).join(chr(34) * 2) if isinstance(value, str) else value}' in body
            for value, body in zip(sent, plan.bodies, strict=True)] == [True, True]  # fmt: skip
