"""Make docs/first-hour.md: a new user's first hour, on a machine with Python only and with uv only.

Run ``python docs/make_first_hour.py`` with batchrun and its extra ``test`` installed, on Linux or
macOS; it takes some minutes and needs a package index. It copies the committed files of this
repository into an empty home, installs batchrun there as the README says, and types each command in
a terminal. A `batchrun sandbox` with a seed stands for PG:AI. A test types the session again; what
differs from one day to the next (times, IDs, counts of what an interruption catches) is left out of
account by ``settled``.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
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
PAGE = DOCS / "first-hour.md"
LIST = "sample_data/salesforce_accounts.csv"
SPEED = 60
SANDBOX = f"sandbox --speed {SPEED} --fail 0.05 --seed 7 --port 0"
PORT = 8020
"""The port a reader sees; the real one is any that is free."""
HOME = "/home/dana"
ROWS_AND_COLUMNS = (40, 100)
LINES_KEPT, WIDEST_LINE = 400, 400
SYSTEM = "/usr/bin:/bin"
RUN = f'run {LIST} -w "Account Research"'

INTRODUCTION = f"""\
# The first hour

This page shows what a new user types and sees, from an empty machine to the first finished batch.
`python docs/make_first_hour.py` types these commands and writes the page. In place of PG:AI, a
sandbox at `http://127.0.0.1:{PORT}/v1` answers, {SPEED} times as fast, and some rows fail. Your
times, IDs and counts will differ. To follow along without a key, leave out `login` and add
`--sandbox` to each command that has it: there, no row of this list fails, but one
of `hubspot_contacts.xlsx` does; and `run` and `resume` say of each job that it has a result
from the first command.
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
    """

    title: str
    about: str
    command: str
    answers: tuple[tuple[str, str], ...] = ()
    interrupted_at: str | None = None
    triggers: int = 0
    exit_code: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as a new user has it.

    Args:
        title: What is on it.
        tool: The one program for installing.
        install: The README's commands, and what each is for.
        batchrun: How the command is called then.
        later: Said instead of the rest, which an earlier machine has shown.
    """

    title: str
    tool: Path
    install: tuple[tuple[str, str], ...]
    batchrun: str
    later: str = ""


def machines() -> Iterator[Machine]:
    """The two machines; a uv that is not there is left out."""
    python = Path(sys.base_prefix) / "bin" / "python3"
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- main-job -->\n```console\n(.+)\n```", readme)
    assert found is not None
    yield Machine(
        "Nothing but Python",
        python,
        ((found[1], "The first command of the README installs batchrun and runs a sample list."),),
        ".venv/bin/batchrun",
    )
    uv = shutil.which("uv")
    if uv is not None:
        yield Machine(
            "Nothing but uv",
            Path(uv),
            (
                ("uv tool install .", "One command installs batchrun."),
                (f"batchrun {RUN} --sandbox --yes", "A sample list, without a key."),
            ),
            "batchrun",
            "From here on everything is as above, with `batchrun` instead of `.venv/bin/batchrun`.",
        )


def steps(batchrun: str) -> tuple[Step, ...]:
    """What is typed after the installation."""
    return (
        Step("Save the key", "A mistyped key is refused.", f"{batchrun} login",
             answers=((r"\(not shown\): ", "pgai_mistyped_key"),), exit_code=5),
        Step("", "The right key is saved. One for PG:AI is named `default`.", f"{batchrun} login",
             answers=((r"\(not shown\): ", "sandbox"),)),
        Step("", "These are the workflows that the key can see.", f"{batchrun} workflows"),
        Step("Look before you pay", "`check` triggers nothing.",
             f'{batchrun} check {LIST} -w "Account Research"'),
        Step("Five rows first",
             "`run` asks, runs five rows, shows their results, and asks about the rest. Here, the\n"
             "answer is no.",
             f"{batchrun} {RUN} --limit 5",
             answers=((r"Trigger 5 jobs now\? \[y/N\]: ", "y"),
                      (r"Run the rest now\? \[y/N\]: ", "n")),
             exit_code=4,
             after="Exit code 4: there is more to do. Look at the workbook, then continue."),
        Step("The rest, and an interruption", "Here, somebody presses Ctrl-C during the run.",
             f"{batchrun} resume",
             answers=((r"Trigger 55 jobs of [^?]+ now\? \[y/N\]: ", "y"),),
             interrupted_at=r"\d\d running",
             triggers=25,  # with as many on the wire, not yet all
             exit_code=4),
        Step("", "Its progress:", f"{batchrun} status"),
        Step("", "Continue. Nothing that was sent is sent again.", f"{batchrun} resume",
             answers=((r"Trigger \d+ jobs of [^?]+ now\? \[y/N\]: ", "y"),),
             exit_code=3, after="Exit code 3: finished, but some rows did not complete. The sheet "
             "**Needs attention** of the\nworkbook says why."),
        Step("", "The finished workbook is next to the list.", "ls sample_data"),
        Step("Afterwards", "Failed rows can be sent again.", f"{batchrun} retry",
             answers=((r"pay for them again\? \[y/N\]: ", "y"),)),
        Step("", "Results in another format; the file name decides which.",
             f"{batchrun} export -o results.csv"),
        Step("", "All batches:", f"{batchrun} batches"),
    )  # fmt: skip


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
    """A user's folder and terminal, on a machine with nothing but the system's programs.

    Args:
        home: A folder that stands for the user's home.
        tools: A folder with the programs that the user has besides.
        variables: What the user has set.
        gate: The gate to the sandbox, once it runs.
    """

    home: Path
    tools: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    gate: Gate | None = None

    @property
    def folder(self) -> Path:
        """The copy of the repository."""
        return self.home / "batchrun"

    def environment(self) -> Mapping[str, str]:
        """Nothing of the machine's own settings but where the package index is."""
        index = {
            name: os.environ[name]
            for name in os.environ
            if name.startswith(("PIP_", "SSL_", "UV_"))
        }
        path = os.pathsep.join([str(self.home / ".local" / "bin"), self.tools, SYSTEM])
        kept = {"PATH": path, "LANG": "C.UTF-8", "TERM": "xterm", "HOME": str(self.home)}
        keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}  # nobody's own
        return index | kept | keyring | self.variables

    def start(self, command: str) -> pexpect.spawn[bytes]:
        """Type a command. There is no timeout, because a busy machine may be slow."""
        return pexpect.spawn(
            "/bin/sh",
            ["-c", command if "&&" in command else f"exec {command}"],
            cwd=str(self.folder),
            env=self.environment(),
            dimensions=ROWS_AND_COLUMNS,
            timeout=None,
        )

    def type(self, step: Step) -> list[str]:
        """Type a step's command and its answers; the lines then on the screen.

        Raises:
            AssertionError: It ended otherwise than the step says.
        """
        heard = io.BytesIO()
        if self.gate is not None and step.interrupted_at is not None:
            self.gate.hold_after(step.triggers)
        running = self.start(step.command)
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
        running.wait()  # close() would kill it if it is still exiting
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


def kill(process: pexpect.spawn[bytes]) -> None:
    """Kill a process, and wait until it has ended."""
    process.kill(signal.SIGKILL)
    process.wait()
    process.close()


def batchrun_of_this_environment(desk: Desk) -> str:
    """Make a desk's batchrun that is this environment's, as if it were installed there."""
    program = desk.folder / ".venv" / "bin" / "batchrun"
    program.parent.mkdir(parents=True)
    lines = [f"#!{sys.executable}", "from batchrun.__main__ import main", "main()", ""]
    program.write_text("\n".join(lines), encoding="utf-8")
    program.chmod(0o755)
    samples = Path(LIST).parent
    others = shutil.ignore_patterns("*.results*", "__pycache__")
    shutil.copytree(DOCS.parent / samples, desk.folder / samples, ignore=others)
    return ".venv/bin/batchrun"


@contextmanager
def sandbox_on(desk: Desk, batchrun: str, *, with_key: bool) -> Iterator[None]:
    """A sandbox in a second terminal of a desk, to which the first one talks through a gate."""
    with ExitStack() as stack:
        sandbox = desk.start(f"{batchrun} {SANDBOX}")
        heard = sandbox.logfile_read = io.BytesIO()
        stack.callback(kill, sandbox)
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
        yield


@contextmanager
def desk() -> Iterator[Desk]:
    """A new user's desk."""
    with tempfile.TemporaryDirectory() as folder:
        new = Desk(Path(folder).resolve())
        new.folder.mkdir()
        yield new


def hour(machine: Machine) -> Iterator[str]:
    """One machine's part of the page."""
    yield f"## {machine.title}\n"
    with desk() as new:
        tools = new.home / "tools"
        tools.mkdir()
        (tools / machine.tool.name).symlink_to(machine.tool)
        new.tools = str(tools)
        copied = subprocess.run(
            ["git", "archive", "HEAD"], cwd=DOCS.parent, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x"], cwd=new.folder, input=copied.stdout, check=True)
        for command, about in machine.install:
            yield from shown(new, Step("", about, command))
        if machine.later:
            yield f"{machine.later}\n"
            return
        with sandbox_on(new, machine.batchrun, with_key=False):
            yield from session(new, machine.batchrun)
            about = "When something is wrong, this says what."
            yield from shown(new, Step("", about, f"{machine.batchrun} doctor"))


def session(desk: Desk, batchrun: str) -> Iterator[str]:
    """The part of the page that a test types again."""
    for step in steps(batchrun):
        yield from shown(desk, step)


def session_today() -> str:
    """The same part, with this environment's batchrun."""
    with desk() as new:
        batchrun = batchrun_of_this_environment(new)
        with sandbox_on(new, batchrun, with_key=False):
            return "\n".join(session(new, batchrun))


def shown(desk: Desk, step: Step) -> Iterator[str]:
    """A command with what it prints."""
    lines = desk.type(step)
    lines = [line for line in lines if not re.match(r" \+ (?!pgai-batchrun)", line)]  # packages
    if step.title:
        yield f"## {step.title}\n"
    yield f"{step.about}\n"
    yield "\n".join(["```console", f"$ {step.command}", *lines, "```", ""])
    if step.after:
        yield f"{step.after}\n"


DIFFERENT_EACH_TIME = (
    (r"\n {11}(?=\S)", " "),  # where a line breaks depends on the numbers in it
    (r"^Note: +\S+ contains practice results.*\n", ""),  # of the first command, which no test types
    (r"^(?:A request failed|Running:) .*\n", ""),  # only on a busy machine
    (r"^Cost: .*\n", ""),  # there must be a request to spare
    (r"^ *\d+%\|.*$", "(the bar)"),
    (r"\d{4}-([a-z-]+)-[0-9a-f]{4}", r"BATCH-\1"),
    (r"(?<![\d:])\d+ (?:d|h|min|s)\b(?: \d+ (?:h|min|s)\b)?", "TIME"),
    (r"^(Rows: +\d+) \(.*pending.*\)$", r"\1 (COUNTS)"),
    (r"\(\d+ completed.*pending.*\)", "(COUNTS)"),
    (r"^Jobs: +\d+ to trigger$", "JOBS"),
    (r"^Trigger \d+ jobs of ", "Trigger N jobs of "),
    (r"^Credits: +[\d,]+ credits left .*", "CREDITS"),
    (r"^Requests: .*", "REQUESTS"),
    (r"^In all: .*", "IN ALL"),
    (r"about \d+ requests", "about N requests"),
    (r"Trigger \d+ jobs now", "Trigger N jobs now"),
    (r", done at \d\d:\d\d", ", done at CLOCK"),
    (r" +age +rows", " age rows"),
    (r"^(It took: +)\d+ requests \([\d.]+ a job\)", r"\1REQUESTS"),
)
"""Patterns of output that differs each time, and what to compare instead."""


def settled(page: str) -> str:
    """A page without what differs each time it is made."""
    for pattern, words in DIFFERENT_EACH_TIME:
        page = re.sub(pattern, words, page, flags=re.MULTILINE)
    return page


if __name__ == "__main__":
    parts = [part for machine in machines() for part in hour(machine)]
    PAGE.write_text("\n".join([INTRODUCTION, *parts]), encoding="utf-8")
