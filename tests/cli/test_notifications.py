"""`--notify-command`: runs a command when a batch ends, without a shell and without the key."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchrun.cli.notifications import environment, notice, notify
from batchrun.errors import ExitCode
from batchrun.text import hide_secret
from tests.cli.test_bad_input import triggers_accepted
from tests.engine.faults import Fault, faulty_sandbox

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="words are cut as on POSIX")

RUN = ("run", "accounts.csv", "-w", "account research", "--yes")
KEEP = "import json, os; json.dump(dict(os.environ), open('kept.json', 'w'))"
NOTICE = notice("1124-a", ExitCode.COMPLETED, "done", "/a.xlsx")


def command(script: str, *words: str) -> str:
    return shlex.join([sys.executable, "-c", script, *words])


def received(batchrun: CommandLine) -> dict[str, str]:
    found: dict[str, str] = json.loads((batchrun.folder / "kept.json").read_text("utf-8"))
    return found


def test_the_command_gets_the_outcome_and_the_workbook(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun(*RUN, "--notify-command", command(KEEP))
    environ = received(batchrun)
    assert environ["BATCHRUN_OUTCOME"] == "incomplete"
    assert environ["BATCHRUN_EXIT_CODE"] == str(int(ended.exit_code)) == "3"
    assert environ["BATCHRUN_WORKBOOK"] == str(batchrun.folder / "accounts.results.xlsx")
    assert (
        environ["BATCHRUN_MESSAGE"]
        == "accounts.csv: rows 4 (3 completed, 1 can't be sent); 2 jobs and 1 duplicate"
    )
    assert environ["BATCHRUN_BATCH"] in ended.stdout
    assert "PGAI_API_KEY" not in environ


def test_the_command_runs_after_a_pause(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_NOTIFY_COMMAND", command(KEEP))
    batchrun(*RUN, "--limit", "1")
    assert received(batchrun)["BATCHRUN_OUTCOME"] == "paused"
    assert "Only the first rows were run, as asked." in received(batchrun)["BATCHRUN_MESSAGE"]


def test_the_command_runs_after_an_error(batchrun: CommandLine, accounts: Path) -> None:
    with faulty_sandbox(triggers=[Fault(401, {"error": "revoked"})]) as (url, _):
        batchrun.connect(url)
        ended = batchrun(*RUN, "--notify-command", command(KEEP))
    assert ended.exit_code == ExitCode.KEY_REFUSED
    assert received(batchrun)["BATCHRUN_OUTCOME"] == "key refused"
    assert "refuses the key" in received(batchrun)["BATCHRUN_MESSAGE"]


def test_the_command_does_not_run_if_no_batch_started(
    batchrun: CommandLine, accounts: Path
) -> None:
    batchrun.connect("http://127.0.0.1:9/v1")
    batchrun(*RUN, "--notify-command", command(KEEP))
    assert not (batchrun.folder / "kept.json").exists()


def test_no_shell_reads_the_command(batchrun: CommandLine, sandbox: str, accounts: Path) -> None:
    script = "import sys, json; json.dump({'x': sys.argv[1]}, open('kept.json', 'w'))"
    evil = "$(touch broken-in); `touch broken-in` && touch broken-in"
    batchrun(*RUN, "--notify-command", command(script, evil))
    assert received(batchrun) == {"x": evil}
    assert not (batchrun.folder / "broken-in").exists()


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (command("raise SystemExit(7)"), "ended with code 7"),
        ("no-such-program-anywhere", "could not be started"),
    ],
)
def test_a_failing_command_is_reported_and_changes_nothing(
    batchrun: CommandLine, sandbox: str, accounts: Path, failing: str, said: str
) -> None:
    ended = batchrun(*RUN, "--notify-command", failing, "--json")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert said in ended.stderr
    assert json.loads(ended.stdout)["exit_code"] == ExitCode.INCOMPLETE


def test_output_of_the_command_is_not_mixed_with_ours(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun(*RUN, "--json", "--notify-command", command("print('hello')"))
    assert json.loads(ended.stdout)["rows"] == 4


def test_a_command_that_does_not_end_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    endless = command("import threading; threading.Event().wait()")
    notify(endless, NOTICE, longest_seconds=0.05)
    assert "was stopped after" in capsys.readouterr().err


@pytest.mark.parametrize("unreadable", ["", "  ", "say 'hello"])
def test_a_command_that_cannot_be_read_is_refused_before_anything_is_spent(
    batchrun: CommandLine, sandbox: str, accounts: Path, unreadable: str
) -> None:
    ended = batchrun(*RUN, "--notify-command", unreadable)
    assert ended.exit_code == ExitCode.UNUSABLE
    assert "--notify-command" in ended.stderr
    assert triggers_accepted(sandbox) == 0


def test_a_dotenv_file_beside_a_list_runs_nothing(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    (batchrun.folder / ".env").write_text(f"BATCHRUN_NOTIFY_COMMAND={command(KEEP)}\n", "utf-8")
    batchrun(*RUN)
    assert not (batchrun.folder / "kept.json").exists()


def test_the_key_is_in_no_variable_whatever_it_is_called() -> None:
    key = "sk-0123456789"
    hide_secret(key)
    given = {"PGAI_API_KEY": key, "pgai_api_key": "x", "OTHER": f"Bearer {key}", "HOME": "/home"}
    assert environment(given, NOTICE) == {"HOME": "/home", **NOTICE}


def test_a_message_is_one_line() -> None:
    assert (
        notice("b", ExitCode.PAUSED, "first\nsecond\0 third")["BATCHRUN_MESSAGE"]
        == "first second third"
    )


@pytest.mark.parametrize(
    ("program", "shown"), [("mail", "all; $(touch x) done"), ("curl", "paused")]
)
def test_the_recipes_of_the_docs_show_the_message(
    program: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As typed in a shell, with the desk's own program replaced by one that keeps its words."""
    page = (Path(__file__).parents[2] / "docs" / "unattended.md").read_text("utf-8")
    recipe = next(line for line in page.splitlines() if line.startswith("| ") and program in line)
    typed = re.search(r"`--notify-command (.+)` \|$", recipe.replace("\\|", "|"))
    assert typed is not None
    kept = tmp_path / "kept"
    keeper = tmp_path / program
    keeper.write_text(f'#!/bin/sh\nprintf "%s|" "$@" "$(cat)" > {kept}\n')
    keeper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    words = subprocess.run(
        ["sh", "-c", f"printf %s {typed[1]}"], capture_output=True, text=True, check=True
    ).stdout
    notify(words, notice("b", ExitCode.PAUSED, "all; $(touch x) done"))
    assert shown in kept.read_text()


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="notify-send")
def test_a_desktop_notification_is_built_in(
    batchrun: CommandLine,
    accounts: Path,
    sandbox: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program, shown = tmp_path / "bin" / "notify-send", tmp_path / "shown"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{shown}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    batchrun(*RUN, "--notify")
    assert "accounts.csv: rows" in shown.read_text().splitlines()[-1]


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="notify-send")
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "--notify can't show a notification here: notify-send is not installed."),
        ("exit 1", "The desktop notification could not be shown: no desktop answers."),
    ],
)
def test_without_a_desktop_the_run_says_so_and_goes_on(
    batchrun: CommandLine,
    accounts: Path,
    tmp_path: Path,
    program: str | None,
    said: str,
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to("/bin/sh")
    if program:
        (folder / "notify-send").write_text(f"#!/bin/sh\n{program}\n")
        (folder / "notify-send").chmod(0o755)
    batchrun.monkeypatch.setenv("PATH", str(folder))
    ended = batchrun(*RUN, "--notify")
    assert said in ended.stderr
    assert ended.exit_code == ExitCode.INCOMPLETE


def test_only_one_kind_of_notification_is_given(batchrun: CommandLine, accounts: Path) -> None:
    ended = batchrun(*RUN, "--notify", "--notify-command", "true")
    assert (ended.exit_code, "can't be combined" in ended.stderr) == (2, True)
