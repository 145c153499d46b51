"""Run again from Excel: `batchrun run` on a workbook that batchrun wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import openpyxl
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

RESULTS = "accounts.results.xlsx"


@pytest.fixture
def results(batchrun: CommandLine, sandbox: str, accounts: Path) -> Path:
    """The workbook of a batch that has been run."""
    batchrun("run", str(accounts), "-w", "Account Research", "--yes")
    return batchrun.folder / RESULTS


def triggers(sandbox: str) -> int:
    """How many triggers the sandbox has accepted."""
    report = httpx.get(f"{sandbox.removesuffix('/v1')}/sandbox/report", trust_env=False).json()
    return int(report["triggers_accepted"])


def mark(path: Path, *lines: int) -> None:
    """Write an x into "run again" and save, as one does in Excel."""
    book = openpyxl.load_workbook(path)
    sheet = book["Results"]
    column = [cell.value for cell in sheet[1]].index("run again") + 1
    for line in lines:
        sheet.cell(line, column, "x")
    book.save(path)


def rows(path: Path) -> list[dict[str, object]]:
    head, *cells = openpyxl.load_workbook(path)["Results"].values
    return [dict(zip(map(str, head), each, strict=True)) for each in cells]


def test_only_marked_rows_are_triggered_and_the_others_carried_over(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    before, paid = rows(results), triggers(sandbox)
    mark(results, 3)

    ended = batchrun("run", RESULTS, "--yes")

    assert "1 marked row, 1 job to trigger again" in ended.stdout
    assert triggers(sandbox) == paid + 1
    after = rows(batchrun.folder / "accounts.results (2).xlsx")
    assert [after[at] for at in (0, 2, 3)] == [before[at] for at in (0, 2, 3)]
    assert after[1]["execution id"] != before[1]["execution id"]
    assert after[1]["batchrun status"] == "completed"
    assert {each["run again"] for each in after} == {None}


def test_a_marked_workbook_stays_as_it_is(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    mark(results, 2)
    content = results.read_bytes()

    batchrun("run", RESULTS, "--yes")

    assert results.read_bytes() == content


def test_rows_may_have_been_sorted_and_deleted_in_excel(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    paid, before = triggers(sandbox), rows(results)
    mark(results, 3)
    book = openpyxl.load_workbook(results)
    book["Results"].delete_rows(2)
    book.save(results)

    batchrun("run", RESULTS, "--yes")

    assert triggers(sandbox) == paid + 1
    after = rows(batchrun.folder / "accounts.results (2).xlsx")
    assert len(after) == len(before)
    assert after[1]["execution id"] != before[1]["execution id"]


def test_nothing_marked_triggers_nothing(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    paid = triggers(sandbox)

    ended = batchrun("run", RESULTS, "--yes")

    assert ended.exit_code == 2
    assert '"run again"' in ended.stderr
    assert triggers(sandbox) == paid


def test_a_marked_row_whose_id_was_never_sent_is_named(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    mark(results, 5)  # its ID is damaged

    ended = batchrun("run", RESULTS, "--yes")

    assert ended.exit_code == 2
    assert "line 5 is marked, but its IDs are not among those that were sent" in ended.stderr


def test_without_yes_nothing_is_triggered(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    paid = triggers(sandbox)
    mark(results, 2)

    assert batchrun("run", RESULTS).exit_code == 2
    assert triggers(sandbox) == paid


def test_another_workflow_is_refused(batchrun: CommandLine, sandbox: str, results: Path) -> None:
    mark(results, 2)

    ended = batchrun("run", RESULTS, "-w", "Contact Enrichment", "--yes")

    assert ended.exit_code == 2
    assert "results of Account Research" in ended.stderr


def test_a_journal_that_does_not_know_the_batch_is_said(
    batchrun: CommandLine, sandbox: str, results: Path, tmp_path: Path
) -> None:
    mark(results, 2)

    ended = batchrun("run", RESULTS, "--yes", "--journal", str(tmp_path / "other.db"))

    assert ended.exit_code == 2
    assert "does not know" in ended.stderr


@pytest.mark.usefixtures("sandbox")
def test_a_plain_list_still_needs_a_workflow(batchrun: CommandLine, accounts: Path) -> None:
    ended = batchrun("run", str(accounts), "--yes")

    assert ended.exit_code == 2
    assert "No workflow is named" in ended.stderr
