"""Only what somebody has confirmed is sent without a question: the rest of a pilot waits."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from batchrun import batches, forget, resume, run
from batchrun.cli.output import OutputMode
from batchrun.errors import ExitCode, NotConfirmedError
from batchrun.journal import Journal
from batchrun.settings.loading import load_settings
from tests.cli.conftest import SPEED
from tests.cli.test_again import REFUSED, RESULTS, mark
from tests.cli.test_bad_input import assert_refused
from tests.cli.test_deciding import LOST_ANSWER, Terminal, outcomes
from tests.engine.faults import Fault, FaultySandbox, faulty_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batchrun.engine.session import Rest
    from tests.cli.commands import CommandLine, Ended

ASKED = ("run", "accounts.csv", "-w", "account research")
RUN = (*ASKED, "--yes")
SENT = "was already sent, or is about to be, in another batch"
A_DAY_OLDER = "updated_at = updated_at - 86400"


def at_a_terminal(
    batchrun: CommandLine, typed: str, *command: str, meanwhile: Callable[[], object] | None = None
) -> Ended:
    """Run a command at a terminal where somebody has typed this, after something has happened."""
    with batchrun.monkeypatch.context() as patched:
        terminal = Terminal(typed)
        if meanwhile is not None:
            patched.setattr(terminal, "readline", lambda *_: (meanwhile(), typed)[1])
        patched.setattr(sys, "stdin", terminal)
        return batchrun(*command)


@pytest.fixture
def pilot(batchrun: CommandLine, accounts: Path) -> Iterator[FaultySandbox]:
    """The first of two jobs was sent, and nobody has confirmed the other."""
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        ended = at_a_terminal(batchrun, "y\n", *ASKED, "--limit", "1")
        assert ended.exit_code == ExitCode.PAUSED
        yield sandbox


def test_without_a_terminal_resume_is_a_confirmation(
    batchrun: CommandLine, pilot: FaultySandbox
) -> None:
    assert batchrun("resume").exit_code == ExitCode.INCOMPLETE  # a damaged ID
    assert len(pilot.bodies()) == 2


@pytest.mark.parametrize(("typed", "sent"), [("n\n", 1), ("", 1), ("y\n", 2)])
def test_resume_asks_before_it_sends_the_rest_of_a_pilot(
    batchrun: CommandLine, pilot: FaultySandbox, typed: str, sent: int
) -> None:
    ended = at_a_terminal(batchrun, typed, "resume")
    said = ended.stdout + ended.stderr
    for line in ("List:      accounts.csv", "Workflow:  Account Research", "Quota:     about"):
        assert line in said
    assert "Jobs:      1 to trigger" in said
    assert "Trigger 1 job of accounts.csv now?" in said
    assert len(pilot.bodies()) == sent


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_resume_shows_what_continues_whether_it_asks_or_not(
    batchrun: CommandLine, pilot: FaultySandbox, yes: tuple[str, ...]
) -> None:
    ended = at_a_terminal(batchrun, "n\n", "resume", *yes)
    shown = (ended.stdout if yes else ended.stderr).splitlines()
    begins = ["List:      accounts.csv", "Workflow:  Account Research", "Rows:      4 ("]
    assert [line[: len(begin)] for line, begin in zip(shown, begins, strict=False)] == begins
    assert shown[3] == "Jobs:      1 to trigger"


def test_resume_all_leaves_the_rest_of_a_pilot_alone(
    batchrun: CommandLine, pilot: FaultySandbox
) -> None:
    batch = json.loads(batchrun("status", "--json").stdout)["batch"]
    night = batchrun("resume", "--all")
    assert night.exit_code == ExitCode.INCOMPLETE
    said = " ".join(night.stdout.split())
    assert f"Rest not sent: batch {batch} (accounts.csv)" in said
    assert f"batchrun resume {batch}" in said
    batchrun.change_batches(A_DAY_OLDER)
    assert batchrun("resume", "--all").exit_code == ExitCode.COMPLETED  # said once
    assert len(pilot.bodies()) == 1
    refused = batchrun("resume", "--all", "--yes")
    assert refused.exit_code == ExitCode.UNUSABLE


def test_resume_all_leaves_a_batch_alone_that_failures_stopped(
    batchrun: CommandLine, accounts: Path
) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_MAX_IN_FLIGHT", "1")
    accounts.write_text("Company ID\n" + "\n".join(str(uuid4()) for _ in range(6)))
    with faulty_sandbox(triggers=[REFUSED] * 6) as (url, _):
        batchrun.connect(url, speed=SPEED)
        stopped = batchrun(*RUN, "--stop-after-failures", "2")
        assert stopped.exit_code == ExitCode.INCOMPLETE
        stopped_at = outcomes(batchrun)
        nights = [batchrun("resume", "--all")]
        batchrun.change_batches(A_DAY_OLDER)
        nights.append(batchrun("resume", "--all"))
        assert [each.exit_code for each in nights] == [ExitCode.INCOMPLETE, ExitCode.COMPLETED]
        assert "2 jobs in a row ended without a result: HTTP 400" in nights[1].stdout
        assert "Trigger " in at_a_terminal(batchrun, "n\n", "resume").stderr
        assert outcomes(batchrun) == stopped_at
        batchrun("resume", "--stop-after-failures", "0")
        assert outcomes(batchrun) == {"rejected": 6}


def test_yes_confirms_no_more_than_the_limit(batchrun: CommandLine, accounts: Path) -> None:
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        ended = batchrun(*RUN, "--limit", "1")
        assert ended.exit_code == ExitCode.PAUSED
        assert "\nThe rest:  waits until you resume it\nResume:    batchrun resume " in ended.stdout
        batchrun("resume", "--all")
        assert len(sandbox.bodies()) == 1
        at_a_terminal(batchrun, "", "resume", "--yes")
        assert len(sandbox.bodies()) == 2


def test_a_batch_confirmed_as_a_whole_continues_without_a_question(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        assert batchrun(*RUN, "--daily", "3").exit_code == ExitCode.PAUSED
        batch = json.loads(batchrun("status", "--json").stdout)["batch"]
        ended = at_a_terminal(batchrun, "", "resume", batch)
        assert "List:      accounts.csv\nWorkflow:  Account Research (" in ended.stderr
        assert "\nRows:      4 (" in ended.stderr
        assert len(sandbox.bodies()) == 2


@pytest.mark.parametrize(("typed", "sent"), [("n\n", 1), ("y\n", 2)])
def test_resume_asks_before_it_sends_rows_of_a_batch_that_was_not_named(
    batchrun: CommandLine, accounts: Path, typed: str, sent: int
) -> None:
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN, "--limit", "1")
        other = accounts.with_name("other.csv")
        other.write_text(f"Company ID\n{uuid4()}\n")
        declined = at_a_terminal(batchrun, "n\n", "run", "other.csv", *ASKED[2:])
        assert "Nothing was triggered and no batch was started." in declined.stderr
        ended = at_a_terminal(batchrun, typed, "resume")
        assert "List:      accounts.csv, the newest batch" in ended.stderr
        assert "\nQuota:     about 3 requests" in ended.stderr  # the costs are those of a run
        assert "\nCredits:   " in ended.stderr
        assert "Trigger 1 job of accounts.csv now?" in ended.stderr
        assert len(sandbox.bodies()) == sent


def test_resume_asks_before_it_sends_rows_in_doubt_again(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox(triggers=[Fault(502, "<html>", accepted=True)]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        sent = len(sandbox.bodies())
        ended = at_a_terminal(batchrun, "n\n", "resume", "--in-doubt", "retry")
        assert "Trigger 1 job of accounts.csv now?" in ended.stderr
        assert len(sandbox.bodies()) == sent


def test_the_question_about_rows_in_doubt_says_that_another_batch_has_sent_them(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox(triggers=[LOST_ANSWER]) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        [doubtful] = batches(settings=load_settings())
        paid = f"1 job {SENT}. Retry sends them, perhaps a second time"
        for again in (False, True):
            if again:
                batchrun(*RUN, "--again")
            ended = at_a_terminal(batchrun, "hold\n", "resume", doubtful.batch_id)
            assert (paid in " ".join(ended.stderr.split())) is again


def test_rows_are_sent_again_only_after_a_question_with_their_costs(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox(triggers=[REFUSED, REFUSED]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        sent = len(sandbox.bodies())
        mark(accounts.with_name(RESULTS), 2, 3)
        for command, costs, question in (
            (["retry"], "each of the 2 jobs costs credits", "for them again?"),
            (["run", RESULTS], "each of the 2 jobs costs credits", "Send them again"),
            (["run", RESULTS, "--limit", "1"], "the job costs credits", "Send it again"),
        ):
            ended = at_a_terminal(batchrun, "n\n", *command)
            assert "Quota:     about " in ended.stderr
            assert costs in ended.stderr
            assert question in ended.stderr
            assert len(sandbox.bodies()) == sent


def test_retry_says_which_rows_have_a_result_in_another_batch(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox(triggers=[REFUSED, REFUSED]) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        [first] = batches(settings=load_settings())
        paid = "2 jobs were already sent, or are about to be, in another batch. Send 3 rejected"
        assert paid not in at_a_terminal(batchrun, "n\n", "retry", first.batch_id).stderr
        batchrun(*RUN, "--again")
        assert paid in at_a_terminal(batchrun, "n\n", "retry", first.batch_id).stderr
        assert batchrun("retry", first.batch_id, "--json").stdout.startswith("{")


def test_a_decision_about_rows_in_doubt_does_not_send_the_rest_of_a_pilot(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox(triggers=[LOST_ANSWER]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        at_a_terminal(batchrun, "y\n", *ASKED, "--limit", "1")
        settled = at_a_terminal(batchrun, "", "resume", "--in-doubt", "retry")
        assert settled.exit_code == ExitCode.PAUSED
        first, again = sandbox.bodies()
        assert first == again
        assert outcomes(batchrun)["pending"]


def test_a_limit_of_resume_confirms_no_more_than_it_says(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        accounts.write_text("Company ID\n" + "\n".join(str(uuid4()) for _ in range(5)))
        batchrun(*RUN, "--daily", "3")
        at_a_terminal(batchrun, "y\n", "resume", "--limit", "1")
        sent = len(sandbox.bodies())
        assert sent < 5
        at_a_terminal(batchrun, "n\n", "resume")
        assert "Rest not sent" in batchrun("resume", "--all").stdout
        assert len(sandbox.bodies()) == sent


def test_a_call_from_python_confirms_unless_confirm_says_no(
    batchrun: CommandLine, pilot: FaultySandbox
) -> None:
    asked: list[Rest] = []

    def no(rest: Rest) -> bool:
        asked.append(rest)
        return False

    with pytest.raises(NotConfirmedError):
        resume(confirm=no)
    assert [rest.to_trigger for rest in asked] == [1]
    assert len(pilot.bodies()) == 1
    resume()
    assert len(pilot.bodies()) == 2


@pytest.mark.parametrize("asked", ["a new list", "a list that continues", "the rest of a pilot"])
def test_an_answer_to_run_does_not_send_what_another_batch_has_sent_since_the_question(
    batchrun: CommandLine, accounts: Path, asked: str
) -> None:
    mine = [str(uuid4()) for _ in range(3)]
    accounts.write_text("\n".join(["Company ID", *mine]))
    other = accounts.with_name("other.csv")
    other.write_text(f"Company ID\n{mine[2]}")
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        if asked == "a list that continues":
            batchrun(*RUN, "--limit", "1")
        pilot = ("--limit", "1") if asked == "the rest of a pilot" else ()
        batchrun.monkeypatch.setattr(OutputMode, "shows_a_pilot", True)
        questions = iter(["Trigger 1 job now?"] if pilot else [])

        def send() -> None:
            if next(questions, None) is None:
                run(other, "account research", settings=load_settings())

        ended = at_a_terminal(batchrun, "y\n", *ASKED, *pilot, meanwhile=send)
        assert "Another batch has sent some of the jobs of accounts.csv" in ended.stderr
        assert len(set(sandbox.bodies())) == len(sandbox.bodies()) < 3


@pytest.fixture
def paid_since(batchrun: CommandLine, pilot: FaultySandbox) -> str:
    """A confirmed batch that stopped before its last job, which another batch has paid for since.

    Returns its ID.
    """
    stopped = str(json.loads(batchrun("status", "--json").stdout)["batch"])
    batchrun.change_batches("unconfirmed = 0")  # as if it had crashed
    with (batchrun.folder / "accounts.csv").open("a", encoding="utf-8") as file:
        file.write(f"{uuid4()},Delta,\n")
    assert batchrun(*RUN, "--reuse", "30d").exit_code == ExitCode.INCOMPLETE  # a damaged ID
    assert len(pilot.bodies()) == 3
    return stopped


PAID_SINCE = f"1 of 1 job {SENT}"
AGAIN = ", and you pay for it again."


@pytest.mark.parametrize("quietly", [(), ("--json",), ("-q",)])
def test_a_job_that_another_batch_has_paid_for_since_is_sent_only_if_someone_says_so(
    batchrun: CommandLine, pilot: FaultySandbox, paid_since: str, quietly: tuple[str, ...]
) -> None:
    refused = batchrun("resume", paid_since, *quietly)
    assert_refused(refused, ExitCode.UNUSABLE, PAID_SINCE, "To send them anyway, add --yes.")
    assert len(pilot.bodies()) == 3
    sent = batchrun("resume", paid_since, *quietly, "--yes")
    assert PAID_SINCE in " ".join(sent.stderr.split())
    assert len(pilot.bodies()) == 4


@pytest.mark.parametrize(("typed", "sent"), [("n\n", 3), ("y\n", 4)])
def test_resume_asks_about_a_job_that_another_batch_has_paid_for_since(
    batchrun: CommandLine, pilot: FaultySandbox, paid_since: str, typed: str, sent: int
) -> None:
    ended = at_a_terminal(batchrun, typed, "resume", paid_since)
    assert f"{PAID_SINCE}{AGAIN} To pay once, answer n" in " ".join(
        (ended.stdout + ended.stderr).split()
    )
    assert len(pilot.bodies()) == sent


def test_resume_all_leaves_alone_what_another_batch_has_paid_for_since(
    batchrun: CommandLine, pilot: FaultySandbox, paid_since: str
) -> None:
    night = batchrun("resume", "--all")
    assert night.exit_code == ExitCode.INCOMPLETE
    said, other = " ".join(night.stdout.split()), batches(settings=load_settings())[0].batch_id
    assert (
        f"Rest not sent: batch {paid_since} (accounts.csv): {PAID_SINCE} ({other}){AGAIN}" in said
    )
    assert len(pilot.bodies()) == 3


def test_resume_all_sends_the_jobs_that_no_other_batch_has_paid_for(
    batchrun: CommandLine, pilot: FaultySandbox
) -> None:
    mine = [str(uuid4()) for _ in range(4)]
    for name, companies in (("long.csv", mine), ("short.csv", mine[1:2])):
        (batchrun.folder / name).write_text("\n".join(["Company ID", *companies]))
        batchrun("run", name, *RUN[2:], "--limit", "1")
    batchrun.change_batches("unconfirmed = 0")
    short, stopped, *_ = (each.batch_id for each in batches(settings=load_settings()))
    night = batchrun("resume", "--all")
    assert night.exit_code == ExitCode.INCOMPLETE
    said = " ".join(night.stdout.split())
    assert f"(long.csv): {PAID_SINCE.replace('of 1 job', 'of 3 jobs')} (" in said
    note = json.loads(batchrun("status", stopped, "--json").stdout)["note"]
    assert f"the rest waits. 1 job {SENT} ({short})." in note
    sent = [json.loads(body)["company_id"] for body in pilot.bodies()]
    assert sent[-2:] == mine[2:]
    assert sent.count(mine[1]) == 1
    again = batchrun("resume", "--all")
    assert f"batch {stopped} (long.csv): {PAID_SINCE}" in " ".join(again.stdout.split())
    assert len(pilot.bodies()) == len(sent)


def test_what_another_process_is_about_to_send_counts_as_sent(
    batchrun: CommandLine, pilot: FaultySandbox
) -> None:
    mine = [str(uuid4()) for _ in range(4)]
    for name, companies in (("long.csv", mine), ("short.csv", mine[1:3])):
        (batchrun.folder / name).write_text("\n".join(["Company ID", *companies]))
        batchrun("run", name, *RUN[2:], "--limit", "1")
    batchrun.change_batches("unconfirmed = 0")
    short, long, *_ = (each.batch_id for each in batches(settings=load_settings()))
    sent = len(pilot.bodies())
    with Journal(load_settings().journal) as journal, journal.hold(long):
        assert_refused(batchrun("resume", short), ExitCode.UNUSABLE, f"{PAID_SINCE} ({long})")
        (batchrun.folder / "third.csv").write_text(f"Company ID\n{mine[3]}")
        asked = at_a_terminal(batchrun, "n\n", "run", "third.csv", *ASKED[2:])
        said = " ".join((asked.stdout + asked.stderr).split())
        assert f"1 job is under way or in doubt in another batch ({long})" in said
        assert len(pilot.bodies()) == sent
    assert batchrun("resume", short).exit_code == ExitCode.COMPLETED
    assert len(pilot.bodies()) == sent + 1


@pytest.mark.parametrize("collects", [False, True])
@pytest.mark.parametrize("what", ["unconfirmed", "sent since", "in doubt, sent since"])
def test_no_decision_sends_rows_in_doubt_of_a_batch_that_is_held_back(
    batchrun: CommandLine, what: str, collects: bool
) -> None:
    mine = [str(uuid4()) for _ in range(4 if what == "unconfirmed" else 3)]
    (batchrun.folder / "list.csv").write_text("\n".join(["Company ID", *mine]))
    batchrun.monkeypatch.setenv("BATCHRUN_MAX_IN_FLIGHT", "1")
    with faulty_sandbox(triggers=[LOST_ANSWER]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun("run", "list.csv", *RUN[2:], "--limit", "2")
        held = batches(settings=load_settings())[0].batch_id
        if what != "unconfirmed":
            batchrun.change_batches("unconfirmed = 0")
            paid = mine[2] if what == "sent since" else mine[0]
            (batchrun.folder / "other.csv").write_text(f"Company ID\n{paid}")
            batchrun("run", "other.csv", *RUN[2:])
        if collects:
            with closing(sqlite3.connect(batchrun.folder.parent / "journal/journal.db")) as journal:
                journal.execute(
                    "UPDATE jobs SET state = 'in flight', result = NULL "
                    f"WHERE batch_id = '{held}' AND state = 'completed'"
                )
                journal.commit()
        sent = sandbox.bodies()
        doubtful = sent[0]
        commands = [["--all"], [held]] if what != "unconfirmed" else [["--all"]]
        for command in commands:
            batchrun("resume", *command, "--in-doubt", "retry")
            assert sandbox.bodies().count(doubtful) == sent.count(doubtful)
        batchrun("resume", held, "--in-doubt", "retry", "--yes")
        assert sandbox.bodies().count(doubtful) == sent.count(doubtful) + 1


def test_a_job_that_runs_in_another_batch_is_not_sent_unasked_either(
    batchrun: CommandLine, pilot: FaultySandbox, paid_since: str
) -> None:
    with closing(sqlite3.connect(batchrun.folder.parent / "journal" / "journal.db")) as journal:
        journal.execute(f"UPDATE jobs SET state = 'in flight' WHERE batch_id <> '{paid_since}'")
        journal.commit()
    assert_refused(batchrun("resume", paid_since), ExitCode.UNUSABLE, PAID_SINCE)
    assert f"(accounts.csv): {PAID_SINCE}" in " ".join(batchrun("resume", "--all").stdout.split())
    assert len(pilot.bodies()) == 3


def test_what_runs_is_collected_before_a_resume_is_refused(
    batchrun: CommandLine, pilot: FaultySandbox, paid_since: str
) -> None:
    with closing(sqlite3.connect(batchrun.folder.parent / "journal" / "journal.db")) as journal:
        journal.execute(
            "UPDATE jobs SET state = 'in flight', result = NULL "
            f"WHERE batch_id = '{paid_since}' AND execution_id > ''"
        )
        journal.commit()
    refused = batchrun("resume", paid_since)
    assert_refused(refused, ExitCode.UNUSABLE, PAID_SINCE)
    assert "1 pending" in refused.stdout
    assert len(pilot.bodies()) == 3
    assert "running" not in batchrun("status", paid_since).stdout


def test_the_question_of_a_run_that_continues_says_what_another_batch_has_sent(
    batchrun: CommandLine, pilot: FaultySandbox, accounts: Path
) -> None:
    text = accounts.read_text(encoding="utf-8")
    accounts.with_name("longer.csv").write_text(f"{text}{uuid4()},Delta,\n", encoding="utf-8")
    batchrun("run", "longer.csv", *RUN[2:], "--reuse", "30d")
    asked = at_a_terminal(batchrun, "n\n", *ASKED)
    assert PAID_SINCE in " ".join(asked.stderr.split())
    assert len(pilot.bodies()) == 3


def test_a_list_that_runs_again_on_purpose_continues_unasked(
    batchrun: CommandLine, pilot: FaultySandbox
) -> None:
    """Its jobs have a result from before: that was known when it was confirmed."""
    batchrun("resume")
    assert len(pilot.bodies()) == 2
    at_a_terminal(batchrun, "y\n", *ASKED, "--again", "--limit", "1")
    batchrun.change_batches("unconfirmed = 0")
    batchrun("resume", "--all")
    assert len(pilot.bodies()) == 4


def test_retry_with_yes_says_which_jobs_another_batch_has_paid_for(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox(triggers=[REFUSED]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        rejected = str(json.loads(batchrun("status", "--json").stdout)["batch"])
        batchrun(*RUN, "--reuse", "30d")
        assert len(sandbox.bodies()) == 2
        sent = batchrun("retry", rejected, "--yes")
        assert "1 job was already sent, or is about to be, in another batch." in sent.stderr


@pytest.mark.parametrize(
    "command",
    [("retry",), ("retry", "BATCH"), ("resume",), ("resume", "BATCH"), ("resume", "--limit", "1")],
)
def test_an_answer_about_a_batch_that_has_changed_since_sends_nothing(
    batchrun: CommandLine, accounts: Path, command: tuple[str, ...]
) -> None:
    accounts.write_text("Company ID\n" + "\n".join(str(uuid4()) for _ in range(4)))
    with faulty_sandbox(triggers=[REFUSED]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN, "--limit", "2")
        [batch] = batches(settings=load_settings())
        named = [batch.batch_id if each == "BATCH" else each for each in command]

        def change() -> None:
            sandbox.meet(REFUSED)
            resume(batch.batch_id, limit=1, settings=load_settings())

        sent = len(sandbox.bodies())
        ended = at_a_terminal(batchrun, "y\n", *named, meanwhile=change)
        assert "has changed since" in ended.stderr
        assert len(sandbox.bodies()) == sent


@pytest.mark.parametrize("named", [False, True])
def test_an_answer_does_not_send_what_another_batch_has_sent_since_the_question(
    batchrun: CommandLine, pilot: FaultySandbox, accounts: Path, named: bool
) -> None:
    [batch] = batches(settings=load_settings())
    text = accounts.read_text(encoding="utf-8")
    longer = accounts.with_name("longer.csv")
    longer.write_text(f"{text}{uuid4()},Delta,\n", encoding="utf-8")

    def send() -> None:
        run(longer, "account research", reuse=timedelta(days=30), settings=load_settings())

    typed = ("resume", batch.batch_id) if named else ("resume",)
    ended = at_a_terminal(batchrun, "y\n", *typed, meanwhile=send)
    assert "Another batch has sent some of the jobs of accounts.csv" in ended.stderr
    assert len(pilot.bodies()) == 3


def test_an_answer_to_retry_does_not_send_what_another_batch_has_sent_since_the_question(
    batchrun: CommandLine, accounts: Path
) -> None:
    sent = [0]
    with faulty_sandbox(triggers=[REFUSED, REFUSED]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        [batch] = batches(settings=load_settings())
        mark(accounts.with_name(RESULTS), 2)

        def send() -> None:
            text = accounts.read_text(encoding="utf-8")
            longer = accounts.with_name("longer.csv")
            longer.write_text(f"{text}{uuid4()},Delta,\n", encoding="utf-8")
            run(longer, "account research", settings=load_settings())
            sent.append(len(sandbox.bodies()))

        for again in (["retry", batch.batch_id], ["run", RESULTS]):
            ended = at_a_terminal(batchrun, "y\n", *again, meanwhile=send)
            assert "Another batch has sent some of the jobs of accounts.csv" in ended.stderr
            assert len(sandbox.bodies()) == sent[-1] > sent[-2]
            forget(batches(settings=load_settings())[0].batch_id, settings=load_settings())
