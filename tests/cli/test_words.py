"""What a user reads: questions, standings and refusals say what is so, and what to do."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sqlite3
import sys
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import pyte
import pytest

from batchrun import batches, status, workbook
from batchrun.batch.control import Control
from batchrun.cli.commands_batches import lines_of
from batchrun.cli.output import OutputMode
from batchrun.cli.progress import ProgressPrinter
from batchrun.cli.signals import Stopper
from batchrun.engine.progress import Progress
from batchrun.errors import ExitCode, StoppedError, WorkflowError
from batchrun.journal import Holder, Journal, database
from batchrun.model import Outcome, Workflow
from batchrun.service.client import choose_workflow
from batchrun.settings.loading import load_settings
from tests.cli.test_again import mark
from tests.cli.test_bad_input import assert_refused, triggers_accepted
from tests.cli.test_deciding import LOST_ANSWER, REFUSED, Terminal
from tests.cli.test_resume_all import write_list
from tests.engine.faults import faulty_sandbox
from tests.journal.batches import IDS, NOW, URL, accepted, plan_of, working_on

if TYPE_CHECKING:
    from batchrun.model import BatchResults
    from batchrun.settings.model import Settings
    from tests.cli.commands import CommandLine, Ended

RUN = ("run", "accounts.csv", "-w", "account research")
NAMES = ("Account Research", "Contact Research", "Account Plan")
WORKFLOWS = [Workflow(f"wf_{name.lower().replace(' ', '_')}", name) for name in NAMES]


def answer(batchrun: CommandLine, words: str) -> None:
    """Somebody sits at the terminal, and has typed this."""
    batchrun.monkeypatch.setattr(sys, "stdin", Terminal(words))


# how rows add up


def test_the_rows_of_a_list_add_up_in_the_plan_the_end_and_the_status(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    planned = "Rows:      4 (2 to send, 1 duplicate, 1 can't be sent)\n"
    assert planned in batchrun("check", *RUN[1:]).stdout
    ended = batchrun(*RUN, "--yes").stdout
    assert planned in ended
    finished = "Rows:      4 (3 completed, 1 can't be sent); 2 jobs and 1 duplicate\n"
    assert finished in ended
    assert finished in batchrun("status").stdout
    assert "3 completed, 1 can't be sent" in batchrun("batches").stdout


def test_progress_counts_only_rows_that_can_be_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("batchrun.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    counts = {Outcome.COMPLETED: 2, Outcome.INVALID: 5, Outcome.PENDING: 18}
    with ProgressPrinter() as printer:
        printer.show(Progress(counts, 1, 3, 60, 60))
    assert "2 of 20 rows; 5 can't be sent, 1 running" in capsys.readouterr().err


# what a run asks


def test_a_pilot_asks_for_its_own_jobs_and_shows_their_cost(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    answer(batchrun, "n\n")
    ended = batchrun(*RUN, "--limit", "1")
    assert "Trigger 1 job now?" in ended.stderr
    assert "2 to trigger, now 1 of them (--limit)" in ended.stderr
    assert "about 3 requests" in ended.stderr
    assert ended.exit_code == ExitCode.COMPLETED
    assert triggers_accepted(sandbox) == 0


def test_the_question_after_a_pilot_is_about_the_rest(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--limit", "1", "--yes")
    answer(batchrun, "y\n")
    ended = batchrun(*RUN)
    assert "Trigger 1 job now?" in ended.stderr
    assert "1 to trigger; 1 of the batch's 2 were sent before" in ended.stderr
    assert triggers_accepted(sandbox) == 2


def test_the_question_names_jobs_that_were_paid_for_before(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    write_list(accounts, 2)
    batchrun(*RUN, "--yes")
    with accounts.open("a", encoding="utf-8") as file:
        file.write(f"\n{uuid.uuid4()}\n")

    def said(*options: str) -> str:
        answer(batchrun, "n\n")
        return " ".join(batchrun(*RUN, *options).stderr.split())

    again = "have a result from an earlier batch, and you pay for them again. "
    again += "To reuse them instead, answer n and add --reuse 30d"
    assert f"2 of 3 jobs {again}. Trigger 3 jobs now?" in said()
    again = again.replace("have", "has").replace("them", "it")
    late = "; you can't add it later. Trigger 1 job now?"
    assert f"1 of 1 job {again}{late}" in said("--limit", "1")


def test_rows_of_a_reused_result_are_counted_alike_before_and_after(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    write_list(accounts, 2)
    batchrun(*RUN, "--yes")
    first = accounts.read_text(encoding="utf-8").splitlines()[1]
    with accounts.open("a", encoding="utf-8") as file:
        file.write(f"\n{first}\n{uuid.uuid4()}\n")
    said = batchrun(*RUN, "--yes", "--reuse", "30d").stdout
    assert "4 (1 to send, 3 reused)" in said
    assert "4 (4 completed including 3 reused)\n" in said
    said = batchrun(*RUN, "--yes", "--reuse", "30d").stdout
    assert "4 (4 completed, all reused)\n" in said


def test_resume_says_what_another_batch_has_paid_for_and_that_the_list_has_changed(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    write_list(accounts, 3)
    answer(batchrun, "y\nn\n")
    batchrun(*RUN, "--limit", "1")
    pilot = batches(settings=load_settings())[0].batch_id

    def said(*options: str) -> str:
        answer(batchrun, "n\n")
        ended = batchrun("resume", *options)
        return " ".join(f"{ended.stdout} {ended.stderr}".split())

    assert "The file" not in said()
    assert "another batch" not in said()
    with accounts.open("a", encoding="utf-8") as file:
        file.write(f"\n{uuid.uuid4()}\n")
    later = time.time() + 60
    os.utime(accounts, (later, later))
    batchrun(*RUN, "--yes", "--reuse", "30d")
    words = said(pilot)
    assert "The file has changed since" in words
    assert "To run it as it is now: " in words
    sent = "were already sent, or are about to be, in another batch"
    paid = f"2 of 2 jobs {sent}, and you pay for them again."
    assert f"{paid} To pay once, answer n, then run the list with --reuse 30d. Trigger" in words
    accounts.unlink()
    assert "The file is gone" in said(pilot)
    batchrun(*RUN, "--limit", "1", "--yes")
    assert "--reuse" not in said("--limit", "1")  # too late


def test_check_names_one_next_step_for_jobs_with_an_earlier_result(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    write_list(accounts, 6)
    first = "to see what a job costs, run with --limit 5"
    assert f"{first} first\n" in batchrun("check", *RUN[1:]).stdout
    batchrun(*RUN, "--yes")
    with accounts.open("a", encoding="utf-8") as file:
        file.write(f"\n{uuid.uuid4()}\n")
    assert f"{first} --reuse 30d first\n" in batchrun("check", *RUN[1:]).stdout
    batchrun(*RUN, "--limit", "1", "--yes")
    assert f"{first} first\n" in batchrun("check", *RUN[1:]).stdout  # too late for --reuse


@pytest.mark.parametrize(
    ("command", "quietly"),
    [(RUN, ()), (RUN, ("--json",)), (("resume",), ("-q",))],
    ids=["captured", "as JSON", "quiet"],
)
def test_a_pilot_without_a_terminal_asks_nothing_and_pauses(
    batchrun: CommandLine,
    sandbox: str,
    accounts: Path,
    command: tuple[str, ...],
    quietly: tuple[str, ...],
) -> None:
    """Somebody sits there, and standard output goes to a file: `$(batchrun resume -q …)`."""
    write_list(accounts, 4)
    if command == ("resume",):
        batchrun(*RUN, "--limit", "1", "--yes")
    before = triggers_accepted(sandbox)
    if quietly and quietly[0] == "-q":  # nothing but quiet keeps it from asking
        batchrun.monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    answer(batchrun, "y\ny\ny\n")
    ended = batchrun(*command, "--limit", "1", *quietly)
    assert "Go on with the rest" not in ended.stdout + ended.stderr
    assert "Pilot:" not in ended.stdout
    assert ended.exit_code == ExitCode.PAUSED
    assert triggers_accepted(sandbox) == before + 1


# where a batch stands


def test_running_rows_are_counted_apart_from_unsent_ones(batchrun: CommandLine) -> None:
    with Journal(os.environ["BATCHRUN_JOURNAL"]) as journal:
        batch_id = journal.create(plan_of(*IDS), URL)
        jobs = journal.jobs(batch_id, "key")

        async def trigger_one() -> None:
            [job] = jobs.pending(limit=1)
            assert await jobs.begin_trigger(job)
            in_the_future = replace(accepted(0), created_at=NOW.replace(year=2999))
            await jobs.accept(job, in_the_future, NOW.replace(year=2999))

        with working_on(journal, batch_id):
            asyncio.run(trigger_one())
    shown = batchrun("status").stdout
    assert "3 pending including 1 running" in shown
    # A time in the future says nothing.
    assert "Running:   1 job; resuming fetches the results without paying again\n" in shown


def test_resuming_a_finished_batch_says_only_that(batchrun: CommandLine, results: Path) -> None:
    first, *steps = batchrun("resume").stdout.splitlines()
    assert first == "Nothing left to do for accounts.csv."
    assert [each.split(":")[0] for each in steps] == ["Reason", "Correct", "Workbook"]
    assert steps[0].endswith(" in a text editor (Excel damages IDs in CSV files).")
    assert steps[-1] == f"Workbook:  {results}"
    assert batchrun("resume", "-q").stdout == f"{results}\n"
    results.unlink()
    assert "Workbook:" in batchrun("resume").stdout  # written again
    assert json.loads(batchrun("resume", "--json").stdout)["unfinished"] is False


def test_resuming_a_finished_batch_names_the_unfinished_ones(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    (batchrun.folder / "other.csv").write_text(accounts.read_text().replace("Acme", "Aeon"))
    batchrun("run", "other.csv", *RUN[2:], "--yes", "--limit", "1")
    other = json.loads(batchrun("status", "--json").stdout)["batch"]
    batchrun(*RUN, "--yes")
    assert f"To continue it: batchrun resume {other}\n" in batchrun("resume").stdout
    batchrun(*RUN, "--yes", "--again", "--limit", "1")
    done = json.loads(batchrun("batches", "--json").stdout)[1]["batch"]
    named = "2 other batches are unfinished. To list them: batchrun batches\n"
    assert named in batchrun("resume", done).stdout
    for results in batchrun.folder.glob("*.results*.xlsx"):
        results.unlink()
    assert named in batchrun("resume", done).stdout


def follow(batchrun: CommandLine, text: str, label: str) -> Ended:
    """Run the command that is printed after this label."""
    [command] = re.findall(rf"^{label}.*?: +batchrun (.*)$", text, re.MULTILINE)
    return batchrun(*shlex.split(command))


def test_the_printed_next_steps_work(batchrun: CommandLine, accounts: Path) -> None:
    ended = batchrun(*RUN, "--sandbox", "--yes")
    assert "Reason:    1 row: company ID " in ended.stdout
    assert "Correct:" in batchrun("status", "--sandbox").stdout
    exported = batchrun("export", "--sandbox", "--only", "invalid", "-o", "fix.xlsx")
    assert exported.stdout.startswith("1 row of batch ")
    assert "Its results go to fix.results.xlsx. To have all rows in one" in exported.stdout
    book = openpyxl.load_workbook("fix.xlsx")
    assert book.active is not None
    wrong = str(book.active["A2"].value)
    book.active["A2"] = IDS[2]
    book.save("fix.xlsx")
    assert "1 to send" in follow(batchrun, exported.stdout, "Correct").stdout
    sheet = openpyxl.load_workbook("accounts.results.xlsx")["Needs attention"]
    [told] = [
        str(cell) for row in sheet.values for cell in row if "Then, in the folder" in str(cell)
    ]
    accounts.write_text(accounts.read_text().replace(wrong, IDS[2]))
    assert "reused" in follow(batchrun, ended.stdout, "Correct").stdout
    assert "reused" in follow(batchrun, told, "Then").stdout


def test_lines_are_shown_with_their_row_in_excel_if_it_differs(batchrun: CommandLine) -> None:
    path = batchrun.folder / "accounts.csv"
    path.write_text(f'Company ID,Name,Note\n{IDS[0]},Acme,"two\nlines"\n12,Beta,\n{IDS[1]},Aeon,\n')
    assert "(line 4 (row 3 in Excel): " in batchrun("check", *RUN[1:], "--sandbox").stdout
    details = batchrun("check", *RUN[1:], "--sandbox", "--details").stdout
    assert "Not sent:  line 4 (row 3 in Excel): company ID" in details
    path.write_text(path.read_text().replace("two\nlines", "one line"))
    assert "Excel" not in batchrun("check", *RUN[1:], "--sandbox").stdout


def test_duplicates_with_a_different_name_are_listed_before_a_run(
    batchrun: CommandLine,
) -> None:
    path = batchrun.folder / "accounts.csv"
    rows = [(IDS[0], "Baker"), (IDS[1], "Lindt"), (IDS[0], "baker"), (IDS[1], "Hafen")]
    rows += [(IDS[1], f"Other {number}") for number in range(6)]
    path.write_text("Company ID,Name\n" + "".join(f"{id_},{name}\n" for id_, name in rows))
    for command in (("check", *RUN[1:]), (*RUN, "--yes")):
        said = batchrun(*command, "--sandbox").stdout
        assert "7 rows have a different name than an earlier row with the same ID" in said
        assert "line 5, Hafen: same ID as line 3, Lindt" in said
        assert "… and 2 more (to list them: check --details)" in said
    listed = batchrun("check", *RUN[1:], "--sandbox", "--details").stdout
    assert "line 11, Other 5: same ID as line 3, Lindt" in listed


def test_duplicates_are_listed_before_a_run_whatever_names_their_rows(
    batchrun: CommandLine,
) -> None:
    path = batchrun.folder / "accounts.csv"
    rows = [(IDS[0], "Baker"), (IDS[1], "Lindt"), (IDS[1], "Hafen")]
    path.write_text("Company ID,Target\n" + "".join(f"{id_},{name}\n" for id_, name in rows))
    said = batchrun("check", *RUN[1:], "--sandbox").stdout
    assert "1 duplicate shares the result of an earlier row:" in said
    assert "line 4, Hafen: same ID as line 3, Lindt" in said


def test_the_last_lines_repeat_that_an_id_may_be_wrong(batchrun: CommandLine) -> None:
    path = batchrun.folder / "accounts.csv"
    rows = [(IDS[0], "Baker"), (IDS[1], "Lindt"), (IDS[1], "Hafen")]
    path.write_text("Company ID,Name\n" + "".join(f"{id_},{name}\n" for id_, name in rows))
    check = "Check:     1 row has a different name than an earlier row with the same ID"
    for command in ((*RUN, "--yes"), ("status",)):
        last = batchrun(*command, "--sandbox").stdout.rpartition("Batch:")[2]
        assert "3 (3 completed); 2 jobs and 1 duplicate\n" in last
        assert check in last
    path.write_text(path.read_text().replace("Hafen", "LINDT"))
    assert "Check:" not in batchrun(*RUN, "--yes", "--sandbox").stdout


def test_an_import_that_cannot_be_undone_names_doubtful_rows_and_practice(
    batchrun: CommandLine,
) -> None:
    path = batchrun.folder / "accounts.csv"
    rows = [(IDS[0], "Baker"), (IDS[1], "Lindt"), (IDS[1], "Hafen")]
    lines = [f"{id_},{name},1234{at}" for at, (id_, name) in enumerate(rows)]
    path.write_text("\n".join(["Company ID,Name,Record ID", *lines]))
    batchrun(*RUN, "--yes", "--sandbox")
    said = batchrun("export", "-o", "import.csv", "--crm", "hubspot", "--sandbox").stdout
    assert "Practice:  these results are invented." in said
    assert "1 row has a different name than an earlier row with the same ID" in said
    assert "line 4, Hafen: same ID as line 3, Lindt" in said
    assert "These lines are lines of your list. Find the record IDs there, and delete" in said


def test_an_import_lists_only_the_first_doubtful_rows(batchrun: CommandLine) -> None:
    names = ("Baker", "Lindt", "Hafen", "Lauf")
    lines = [f"{IDS[0]},{name},1234{at}" for at, name in enumerate(names)]
    path = batchrun.folder / "accounts.csv"
    path.write_text("\n".join(["Company ID,Name,Record ID", *lines]))
    batchrun(*RUN, "--yes", "--sandbox")
    batchrun.monkeypatch.setattr("batchrun.cli.messages.IMPORTED_SHOWN", 2)
    said = batchrun("export", "-o", "import.csv", "--crm", "hubspot", "--sandbox").stdout
    assert "line 4, Hafen" in said
    assert "line 5" not in said
    assert "… and 1 more (see Needs attention in the workbook)" in said


def test_forget_names_the_list_of_each_batch(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--yes", "--sandbox")
    batchrun(*RUN, "--yes")
    for options, pays in ((("--sandbox",), False), ((), True)):
        answer(batchrun, "n\n")
        said = " ".join(batchrun("forget", "--older-than", "0h", *options).stderr.split())
        assert "Account Research: accounts.csv rows: 4" in said
        assert ("if you run a list again, you pay for all its rows" in said) is pays


def test_no_reason_is_dropped_without_a_word(batchrun: CommandLine, accounts: Path) -> None:
    damaged = ["12", "n/a", "=1/0", "0015g00000XyZabAAB", "x@example.com", "14829301754", "#N/A"]
    with accounts.open("a", encoding="utf-8") as file:
        file.writelines(f"{each},Aeon,\n" for each in damaged)
    said = batchrun(*RUN, "--sandbox", "--yes").stdout.partition("Batch:")[2]
    shown = sum(int(number) for number in re.findall(r"Reason: +(\d+) row", said))
    [more] = re.findall(r"… and (\d) more reason", said)
    assert 5 <= shown == 8 - int(more)


@pytest.mark.parametrize(
    "rows",
    [
        [
            "Company ID,First Name,Last Name,Email",
            *(f"{IDS[at % 2]},First{at},Last{at},p{at}@acme.example" for at in range(6)),
        ],
        ["Company ID,Name", f'{IDS[0]},"Acme, Inc."', f"{IDS[0]},Acme Inc"],
    ],
    ids=["people", "spellings"],
)
def test_people_and_spellings_raise_no_doubt_about_an_id(
    batchrun: CommandLine, rows: list[str]
) -> None:
    (batchrun.folder / "accounts.csv").write_text("\n".join(rows))
    said = batchrun("check", *RUN[1:], "--sandbox").stdout
    assert "duplicate" in said
    assert "different name" not in said


@pytest.mark.usefixtures("results")
def test_a_run_with_nothing_to_request_names_no_requests(
    batchrun: CommandLine, accounts: Path
) -> None:
    (batchrun.folder / "copy.csv").write_bytes(accounts.read_bytes())
    ended = batchrun("run", "copy.csv", *RUN[2:], "--reuse", "30d", "--yes")
    assert "3 reused" in ended.stdout
    assert not re.findall("(Quota|Credits|Requests):", ended.stdout)


def test_the_advice_to_practice_without_a_key_works(batchrun: CommandLine, accounts: Path) -> None:
    for command in ((*RUN, "--yes"), ("check", *RUN[1:]), ("workflows",), ("doctor",)):
        ended = batchrun(*command)
        assert "add --sandbox to this command" in ended.stdout + ended.stderr
        assert batchrun(*command, "--sandbox").exit_code != ExitCode.UNUSABLE
    assert batchrun("demo").exit_code == ExitCode.INCOMPLETE


def test_a_dead_process_is_not_said_to_work(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--yes", "--limit", "1")
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    holder = Holder("0" * 16, 1, "desk", an_hour_ago, an_hour_ago)
    shown = "\n".join(lines_of(replace(status(), holder=holder), load_settings()))
    assert "Worked on" not in shown
    assert "Stopped:   process 1 on desk" in shown
    assert "Resuming is safe: nothing is sent twice" in shown


def test_the_first_request_is_shown_with_the_details(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    words = ("check", *RUN[1:])
    assert "workflow_id" not in batchrun(*words).stdout
    assert 'First:     {"workflow_id": ' in batchrun(*words, "--details").stdout


def test_quota_is_not_called_a_cost(batchrun: CommandLine, sandbox: str, accounts: Path) -> None:
    said = batchrun("check", *RUN[1:]).stdout
    assert "Quota:     about " in said
    assert "Cost:" not in said


@pytest.mark.usefixtures("results")
def test_an_export_names_the_batch(batchrun: CommandLine) -> None:
    batch_id = json.loads(batchrun("status", "--json").stdout)["batch"]
    assert f"Results of batch {batch_id}: " in batchrun("export", "-o", "out.csv").stdout


def test_a_retry_asks_about_the_outcomes_there_are(batchrun: CommandLine, accounts: Path) -> None:
    with faulty_sandbox(triggers=[REFUSED]) as (url, _):
        batchrun.connect(url)
        batchrun(*RUN, "--yes")
        answer(batchrun, "n\n")
        asked = batchrun("retry").stderr
    assert "rejected row" in asked
    assert "failed" not in asked
    assert "again?" in asked


def test_a_resumed_batch_no_longer_shows_why_it_stopped(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--limit", "1", "--yes")
    assert "Only the first rows were run, as asked." in batchrun("status").stdout
    seen: list[str] = []
    show = ProgressPrinter.show

    def look(printer: ProgressPrinter, progress: Progress) -> None:
        with Journal(os.environ["BATCHRUN_JOURNAL"]) as journal:
            seen.append(journal.resolve(None).note)
        show(printer, progress)

    batchrun.monkeypatch.setattr(ProgressPrinter, "show", look)
    batchrun("resume")
    assert set(seen) == {""}
    assert "Note:" not in batchrun("status").stdout


def test_a_list_that_was_run_before_is_named_with_its_date(
    batchrun: CommandLine, accounts: Path, results: Path
) -> None:
    accounts.rename(batchrun.folder / "november.csv")
    ended = batchrun("run", "november.csv", *RUN[2:], "--yes")
    batch = json.loads(batchrun("status", "--json").stdout)
    day = f"{datetime.fromisoformat(batch['created_at']).astimezone():%Y-%m-%d}"
    assert_refused(ended, ExitCode.UNUSABLE, f"{batch['batch']} (accounts.csv, {day})", "--again")


def test_a_workbook_with_a_number_in_its_name_says_why(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    kept = batchrun.folder / "accounts.results.xlsx"
    kept.write_bytes(b"somebody's own")
    ended = batchrun(*RUN, "--yes")
    assert "Note:      accounts.results.xlsx already existed, so it was kept." in ended.stdout
    assert ended.stdout.splitlines()[-1] == f"Workbook:  {kept.with_stem('accounts.results (2)')}"


def test_a_workbook_that_excel_holds_open_says_why_it_went_beside(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--limit", "1", "--yes")
    held, replace_file = batchrun.folder / "accounts.results.xlsx", Path.replace

    def refused_by_excel(file: Path, target: Path) -> Path:
        if target == held:
            raise PermissionError(13, "in use")
        return replace_file(file, target)

    batchrun.monkeypatch.setattr(Path, "replace", refused_by_excel)
    said = batchrun("resume").stdout
    assert "Note:      accounts.results.xlsx is open in another program" in said
    assert said.splitlines()[-1] == f"Workbook:  {held.with_stem('accounts.results (2)')}"


def test_a_workbook_that_could_not_be_laid_out_is_not_said_to_be_open(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    write = workbook.write

    def fail(results: BatchResults, path: Path, *given: Any, **named: Any) -> Path:
        if path.suffix == ".xlsx":
            raise ValueError("a fault of the test")
        return write(results, path, *given, **named)

    batchrun.monkeypatch.setattr(workbook, "write", fail)
    said = batchrun(*RUN, "--yes").stdout
    assert "Note:      accounts.results.xlsx could not be laid out" in said
    assert said.splitlines()[-1] == f"Workbook:  {batchrun.folder / 'accounts.results.jsonl'}"


def test_a_batch_resumed_in_another_folder_writes_the_same_workbook(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--limit", "1", "--yes", "-o", "out.xlsx")
    before = (batchrun.folder / "out.xlsx").read_bytes()
    elsewhere = batchrun.folder / "elsewhere"
    elsewhere.mkdir()
    batchrun.monkeypatch.chdir(elsewhere)
    ended = batchrun("resume")
    assert ended.stdout.splitlines()[-1].endswith(str(batchrun.folder / "out.xlsx"))
    assert (batchrun.folder / "out.xlsx").read_bytes() != before
    assert list(elsewhere.iterdir()) == []


def test_a_quiet_run_says_nothing_but_the_path(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    path = f"{batchrun.folder / 'accounts.results.xlsx'}\n"
    assert batchrun(*RUN, "--yes", "--quiet").stdout == path
    mark(batchrun.folder / "accounts.results.xlsx", 2)
    batchrun("run", "accounts.results.xlsx", "--yes")
    ended = batchrun("run", "accounts.results.xlsx", "--yes", "-q")  # nothing is left to send
    assert ended.stdout == path.replace("results", "results (2)")


# a journal that isn't there, and several batches of one name


@pytest.mark.parametrize(
    "arguments",
    [
        ("batches",),
        ("status",),
        ("resume",),
        ("retry",),
        ("forget", "1124"),
        ("export", "-o", "out.csv"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_reading_commands_create_no_journal(
    batchrun: CommandLine, sandbox: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    missing = tmp_path / "nowhere" / "x.db"
    batchrun.monkeypatch.setenv("BATCHRUN_JOURNAL", str(missing))
    assert_refused(batchrun(*arguments), ExitCode.UNUSABLE, str(missing))
    assert not missing.parent.exists()


def test_before_the_first_run_there_are_no_batches(batchrun: CommandLine, tmp_path: Path) -> None:
    batchrun.monkeypatch.delenv("BATCHRUN_JOURNAL")
    place = tmp_path / "home" / "journal.db"
    batchrun.monkeypatch.setattr("batchrun.settings.model.default_journal", lambda: place)
    assert "No batches yet" in batchrun("batches").stdout
    assert json.loads(batchrun("batches", "--json").stdout) == []
    assert not place.parent.exists()


def test_batches_points_to_the_batches_of_the_sandbox(
    batchrun: CommandLine, tmp_path: Path
) -> None:
    batchrun.monkeypatch.delenv("BATCHRUN_JOURNAL")
    place = tmp_path / "home" / "journal.db"
    batchrun.monkeypatch.setattr("batchrun.settings.model.default_journal", lambda: place)
    there = "add --sandbox: batchrun batches --sandbox"
    status = "add --sandbox: batchrun status --sandbox"
    assert there not in batchrun("batches").stdout
    with Journal(str(place.with_name("sandbox.db"))) as journal:
        journal.create(plan_of(*IDS), URL)
    assert there in batchrun("batches").stdout
    assert status in batchrun("status").stderr
    Journal(str(place)).close()  # it is there, and holds nothing
    assert status in batchrun("status").stderr
    assert there not in batchrun("batches", "--sandbox").stdout
    assert status not in batchrun("status", "--sandbox").stderr


def test_batches_that_begin_alike_are_named(batchrun: CommandLine) -> None:
    with Journal(os.environ["BATCHRUN_JOURNAL"]) as journal:
        ids = [journal.create(plan_of(each), URL) for each in IDS[:2]]
    assert_refused(batchrun("status", ids[0][:6]), ExitCode.UNUSABLE, *ids)


# stopping


@pytest.mark.parametrize("batch_id", [None, "1124-accounts-7f3a"])
def test_stopping_at_once_offers_resume_only_if_a_batch_started(
    batch_id: str | None,
) -> None:
    async def stopped() -> None:
        raise KeyboardInterrupt

    control = Control()
    control.batch_id = batch_id
    with pytest.raises(StoppedError) as ended:
        Stopper(control, print).run(stopped())
    said = str(ended.value)
    if batch_id is None:
        assert ended.value.exit_code == ExitCode.INTERRUPTED
        assert "resume" not in said
    else:
        assert ended.value.exit_code == ExitCode.PAUSED
        assert f"batchrun resume {batch_id}" in said


# refusals


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("BATCHRUN_DAILY", "many", ["is not a whole number", "of at least 1"]),
        ("BATCHRUN_DAILY", "0", ["is less than 1"]),
        ("BATCHRUN_RATE", "fast", ["120/min"]),
        ("BATCHRUN_WAIT", "maybe", ["true or false"]),
        ("BATCHRUN_SPEED", "1e-300", ["a number of at least 0.001"]),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_plain_words(
    batchrun: CommandLine, accounts: Path, variable: str, value: str, words: list[str]
) -> None:
    batchrun.monkeypatch.setenv(variable, value)
    ended = batchrun(*RUN, "--yes")
    assert_refused(ended, ExitCode.UNUSABLE, variable, *words)
    assert "Input should" not in ended.stderr


@pytest.mark.parametrize("option", ["--limit", "--daily"])
def test_an_option_out_of_range_is_named(
    batchrun: CommandLine, accounts: Path, option: str
) -> None:
    ended = batchrun(*RUN, option, "0")
    assert ended.exit_code == ExitCode.UNUSABLE
    assert option in ended.stderr


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("Acount Research", '"Account Research"?'),
        ("Contact Reserch", '"Contact Research"?'),
        ("wf_acount_plan", '"Account Plan"?'),
        ("account", '"Account Research" or "Account Plan"?'),
        ("Weather", ""),
    ],
)
def test_a_mistyped_workflow_gets_the_closest_names(wanted: str, offered: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        choose_workflow(WORKFLOWS, wanted)
    assert refused.value.hint.startswith(f"Did you mean {offered}" if offered else "To list")


@pytest.mark.parametrize("option", [["--again"], ["--sheet", "Results"], ["--param", "depth=2"]])
def test_options_without_effect_on_a_results_workbook_are_refused(
    batchrun: CommandLine, sandbox: str, results: Path, option: list[str]
) -> None:
    mark(results, 3)
    ended = batchrun("run", results.name, "--yes", *option)
    assert_refused(ended, ExitCode.UNUSABLE, option[0], "accounts.results.xlsx")
    assert triggers_accepted(sandbox) == 0


def test_marked_rows_respect_stop_after_failures(batchrun: CommandLine, results: Path) -> None:
    mark(results, 3)
    seen: list[Settings] = []
    batchrun.monkeypatch.setattr(
        "batchrun.cli.commands_run.continue_batch",
        lambda _batch, settings, _manner, **_how: seen.append(settings),
    )
    batchrun("run", "accounts.results.xlsx", "--yes", "--stop-after-failures", "1")
    assert [settings.stop_after_failures for settings in seen] == [1]


# progress


def test_a_failed_request_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    counts = dict.fromkeys(Outcome, 0)
    with ProgressPrinter() as printer:
        printer.show(Progress(counts, 0, 0, 60, 60, notice="HTTP 500: internal error"))
        for _ in range(2):
            printer.show(Progress(counts, 0, 0, 60, 60, stopped_because="3 jobs in a row"))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "A request failed (HTTP 500: internal error). Retrying."
    assert second == "Nothing more is triggered: 3 jobs in a row"


def test_a_message_during_drawing_appears_above_the_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printer, screen = ProgressPrinter(), pyte.Screen(100, 20)
    stream = pyte.Stream(screen)

    class Interrupted(Terminal):
        """Between two of its writes the signal comes."""

        writes = 0

        def write(self, text: str) -> int:
            stream.feed(text.replace("\n", "\r\n"))  # as a terminal does
            self.writes += 1
            if self.writes == 6:
                printer.say("Stopping: nothing more is sent.")
            return len(text)

    monkeypatch.setattr(sys, "stderr", Interrupted())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    with printer:
        for triggered in (3, 4, 5):
            counts = {**dict.fromkeys(Outcome, 0), Outcome.PENDING: 24 - triggered}
            printer.show(Progress(counts | {Outcome.COMPLETED: triggered}, 2, 9, 60, 60))
    said = [line.rstrip() for line in screen.display if line.strip()]
    assert said[0] == "Stopping: nothing more is sent."
    assert sum("/24 rows" in line for line in said) == 1


# on any computer


def test_the_descriptions_of_the_next_steps_stay_in_their_column(batchrun: CommandLine) -> None:
    batchrun.monkeypatch.setattr("batchrun.cli.output.is_screen", lambda _: True)
    batchrun.monkeypatch.setenv("COLUMNS", "60")
    lines = batchrun().stdout.splitlines()
    [column] = [line.index("open batchrun") for line in lines if "batchrun web" in line]
    wrapped = [line for line in lines if line.startswith("   ")]
    assert wrapped
    assert {len(line) - len(line.lstrip()) for line in wrapped} == {column}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no tzset")
def test_a_time_zone_a_day_or_more_from_utc_counts_as_utc(batchrun: CommandLine) -> None:
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("TZ", "X+30")
            time.tzset()
            assert batchrun("version").exit_code == ExitCode.COMPLETED
            assert datetime.now().astimezone().utcoffset() == timedelta(0)
    finally:
        time.tzset()


def test_one_outcome_has_one_name(batchrun: CommandLine, sandbox: str, accounts: Path) -> None:
    ended = batchrun("run", accounts.name, "-w", "Account Research", "--yes")
    book = openpyxl.load_workbook("accounts.results.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row]
    assert cells.count("can't be sent") == 3  # Results, Overview, Needs attention
    assert "1 can't be sent" in ended.stdout
    people = "\n".join(map(str, cells)).replace("--only invalid", "")
    assert "invalid" not in people + ended.stdout.replace("--only invalid", "")
    assert batchrun("run", "accounts.results.xlsx").exit_code == ExitCode.UNUSABLE  # our results


def test_a_list_with_line_breaks_is_named_by_its_rows_in_excel_everywhere(
    batchrun: CommandLine,
) -> None:
    rows = [f'{uuid.uuid4()},"Acme\nInc"' for _ in range(3)]
    Path("list.csv").write_text("\n".join(["Company ID,Name", *rows, ""]), encoding="utf-8")
    run = ("run", "list.csv", "-w", "Account Research")
    with faulty_sandbox(triggers=[LOST_ANSWER]) as (url, _):
        batchrun.connect(url)
        doubtful = batchrun(*run, "--yes")
        assert doubtful.exit_code == ExitCode.INCOMPLETE
        resumed = batchrun("resume").stderr
        with batchrun.monkeypatch.context() as patched:
            patched.setattr(sys, "stdin", Terminal("y\nn\n"))
            patched.setattr(OutputMode, "shows_a_pilot", True)
            pilot = batchrun(*run, "--again", "--limit", "2").stdout
    assert re.search(r"  line \d \(row \d in Excel\): Acme Inc", resumed)
    assert "line 4 (row 3 in Excel): completed" in pilot


def test_what_a_forgotten_batch_leaves_goes_with_the_command_that_is_printed(
    batchrun: CommandLine, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.5)
    journal = batchrun.folder.parent / "journal" / "journal.db"
    reader = sqlite3.connect(journal)
    [batch] = reader.execute("BEGIN").execute("SELECT id FROM batches").fetchone()
    ended = batchrun("forget", batch, "--yes")
    assert "traces stay in its log" in ended.stderr
    reader.close()
    follow(batchrun, ended.stderr, "Close that program")
    left = [path for path in journal.parent.iterdir() if path.is_file()]
    assert not [path for path in left if b"Gamma" in path.read_bytes()]
