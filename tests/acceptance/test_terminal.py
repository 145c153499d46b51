"""What a person sees at a terminal: questions, the pilot, the bar, the quota, Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode
from batchrun.sandbox import running
from tests.acceptance.sandbox_process import (
    SandboxProcess,
    batchrun,
    status_of,
)
from tests.acceptance.verdict import WORKFLOW, assert_nothing_lost_or_doubled, write_list
from tests.cli.test_again import mark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("pseudo-terminals of POSIX", allow_module_level=True)

from tests.acceptance.terminal import CTRL_C, terminal

ROWS = 24
RUN = ("run", "accounts.csv", "-w", WORKFLOW)
HELD = (*RUN, "--yes", "--wait", "--daily", "9")
"""A run that waits for the next day before it has done its work."""
HELD_NOW = r"waiting for the quota|quota opens"
"""It works; on a slow machine the wait may be one of some seconds, with requests after it."""
PILOT = (*RUN, "--limit", "3")
NOW = r"now\? \[y/N\]: "
REST = r"rest now\? \[y/N\]: "


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox whose minute is a second."""
    write_list(tmp_path / "accounts.csv", ROWS)
    with running(speed=60.0) as url:
        yield SandboxProcess(url, 60.0)


def test_the_question_tells_jobs_requests_the_clock_and_credits(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    with terminal(*RUN, env=sandbox.environment(tmp_path), cwd=tmp_path) as screen:
        screen.answer(NOW, "n")
        assert screen.ended() == ExitCode.COMPLETED
        assert f"Jobs:      {ROWS} to trigger" in screen.text
        assert re.search(
            r"about 50 requests, .* at 60 requests a minute, done at \d\d:\d\d", screen.text
        )
        assert "10,000 credits left" in screen.text
        assert "Nothing was triggered and no batch was started." in screen.text
    report = sandbox.report()
    assert (report["lists"], report["credits"], report["triggers_accepted"]) == (1, 1, 0)


def test_a_key_that_may_not_read_credits_runs_all_the_same(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    env = sandbox.environment(tmp_path) | {"PGAI_API_KEY": "sandbox-read"}
    with terminal("check", "accounts.csv", "-w", WORKFLOW, env=env, cwd=tmp_path) as screen:
        assert screen.ended() == ExitCode.COMPLETED
        assert "not shown to this key (it lacks the scope org_settings:read)" in screen.text


def test_a_pilot_shows_what_it_brought_and_yes_goes_on_with_the_rest(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    env = sandbox.environment(tmp_path)
    with terminal(*PILOT, env=env, cwd=tmp_path, columns=200) as screen:
        screen.answer(NOW, "y")
        screen.wait_for(REST)
        shown = screen.text
        assert sandbox.report()["triggers_accepted"] == 3
        screen.typed.sendline("y")
        assert screen.ended() == ExitCode.COMPLETED
        last = [line for line in screen.lines if line][-1]
        assert "(estimated 51)" in screen.text  # 7 for the pilot, 44 for the rest
        assert "In all:" not in screen.text
    assert "Pilot:     3 jobs for 3 rows: 3 completed" in shown
    assert "Practice:  these results are invented." in shown
    assert len(re.findall(r"^\S.*: completed$", shown, re.MULTILINE)) == 3
    assert len(re.findall(r"^  Summary +\S", shown, re.MULTILINE)) == 3
    assert "##" not in shown
    cost = r"It took:   \d+ requests \(\d\.\d a job\), .* a job, 3 credits \(1 a job\)"
    rest = (
        rf"The rest:  {ROWS - 3} jobs: about 44 requests, .*, done at \d\d:\d\d, about 21 credits"
    )
    assert re.search(cost, shown)
    assert re.search(rest, shown)
    assert last == f"Workbook:  {tmp_path / 'accounts.results.xlsx'}"
    outcomes = assert_nothing_lost_or_doubled(sandbox, env, tmp_path, ROWS)
    assert outcomes["completed"] == ROWS


def test_the_question_about_money_stands_below_its_facts_on_a_small_screen(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    rows = [f"{'x' * (number % 20 + 1)},note {number}" for number in range(200)]
    listed = (tmp_path / "accounts.csv").read_text(encoding="utf-8")
    damaged = "".join(f"{row}\n" for row in rows)
    (tmp_path / "accounts.csv").write_text(listed + damaged, encoding="utf-8")
    env = sandbox.environment(tmp_path)
    with terminal(*RUN, env=env, cwd=tmp_path, columns=80) as screen:
        screen.wait_for(r"d for details\]: ")
        seen = [line for line in screen.lines if line][-24:]
        for fact in ("Workflow:", "Rows:", "Jobs:", "Quota:", "Credits:", "Trigger"):
            assert any(line.startswith(fact) for line in seen), seen
        screen.typed.sendline("d")
        screen.wait_for(r"d for details\]: ")
        assert "line 200:" in screen.text
        screen.typed.sendline("n")
        assert screen.ended() == ExitCode.COMPLETED


@pytest.mark.parametrize("answer", ["n\n", CTRL_C], ids=["no", "Ctrl-C"])
def test_after_a_no_the_pilot_ends_as_paused_and_resume_does_the_rest(
    sandbox: SandboxProcess, tmp_path: Path, answer: str
) -> None:
    env = sandbox.environment(tmp_path)
    with terminal(*PILOT, env=env, cwd=tmp_path) as screen:
        screen.answer(NOW, "y")
        screen.wait_for(REST)
        screen.typed.send(answer)
        assert screen.ended() == ExitCode.PAUSED
        assert "Resume:    batchrun resume" in screen.text
        assert "Traceback" not in screen.text
    left = ROWS - 3
    with terminal("resume", env=env, cwd=tmp_path, columns=200) as screen:
        screen.answer(NOW, "n")
        assert screen.ended() == ExitCode.COMPLETED
        cost = f"about {left} credits for {left} jobs (1 a job last time)"
        assert cost in screen.text
    assert sandbox.report()["triggers_accepted"] == 3
    assert (tmp_path / "accounts.results.xlsx").exists()
    assert batchrun("resume", env=env, cwd=tmp_path).returncode == ExitCode.COMPLETED
    assert_nothing_lost_or_doubled(sandbox, env, tmp_path, ROWS)


def test_going_on_with_a_limit_is_a_pilot_too(sandbox: SandboxProcess, tmp_path: Path) -> None:
    env = sandbox.environment(tmp_path)
    assert batchrun(*PILOT, "--yes", env=env, cwd=tmp_path).returncode == ExitCode.PAUSED
    piped = batchrun("resume", "--limit", "2", env=env, cwd=tmp_path)
    assert (piped.returncode, "Pilot:" in piped.stdout) == (ExitCode.PAUSED, False)
    with terminal("resume", "--limit", "4", env=env, cwd=tmp_path) as screen:
        screen.answer(r"Trigger 4 jobs of accounts.csv now\? \[y/N\]: ", "y")
        screen.wait_for(REST)
        assert "Pilot:     4 jobs for 4 rows: 4 completed" in screen.text
        assert re.search(r"It took: .*4 credits \(1 a job\)", screen.text)
        assert sandbox.report()["triggers_accepted"] == 3 + 2 + 4
        screen.typed.sendline("y")
        assert screen.ended() == ExitCode.COMPLETED
    assert_nothing_lost_or_doubled(sandbox, env, tmp_path, ROWS)


@pytest.mark.parametrize(("leave", "code"), [(CTRL_C, 130), ("\x04", 0)], ids=["Ctrl-C", "Ctrl-D"])
def test_ctrl_c_at_the_question_ends_as_interrupted_and_ctrl_d_as_a_no(
    sandbox: SandboxProcess, tmp_path: Path, leave: str, code: int
) -> None:
    with terminal(*RUN, env=sandbox.environment(tmp_path), cwd=tmp_path) as screen:
        screen.wait_for(NOW)
        screen.typed.send(leave)
        assert screen.ended() == code
        assert "triggered" in screen.text
    assert sandbox.report()["triggers_accepted"] == 0


@pytest.mark.parametrize(
    ("command", "leave", "code"),
    [("forget", "\x04", 0), ("run", CTRL_C, 130)],
    ids=["forget-Ctrl-D", "run-Ctrl-C"],
)
def test_the_questions_of_other_commands_end_the_same_way(
    sandbox: SandboxProcess, tmp_path: Path, command: str, leave: str, code: int
) -> None:
    env = sandbox.environment(tmp_path)
    batchrun(*PILOT, "--yes", env=env, cwd=tmp_path)
    mark(tmp_path / "accounts.results.xlsx", 2)
    batch_id = json.loads(batchrun("status", "--json", env=env, cwd=tmp_path).stdout)["batch"]
    typed = ("forget", batch_id) if command == "forget" else ("run", "accounts.results.xlsx")
    with terminal(*typed, env=env, cwd=tmp_path) as screen:
        screen.wait_for(r"\[y/N\]: ")
        screen.typed.send(leave)
        assert screen.ended() == code
        last = [line for line in screen.lines if line][-1]
    if code:
        assert last == "Stopped before anything was started."
    elif command == "run":
        assert last == "Nothing was triggered."
    assert sandbox.report()["triggers_accepted"] == 3


@pytest.mark.parametrize(
    ("command", "name"), [("run", "SIGINT"), ("run", "SIGTERM"), ("check", "SIGINT")]
)
def test_the_question_which_column_ends_at_the_first_signal(
    sandbox: SandboxProcess, tmp_path: Path, command: str, name: str
) -> None:
    rows = [f"{uuid.uuid4()},{uuid.uuid4()}" for _ in range(3)]
    (tmp_path / "two.csv").write_text("\n".join(["One,Other", *rows]), encoding="utf-8")
    typed = (command, "two.csv", "-w", WORKFLOW)
    with terminal(*typed, env=sandbox.environment(tmp_path), cwd=tmp_path) as screen:
        screen.wait_for("Which one")
        screen.process.send_signal(signal.Signals[name])
        screen.typed.send("\n")  # as CTRL_C
        assert screen.ended() == ExitCode.INTERRUPTED
        assert "Stopped before anything was" in screen.text


@pytest.mark.parametrize("option", ["--yes", "--json"])
def test_a_script_gets_its_pilot_unasked_and_asks_for_no_credits(
    sandbox: SandboxProcess, tmp_path: Path, option: str
) -> None:
    env = sandbox.environment(tmp_path)
    with terminal(*PILOT, option, env=env, cwd=tmp_path) as screen:
        if option == "--json":
            screen.answer(NOW, "y")
        assert screen.ended() == ExitCode.PAUSED
        assert "rest now" not in screen.text
    assert sandbox.report()["credits"] == 0
    assert sandbox.report()["triggers_accepted"] == 3


def test_the_bar_counts_outcomes_and_a_line_below_tells_the_quota(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    with terminal(*RUN, "--yes", env=sandbox.environment(tmp_path), cwd=tmp_path) as screen:
        screen.wait_for(r"[1-9]/24 rows")
        screen.wait_for(r"done at \d\d:\d\d")
        bar = next(at for at, line in enumerate(screen.lines) if "/24 rows" in line)
        assert "█" in screen.lines[bar]
        assert "running" in screen.lines[bar]
        assert re.search(r"requests left this minute.*, done at \d\d:\d\d$", screen.lines[bar + 1])
        assert screen.ended() == ExitCode.COMPLETED
        assert "requests left this minute" not in screen.text  # gone with the end
        assert "100%" in screen.text


def test_on_a_narrow_terminal_the_bar_stays_where_it_is(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    env = sandbox.environment(tmp_path)
    with terminal(*RUN, "--yes", env=env, cwd=tmp_path, columns=24) as screen:
        assert screen.ended() == ExitCode.COMPLETED
        bars = [line for line in screen.lines if re.match(r" *\d+%\|", line)]
    assert len(bars) == 1
    assert "24/24" in bars[0]
    assert not re.search(r"left/min|done \d\d:", screen.text)


def test_a_window_that_is_made_smaller_gets_a_smaller_bar(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    with terminal(*RUN, "--yes", env=sandbox.environment(tmp_path), cwd=tmp_path) as screen:
        screen.wait_for(r"[1-9]/24 rows")
        screen.resize(40, 40)
        assert screen.ended() == ExitCode.COMPLETED
        last = [line for line in screen.lines if "24/24 rows" in line]
    assert len(last) == 1
    assert len(last[0]) < 40


def test_a_console_without_block_characters_gets_a_bar_of_plain_ones(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    env = sandbox.environment(tmp_path) | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    with terminal(*PILOT, env=env, cwd=tmp_path) as screen:
        screen.answer(NOW, "y")
        screen.wait_for(REST)
        screen.typed.sendline("n")
        screen.ended()
        bar = next(line for line in screen.lines if "3/24 rows" in line)
        assert re.search(r"\|[#0-9 ]+\|", bar)
        assert "?" not in screen.text.replace("now? [y/N]", "")


def test_a_day_that_is_spent_says_until_when_it_is_waited_for(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    """Midnight UTC is one o'clock in Lagos, all the year round."""
    env = sandbox.environment(tmp_path) | {"TZ": "Africa/Lagos"}
    with terminal(*HELD, env=env, cwd=tmp_path, columns=200) as screen:
        # What is left may be one: a trigger wants another for its poll.
        screen.wait_for(r"waiting for the quota until (\w{3} )?01:00, [01] today")
        cost = screen.text
    assert "the day's quota is spent 5 times" in cost
    assert re.search(r"resets at midnight UTC \((\w{3} )?01:00 here\), and is waited for", cost)


def test_ctrl_c_twice_speaks_beside_the_bar_and_not_into_it(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    env = sandbox.environment(tmp_path)
    with terminal(*RUN, "--yes", env=env, cwd=tmp_path) as screen:
        screen.wait_for(r"[1-9]/24 rows")
        screen.typed.send("\x03")
        screen.wait_for("Stopping: nothing more is sent")
        screen.typed.send("\x03")
        assert screen.ended() == ExitCode.PAUSED
        assert any(line.startswith("Stopped. Nothing is lost") for line in screen.lines)
        assert sum("/24 rows" in line for line in screen.lines) == 1
        assert "Traceback" not in screen.text
    assert batchrun("resume", env=env, cwd=tmp_path).returncode in {
        ExitCode.COMPLETED,
        ExitCode.INCOMPLETE,
    }
    assert_nothing_lost_or_doubled(sandbox, env, tmp_path, ROWS)


def test_into_a_pipe_go_plain_lines(sandbox: SandboxProcess, tmp_path: Path) -> None:
    ended = batchrun(*RUN, "--yes", env=sandbox.environment(tmp_path), cwd=tmp_path)
    assert ended.returncode == ExitCode.COMPLETED
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "\r" not in ended.stdout + ended.stderr
    assert "|" not in ended.stderr


def test_a_quiet_run_says_where_the_workbook_is(sandbox: SandboxProcess, tmp_path: Path) -> None:
    env = sandbox.environment(tmp_path)
    with terminal(*RUN, "--yes", "-q", env=env, cwd=tmp_path, columns=200) as screen:
        assert screen.ended() == ExitCode.COMPLETED
        said = [line for line in screen.lines if line]
    assert said == [str(tmp_path / "accounts.results.xlsx")]


def test_status_watches_a_batch_from_another_terminal_until_it_stands_still(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    env = sandbox.environment(tmp_path)
    with terminal(*HELD, env=env, cwd=tmp_path) as batch:
        batch.wait_for(HELD_NOW)
        with terminal("status", "--watch", env=env, cwd=tmp_path, columns=60) as watching:
            watching.wait_for("Worked on")
            watching.wait_for("Worked on")  # it has looked twice
            batch.typed.send("\x03")
            assert batch.ended() == ExitCode.PAUSED
            assert watching.ended() == ExitCode.COMPLETED
            shown = [line for line in watching.lines if line]
    assert sum(line.startswith("Rows:") for line in shown) == 1  # drawn over, not repeated
    assert any(line.startswith("Resume:    batchrun resume") for line in shown)
    assert not any(line.startswith("Worked on") for line in shown)
    report = sandbox.report()
    batchs_own = status_of(env, tmp_path)["requests"]
    assert report["requests"] == report["lists"] + batchs_own > 1  # none by those who watched
    assert report["lists"] == 1


def test_ctrl_c_ends_the_watch_and_not_the_batch(sandbox: SandboxProcess, tmp_path: Path) -> None:
    env = sandbox.environment(tmp_path)
    with terminal(*HELD, env=env, cwd=tmp_path) as batch:
        batch.wait_for(HELD_NOW)
        with terminal("status", "--watch", env=env, cwd=tmp_path) as watching:
            watching.wait_for("Worked on")
            watching.typed.send("\x03")
            assert watching.ended() == ExitCode.COMPLETED
            assert "Traceback" not in watching.text
        assert batch.process.poll() is None
        assert status_of(env, tmp_path)["working"]


def test_batches_are_a_table_on_a_terminal_and_whole_lines_in_a_pipe(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    env = sandbox.environment(tmp_path)
    assert batchrun(*RUN, "--yes", env=env, cwd=tmp_path).returncode == ExitCode.COMPLETED
    workbook = str(tmp_path / "accounts.results.xlsx")
    piped = batchrun("batches", env=env, cwd=tmp_path).stdout.splitlines()
    assert len(piped) == 1
    assert piped[0].endswith(f"list: {tmp_path / 'accounts.csv'}  workbook: {workbook}")
    batch_id = piped[0].split()[0]
    for columns in (200, 90, 70, 40):
        with terminal("batches", env=env, cwd=tmp_path, columns=columns) as screen:
            screen.ended()
            header, row, *_ = (line for line in screen.lines if line)
            assert max(map(len, screen.lines)) <= columns
        assert row.startswith(batch_id)
        assert "24/24" in row
        assert header.split()[:3] == ["batch", "age", "rows"]
        assert ("accounts.csv" in row) == (columns >= 100)


def test_what_is_said_is_broken_where_words_end(sandbox: SandboxProcess, tmp_path: Path) -> None:
    """The same words as in a pipe, below a label where they began behind it."""
    env = sandbox.environment(tmp_path)
    check = ("check", *RUN[1:], "--daily", "9")
    piped = batchrun(*check, env=env, cwd=tmp_path).stdout
    assert max(map(len, piped.splitlines())) > 80  # a script finds a line in one piece
    words = {word for word in piped.split() if word.isalpha()} - {"h", "min", "s"}  # time goes on
    with terminal(*check, env=env, cwd=tmp_path, columns=62) as screen:
        screen.ended()
        lines = [line for line in screen.lines if line]
    assert words <= {word for line in lines for word in line.split()}
    assert all(line[:11].isspace() or line[:11].rstrip().endswith(":") for line in lines)
    with terminal(*RUN, "--yes", env=env, cwd=tmp_path, columns=62) as screen:
        assert screen.ended() == ExitCode.COMPLETED
        assert "".join(screen.lines).endswith(f"Workbook:  {tmp_path / 'accounts.results.xlsx'}")


def test_an_error_is_broken_where_words_end(sandbox: SandboxProcess, tmp_path: Path) -> None:
    env = sandbox.environment(tmp_path)
    with terminal("resume", env=env, cwd=tmp_path, columns=60) as screen:
        assert screen.ended() == ExitCode.UNUSABLE
        lines = [line for line in screen.lines if line]
    assert "It keeps your batches; the first batchrun run creates it." in lines
    assert "To use another one, add --journal or set BATCHRUN_JOURNAL." in lines
