"""Advice that names options or commands of the command line, with its meaning as data. Pure.

The text is for a terminal and for Python. The page has controls instead of options and commands:
it shows the plain part, and words the options and actions in terms of its controls.
"""

from __future__ import annotations

import json
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from batchrun.text import json_or_text, quoted_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchrun.model import BatchSummary

REUSE_AGE = timedelta(days=30)
"""Advice and the page offer to reuse results up to this age."""


class Action(Enum):
    """What the user does next, other than changing an option of a request."""

    CHECK_ADDRESS = auto()
    CHOOSE_JOURNAL = auto()
    DOWNLOAD = auto()
    LOG_IN = auto()
    PRACTICE = auto()
    RESUME = auto()
    RETRY = auto()
    RUN_AGAIN = auto()
    RUN_LIST = auto()
    WATCH = auto()


IN_TEXT_EDITOR = " in a text editor (Excel damages IDs in CSV files)"
"""How to correct a CSV file."""


class Advice(str):
    """A text for a terminal, with what it means. Text added with ``+`` is for every reader."""

    __slots__ = ("actions", "options", "plain")

    plain: str  # the part of the text that names no option or command
    actions: tuple[Action, ...]  # what to do next
    options: Mapping[str, str]  # parameters of a request to change, each with a value to suggest

    def __new__(cls, plain: str, terminal: str = "", *actions: Action, **options: str) -> Advice:
        """Create advice from its plain part and the rest, which is only for a terminal."""
        advice = super().__new__(cls, plain + terminal)
        advice.plain, advice.actions, advice.options = plain, actions, options
        return advice

    def __add__(self, other: str) -> Advice:
        """Return this advice, followed by more text or advice."""
        return _joined(self, other)

    def __radd__(self, other: str) -> Advice:
        """Return this advice after a text."""
        return _joined(other, self)


def _joined(one: str, other: str) -> Advice:
    first = one if isinstance(one, Advice) else Advice(one)
    second = other if isinstance(other, Advice) else Advice(other)
    options = {**first.options, **second.options}
    joined = Advice(str.__add__(first, second), "", *first.actions, *second.actions, **options)
    joined.plain = str.__add__(first.plain, second.plain)
    return joined


def reworded(text: str, change: Callable[[str], str]) -> str:
    """Change the words of a text, and of its plain part if it is advice."""
    if not isinstance(text, Advice):
        return change(text)
    changed = Advice(change(text), "", *text.actions, **text.options)
    changed.plain = change(text.plain)
    return changed


def choose_journal(name: str) -> Advice:
    """Return the advice to name another journal, in words such as "Name another"."""
    return Advice("", f"{name} with --journal or BATCHRUN_JOURNAL.", Action.CHOOSE_JOURNAL)


def run_corrected(file: str, summary: BatchSummary) -> str:
    """Return the command for a corrected list of a batch, which pays only for what is new.

    Results are reused only for the same IDs and parameters, so the command repeats the parameters,
    and which columns have the IDs.
    """
    words = ["batchrun", "run", file, "-w", summary.workflow.name, *summary.column_options]
    for name, value in summary.parameters.items():
        text = isinstance(value, str) and json_or_text(value) == value
        words += ["--param", f"{name}={value if text else json.dumps(value, ensure_ascii=False)}"]
    for name, column in summary.parameter_columns.items():
        words += ["--param-column", f"{name}={column}"]
    return quoted_command(*words, "--reuse", f"{REUSE_AGE.days}d")


def resume_with(batch_id: str) -> Advice:
    """Return the advice to resume a batch."""
    return Advice("", f"Resume with: batchrun resume {batch_id}", Action.RESUME)


def watch_with(batch_id: str) -> Advice:
    """Return the advice to watch a batch that another process works on."""
    return Advice("", f"Watch it with: batchrun status {batch_id}", Action.WATCH)
