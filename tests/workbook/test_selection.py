"""A list of only the rows that need correcting, ready to run again."""

from __future__ import annotations

import csv
from datetime import date
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun import workbook
from batchrun.errors import UsageError
from batchrun.model import Outcome
from batchrun.tables.files import load
from batchrun.workbook import Form
from tests.workbook.batches import BEGAN, batch, company, row
from tests.workbook.ooxml import check_workbook

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ("Company ID", "Name", "Closed")
ROWS = [
    row(0, {"a": 1}, cells=(company(0), "A", date(2026, 1, 1))),
    row(1, None, Outcome.INVALID, cells=("x", "=B", None), message="no ID"),
    row(2, None, Outcome.FAILED, cells=(company(2), "00123", date(2026, 1, 3)), message="**no**"),
    row(3, None, Outcome.PENDING, cells=(company(3), "D", None)),
]
TO_CORRECT = Form(only=frozenset({Outcome.FAILED, Outcome.INVALID, Outcome.REJECTED}))


def test_the_rows_to_correct_are_the_lists_own_and_say_why(tmp_path: Path) -> None:
    path = workbook.write(batch(ROWS, HEADER), tmp_path / "fix.xlsx", TO_CORRECT)

    check_workbook(path)
    again = load(path)
    assert again.header == (*HEADER, "why it had no result before")
    assert [each.cells for each in again.rows()] == [
        (*ROWS[1].row.cells, "no ID"), (*ROWS[2].row.cells, "**no**"),
    ]  # fmt: skip


def test_the_rows_to_correct_are_dated_as_their_batch_and_not_by_the_clock(tmp_path: Path) -> None:
    path = workbook.write(batch(ROWS, HEADER), tmp_path / "fix.xlsx", TO_CORRECT)

    properties = openpyxl.load_workbook(path).properties
    assert properties.creator == "batchrun"
    assert properties.created == BEGAN.replace(tzinfo=None)


def test_a_csv_of_the_rows_to_correct(tmp_path: Path) -> None:
    path = workbook.write(batch(ROWS, HEADER), tmp_path / "fix.csv", TO_CORRECT)

    with path.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.reader(file))
    assert found[0] == [*HEADER, "why it had no result before"]
    assert [cells[0] for cells in found[1:]] == ["x", company(2)]


def test_rows_corrected_before_can_be_corrected_again(tmp_path: Path) -> None:
    again = load(workbook.write(batch(ROWS, HEADER), tmp_path / "fix.xlsx", TO_CORRECT))
    rows = [
        row(at, None, Outcome.FAILED, cells=each.cells, message="again")
        for at, each in enumerate(again.rows())
    ]

    path = workbook.write(batch(rows, again.header), tmp_path / "fix2.xlsx", TO_CORRECT)

    reasons = ("why it had no result before", "why it had no result before (2)")
    assert load(path).header == (*HEADER, *reasons)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_list_is_a_workbook_or_a_csv(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UsageError, match="written as a list again"):
        workbook.write(batch(ROWS, HEADER), tmp_path / f"fix.{suffix}", TO_CORRECT)
    assert list(tmp_path.iterdir()) == []
