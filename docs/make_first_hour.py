"""Make docs/first-hour.md: a new user's first hour, on a machine with Python only and with uv only.

Run ``python docs/make_first_hour.py`` with batchrun and its extra ``test`` installed, on Linux or
macOS; it takes some minutes and needs a package index. It copies the committed files of this
repository into an empty home, installs batchrun there as the README says, and types each command in
a terminal. A `batchrun sandbox` stands for PG:AI.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from make_transcript import Desk, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOCS = Path(__file__).parent
PAGE = DOCS / "first-hour.md"
LIST = "sample_data/salesforce_accounts.csv"
RUN = f'run {LIST} -w "Account Research"'
SECONDS_TO_INSTALL = 600
SYSTEM = "/usr/bin:/bin"

INTRODUCTION = """\
# The first hour

What a new user types and sees, from an empty machine to the first real batch. `python
docs/make_first_hour.py` types these commands and writes this page. A sandbox on the same machine
stands for PG:AI; times, IDs and versions will differ.
"""


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


@dataclass(slots=True)
class NewDesk(Desk):
    """A desk on which nothing is installed."""

    tools: str = ""

    @property
    def folder(self) -> Path:
        """The copy of the repository."""
        return self.home / "batchrun"

    def environment(self) -> Mapping[str, str]:
        """The tool that is there, the system's programs, and where the package index is."""
        index = {
            name: os.environ[name]
            for name in os.environ
            if name.startswith(("PIP_", "SSL_", "UV_"))
        }
        kept = {"HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm"}
        path = os.pathsep.join([str(self.home / ".local" / "bin"), self.tools, SYSTEM])
        return index | kept | {"PATH": path} | self.variables


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
        Step("", "Practice an interruption: the list once more, and Ctrl-C.",
             f"{batchrun} {RUN} --sandbox --again",
             answers=((r"\[y/N\]: ", "y"),), interrupted_at=r"[1-9]\d* running", exit_code=4),
        Step("", "Continue.", f"{batchrun} resume --sandbox"),
        Step("", "Now the real thing. A mistyped key is refused.", f"{batchrun} login",
             answers=((r"\(not shown\): ", "pgai_mistyped_key"),), exit_code=5),
        Step("", "The right key is saved.", f"{batchrun} login",
             answers=((r"\(not shown\): ", "sandbox"),)),
        Step("", "Which workflows are there?", f"{batchrun} workflows"),
        Step("", "Five rows first, then the rest.", f"{batchrun} {RUN} --limit 5",
             answers=((r"now\? \[y/N\]: ", "y"), (r"rest now\? \[y/N\]: ", "y"))),
        Step("", "The finished workbook is next to the list.", "ls sample_data"),
        Step("", "When something is wrong.", f"{batchrun} doctor"),
    )  # fmt: skip


def hour(machine: Machine) -> Iterator[str]:
    """One machine's part of the page."""
    yield f"## {machine.title}\n"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        tools = home / "tools"
        tools.mkdir()
        (tools / machine.tool.name).symlink_to(machine.tool)
        desk = NewDesk(home, tools=str(tools))
        desk.folder.mkdir()
        copied = subprocess.run(
            ["git", "archive", "HEAD"], cwd=DOCS.parent, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x"], cwd=desk.folder, input=copied.stdout, check=True)
        for command, about in machine.install:
            yield from shown(desk, Step("", about, command))
        if machine.later:
            yield f"{machine.later}\n"
            return
        for step in steps(machine.batchrun):
            if step.command.endswith("login") and not desk.variables:
                sandbox = desk.start(f"{machine.batchrun} sandbox --speed 60 --port 0")
                sandbox.expect(
                    r"export (BATCHRUN_BASE_URL=\S+)\s+export \S+\s+export (BATCHRUN_SPEED=\S+)"
                )
                assert isinstance(sandbox.match, re.Match)
                words = [word.decode() for word in sandbox.match.groups()]
                desk.variables = dict(word.split("=", 1) for word in words)
            yield from shown(desk, step)
        sandbox.close()


def shown(desk: NewDesk, step: Step) -> Iterator[str]:
    """A command with what it prints."""
    lines = desk.type(replace(step, seconds=SECONDS_TO_INSTALL))
    lines = [line for line in lines if not re.match(r" \+ (?!pgai-batchrun)", line)]  # packages
    yield f"{step.about}\n"
    yield "\n".join(["```console", f"$ {step.command}", *lines, "```", ""])


if __name__ == "__main__":
    parts = [part for machine in machines() for part in hour(machine)]
    PAGE.write_text("\n".join([INTRODUCTION, *parts]), encoding="utf-8")
