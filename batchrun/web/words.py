"""Texts as the page shows them: advice in terms of its controls, times on one line. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from batchrun.advice import Action, Advice
from batchrun.text import CANT_BE_SENT, counted, one_line, plural
from batchrun.workbook.reasons import message_for_people

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CELL_CHARACTERS = 300


class Control(NamedTuple):
    """A control on a list's screen: its element ID, its label, and when to use it."""

    id: str
    label: str
    advice: str


CONTROLS = {
    name: Control(
        "contact_column" if name == "no_contact" else name, label, advice.format(f"“{label}”")
    )
    for name, label, advice in (
        ("company_column", "Company ID", "Choose the column under {}"),
        ("contact_column", "Contact ID", "Choose the column under {}"),
        ("delimiter", "Columns are separated by", "If it is another character, choose it under {}"),
        ("encoding", "Character set", "Choose another under {}"),
        ("header_row", "Column names in line", "If that is another line, give its number under {}"),
        ("no_header", "The list has no column names", "Tick {} only if it has none"),
        ("no_contact", "Contact ID", "To send each company only once, choose “Send none” under {}"),
        ("quoting", "Quotes are ordinary characters", "Tick {}"),
        ("reuse", "Reuse earlier results", "Change {} under More options"),
        ("sheet", "Sheet", "Choose the sheet to read under {}"),
        ("visible_only", "Leave out hidden rows", "Tick {}"),
        ("workflow", "Workflow", "Choose one under {}"),
    )
}
"""The controls that change what advice is about, by the parameter of a request."""

_ACTIONS = {
    Action.CHECK_ADDRESS: "Check the key and its address under “Settings”.",
    Action.CHOOSE_JOURNAL: "Stop batchrun, then start it with another journal.",
    Action.DOWNLOAD: "Choose “Download workbook”.",
    Action.LOG_IN: "Save your key under “Settings”.",
    Action.PRACTICE: "To try without a key, choose “Practice without a key”.",
    Action.RESUME: "Open it under “Lists” and choose “Continue”.",
    Action.RETRY: "Or choose “Send again” under the run's rows that need attention.",
    Action.RUN_AGAIN: "To send every row once more, choose “Run everything again”.",
    Action.RUN_LIST: "Drop the list itself under “Lists”.",
    Action.WATCH: "Open it under “Lists” to watch it.",
}


_AS_IS = re.compile(
    r"""(
    "[^"]*" | “[^”]*” | „[^“”]*[“”] | «[^»]*» | \u2018[^\u2019]*\u2019 | (?<!\w)'[^']*'(?!\w)
    | \A (?!Batch[ ]\d{4}-[a-z0-9-]+-[0-9a-f]{4}[ ]) [^"“(:]*? \.[a-z]\w{1,4} (?=[ :,]|\Z)
    | (?:ended[ ]without[ ]a[ ]result | refuses[ ]the[ ]key | ://) .*
    )""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
"""Parts of a message that are names or the service's words: quotes, a file name that begins it, and
what follows an address or says why jobs failed or a key is refused."""

_BATCH_ID = r"(?= \d{4}-[a-z0-9-]+-[0-9a-f]{4}(?![\w-]|\.\w))"
_TERMS = (
    (re.compile(r"\bWindows-1252 \(cp1252\)"), "Western European (Windows)"),
    (re.compile(r"\bThe header has (?=\d)"), "The column names have "),
    (re.compile(r"\bheader( row)?(s?)\b"), r"line\2 of column names"),
    (re.compile(r"^It was interrupted(?=\.$)"), "It was stopped before the end"),
    (re.compile(r"(?<=\d )job(s?)(?= (?:at|failed|have|in a row|was|were)\b| $)"), r"row\1"),
    (re.compile(rf"\bBatch{_BATCH_ID}"), "Run"),
    (
        re.compile(
            rf"\bbatch{_BATCH_ID}|(?:(?<=\bthe )|(?<=\bthis )|(?<=\banother ))batch\b(?!\.\w)"
        ),
        "run",
    ),
)


def plain(text: str) -> str:
    """Return the part of a message that names no option, in words such as “run” for “batch”.

    Names of files and columns and the service's own words stay as they are.
    """
    parts = _AS_IS.split(text.plain if isinstance(text, Advice) else text)
    for pattern, words in _TERMS:
        parts[::2] = [pattern.sub(words, part) for part in parts[::2]]
    return "".join(parts)


def reason_words(text: str) -> str:
    """Return why a row can't be sent, in the page's words."""
    return sentence(message_for_people(plain(text)))


def advice_words(text: str) -> str:
    """Return what to do, in terms of the page's controls."""
    advice = text if isinstance(text, Advice) else Advice(text)
    sentences = [plain(advice.plain.strip()), *(_ACTIONS[each] for each in advice.actions)]
    for name, value in advice.options.items():
        control = CONTROLS[name]
        sentences.append(control.advice + (f", such as {value}" if value else ""))
    return " ".join(each if each[-1] in ".?!" else f"{each}." for each in sentences if each)


def controls_of(text: str) -> list[Control]:
    """Return the controls that change what a notice is about."""
    return [CONTROLS[each] for each in text.options] if isinstance(text, Advice) else []


def sentence(text: str) -> str:
    """Capitalize the first letter of a text, unless it starts with a file name."""
    first = text.split(" ", 1)[0].rstrip(".,;:")
    return text if "." in first or "_" in first else text[:1].upper() + text[1:]


def total_words(rows: int, parts: Mapping[str, int], duplicates: int, invalid: int) -> str:
    """Return how rows add up: ``25 rows: 20 sent, 3 duplicates, 2 can't be sent.``."""
    shared = "duplicate" if duplicates == 1 else "duplicates"
    return (
        f"{plural(rows, 'row')}: {counted({**parts, shared: duplicates, CANT_BE_SENT: invalid})}."
    )


def short(text: str) -> str:
    """Shorten a text for a table's cell."""
    return one_line(text, MAX_CELL_CHARACTERS)


def moment_words(moment: datetime) -> str:
    """Format a local time for people, such as "today, 14:02" or "24 November, 14:02"."""
    local = moment.astimezone()
    days = (datetime.now().astimezone().date() - local.date()).days
    names = {0: "today, ", 1: "yesterday, ", -1: "tomorrow, "}
    if days in names:
        return f"{names[days]}{local:%H:%M}"
    year = "" if abs(days) < 300 else f" {local:%Y}"
    return f"{local.day} {local:%B}{year}, {local:%H:%M}"
