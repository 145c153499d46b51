"""A key that is refused in the middle, and another one typed: nothing is sent a second time."""

from __future__ import annotations

import io
import json
import socket
import sys
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.cli.conftest import SPEED
from tests.engine.faults import Fault, FaultySandbox, faulty_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.commands import CommandLine

RUN = ("run", "three.csv", "-w", "account research", "--yes")
KEY_REFUSED = Fault(401, {"error": "revoked"})
LOST_ANSWER = Fault(502, "<html>", accepted=True)
REJECTED = Fault(400, {"error": "company is archived"})


class Terminal(io.StringIO):
    """A terminal at which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def sandbox(batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySandbox]:
    """A service without faults yet, and somebody with another key at the terminal."""
    ids = [f"a1b2c3d4-e5f6-7890-abcd-ef12345678{number:02}" for number in range(3)]
    list_ = batchrun.folder / "three.csv"
    list_.write_text("\n".join(["Company ID", *ids]) + "\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("batchrun.cli.runner.ask", lambda *_, **__: "sandbox")
    with faulty_sandbox() as (url, running):
        batchrun.connect(url, speed=SPEED)
        yield running


def outcomes(batchrun: CommandLine) -> dict[str, int]:
    found = json.loads(batchrun("status", "--json").stdout)["outcomes"]
    return {outcome: number for outcome, number in found.items() if number}


def test_the_limit_counts_what_the_first_key_triggered(
    batchrun: CommandLine, sandbox: FaultySandbox
) -> None:
    sandbox.meet(None, KEY_REFUSED)
    batchrun(*RUN, "--limit", "2")
    assert len(sandbox.bodies()) == 2


def test_what_two_keys_have_left_is_not_the_price_of_a_job(
    batchrun: CommandLine, sandbox: FaultySandbox
) -> None:
    """The second key may be another organization's, and only its jobs are counted."""
    batchrun.monkeypatch.setattr(sys, "stdin", Terminal("y\nn\n"))
    batchrun.monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    sandbox.meet(None, KEY_REFUSED)
    ended = batchrun(*RUN[:-1], "--limit", "2")
    assert "The rest:" in ended.stdout
    assert "credit" not in ended.stdout.partition("It took:")[2]
    assert "last time" not in batchrun("check", *RUN[1:-1]).stdout


def test_what_a_job_costs_at_one_service_is_not_its_price_at_another(
    batchrun: CommandLine, sandbox: FaultySandbox
) -> None:
    """Such as in a sandbox, before the first run with the real service."""
    batchrun.monkeypatch.setattr(sys, "stdin", Terminal("y\nn\n"))
    batchrun.monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    batchrun(*RUN[:-1], "--limit", "2")
    assert "1 a job last time" in " ".join(batchrun("check", *RUN[1:-1]).stdout.split())
    with faulty_sandbox() as (other, _):
        batchrun.connect(other, speed=SPEED)
        assert "last time" not in batchrun("check", *RUN[1:-1]).stdout


def test_the_limit_of_resume_counts_what_the_first_key_triggered(
    batchrun: CommandLine, sandbox: FaultySandbox
) -> None:
    sandbox.meet(KEY_REFUSED)
    batchrun.monkeypatch.setattr("batchrun.cli.runner.ask", lambda *_, **__: "")
    batchrun(*RUN, "--limit", "1")
    batchrun.monkeypatch.setattr("batchrun.cli.runner.ask", lambda *_, **__: "sandbox")
    sandbox.meet(None, KEY_REFUSED)
    batchrun("resume", "--limit", "2", "--yes")
    assert len(sandbox.bodies()) == 2


def test_marked_rows_are_sent_again_once(batchrun: CommandLine, sandbox: FaultySandbox) -> None:
    batchrun(*RUN)
    path = batchrun.folder / "three.results.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book["Results"]
    column = [cell.value for cell in sheet[1]].index("run again") + 1
    for line in (2, 3):
        sheet.cell(line, column, "x")
    book.save(path)
    sandbox.meet(REJECTED, KEY_REFUSED)
    batchrun("run", path.name, "--yes")
    assert outcomes(batchrun) == {"completed": 2, "rejected": 1}
    assert len(sandbox.bodies()) == 4


def test_a_retry_under_another_key_sends_no_row_that_nobody_confirmed(
    batchrun: CommandLine, sandbox: FaultySandbox
) -> None:
    sandbox.meet(REJECTED)
    batchrun(*RUN, "--limit", "1")
    sandbox.meet(KEY_REFUSED)
    batchrun("retry", "--yes")
    assert outcomes(batchrun) == {"completed": 1, "pending": 2}
    assert len(sandbox.bodies()) == 1


def test_the_rest_after_a_pilot_of_marked_rows_is_the_rest_of_those(
    batchrun: CommandLine, sandbox: FaultySandbox
) -> None:
    sandbox.meet(REJECTED, REJECTED)
    batchrun(*RUN, "--limit", "2")
    path = batchrun.folder / "three.results.xlsx"
    book = openpyxl.load_workbook(path)
    sheet = book["Results"]
    column = [cell.value for cell in sheet[1]].index("run again") + 1
    for line in (2, 3):
        sheet.cell(line, column, "x")
    book.save(path)
    batchrun.monkeypatch.setattr(sys, "stdin", Terminal("y\ny\n"))
    batchrun.monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    ended = batchrun("run", path.name, "--limit", "1")
    assert "1 job" in ended.stdout.partition("The rest:")[2], ended.stdout
    assert outcomes(batchrun) == {"completed": 2, "pending": 1}
    assert len(sandbox.bodies()) == 2


def test_rows_in_doubt_of_the_first_key_are_not_sent_again(
    batchrun: CommandLine, sandbox: FaultySandbox
) -> None:
    sandbox.meet(LOST_ANSWER)
    batchrun(*RUN, "--limit", "1")
    sandbox.meet(LOST_ANSWER, KEY_REFUSED)
    batchrun("resume", "--in-doubt", "retry", "--yes")
    assert outcomes(batchrun) == {"completed": 2, "in doubt": 1}
    assert len(sandbox.bodies()) == 4


@pytest.mark.parametrize("name", ["PGAI_BASE_URL", "BATCHRUN_BASE_URL", "PGAI_API_KEY"])
def test_another_key_typed_beside_a_strangers_dotenv_goes_to_the_known_service(
    batchrun: CommandLine, sandbox: FaultySandbox, name: str
) -> None:
    """The known service is the one that the profile was saved for."""
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO("sandbox-read\n"))
    batchrun("login", "--no-check", "--in-file", "--profile", "default")
    for variable in ("BATCHRUN_BASE_URL", "PGAI_API_KEY"):
        batchrun.monkeypatch.delenv(variable)
    batchrun.monkeypatch.setattr(sys, "stdin", Terminal())
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        theirs.setblocking(False)
        evil = f"http://127.0.0.1:{theirs.getsockname()[1]}/v1"
        value = "key-of-a-stranger" if name == "PGAI_API_KEY" else evil
        (batchrun.folder / ".env").write_text(f"{name}={value}\n", encoding="utf-8")
        ended = batchrun(*RUN)
        with pytest.raises(BlockingIOError):
            theirs.accept()
    assert "Nothing is lost." in ended.stderr  # another key was asked for
    assert outcomes(batchrun) == {"completed": 3}
    assert len(sandbox.bodies()) == 3
