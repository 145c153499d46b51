"""`--log-file`: what happens, one JSON object a line, and nothing that is nobody's business."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.cli.log_file import LogFile, logging_to
from batchrun.errors import ExitCode, UsageError
from batchrun.events import Event, log_event
from batchrun.sandbox.model import SandboxSettings, Scope
from batchrun.sandbox.server import running
from batchrun.service.transport import fault_for_log
from batchrun.text import MASK, hide_secret
from tests.cli.conftest import ACME, BETA, SPEED
from tests.engine.faults import Fault, faulty_sandbox
from tests.preloaded import COMMAND

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine

RUN = ("run", "accounts.csv", "-w", "account research", "--yes")
KEY = "sk-5up3r-s3cr3t-k3y-0123456789"
LOGGER = logging.getLogger("batchrun.of_the_test")


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_logs_every_event(batchrun: CommandLine, sandbox: str, accounts: Path) -> None:
    batchrun(*RUN, "--log-file", "log.jsonl")
    found = events(batchrun.folder / "log.jsonl")
    names = [one["event"] for one in found if one["event"] != Event.REQUEST]
    assert names[0] == Event.BATCH_STARTED
    assert names[-2:] == [Event.RESULTS_WRITTEN, Event.BATCH_ENDED]
    for event in (Event.JOB_SENDING, Event.JOB_ACCEPTED, Event.JOB_COMPLETED):
        assert [one["job"] for one in found if one["event"] == event].count(0) == 1
    assert {one["event"] for one in found} <= set(Event)
    assert all(one["time"].endswith("+00:00") and one["level"] for one in found)
    batch_id = json.loads(batchrun("status", "--json").stdout)["batch"]
    assert {one["batch"] for one in found if one["event"] != Event.REQUEST} == {batch_id}
    requests = [one for one in found if one["event"] == Event.REQUEST]
    assert [one["path"] for one in requests].count("/workflows/trigger") == 2
    assert found[-1]["requests"] == len(requests) - 1  # the list of workflows was no batch's
    completed = next(one for one in found if one["event"] == Event.JOB_COMPLETED)
    assert completed["execution"].startswith("exec_")
    assert completed["seconds"] > 0


def test_the_log_has_no_cells_parameters_results_or_service_text(
    batchrun: CommandLine, accounts: Path
) -> None:
    telling = {"error": f"Acme ({ACME}) has no Moonshot, says {KEY}"}
    faults = [Fault(400, telling), Fault(500, telling)]
    with faulty_sandbox(triggers=faults) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun(*RUN, "--param", "focus=Moonshot", "--log-file", "log.jsonl")
        batchrun("retry", "--yes", "--log-file", "log.jsonl")
    text = (batchrun.folder / "log.jsonl").read_text(encoding="utf-8")
    assert {"job.rejected", "job.in_doubt", "job.completed"} <= {
        one["event"] for one in events(batchrun.folder / "log.jsonl")
    }
    for literal in (
        ACME,
        BETA,
        "Acme",
        "Beta",
        "Gamma",
        "00123",
        "Moonshot",
        "focus",
        "Research B",
    ):
        assert literal not in text, literal


@pytest.mark.parametrize("fault", [401, 500])
def test_the_log_never_has_the_key_even_if_the_service_repeats_it(
    batchrun: CommandLine, accounts: Path, fault: int
) -> None:
    settings = SandboxSettings(rate_per_minute=None, keys={KEY: frozenset(Scope)})
    with running(settings, SPEED) as url:
        batchrun.connect(url, key=KEY, speed=SPEED)
        batchrun(*RUN, "--log-file", f"{KEY}.jsonl")
    with faulty_sandbox(triggers=[Fault(fault, {"error": KEY})]) as (url, _):
        batchrun.connect(url, speed=SPEED)
        batchrun.monkeypatch.setenv("PGAI_API_KEY", "sandbox")
        batchrun(*RUN, "--log-file", f"{KEY}.jsonl")
    text = (batchrun.folder / f"{KEY}.jsonl").read_text(encoding="utf-8")
    assert Event.BATCH_STARTED in text
    assert KEY not in text


def test_whatever_is_logged_the_key_is_masked(tmp_path: Path) -> None:
    key = 'sk-"quoted"\\key'
    hide_secret(key)
    with logging_to(tmp_path / "log.jsonl"):
        LOGGER.warning("they said %s", key)
        log_event(LOGGER, Event.REQUEST, path=f"/x?key={key}", more={"deep": [key]})
    text = (tmp_path / "log.jsonl").read_text(encoding="utf-8")
    assert key not in text
    assert json.dumps(key)[1:-1] not in text
    assert text.count(MASK) == 3


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_a_new_log_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log.jsonl"):
        LOGGER.info("something")
    assert stat.S_IMODE((tmp_path / "log.jsonl").stat().st_mode) == 0o600


def test_runs_append_to_one_log(batchrun: CommandLine, sandbox: str, accounts: Path) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_LOG_FILE", "log.jsonl")
    batchrun(*RUN, "--limit", "1")
    batchrun("resume")
    names = [one["event"] for one in events(batchrun.folder / "log.jsonl")]
    assert names.count(Event.BATCH_STARTED) == names.count(Event.BATCH_ENDED) == 2


@pytest.mark.parametrize("name", ["accounts.csv", "no/such/folder.jsonl", "."])
def test_an_unusable_log_file_is_refused_before_anything_is_spent(
    batchrun: CommandLine, sandbox: str, accounts: Path, name: str
) -> None:
    before = accounts.read_bytes()
    ended = batchrun(*RUN, "--log-file", name)
    assert ended.exit_code == ExitCode.UNUSABLE
    assert "--log-file" in ended.stderr
    assert accounts.read_bytes() == before
    assert not (batchrun.folder / "accounts.results.xlsx").exists()


@pytest.mark.parametrize("name", ["accounts.csv", "."])
def test_a_log_file_that_is_refused_leaves_no_traceback_at_the_end(
    accounts: Path, name: str
) -> None:
    """Python closes what is left of a log when it ends."""
    command = [*COMMAND, *RUN, "--sandbox", "--log-file", name]
    ended = subprocess.run(
        command, cwd=accounts.parent, capture_output=True, text=True, check=False
    )
    assert ended.returncode == ExitCode.UNUSABLE
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
def test_a_full_disk_is_reported_once_and_stops_nothing(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun(*RUN, "--log-file", "/dev/full")
    assert ended.exit_code == ExitCode.INCOMPLETE  # the list has a damaged id
    assert ended.stderr.count("The log file /dev/full can't be written") == 1
    assert (batchrun.folder / "accounts.results.xlsx").exists()


def test_a_partly_written_log_line_does_not_damage_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = LogFile(tmp_path / "log.jsonl")
    record = logging.LogRecord("x", logging.INFO, "", 0, "whole", (), None)
    write, room = os.write, [5]

    def nearly_full(file: int, line: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, line[: room.pop()])

    monkeypatch.setattr(os, "write", nearly_full)
    log.emit(record)
    monkeypatch.setattr(os, "write", write)
    log.emit(record)
    log.close()
    torn, whole = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert not torn.endswith("}")
    assert json.loads(whole)["message"] == "whole"


def test_the_library_logs_nothing_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    import subprocess

    script = (
        "import logging, batchrun; from batchrun.events import Event, log_event;"
        "log_event(logging.getLogger('batchrun.x'), Event.BATCH_ABORTED, logging.ERROR)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert ended.stdout + ended.stderr == b""


def test_a_program_gets_events_as_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "batchrun"):
        log_event(LOGGER, Event.JOB_ACCEPTED, batch="b", job=3, execution=None)
    assert caplog.messages == ["job.accepted batch=b job=3"]


def test_a_log_that_cannot_be_opened_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written"):
        LogFile(tmp_path)


def test_every_event_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    section = page[page.index("## The log file") :]
    assert [event for event in Event if f"`{event}`" not in section] == []


@pytest.mark.parametrize(
    ("fault", "logged"),
    [
        ("", None),
        ("the connection was reset", "the connection was reset"),
        ("the proxy refused the connection (407 says Acme)", "the proxy refused the connection"),
        ("the answer broke off: illegal chunk Acme", "the answer broke off"),
        ("illegal status line: bytearray(b'Acme')", "the request failed"),
    ],
)
def test_a_logged_fault_has_no_text_of_the_service(fault: str, logged: str | None) -> None:
    assert fault_for_log(fault) == logged
