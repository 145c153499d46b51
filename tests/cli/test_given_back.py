"""Results given back after another program has saved them: known by what they hold."""

from __future__ import annotations

import csv
import zipfile
from typing import TYPE_CHECKING, Any

import openpyxl
import pandas as pd
import pytest

from batchrun import Rerun, load_settings
from tests.cli.test_again import RESULTS, mark, rows, triggers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.commands import CommandLine


def without_properties(path: Path) -> Path:
    """As a program saves it that knows no custom properties."""
    bare = path.with_name("bare.xlsx")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bare, "w") as new:
        for name in old.namelist():
            if name != "docProps/custom.xml":
                new.writestr(name, old.read(name))
    return bare


def as_pandas(path: Path) -> Path:
    saved = path.with_name("pandas.xlsx")
    pd.read_excel(path, sheet_name="Results", engine="openpyxl").to_excel(saved, index=False)
    return saved


def as_pandas_without(title: str) -> Callable[[Path], Path]:
    def save(path: Path) -> Path:
        saved = as_pandas(path)
        pd.read_excel(saved, engine="openpyxl").drop(columns=title).to_excel(saved, index=False)
        return saved

    return save


def as_a_database_names_columns(path: Path) -> Path:
    saved = path.with_name("named.csv")
    named = pd.read_excel(as_pandas(path), engine="openpyxl")
    named.columns = [str(each).title().replace(" ", "") for each in named.columns]
    named.to_csv(saved, index=False, na_rep="NaN")
    return saved


def as_csv(path: Path) -> Path:
    saved = path.with_name("saved.csv")
    with saved.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows(openpyxl.load_workbook(path)["Results"].values)
    return saved


def as_utf_16(path: Path) -> Path:
    saved = path.with_name("saved.txt")
    saved.write_text(as_csv(path).read_text("utf-8"), encoding="utf-16")
    return saved


def edited(change: Callable[[Any], None]) -> Callable[[Path], Path]:
    def edit(path: Path) -> Path:
        book = openpyxl.load_workbook(path)
        change(book["Results"])
        saved = path.with_name("edited.xlsx")
        book.save(saved)
        return saved

    return edit


def column(sheet: Any, title: str) -> int:
    return [cell.value for cell in sheet[1]].index(title) + 1


def renamed(sheet: Any) -> None:
    sheet.title = "My copy"


def with_a_line_above(sheet: Any) -> None:
    sheet.tables.clear()
    sheet.insert_rows(1)
    sheet["A1"] = "Checked by Anna"


def without(title: str) -> Callable[[Any], None]:
    def delete(sheet: Any) -> None:
        sheet.tables.clear()
        sheet.delete_cols(column(sheet, title))

    return delete


def moved_to_the_front(sheet: Any) -> None:
    sheet.tables.clear()
    at = column(sheet, "run again")
    values = [cell.value for (cell,) in sheet.iter_rows(min_col=at, max_col=at)]
    sheet.delete_cols(at)
    sheet.insert_cols(1)
    for line, value in enumerate(values, start=1):
        sheet.cell(line, 1, value)


SAVED = {
    "without properties": without_properties,
    "by pandas": as_pandas,
    "as CSV": as_csv,
    "as Unicode text": as_utf_16,
    "renamed sheet": edited(renamed),
    "line above": edited(with_a_line_above),
    "without a message": edited(without("batchrun message")),
    "without a status": edited(without("batchrun status")),
    "without executions": edited(without("execution id")),
    "without IDs": edited(without("Company ID")),
    "column moved": edited(moved_to_the_front),
    "by pandas without a status": as_pandas_without("batchrun status"),
    "as CSV with other names": as_a_database_names_columns,
}


@pytest.mark.parametrize("saved", SAVED)
def test_the_marked_row_is_found_however_the_results_were_saved(results: Path, saved: str) -> None:
    mark(results, 3)
    file = SAVED[saved](results)

    found = Rerun.read(file, settings=load_settings())

    assert found is not None
    assert found.jobs == {1: 0}
    assert found.output.name == f"{file.stem} (2).xlsx"


@pytest.mark.parametrize("saved", ["by pandas without a status", "as CSV with other names"])
def test_only_marked_rows_of_saved_results_are_sent(
    batchrun: CommandLine, sandbox: str, results: Path, saved: str
) -> None:
    mark(results, 3)
    paid, before = triggers(sandbox), rows(results)
    file = SAVED[saved](results)

    ended = batchrun("run", file.name, "--yes")

    assert "1 job to trigger again" in ended.stdout, ended.stderr
    assert triggers(sandbox) == paid + 1
    (written,) = batchrun.folder.glob(f"{file.stem} (2).xlsx")
    after = rows(written)
    changed = [a["execution id"] != b["execution id"] for a, b in zip(after, before, strict=True)]
    assert changed == [False, True, False, False]


def test_a_long_sheet_before_the_results_does_not_hide_the_marks(
    batchrun: CommandLine, results: Path, sandbox: str
) -> None:
    mark(results, 2)
    book = openpyxl.load_workbook(results)
    notes = book.create_sheet("Notes", 0)
    for number in range(5_000):
        notes.append([f"note {number}", "a text", number])
    book.save(results)
    before = triggers(sandbox)
    assert batchrun("run", RESULTS, "--yes").exit_code in {0, 3}
    assert triggers(sandbox) == before + 1


def test_results_without_a_mark_are_not_run(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    paid = triggers(sandbox)
    for saved in ("without properties", "by pandas", "as CSV"):
        ended = batchrun("run", SAVED[saved](results).name, "-w", "Account Research", "--yes")
        assert (saved, ended.exit_code) == (saved, 2)
        assert "no row of it is marked" in ended.stderr, saved
    assert triggers(sandbox) == paid


def test_results_without_the_column_say_what_is_missing(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    edited(without("run again"))(results)
    ended = batchrun("run", "edited.xlsx", "--yes")
    assert 'no column "run again"' in ended.stderr


def test_results_without_executions_and_properties_say_what_is_missing(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    mark(results, 3)
    file, paid = as_pandas_without("execution id")(results), triggers(sandbox)
    ended = batchrun("run", file.name, "-w", "Account Research", "--yes")
    assert ended.exit_code != 0
    assert 'its column "execution id" is missing' in ended.stderr
    assert triggers(sandbox) == paid


def test_a_check_of_results_says_what_a_run_of_them_sends(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    mark(results, 3)
    ended = batchrun("check", as_csv(results).name, "-w", "Account Research")
    assert "1 job to trigger again" in ended.stdout


def test_what_says_no_is_no_mark(batchrun: CommandLine, sandbox: str, results: Path) -> None:
    def answer(sheet: Any) -> None:
        for line, text in enumerate((False, "no", 0, "NaN"), start=2):
            sheet.cell(line, column(sheet, "run again"), text)

    ended = batchrun("run", edited(answer)(results).name, "--yes")
    assert "no row of it is marked" in ended.stderr, ended.stdout


def test_results_of_an_unknown_batch_are_not_run(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    file, paid = as_csv(results), triggers(sandbox)
    ended = batchrun("run", file.name, "--yes", "--journal", str(batchrun.folder / "other.db"))
    assert "does not know" in ended.stderr
    assert triggers(sandbox) == paid


def test_a_column_of_the_list_with_our_name_is_no_mark(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    head, *lines = accounts.read_text("utf-8").splitlines()
    own = [f"{head},run again,batchrun status", *(f"{line},yes,completed" for line in lines)]
    accounts.write_text("\n".join(own), encoding="utf-8")
    ended = batchrun("run", str(accounts), "-w", "Account Research", "--yes")
    assert ended.exit_code in {0, 3}, ended.stderr
    paid = triggers(sandbox)

    for save in (lambda path: path, without_properties, as_pandas, as_csv):
        file = save(batchrun.folder / RESULTS)
        ended = batchrun("run", file.name, "--yes")
        assert "no row of it is marked" in ended.stderr
    assert triggers(sandbox) == paid
