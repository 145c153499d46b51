"""Make docs/first-ten-minutes.md: the commands of a first day, typed at a terminal of their own.

Run ``python docs/make_transcript.py`` with batchrun and its extra ``test`` installed, on Linux or
macOS. The service is a `batchrun sandbox` with a seed. Whatever differs from one day to the next
(times, ids, counts of what an interruption catches) is left out of account by ``settled``: the page
is written again only when something else has changed.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import socketserver
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pyte

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOCS = Path(__file__).parent
PAGE = DOCS / "first-ten-minutes.md"
LIST = DOCS.parent / "sample_data" / "salesforce_accounts.csv"

SPEED = 60
SANDBOX = f"--speed {SPEED} --fail 0.05 --seed 7"
SECOND_TERMINAL = f"batchrun sandbox {SANDBOX}"
PORT = 8020
"""The port a reader sees; the real one is any that is free."""
EXPORTED = f"BATCHRUN_BASE_URL=http://127.0.0.1:{PORT}/v1 BATCHRUN_SPEED={SPEED}"
HOME = "/home/dana"
ROWS_AND_COLUMNS = (40, 100)
LINES_KEPT, WIDEST_LINE = 400, 400

INTRODUCTION = f"""\
# The first ten minutes

Every command you need on the first day, with its output. Nothing here costs anything: `batchrun
sandbox` imitates PG:AI, {SPEED} times as fast, so a minute takes a second.

`python docs/make_transcript.py` types these commands in a terminal and writes this page; the tests
check it. Your times, IDs and counts will differ.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One command as a user types it, and the text around it.

    Args:
        title: The heading above it; `""` for none.
        about: The text before it.
        command: What is typed.
        answers: What it asks, as a regular expression, and what the user answers.
        interrupted_at: What is on the screen when the user presses Ctrl-C, as an expression.
        triggers: How many triggers pass before Ctrl-C is heard.
        exit_code: How it ends.
        after: The text after it.
        seconds: How long it may take to answer.
    """

    title: str
    about: str
    command: str
    answers: tuple[tuple[str, str], ...] = ()
    interrupted_at: str | None = None
    triggers: int = 0
    exit_code: int = 0
    after: str = ""
    seconds: float = 60


RUN = 'batchrun run salesforce_accounts.csv -w "Account Research"'

ENDING = """\
## Leave practice

Press Ctrl-C in the second terminal. In the first one, forget the service and its key,
then save your own key:

```console
$ unset BATCHRUN_BASE_URL BATCHRUN_SPEED
$ batchrun logout --profile sandbox
$ batchrun login
```
"""

STEPS = (
    Step(
        "Start",
        "[Install](../README.md#try-it) batchrun, and go to a folder with a list, here\n"
        "`sample_data/salesforce_accounts.csv`. Without a command, it says what to do next.",
        "batchrun",
    ),
    Step(
        "See it work",
        "The demo makes up a list, runs it, and writes a workbook.",
        "batchrun demo",
        exit_code=3,
        after="One ID in its list is damaged on purpose, so the exit code is 3: finished, but\n"
        "some rows are not completed.",
    ),
    Step(
        "Start a practice service",
        "Leave this running in a second terminal. One row in twenty fails (`--fail 0.05`).",
        SECOND_TERMINAL,
        after="In the first terminal, set its address and speed. PG:AI itself doesn't need this.\n"
        "They count in this terminal only.\n"
        f"\n```console\n$ export {EXPORTED}\n```",
    ),
    Step(
        "Save the key",
        "Type the key; here it is `sandbox`. It isn't shown. batchrun checks it, then saves it in\n"
        "the system's keyring, or in a file if there is none.",
        "batchrun login",
        answers=((r"\(not shown\): ", "sandbox"),),
    ),
    Step(
        "List the workflows",
        "These are the workflows your key can run.",
        "batchrun workflows",
    ),
    Step(
        "Look before you pay",
        "`check` reads the list and shows what a run would do. It triggers nothing.",
        'batchrun check salesforce_accounts.csv -w "Account Research"',
    ),
    Step(
        "Five rows first",
        "batchrun asks, runs five rows, shows their results and cost, and asks about the rest.\n"
        "Here: not yet.",
        f"{RUN} --limit 5",
        answers=(
            (r"Trigger 5 jobs now\? \[y/N\]: ", "y"),
            (r"Run the rest now\? \[y/N\]: ", "n"),
        ),
        exit_code=4,
        after="Exit code 4: there is more to do. Look at the workbook, then continue.",
    ),
    Step(
        "Run the rest, and interrupt it",
        "`resume` picks up where the batch stopped. Here, somebody presses Ctrl-C during the run.",
        "batchrun resume",
        answers=((r"Trigger 55 jobs now\? \[y/N\]: ", "y"),),
        interrupted_at=r"1\d running",
        triggers=25,  # with as many on the wire, not yet all
        exit_code=4,
    ),
    Step("", "Its progress:", "batchrun status"),
    Step(
        "Continue",
        "Nothing that was sent is sent again.",
        "batchrun resume",
        exit_code=3,
        after="Three rows failed. The sheet **Needs attention** of the workbook says why.",
    ),
    Step(
        "Send failed rows again",
        "You pay for them again, so batchrun asks.",
        "batchrun retry",
        answers=((r"pay for them again\? \[y/N\]: ", "y"),),
        exit_code=3,
        after="This sandbox fails the same rows every time.",
    ),
    Step(
        "Get the results in another format",
        "The file name decides the format: here, `.csv`.",
        "batchrun export -o results.csv",
    ),
    Step("", "All batches of this journal:", "batchrun batches"),
)


class Gate(socketserver.ThreadingTCPServer):
    """A proxy to the sandbox, in which triggers can be held up.

    A batch that is to be interrupted must not come to its end before, however slow the machine is.

    Args:
        port: The sandbox's.
    """

    daemon_threads = True
    triggers_left = sys.maxsize

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port = port
        self.free = threading.Event()
        self._counting = threading.Lock()
        self.free.set()

    def hold_after(self, triggers: int) -> None:
        """Let this many triggers pass, and no more until `free` is set."""
        self.triggers_left = triggers
        self.free.clear()

    def wait_for_gate(self) -> None:
        """Return when a trigger may pass."""
        with self._counting:
            self.triggers_left -= 1
            held = self.triggers_left < 0
        if held:
            self.free.wait()


class _Connection(socketserver.BaseRequestHandler):
    server: Gate

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port)) as sandbox:
            answers = threading.Thread(target=self._answer, args=(sandbox,))
            answers.start()
            with suppress(OSError):
                while sent := self.request.recv(65_536):  # a client awaits each request's answer
                    if sent.startswith(b"POST "):
                        self.server.wait_for_gate()
                    sandbox.sendall(sent)
                sandbox.shutdown(socket.SHUT_WR)
            answers.join()

    def _answer(self, sandbox: socket.socket) -> None:
        with suppress(OSError):
            while answer := sandbox.recv(65_536):
                self.request.sendall(answer)
            self.request.shutdown(socket.SHUT_WR)


@dataclass(slots=True)
class Desk:
    """A user's folder and terminal.

    Args:
        home: A folder that stands for the user's home.
        variables: What the user has set.
        gate: The gate to the sandbox, once it runs.
    """

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    gate: Gate | None = None

    @property
    def folder(self) -> Path:
        """Where the user works."""
        return self.home / "lists"

    def environment(self) -> Mapping[str, str]:
        """Nothing of the machine's own settings, and batchrun of this environment."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {"PATH": path, "LANG": "C.UTF-8", "TERM": "xterm", "HOME": str(self.home)}
        keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}  # nobody's own
        return kept | keyring | self.variables

    def start(self, command: str, seconds: float = 60) -> pexpect.spawn[bytes]:
        """Type a command."""
        return pexpect.spawn(
            "/bin/sh",
            ["-c", command if "&&" in command else f"exec {command}"],
            cwd=str(self.folder),
            env=self.environment(),
            dimensions=ROWS_AND_COLUMNS,
            timeout=seconds,
        )

    def type(self, step: Step) -> list[str]:
        """Type a step's command and its answers; the lines then on the screen.

        Raises:
            AssertionError: It ended otherwise than the step says.
        """
        heard = io.BytesIO()
        if self.gate is not None and step.interrupted_at is not None:
            self.gate.hold_after(step.triggers)
        running = self.start(step.command, step.seconds)
        running.logfile_read = heard
        for question, answer in step.answers:
            running.expect(question)
            running.sendline(answer)
        if step.interrupted_at is not None:
            running.expect(step.interrupted_at)
            running.sendintr()
            running.expect("Stopping")
            if self.gate is not None:
                self.gate.free.set()
        running.expect(pexpect.EOF)
        running.close()
        lines = self.as_read(heard.getvalue())
        ended = f"{step.command} ended with {running.exitstatus}:\n" + "\n".join(lines)
        assert running.exitstatus == step.exit_code, ended
        return lines

    def as_read(self, output: bytes) -> list[str]:
        """What is on the screen, with the home and the port of any user."""
        return [
            re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{PORT}", line.replace(str(self.home), HOME))
            for line in on_screen(output)
        ]


def on_screen(output: bytes, columns: int = WIDEST_LINE) -> list[str]:
    """What a terminal shows in the end of everything that was sent to it."""
    screen = pyte.Screen(columns, LINES_KEPT)
    pyte.ByteStream(screen).feed(output)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines


@contextmanager
def desk_with_sandbox(options: str, *, with_key: bool) -> Iterator[tuple[Desk, list[str]]]:
    """A new user's desk, and what a sandbox says that runs in a second terminal."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        desk = Desk(home)
        desk.folder.mkdir()
        shutil.copy(LIST, desk.folder)
        heard = io.BytesIO()
        sandbox = desk.start(f"batchrun sandbox {options} --port 0")
        sandbox.logfile_read = heard
        stack.callback(sandbox.close)
        sandbox.expect(r"export BATCHRUN_SPEED=\d+\r\n")
        variables = dict(re.findall(r"export (\w+)=(\S+)", heard.getvalue().decode()))
        url = "BATCHRUN_BASE_URL"
        port = re.search(r":(\d+)/", variables[url])
        assert port is not None
        gate = desk.gate = stack.enter_context(Gate(int(port[1])))
        threading.Thread(target=gate.serve_forever, daemon=True).start()
        stack.callback(gate.shutdown)
        variables[url] = variables[url].replace(port[1], str(gate.server_address[1]))
        desk.variables |= variables if with_key else variables | {"PGAI_API_KEY": ""}
        yield desk, desk.as_read(heard.getvalue())


def transcript() -> str:
    """The whole page."""
    with desk_with_sandbox(SANDBOX, with_key=False) as (desk, sandbox_says):
        return "\n".join(_page(desk, sandbox_says))


def _page(desk: Desk, sandbox_says: list[str]) -> Iterator[str]:
    yield INTRODUCTION
    for step in STEPS:
        if step.title:
            yield f"## {step.title}\n"
        yield f"{step.about}\n"
        shown = sandbox_says if step.command == SECOND_TERMINAL else desk.type(step)
        yield "\n".join(["```console", f"$ {step.command}", *shown, "```", ""])
        if step.after:
            yield f"{step.after}\n"
    yield ENDING


DIFFERENT_EACH_TIME = (
    (r"^ *\d+%\|.*$", "(the bar)"),
    (r"\d{4}-([a-z-]+)-[0-9a-f]{4}", r"BATCH-\1"),
    (r"(?<![\d:])\d+ (?:d|h|min|s)\b(?: \d+ (?:h|min|s)\b)?", "TIME"),
    (r"^(Rows: +\d+) \(.*pending.*\)$", r"\1 (COUNTS)"),
    (r"\(\d+ completed.*pending.*\)", "(COUNTS)"),
    (r"^Requests: .*(?:\n {11}.*)*", "REQUESTS"),
    (r"^In all: .*", "IN ALL"),
    (r"^(Running: +)\d+ executions?", r"\1N executions"),
    (r"about \d+ requests", "about N requests"),
    (r"Trigger \d+ jobs now", "Trigger N jobs now"),
    (r", done at \d\d:\d\d", ", done at CLOCK"),
    (r" +age +rows", " age rows"),
    (r"^(It cost: +)\d+ requests \([\d.]+ a job\)", r"\1REQUESTS"),
)
"""What a page holds that differs from one making to the next, and what stands for it."""


def settled(page: str) -> str:
    """A page without what differs each time it is made."""
    for pattern, words in DIFFERENT_EACH_TIME:
        page = re.sub(pattern, words, page, flags=re.MULTILINE)
    return page


def main() -> None:
    """Write the page, unless nothing but the times and counts would change."""
    made = transcript()
    if not PAGE.exists() or settled(PAGE.read_text(encoding="utf-8")) != settled(made):
        PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
