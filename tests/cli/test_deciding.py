"""`resume --in-doubt`, `retry`, `forget`, and what `status` tells."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.errors import ExitCode
from batchrun.journal import Journal
from tests.cli.conftest import ACME, BETA, SPEED
from tests.engine.faults import Fault, FaultySandbox, faulty_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.commands import CommandLine

RUN = ("run", "accounts.csv", "-w", "account research", "--yes")
LOST_ANSWER = Fault(502, "<html>", accepted=True)
REFUSED = Fault(400, {"error": "company is archived"})
RUNNING = Fault(200, {"status": "running"})


class Terminal(io.StringIO):
    """A terminal at which somebody has typed already."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def doubtful(batchrun: CommandLine, accounts: Path) -> Iterator[FaultySandbox]:
    """A batch whose first row (two lines share its job) is in doubt."""
    with faulty_sandbox(triggers=[LOST_ANSWER]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        yield sandbox


def outcomes(batchrun: CommandLine) -> dict[str, int]:
    found: dict[str, Any] = json.loads(batchrun("status", "--json").stdout)
    return {outcome: number for outcome, number in found["outcomes"].items() if number}


def in_doubt(sandbox: FaultySandbox) -> str:
    """The company the doubt is about: the first the sandbox accepted."""
    company: str = json.loads(sandbox.bodies()[0])["company_id"]
    return company


def test_resume_shows_rows_in_doubt_and_changes_nothing_without_a_decision(
    batchrun: CommandLine, doubtful: FaultySandbox
) -> None:
    ended = batchrun("resume")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "in doubt" in ended.stderr
    line, name = (2, "Acme") if in_doubt(doubtful) == ACME else (3, "Beta")
    assert f"  line {line}: {name} ({in_doubt(doubtful)})\n" in ended.stderr
    assert ended.stderr.count("HTTP 502") == 1  # the reason, once for all rows that have it
    assert "batchrun resume asks at a terminal" in ended.stderr
    assert "--in-doubt answers in a script" in ended.stderr
    assert len(doubtful.bodies()) == 2


def test_rows_in_doubt_are_sent_again_if_the_user_says_so(
    batchrun: CommandLine, doubtful: FaultySandbox
) -> None:
    ended = batchrun("resume", "--in-doubt", "retry")
    assert ended.exit_code == ExitCode.INCOMPLETE  # the list has a damaged id
    assert outcomes(batchrun) == {"completed": 3, "invalid": 1}
    assert len(doubtful.bodies()) == 3
    assert doubtful.bodies()[0] == doubtful.bodies()[2]


def test_the_question_about_the_rest_says_that_one_about_doubts_follows(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox(triggers=[LOST_ANSWER]) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN, "--limit", "1")
        batchrun.monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
        asked = batchrun("resume").stderr
    doubts = asked.index("In doubt:  ")
    assert "decide after the others" in asked[doubts : asked.index("Trigger 1 job")]


def test_dropped_rows_in_doubt_are_never_asked_about_again(
    batchrun: CommandLine, doubtful: FaultySandbox
) -> None:
    batchrun("resume", "--in-doubt", "drop")
    again = batchrun("resume")
    assert "in doubt: the trigger" not in again.stderr
    assert "Settle" not in batchrun("status").stdout
    assert outcomes(batchrun)["in doubt"] == (2 if in_doubt(doubtful) == ACME else 1)
    assert len(doubtful.bodies()) == 2


@pytest.mark.parametrize(
    ("last", "triggers"), [("retry\n", 3), ("what?\ndrop\n", 2)], ids=["retry", "nonsense first"]
)
def test_on_a_terminal_the_user_is_asked(
    batchrun: CommandLine, doubtful: FaultySandbox, last: str, triggers: int
) -> None:
    for typed in ("hold\n", "\n", "", last):  # an empty line and the end of input are "hold"
        assert len(doubtful.bodies()) == 2
        batchrun.monkeypatch.setattr(sys, "stdin", Terminal(typed))
        ended = batchrun("resume")
        assert "hold/retry/drop" in ended.stderr
    assert len(doubtful.bodies()) == triggers


def test_a_refused_list_names_the_cheapest_way_on(batchrun: CommandLine, accounts: Path) -> None:
    with faulty_sandbox(triggers=[REFUSED]) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        refused = batchrun(*RUN).stderr
        checked = batchrun("check", *RUN[1:4]).stdout
    for said in (refused, checked.partition("went through")[2]):
        ways = [said.index(way) for way in ("batchrun retry 1", "--reuse 30d", "--again")]
        assert ways == sorted(ways)


def test_a_refused_list_with_doubts_is_to_be_settled_first(
    batchrun: CommandLine, doubtful: FaultySandbox
) -> None:
    refused = batchrun(*RUN, "--reuse", "30d").stderr
    assert "in doubt: batchrun resume 1" in refused
    assert "add --reuse" not in refused  # it would do nothing


def test_rejected_rows_are_sent_again_by_retry(batchrun: CommandLine, accounts: Path) -> None:
    with faulty_sandbox(triggers=[REFUSED, REFUSED]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        assert outcomes(batchrun) == {"rejected": 3, "invalid": 1}
        unasked = batchrun("retry")
        assert unasked.exit_code == ExitCode.UNUSABLE
        assert "--yes" in unasked.stderr
        assert sandbox.bodies() == []
        ended = batchrun("retry", "--yes")
        assert ended.exit_code == ExitCode.INCOMPLETE
        assert outcomes(batchrun) == {"completed": 3, "invalid": 1}
        assert len(sandbox.bodies()) == 2


def test_an_empty_answer_to_retry_is_a_no(batchrun: CommandLine, doubtful: FaultySandbox) -> None:
    batchrun.monkeypatch.setattr(sys, "stdin", Terminal(""))
    ended = batchrun("retry", "--outcome", "in-doubt")
    assert ended.exit_code == ExitCode.COMPLETED
    assert ended.stdout == ""  # nothing that a script would take for a result
    assert ended.stderr.endswith("\nNothing was triggered.\n")
    assert len(doubtful.bodies()) == 2


def test_retry_of_an_unfinished_batch_sends_no_row_that_nobody_confirmed(
    batchrun: CommandLine, accounts: Path
) -> None:
    with faulty_sandbox(triggers=[REFUSED]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN, "--limit", "1")
        refused = outcomes(batchrun)["rejected"]

        ended = batchrun("retry", "--yes")

        assert len(sandbox.bodies()) == 1
        assert outcomes(batchrun) == {"completed": refused, "pending": 3 - refused, "invalid": 1}
        assert ended.exit_code == ExitCode.PAUSED
        assert "Resume:    batchrun resume" in ended.stdout
        batchrun("resume")
        assert outcomes(batchrun) == {"completed": 3, "invalid": 1}


def test_retry_sends_only_the_given_outcomes(
    batchrun: CommandLine, doubtful: FaultySandbox
) -> None:
    none = batchrun("retry", "--yes")
    assert none.exit_code == ExitCode.UNUSABLE
    assert "no row that is failed or rejected" in none.stderr
    assert ". Settle: batchrun resume " in none.stderr
    assert len(doubtful.bodies()) == 2
    batchrun("retry", "--outcome", "in-doubt", "--yes")
    assert outcomes(batchrun) == {"completed": 3, "invalid": 1}


def test_timed_out_rows_are_sent_again_by_retry(batchrun: CommandLine, accounts: Path) -> None:
    with faulty_sandbox(polls=[RUNNING, RUNNING]) as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun.monkeypatch.setenv("BATCHRUN_PATIENCE_SECONDS", "0.001")
        batchrun(*RUN)
        assert outcomes(batchrun) == {"timed out": 3, "invalid": 1}
        batchrun.monkeypatch.delenv("BATCHRUN_PATIENCE_SECONDS")
        batchrun("retry", "--outcome", "timed out", "--yes")
        assert outcomes(batchrun) == {"completed": 3, "invalid": 1}
        assert len(sandbox.bodies()) == 4


def test_an_outcome_that_cannot_be_retried_is_refused_with_the_reason(
    batchrun: CommandLine, doubtful: FaultySandbox
) -> None:
    for outcome in ("completed", "invalid", "pending", "nonsense"):
        ended = batchrun("retry", "--outcome", outcome, "--yes")
        assert ended.exit_code == ExitCode.UNUSABLE
        assert outcome in ended.stderr
    assert len(doubtful.bodies()) == 2


def test_a_batch_resumes_after_its_list_was_deleted(batchrun: CommandLine, accounts: Path) -> None:
    with faulty_sandbox() as (url, sandbox):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN, "--limit", "1")
        accounts.unlink()
        ended = batchrun("resume")
        assert ended.exit_code == ExitCode.INCOMPLETE
        assert outcomes(batchrun) == {"completed": 3, "invalid": 1}
        assert len(sandbox.bodies()) == 2
    batchrun("export", "-o", "out.jsonl")
    lines = (batchrun.folder / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["input"]["Name"] for line in lines] == [
        "Acme",
        "Beta",
        "Acme",
        "Gamma",
    ]


def test_forget_deletes_the_batch_and_keeps_the_workbook(
    batchrun: CommandLine, doubtful: FaultySandbox
) -> None:
    [batch] = json.loads(batchrun("batches", "--json").stdout)
    assert batchrun("forget", batch["batch"]).exit_code == ExitCode.UNUSABLE  # nobody to ask
    ended = batchrun("forget", batch["batch"], "--yes")
    assert "Forgotten: 1 batch" in ended.stdout
    assert json.loads(batchrun("batches", "--json").stdout) == []
    assert (batchrun.folder / "accounts.results.xlsx").exists()
    journal = batchrun.folder.parent / "journal"
    contents = b"".join(path.read_bytes() for path in journal.rglob("*") if path.is_file())
    assert BETA.encode() not in contents


def test_forget_deletes_batches_by_age(batchrun: CommandLine, doubtful: FaultySandbox) -> None:
    assert "No batch is older than 90d" in batchrun("forget", "--older-than", "90d").stdout
    ended = batchrun("forget", "--older-than", "0h", "--yes")
    assert "Forgotten: 1 batch" in ended.stdout
    assert json.loads(batchrun("batches", "--json").stdout) == []


@pytest.mark.parametrize("arguments", [[], ["x", "--older-than", "1d"], ["--older-than", "soon"]])
def test_forget_wants_a_batch_or_an_age(batchrun: CommandLine, arguments: list[str]) -> None:
    assert batchrun("forget", *arguments, "--yes").exit_code == ExitCode.UNUSABLE


def test_status_shows_ages_and_the_process_that_runs_the_batch(
    batchrun: CommandLine, doubtful: FaultySandbox
) -> None:
    shown = batchrun("status").stdout
    assert "planned" in shown
    assert "Settle:    batchrun resume" in shown
    assert "HTTP 502" in shown[shown.index("Reason:") : shown.index("Settle:")]
    assert "--in-doubt" not in shown
    with Journal(os.environ["BATCHRUN_JOURNAL"]) as journal:
        batch_id = journal.resolve(None).batch_id
        with journal.hold(batch_id):
            assert f"process {os.getpid()} on" in batchrun("status").stdout
            assert batchrun("resume").exit_code == ExitCode.UNUSABLE
    assert "process" not in batchrun("status").stdout
