"""The closing lines: what a command took, beside what was estimated of what it was let to do."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from batchrun.errors import ExitCode
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
        batchrun.monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
        ended = batchrun("retry").stdout
    assert estimated(ended) == 3
    assert "In all:" in ended
    assert "Cost:      1 credit (1 a job); 9,992 left" in ended


def test_the_end_of_what_somebody_was_asked_about_says_what_it_cost(
    batchrun: CommandLine, sandbox: str
) -> None:
    write_list(batchrun.folder / "accounts.csv", 6)

    def cost(words: str, *command: str) -> str | None:
        with batchrun.monkeypatch.context() as patched:
            patched.setattr(sys, "stdin", Terminal(words))
            found = re.search(r"^Cost:      (.*)$", batchrun(*command).stdout, re.MULTILINE)
        return found and found[1]

    asked = [each for each in RUN if each != "--yes"]
    assert cost("y\n", *asked, "--limit", "2") == "2 credits (1 a job); 9,998 left"
    assert cost("y\n", "resume") == "4 credits (1 a job); 9,994 left"
    assert cost("", *RUN, "--again") is None  # nobody was asked: it would take two requests


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
