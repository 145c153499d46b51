"""A workbook in several files: each complete in itself, and marks count in each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun import workbook
from batchrun.errors import OutputError
from batchrun.model import EarlierResults, Outcome
from batchrun.workbook import Form, other_parts
from batchrun.workbook.excel import MAX_ROWS, part_paths
from batchrun.workbook.form import Audience
from batchrun.workbook.layout import AGAIN
from batchrun.workbook.marks import read_results
from batchrun.workbook.source import ListFormats
from tests.workbook.batches import BEGAN, batch, company, row, sheet, sheet_names, table
from tests.workbook.ooxml import check_workbook

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import JSON, BatchResults


def results(rows: int = 7) -> BatchResults:
    """A batch of which every third row failed; each result has two items."""
    return batch(
        row(number, None, Outcome.FAILED, message="no domain")
        if number % 3 == 2
        else row(number, {"score": number, "news": [{"title": "A"}, {"title": "B"}]})
        for number in range(rows)
    )


@pytest.mark.parametrize("audience", Audience)
def test_each_part_is_complete_in_itself(tmp_path: Path, audience: Audience) -> None:
    target = tmp_path / "out.xlsx"

    written = workbook.write(results(), target, Form(rows_per_file=3, audience=audience))

    assert written == target
    parts = [target, *other_parts(target)]
    assert [part.name for part in parts] == ["out.xlsx", "out.part2.xlsx", "out.part3.xlsx"]
    names = [line["Account Name"] for part in parts for line in table(part)]
    assert names == [f"Firm {number}" for number in range(7)]
    for part in parts:
        check_workbook(part)
        assert {"Overview", "Results", "News"} <= set(sheet_names(part))
        assert ("Columns" in sheet_names(part)) == (audience is Audience.OPERATORS)
    assert "2 of 3 rows have a result" in sheet(parts[0])[0][0] + str(sheet(parts[0], "Overview"))
    assert "rows 4 to 6 of 7" in str(sheet(parts[1], "Overview"))
    assert "Needs attention" not in sheet_names(parts[2])


def test_the_first_part_says_which_rows_are_in_which_file(tmp_path: Path) -> None:
    target = tmp_path / "my list & more.xlsx"

    workbook.write(results(), target, Form(rows_per_file=3))

    found = table(target, "Parts")
    assert [(each["File"], each["First row"], each["Last row"]) for each in found] == [
        ("my list & more.xlsx", 1, 3),
        ("my list & more.part2.xlsx", 4, 6),
        ("my list & more.part3.xlsx", 7, 7),
    ]
    assert [each["Without a result"] for each in found] == [1, 1, 0]
    assert "Parts" not in sheet_names(other_parts(target)[0])


def test_rows_are_marked_to_run_again_in_each_part(tmp_path: Path) -> None:
    target = tmp_path / "out.xlsx"
    workbook.write(results(), target, Form(rows_per_file=3))

    for number, part in enumerate([target, *other_parts(target)]):
        opened = openpyxl.load_workbook(part)
        head = [cell.value for cell in opened["Results"][1]]
        opened["Results"].cell(2, head.index(AGAIN) + 1).value = "x"
        opened.save(tmp_path / "marked.xlsx")
        found = read_results(tmp_path / "marked.xlsx")
        assert found is not None
        assert found.signature is not None
        assert found.signature.batch_id == "1124-accounts-7f3a"
        [marked] = found.sheets[0].marked
        assert marked.cells[0] == company(3 * number)


def test_a_workbook_that_fits_is_one_file(tmp_path: Path) -> None:
    workbook.write(results(), tmp_path / "out.xlsx", Form(rows_per_file=7))

    assert [path.name for path in tmp_path.iterdir()] == ["out.xlsx"]
    assert "Parts" not in sheet_names(tmp_path / "out.xlsx")


@pytest.mark.parametrize(
    ("rows", "files"), [(0, 1), (MAX_ROWS, 1), (MAX_ROWS + 1, 2), (10_000_000, 10)]
)
def test_more_rows_than_a_sheet_holds_are_split_without_being_asked(
    tmp_path: Path, rows: int, files: int
) -> None:
    assert len(part_paths(tmp_path / "out.xlsx", rows, None)) == files


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_other_files_are_never_split(tmp_path: Path, name: str) -> None:
    workbook.write(results(), tmp_path / name, Form(rows_per_file=2))

    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_older_parts_of_a_larger_workbook_are_not_counted(tmp_path: Path) -> None:
    target = tmp_path / "out.xlsx"
    workbook.write(results(), target, Form(rows_per_file=2))
    workbook.write(results(), target, Form(rows_per_file=5))

    assert [path.name for path in other_parts(target)] == ["out.part2.xlsx"]


def test_the_first_part_stays_as_it_was_when_another_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out.part2.xlsx").mkdir()

    with pytest.raises(OutputError):
        workbook.write(results(), tmp_path / "out.xlsx", Form(rows_per_file=3), beside=False)

    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"out.part2.xlsx", "out.part3.xlsx"}


def test_changes_and_formats_are_those_of_the_rows_of_the_part(tmp_path: Path) -> None:
    found = batch(row(number, {"score": number}) for number in range(4))
    scores: list[JSON] = [{"score": 0}, None, {"score": 2}, {"score": 9}]
    earlier = [(each, None if each is None else BEGAN) for each in scores]
    formats = ListFormats(rows=[(("", "0.0"), 2), (("", "0.00"), 2)])
    found = replace(
        found, earlier=EarlierResults(("1",), BEGAN, earlier), list_formats=formats.encoded()
    )

    workbook.write(found, tmp_path / "out.xlsx", Form(rows_per_file=2))

    [second] = other_parts(tmp_path / "out.xlsx")
    assert [line["changed"] for line in table(tmp_path / "out.xlsx")] == ["same", "new"]
    assert [line["changed"] for line in table(second)] == ["same", "changed"]
    assert openpyxl.load_workbook(second)["Results"]["B2"].number_format == "0.00"
