"""Run again from Excel: `batchrun run` on a workbook that batchrun wrote."""

from __future__ import annotations

import io
import json
import shlex
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import openpyxl
import pytest

from batchrun.errors import ExitCode
from batchrun.tables.options import RATIO_MATTERS_FROM
from tests.cli.conftest import ACME, BETA, SPEED
from tests.cli.test_bad_input import assert_refused
from tests.corpus.parts import pack, xlsx_parts
from tests.corpus.parts import rows as corpus_rows
from tests.engine.faults import Fault, faulty_sandbox

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine

RESULTS = "accounts.results.xlsx"
LOST_ANSWER = Fault(502, "<html>", accepted=True)
REFUSED = Fault(400, {"error": "company is archived"})


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


CORPUS = Path(__file__).parents[1] / "corpus" / "files"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hostile-far-cell.xlsx", "reach to XFD1048576"),
        ("hostile-zip-bomb.xlsx", "as a ZIP bomb does"),
        ("custom.xml", "docProps/custom.xml unpacks to"),
        ("custom.xml of a results workbook", "docProps/custom.xml unpacks to"),
    ],
)
def test_a_hostile_workbook_is_refused_before_its_marks_are_looked_for(
    batchrun: CommandLine, sandbox: str, results: Path, name: str, said: str
) -> None:
    path = batchrun.folder / "theirs.xlsx"
    paid = triggers(sandbox)
    if name.startswith("custom.xml"):
        blanks = b"<Properties>" + b" " * (RATIO_MATTERS_FROM + 1) + b"</Properties>"
        parts: dict[str, bytes | str] = {**xlsx_parts(corpus_rows(["Company ID"], [ACME]))}
        if "results" in name:
            mark(results, 2)
            with zipfile.ZipFile(results) as whole:
                parts = {each: whole.read(each) for each in whole.namelist()}
        path.write_bytes(pack(parts | {"docProps/custom.xml": blanks}))
    else:
        path.write_bytes((CORPUS / name).read_bytes())

    ended = batchrun("run", path.name, "-w", "Account Research", "--yes")

    assert ended.exit_code == 2
    assert said in ended.stderr.replace("\n", " ")
    assert "unexpectedly" not in ended.stderr
    assert triggers(sandbox) == paid


def rows(path: Path) -> list[dict[str, object]]:
    head, *cells = openpyxl.load_workbook(path)["Results"].values
    return [dict(zip(map(str, head), each, strict=True)) for each in cells]


def test_only_marked_rows_are_triggered_and_the_others_carried_over(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    before, paid = rows(results), triggers(sandbox)
    mark(results, 3)

    ended = batchrun("run", RESULTS, "--yes")

    assert "1 job to trigger again" in ended.stdout
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
    assert "line 5 is marked, but its IDs were not sent (see its Status)" in ended.stderr
    assert "To send the other marked rows, remove the mark in line 5." in ended.stderr
    assert "accounts.csv -w 'Account Research' --reuse 30d" in ended.stderr


def test_the_command_for_a_corrected_list_reuses_results_of_a_batch_with_parameters(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    named = ["--param", "depth=comprehensive", "--param", 'size="5"', "--param-column", "as=Name"]
    assert batchrun("run", "accounts.csv", "-w", "Account Research", *named, "--yes").exit_code == 3
    paid = triggers(sandbox)

    exported = batchrun("export", "--only", "invalid", "-o", "fix.xlsx")
    [told] = [line for line in exported.stdout.splitlines() if "fix.xlsx -w" in line]
    _, command = told.split("then: batchrun ")
    again = batchrun(*shlex.split(command.replace("fix.xlsx", "accounts.csv")), "--yes")

    assert "Jobs:      0 to trigger" in again.stdout
    assert triggers(sandbox) == paid


def test_the_command_for_a_corrected_list_sends_the_same_ids(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    lines = accounts.read_text(encoding="utf-8").splitlines()
    kept = [f"{line},{uuid4()}" for line in lines[1:]]
    named = lines[0].replace("Company ID", "Kennung $1")
    accounts.write_text("\n".join([f"{named},Contact ID", *kept]), encoding="utf-8")
    chosen = ["--company-column", "Kennung $1", "--no-contact"]
    ended = batchrun("run", "accounts.csv", "-w", "Account Research", *chosen, "--yes")
    assert ended.exit_code == 3, ended.stderr
    paid = triggers(sandbox)

    exported = batchrun("export", "--only", "invalid", "-o", "fix.xlsx")
    [told] = [line for line in exported.stdout.splitlines() if "fix.xlsx -w" in line]
    words = shlex.split(told.partition("then: batchrun ")[2])
    again = batchrun(*(word.replace("fix.xlsx", "accounts.csv") for word in words), "--yes")

    assert "Jobs:      0 to trigger" in again.stdout
    assert triggers(sandbox) == paid


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


def test_an_unknown_batch_of_a_marked_workbook_is_reported(
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
    assert "No workflow given" in ended.stderr


def test_a_marked_workbook_given_twice_is_paid_for_once(
    batchrun: CommandLine, sandbox: str
) -> None:
    listed = batchrun.folder / "topics.csv"
    listed.write_text(f"Company ID,Topic\n{ACME},news\n{ACME},people\n", encoding="utf-8")
    batchrun(
        "run", "topics.csv", "-w", "Account Research", "--param-column", "focus=Topic", "--yes"
    )
    mark(batchrun.folder / "topics.results.xlsx", 3)
    batchrun("run", "topics.results.xlsx", "--yes")
    assert triggers(sandbox) == 3

    ended = batchrun("run", "topics.results.xlsx")

    assert triggers(sandbox) == 3
    assert ended.exit_code == 0
    assert "1 marked row was sent since the workbook was written" in ended.stdout
    assert "Nothing was triggered" in ended.stdout


def test_rows_marked_since_are_sent_and_those_sent_again_already_are_not(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    mark(results, 3)
    batchrun("run", RESULTS, "--yes")
    paid = triggers(sandbox)
    mark(results, 2)

    ended = batchrun("run", RESULTS, "--yes")

    assert "1 marked row was sent since the workbook was written" in ended.stdout
    assert "1 job to trigger again" in ended.stdout
    assert triggers(sandbox) == paid + 1
    assert batchrun("run", RESULTS, "--yes").exit_code == 3  # that of the batch: a damaged ID
    assert triggers(sandbox) == paid + 1


def test_marked_rows_of_an_interrupted_run_point_to_resume(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    mark(results, 2, 3)
    batchrun("run", RESULTS, "--yes", "--limit", "1")
    paid = triggers(sandbox)

    ended = batchrun("run", RESULTS, "--yes")

    assert triggers(sandbox) == paid
    assert ended.exit_code == 4
    assert "1 marked row was sent since the workbook was written." in ended.stdout
    assert "1 marked row waits to be sent already" in ended.stdout
    assert "batchrun resume" in ended.stdout
    batchrun("resume")
    assert triggers(sandbox) == paid + 1


def test_marked_rows_of_an_unfinished_batch_are_sent_and_no_others(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun("run", "accounts.csv", "-w", "Account Research", "--yes", "--limit", "1")
    mark(batchrun.folder / RESULTS, 2)

    ended = batchrun("run", RESULTS, "--yes")

    assert triggers(sandbox) == 2
    assert ended.exit_code == 4
    assert "1 pending" in ended.stdout
    assert "What was to be sent is done; the rest waits." in ended.stdout
    assert "Resume:    batchrun resume" in ended.stdout
    batchrun("resume")
    assert triggers(sandbox) == 3


def test_a_marked_row_that_was_never_sent_is_not_said_to_be_sent_again(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun("run", "accounts.csv", "-w", "Account Research", "--yes", "--limit", "1")
    marked = (batchrun.folder / RESULTS).rename(batchrun.folder / "marked.xlsx")
    mark(marked, 3)

    before = batchrun("run", "marked.xlsx", "--yes")
    batchrun("resume")
    after = batchrun("run", "marked.xlsx", "--yes")

    assert before.exit_code == 2
    assert "line 3 is marked, but it has not been sent yet." in before.stderr
    assert "Resume with: batchrun resume" in before.stderr
    assert "1 marked row was sent since the workbook was written." in after.stdout
    assert triggers(sandbox) == 2


def test_json_says_that_nothing_was_triggered(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    mark(results, 2)
    batchrun("run", RESULTS, "--yes")

    ended = batchrun("run", RESULTS, "--json")

    assert json.loads(ended.stdout)["exit_code"] == ended.exit_code == 3  # an ID is damaged
    assert "sent since the workbook was written" in ended.stderr


@pytest.mark.parametrize("clock_was_ahead", [False, True])
def test_a_row_in_doubt_is_sent_once_for_each_workbook_it_is_marked_in(
    batchrun: CommandLine, accounts: Path, clock_was_ahead: bool
) -> None:
    accounts.write_text(f"Company ID\n{ACME}\n", encoding="utf-8")
    with faulty_sandbox(triggers=[LOST_ANSWER, LOST_ANSWER]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun("run", "accounts.csv", "-w", "Account Research", "--yes")
        if clock_was_ahead:
            batchrun.change_batches("created_at = created_at + 60, updated_at = updated_at + 60")
            batchrun("export", "-o", RESULTS)
        mark(batchrun.folder / RESULTS, 2)

        for _ in range(3):
            batchrun("run", RESULTS, "--yes")
        assert len(sandbox.bodies()) == 2

        mark(batchrun.folder / "accounts.results (2).xlsx", 2)
        for _ in range(3):
            batchrun("run", "accounts.results (2).xlsx", "--yes")
        assert len(sandbox.bodies()) == 3
        assert (batchrun.folder / "accounts.results (3).xlsx").exists()


def test_a_row_without_execution_is_refused_where_its_ids_fit_two_jobs(
    batchrun: CommandLine,
) -> None:
    listed = batchrun.folder / "topics.csv"
    listed.write_text(f"Company ID,Topic\n{BETA},news\n{BETA},people\n", encoding="utf-8")
    with faulty_sandbox(triggers=[REFUSED]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(
            "run", "topics.csv", "-w", "Account Research", "--param-column", "focus=Topic", "--yes"
        )
        path, paid = batchrun.folder / "topics.results.xlsx", len(sandbox.bodies())
        refused = [each["batchrun status"] for each in rows(path)].index("rejected")
        mark(path, refused + 2)

        ended = batchrun("run", "topics.results.xlsx", "--yes")

        assert ended.exit_code == 2
        assert "has no execution id, and 2 jobs have its IDs" in ended.stderr
        assert "batchrun retry" in ended.stderr
        assert len(sandbox.bodies()) == paid


def test_check_needs_no_workflow_for_marked_rows_and_refuses_another(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    mark(results, 2)
    assert "Marked:    1 row of batch" in batchrun("check", RESULTS).stdout
    other = batchrun("check", RESULTS, "-w", "Contact Research")
    assert_refused(other, ExitCode.UNUSABLE, "holds results of Account Research, not of Contact")
    assert_refused(batchrun("check", RESULTS, "--reuse", "30d"), ExitCode.UNUSABLE, "--reuse")


def test_rows_sent_again_elsewhere_while_the_question_was_open_are_not_sent_twice(
    batchrun: CommandLine, sandbox: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark(results, 2)
    paid = triggers(sandbox)

    def answered(*_question: object, **_how: object) -> bool:
        monkeypatch.setattr("batchrun.cli.runner.confirm", lambda *_, **__: True)
        batchrun("run", RESULTS, "--yes")
        return True

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("batchrun.cli.runner.confirm", answered)

    ended = batchrun("run", RESULTS)

    assert ended.exit_code == 2
    assert "has changed since the question" in ended.stderr
    assert triggers(sandbox) == paid + 1
