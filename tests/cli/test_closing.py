"""The closing lines: what a command took, beside what was estimated of what it was let to do."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from batchrun.errors import ExitCode, JournalError
from batchrun.text import duration
from tests.acceptance.verdict import WORKFLOW, write_list
from tests.cli.conftest import SPEED
from tests.cli.test_deciding import Terminal
from tests.engine.faults import Fault, faulty_sandbox

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine

RUN = ("run", "accounts.csv", "-w", WORKFLOW, "--yes")
REFUSED = Fault(400, {"error": "company is archived"})


def estimated(closing: str) -> int:
    """Against how many requests the closing lines hold those of the command."""
    found = re.search(r"^Requests:  .* \(estimated ([\d,]+)\) in ", closing, re.MULTILINE)
    assert found is not None, closing
    return int(found[1].replace(",", ""))


def test_the_estimate_at_the_end_covers_the_jobs_of_the_limit(
    batchrun: CommandLine, sandbox: str
) -> None:
    write_list(batchrun.folder / "accounts.csv", 20)

    pilot = batchrun(*RUN, "--limit", "2").stdout
    assert estimated(pilot) == 5  # 2.05 for each job
    assert "In all:" not in pilot  # it is all there is of the batch yet

    more = batchrun("resume", "--limit", "3").stdout
    assert estimated(more) == 7
    assert re.search(r"^In all:    \d+ requests in ", more, re.MULTILINE)

    assert estimated(batchrun("resume").stdout) == 31


def test_the_estimate_at_the_end_is_the_one_of_the_question(
    batchrun: CommandLine, sandbox: str
) -> None:
    write_list(batchrun.folder / "accounts.csv", 20)
    asked = batchrun("check", "accounts.csv", "-w", WORKFLOW).stdout
    ended = batchrun(*RUN).stdout
    assert "about 41 requests" in asked
    assert estimated(ended) == 41
    assert re.search(r"^Requests:  \d+ \(estimated", ended, re.MULTILINE)


def test_a_retry_has_an_estimate_of_its_own(batchrun: CommandLine) -> None:
    write_list(batchrun.folder / "accounts.csv", 8)
    with faulty_sandbox(triggers=[REFUSED]) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN)
        ended = batchrun("retry", "--yes").stdout
    assert estimated(ended) == 3
    assert "In all:" in ended


def test_the_end_and_status_say_what_the_batch_has_cost_if_a_price_was_measured(
    batchrun: CommandLine, sandbox: str
) -> None:
    write_list(batchrun.folder / "accounts.csv", 6)

    def cost(words: str, *command: str) -> str | None:
        with batchrun.monkeypatch.context() as patched:
            patched.setattr(sys, "stdin", Terminal(words))
            found = re.search(r"^Cost:      (.*)$", batchrun(*command).stdout, re.MULTILINE)
        return found and found[1]

    assert cost("", *RUN, "--limit", "1") is None  # nobody was asked, so nothing was measured
    assert cost("y\n", "resume", "--limit", "2") == "about 3 credits (1 a job)"
    assert cost("", "resume", "--yes") == cost("", "status") == "about 6 credits (1 a job)"
    assert cost("", *RUN, "--reuse", "30d") is None  # all of it was reused


def test_a_run_without_a_pilot_measures_the_price_without_what_was_rejected(
    batchrun: CommandLine,
) -> None:
    write_list(batchrun.folder / "accounts.csv", 4)
    with faulty_sandbox(triggers=[REFUSED]) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun.monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
        ended = batchrun(*RUN[:-1])
    assert "Cost:      about 3 credits (1 a job)\n" in ended.stdout


def test_a_price_that_cannot_be_asked_for_at_the_end_changes_nothing(
    batchrun: CommandLine, sandbox: str
) -> None:
    write_list(batchrun.folder / "accounts.csv", 2)

    async def failing(*_: object) -> None:
        raise JournalError("The journal is locked.")

    batchrun.monkeypatch.setattr("batchrun.engine.session.cost_of", failing)
    batchrun.monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    ended = batchrun(*RUN[:-1])
    assert ended.exit_code == ExitCode.COMPLETED
    assert "Workbook:" in ended.stdout
    assert "Cost:" not in ended.stdout


def test_times_are_shown_by_the_users_own_clock(batchrun: CommandLine, sandbox: str) -> None:
    write_list(batchrun.folder / "accounts.csv", 3)
    closing = batchrun(*RUN).stdout
    (batch,) = json.loads(batchrun("batches", "--json").stdout)
    assert (
        f" in {duration(batch['seconds'] / SPEED)} (estimated" in closing
    )  # not that of the workbook


def test_the_quota_opens_by_the_users_clock_in_status_too(
    batchrun: CommandLine, sandbox: str
) -> None:
    write_list(batchrun.folder / "accounts.csv", 8)
    ended = batchrun(*RUN, "--daily", "6")
    assert ended.exit_code == ExitCode.PAUSED
    opens = re.search(r"^Opens:     .* by your clock$", ended.stdout, re.MULTILINE)
    assert opens is not None
    shown = batchrun("status").stdout
    assert re.search(r"^Note:      .* opens again at .* UTC\.$", shown, re.MULTILINE)
    assert opens[0] in shown
