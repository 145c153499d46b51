"""Texts as the page shows them: messages in the page's own terms, times on one line.

The library's messages name options and commands of the command line. The page has controls for
them, so `in_page_words` names those instead. Pure.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from batchrun.errors import KeyRefusedError
from batchrun.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batchrun.errors import BatchrunError

MAX_CELL_CHARACTERS = 300
QUOTES = "'\""


class Control(NamedTuple):
    """A control on a list's screen: its label, and its element ID."""

    label: str
    id: str


CONTROLS = {
    "again": Control("Run everything again", "again"),
    "company-column": Control("Company ID", "company_column"),
    "contact-column": Control("Contact ID", "contact_column"),
    "delimiter": Control("Columns are separated by", "delimiter"),
    "encoding": Control("Encoding", "encoding"),
    "header-row": Control("Column names in line", "header_row"),
    "lenient-ids": Control("Also send IDs that don't look like PG:AI IDs (UUIDs)", "lenient_ids"),
    "no-company": Control("Company ID: send none", "company_column"),
    "no-contact": Control("Contact ID: send none", "contact_column"),
    "no-header": Control("The list has no column names", "no_header"),
    "param": Control("Parameters", "parameters"),
    "param-column": Control("Parameters", "parameters"),
    "quoting": Control("Quotes are ordinary characters", "quoting"),
    "reuse": Control("Reuse earlier results", "reuse"),
    "sheet": Control("Sheet", "sheet"),
    "visible-only": Control("Leave out hidden rows", "visible_only"),
    "workflow": Control("Workflow", "workflow"),
}
"""The control for each command-line option."""

_PLACES = {
    "batches": "Lists",
    "login": "Settings",
    "logout": "Settings",
    "run": "Lists",
    "status": "Lists",
    "workflows": "Workflow",
}
_BUTTONS = {
    "check": "Check the list",
    "demo": "Use a sample list",
    "export": "Download workbook",
    "forget": "Forget this run",
    "resume": "Continue",
    "retry": "Send again",
    "sandbox": "Practice without a key",
}
"""The button for each command, and where it is on the page."""

_INSTEAD = (
    (r"run the list itself", "Drop the list itself under “Lists”."),
    (r"--journal|BATCHRUN_JOURNAL", "Close batchrun, then start it with another journal."),
    (r"batchrun resume \S+ --profile", "Save the key it was started with under “Settings”."),
    (r"--profile|--base-url|_BASE_URL to", "Check the key and its address under “Settings”."),
    (r"--no-check", "Try again later."),
    (r"PGAI_API_KEY works|PGAI_API_KEY or", "Ask the person who looks after this computer."),
    (r"PG:AI: batchrun login", "For PG:AI, save your key under “Settings”."),
    (r"batchrun run FILE --sandbox", "To try without a key, choose “Practice without a key”."),
    (r"batchrun run FILE -w", "Drop a list under “Lists”."),
    (r"batchrun run (?:THIS_FILE|\S+\.xlsx)", "Save the workbook and drop it under “Lists”."),
    (r"--only|batchrun export \S+ -o fix", "Download the rows without a result and correct them."),
)  # fmt: skip
"""Things without a control on the page: a pattern, and the sentence to use instead."""

_PLAIN = (
    (r" add “|(?<=then) run: “", " choose “"),
    (r"(?<!\()(?<!\(a )\bUUID(s?)\b", r"PG:AI ID\1 (UUID\1)"),
    (r"hexadecimal \(0-9, a-f\)", "one of 0-9 and a-f"),
    (r"hexadecimal digits", "digits and letters (0-9, a-f)"),
    (r" \(cp1252\)", ""),
    (r"\btrigger(ed)?\b", lambda found: "sent" if found[1] else "send"),
    (r"lacks the scope (\S+?)(?=[\s.]|$)", r"lacks a permission (scope \1)"),
)
"""The command line's technical terms, and the words for people who know a spreadsheet program."""

_DROPPED = re.compile(
    r" \(BATCHRUN_\w+\)"
    r"|,? or (?:in|set the environment variable) PGAI_API_KEY( where you use that)?"
)
_OPTION = re.compile(
    rf"(?<![\w-])--(?P<name>{'|'.join(CONTROLS)})(?![\w-])"
    r"(?: (?P<value>\d+\w*|'[^']*'|\"[^\"]*\"|literal\b)"
    r"|(?<=--sheet) (?P<sheet>(?!reads\b)[^\s.;,]+))?"
)
_ARGUMENT = (
    r"""(?: (?:-{1,2}[a-z][a-z-]*|[A-Z][A-Z_]+|'[^']*'|"[^"]*"|[^\s.,;:]*\d[^\s.,;:]*)(?:\.\w+)?)"""
)
_COMMAND = re.compile(
    r"(?P<with>\bwith:? )?(?<!\w)batchrun "
    rf"(?P<name>{'|'.join([*_PLACES, *_BUTTONS])})\b{_ARGUMENT}*"
)
_FOREIGN = re.compile(r"(?<![\w-])--?[a-z][a-z-]+(?![\w-])|BATCHRUN_[A-Z]|batchrun\.toml")
"""References to the command line that remain; hints drop sentences with any of them."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z“])")


def in_page_words(text: str) -> str:
    """Replace command-line options and commands in a message with the page's controls."""
    text = re.sub(r"(?<![\w-])-w(?![\w-])", "--workflow", text)
    text = _COMMAND.sub(_button, _OPTION.sub(_control, _DROPPED.sub("", text)))
    for pattern, instead in _PLAIN:
        text = re.sub(pattern, instead, text)
    return visible(text)


def _control(found: re.Match[str]) -> str:
    label, value = CONTROLS[found["name"]].label, found["value"] or found["sheet"]
    if value is None or value == "literal":
        return f"“{label}”"
    return f"“{label}: {value.strip(QUOTES)}”"


def _button(found: re.Match[str]) -> str:
    place = _PLACES.get(found["name"])
    name = f"“{place or _BUTTONS[found['name']]}”"
    return f"{'under' if place else 'with'} {name}" if found["with"] else name


def hint_on_page(error: BatchrunError) -> str:
    """Return an error's hint for the page: terminal-only advice is replaced or dropped."""
    if isinstance(error, KeyRefusedError):
        return "Save a key that may do this under “Settings”."
    sentences = filter(None, map(_sentence_on_page, _SENTENCE_END.split(error.hint)))
    return " ".join(dict.fromkeys(sentences))


def _sentence_on_page(sentence: str) -> str:
    for pattern, instead in _INSTEAD:
        if re.search(pattern, sentence):
            return instead
    shown = in_page_words(sentence)
    return "" if _FOREIGN.search(shown) else shown


def controls_named(texts: Iterable[str]) -> list[Control]:
    """Return the controls that messages name, each once."""
    found = (CONTROLS[each["name"]] for text in texts for each in _OPTION.finditer(text))
    return list(dict.fromkeys(found))


def sentence(text: str) -> str:
    """Capitalize the first letter of a text, unless it starts with a file name."""
    first = text.split(" ", 1)[0].rstrip(".,;:")
    return text if "." in first or "_" in first else text[:1].upper() + text[1:]


def without_option(notice: str) -> str:
    """Return a notice without the clause that names an option: its control is linked beside it."""
    clauses = notice.split(";")
    kept = [each for each in clauses if not _OPTION.search(each)]
    return ";".join(kept) if kept else notice


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
