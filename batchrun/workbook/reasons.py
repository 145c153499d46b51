"""Group the reasons why rows need attention, and advise what to do about each. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, assert_never

from batchrun.advice import REUSE_AGE, run_corrected
from batchrun.model import Cause, Outcome, Role
from batchrun.tables.ids import EXAMPLE_ID, DamagedId, IdKind, parse_id
from batchrun.text import one_line
from batchrun.workbook.columns import columns_naming_ids, is_same_name, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchrun.model import BatchResults, BatchSummary, ResultRow

SHEET = "Results"
"""The sheet with one row per row of the list."""

ORDER = (
    Outcome.IN_DOUBT,
    Outcome.FAILED,
    Outcome.REJECTED,
    Outcome.TIMED_OUT,
    Outcome.INVALID,
    Outcome.COMPLETED,
    Outcome.PENDING,
)
"""The order in which rows that need attention are shown: the most urgent first."""

MAX_NAMES = 20_000
"""Results whose names are compared with those of rows that share them."""
MAX_NAME = 50
"""Characters of another row's name to show."""
SAME_ID_AS = "Same ID as row"
"""The beginning of the message of a row that has the result of a row with another name."""
_SHARED = "Same ID as another row, but a different name"

MAX_KINDS = 1_000
"""Reasons to tell apart; further ones are counted together as "other reasons"."""

_VALUE = re.compile(
    r'"[^"]*"'
    r"|“[^”]*”"
    r"|https?://[^\s,;)]+"
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]*\w"
    r"|(?<!HTTP )(?<![\w.-])[\w-]*\d(?:[\w:/-]|[.,](?=\w))*"
)
"""The parts of a reason that vary between rows: quoted values, IDs, addresses, numbers."""

Key: TypeAlias = tuple[Outcome, bool, Cause | None, str]


@dataclass(slots=True)
class Reason:
    """A reason that several rows share, apart from values that vary."""

    outcome: Outcome
    first: ResultRow
    _skeleton: str
    _values: tuple[str | None, ...]
    rows: int = 0

    def see(self, values: tuple[str, ...]) -> None:
        """Count a row."""
        if values != self._values:
            both = zip(self._values, values, strict=True)
            self._values = tuple(one if one == other else None for one, other in both)
        self.rows += 1

    @property
    def varies(self) -> bool:
        """Whether any value differs between rows."""
        return None in self._values

    @property
    def text(self) -> str:
        """The reason; "…" stands for a value that differs between rows."""
        values = iter(self._values)
        return re.sub("\0", lambda _: next(values) or "…", self._skeleton)

    def value_in(self, message: str) -> str:
        """Return the values in one row's message that differ between rows."""
        found = _VALUE.findall(message)
        both = zip(found, self._values, strict=False)
        return ", ".join(each.strip('"“”') for each, constant in both if constant is None)


class Reasons:
    """The kinds of reasons in a batch: call `see` for each row that needs attention."""

    def __init__(self) -> None:
        self._kinds: dict[Key, Reason] = {}
        self.others = 0  # number of rows whose reason is beyond `MAX_KINDS`

    def see(self, row: ResultRow) -> None:
        """Count a row."""
        key, values = _key(row)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MAX_KINDS:
                self.others += 1
                return
            kind = self._kinds[key] = Reason(row.outcome, row, key[-1], values)
        kind.see(values)

    def of(self, row: ResultRow) -> Reason | None:
        """Return the kind of a row's reason; ``None`` if it is not told apart."""
        return self._kinds.get(_key(row)[0])

    def ranked(self) -> list[Reason]:
        """Return the kinds by outcome, the most frequent first."""
        kinds = self._kinds.values()
        return sorted(kinds, key=lambda kind: (ORDER.index(kind.outcome), -kind.rows))


def _key(row: ResultRow) -> tuple[Key, tuple[str, ...]]:
    completed = row.outcome is Outcome.COMPLETED
    message = _SHARED if completed else (row.message or row.outcome.value).replace("\0", " ")
    values = tuple(_VALUE.findall(message))
    skeleton = _VALUE.sub("\0", message) if values else message
    return (row.outcome, row.dropped, row.cause, skeleton), values


OPEN_RUN = "On the page, open this run"
_ASK = "Ask the person who ran this list"


class Step(Enum):
    """What to do next: a command, a choice on the page, and advice for people without access."""

    CORRECT = "run", "", "Then give the corrected list to the person who ran it."
    DECIDE = "resume", "decide about its rows in doubt", f"{_ASK} to look it up."
    DOWNLOAD = "export", "“Download workbook”", f"{_ASK} for a newer file."
    RESUME = "resume", "“Continue” or “Run the rest”", f"{_ASK} for a newer file."
    RETRY = (
        "retry",
        "“See the rows that need attention”, then “Send again”",
        f"{_ASK} to retry these rows.",
    )
    RUN_MARKED = "run THIS_FILE", "drop this workbook on the page", ""

    def __init__(self, command: str, on_page: str, asking: str) -> None:
        self.command, self.on_page, self.asking = command, on_page, asking


@dataclass(frozen=True, slots=True)
class Commands:
    """Describes next steps as commands for the user's shell, or as choices on the page."""

    program: str = "batchrun"  # the command that runs batchrun
    # The option that selects the journal, such as `--sandbox`; "" for the default
    options: str = ""
    on_page: bool = False

    def __call__(self, step: Step, *words: str) -> str:
        """Return what to do; the words follow the name of the command."""
        if self.on_page:
            return step.on_page
        return " ".join(filter(None, (self.program, step.command, *words, self.options)))

    def run_corrected(self, file: str, summary: BatchSummary) -> str:
        """Return how to run a corrected list; without reuse, you pay for every row again."""
        if self.on_page:
            return "drop the corrected list on the page with “Reuse earlier results” (More options)"
        command = run_corrected(file, summary).removeprefix("batchrun")
        return f"{self.program}{command} {self.options}".strip()


def list_name(summary: BatchSummary) -> str:
    """Return the name of a list for a command; ``FILE`` for a DataFrame."""
    return "FILE" if summary.source.format == "dataframe" else summary.source.name


_ID = {Role.COMPANY: "company ID", Role.CONTACT: "contact ID"}
_OTHER_IDS = {
    IdKind.SALESFORCE, IdKind.HUBSPOT, IdKind.NUMBER, IdKind.EMAIL, IdKind.DOMAIN, IdKind.ADDRESS,
}  # fmt: skip
_OTHER_ID = f"This is another kind of ID. Put PG:AI's {{id}} there, such as {EXAMPLE_ID}."
_SOURCES = "from PG:AI, or from your CRM if it has a field for PG:AI's IDs"
_CORRECTIONS: Mapping[IdKind, str] = {
    IdKind.SCIENTIFIC: "Export the list again, and open it with this column as text.",
    IdKind.FORMULA_ERROR: "Repair the formula in the list.",
    IdKind.TRUNCATED: f"Copy the whole ID {_SOURCES}.",
    IdKind.MISTYPED: f"Copy the ID {_SOURCES}.",
    IdKind.PLACEHOLDER: "Replace the placeholder with the {id}, or delete the row.",
    IdKind.SEVERAL: "Leave one ID in the cell. Give every other ID a row of its own.",
}
_ABOUT_CAUSE: Mapping[Cause | None, str] = {
    Cause.NO_ACCESS: "Ask your PG:AI administrator for access to this workflow and these records.",
    Cause.NO_CREDITS: "The credits are used up. Ask your PG:AI administrator for more.",
    Cause.UNKNOWN_RECORD: "PG:AI does not know this record. Check that the ID is right and of this "
    "workspace, and correct it.",
    Cause.NOT_REACHED: "The request did not get through to PG:AI. Ask your IT about the address or "
    "the proxy.",
    Cause.BAD_VALUES: "PG:AI does not accept the values of this row. Read the reason.",
    Cause.TEMPORARY: "This kind of failure is usually temporary: a retry often helps.",
    Cause.NOTHING_PUBLISHED: "There is nothing to correct: a retry helps only later, when more is "
    "published.",
    Cause.INCOMPLETE_RECORD: "Its owner completes the record in the CRM, such as its name and "
    "domain: a retry helps only then.",
}
_RETRY_ONCE = (
    "Retry once. If it fails again, show the reason to the owner of the workflow in PG:AI."
)
_IN_LIST = frozenset({Cause.UNKNOWN_RECORD, Cause.BAD_VALUES})
"""Causes to remove in the list, before a rejected row is sent again."""


_PLAIN_WORDS = (
    (r"^triggered; its result has not been collected yet", "sent; its result is not here yet"),
    (r"\bthe trigger is on its way", "it is being sent"),
    (r"\bthe trigger was being sent", "it was being sent"),
)
_FOR_PEOPLE = (
    (r"\bHTTP \d{3}: ", ""),
    (r" \(\d+ characters\)", ""),
    (r" from batch \S+(?=;)", ""),
)


def message_for_people(message: str) -> str:
    """Return a message of ours without options, batch IDs, and technical terms."""
    return _reworded(message, _FOR_PEOPLE + _PLAIN_WORDS)


@lru_cache(maxsize=10_000)
def _reworded(message: str, words: tuple[tuple[str, str], ...]) -> str:
    for pattern, instead in words:
        message = re.sub(pattern, instead, message)
    return message


class FirstRows:
    """Tells the first row of each job from those that share its result, in input order."""

    def __init__(self) -> None:
        self._seen = bytearray()  # for each job, whether it has been seen

    def has(self, row: ResultRow) -> bool:
        """Whether a row is the first of its job, or has none."""
        if row.job is None:
            return True
        self._seen.extend(bytes(max(0, row.job + 1 - len(self._seen))))
        seen, self._seen[row.job] = self._seen[row.job], 1
        return not seen


class RowsToShow:
    """The rows of a batch, with our own messages in the workbook's words; for people, the plainest.

    If a row has the ID of a row above it whose name is different, one of the two IDs may be wrong:
    its message says so.
    """

    def __init__(self, results: BatchResults, *, for_people: bool) -> None:
        self._rows = results.rows
        self._for_people = _FOR_PEOPLE if for_people else ()
        self._names = columns_naming_ids(results.header, results.roles)

    def __iter__(self) -> Iterator[ResultRow]:
        first: dict[tuple[str | None, str | None], tuple[int, str]] = {}
        for number, row in enumerate(self._rows):
            message, other_name = row.message, False
            if message:
                # A message with words of the service, such as an error code, can be searched for.
                of_service = row.outcome in {Outcome.FAILED, Outcome.REJECTED} or "HTTP " in message
                plain = () if of_service else _PLAIN_WORDS
                message = _reworded(message, self._for_people + plain)
            named = self._names and row.outcome is Outcome.COMPLETED
            if named and (name := name_of(row.row.cells, self._names)):
                ids = row.company_id, row.contact_id
                at, above = first.get(ids, (-1, name))
                if at < 0 and len(first) < MAX_NAMES:
                    first[ids] = number, name
                if other_name := at >= 0 and not is_same_name(above, name):
                    of_other = f"{SAME_ID_AS} {at + 2:,}, {one_line(above, MAX_NAME)}"
                    message = f"{of_other}; {message}" if message else of_other
            changed = other_name or message != row.message
            yield replace(row, message=message, other_name=other_name) if changed else row


def needs_attention(row: ResultRow) -> bool:
    """Whether a row of `RowsToShow` has no result, or one that may be another company's."""
    return row.outcome is not Outcome.COMPLETED or row.other_name


def advice(
    row: ResultRow, roles: Mapping[Role, int], summary: BatchSummary, commands: Commands | None
) -> str:
    """Return what to do about a row and all others with the same kind of reason.

    Readers who don't run batchrun get no ``commands``.
    """
    what, step = _what_and_step(row, roles, summary, exact=commands is not None)
    if commands is None:
        return f"{what} {step.asking}".rstrip()
    if commands.on_page and step not in {Step.RUN_MARKED, Step.CORRECT}:
        what += f"\n{OPEN_RUN}."
    return "\n".join((what, *_lines_about(step, row.outcome, summary, commands)))


def remedy(row: ResultRow, roles: Mapping[Role, int], summary: BatchSummary) -> str:
    """Return what to do about a row, without commands."""
    return _what_and_step(row, roles, summary, exact=False)[0]


def _lines_about(
    step: Step, outcome: Outcome, summary: BatchSummary, call: Commands
) -> Iterator[str]:
    """Yield the ways to do a step, each with its purpose."""
    batch = summary.batch_id
    free = f"you don't pay again for results of the last {REUSE_AGE.days} days"
    marking = f'type x under "run again" on {SHEET}, save, then: {call(Step.RUN_MARKED)}'
    match step:
        case Step.RETRY:
            yield f"Retry all {outcome} rows: {call(step, batch, f'--outcome {outcome}')}"
            yield f"Retry individual rows: {marking}"
        case Step.RESUME:
            yield f"Resume: {call(step, batch)}"
        case Step.DECIDE:
            yield f"Check in PG:AI whether it ran, then decide: {call(step, batch)}"
        case Step.CORRECT:
            then = call.run_corrected(list_name(summary), summary)
            on_page = f"Then {then}: {free}"
            yield on_page if call.on_page else f"Then, in the folder of the list ({free}): {then}"
        case Step.RUN_MARKED:
            yield f"To send it after all, and perhaps pay twice: {marking}"
        case Step.DOWNLOAD:
            pass


def _what_and_step(  # noqa: PLR0911  # one for each outcome
    row: ResultRow, roles: Mapping[Role, int], summary: BatchSummary, *, exact: bool
) -> tuple[str, Step]:
    """Return what to do in plain words, and the next step; ``exact`` also says the hour."""
    match row.outcome:
        case Outcome.COMPLETED:
            what = "Compare them with the CRM, and correct the list."
            return f"One of the rows may have the wrong ID. {what}", Step.CORRECT
        case Outcome.IN_DOUBT if row.dropped:
            return "Nothing to do: you decided to leave it.", Step.RUN_MARKED
        case Outcome.IN_DOUBT:
            return (
                "It may have been researched and paid for, so batchrun never sends it again "
                "automatically."
            ), Step.DECIDE
        case Outcome.FAILED:
            return _ABOUT_CAUSE.get(row.cause, _RETRY_ONCE), Step.RETRY
        case Outcome.REJECTED:
            what = _ABOUT_CAUSE.get(row.cause, "Read the reason and remove the cause.")
            return what, Step.CORRECT if row.cause in _IN_LIST else Step.RETRY
        case Outcome.TIMED_OUT:
            return "Its result may still arrive, and costs nothing more.", Step.RESUME
        case Outcome.PENDING:
            return _about_waiting(row, summary, exact=exact), Step.RESUME
        case Outcome.INVALID:
            return _about_ids(row, roles), Step.CORRECT
        case _:
            assert_never(row.outcome)


def _about_waiting(row: ResultRow, summary: BatchSummary, *, exact: bool) -> str:
    if row.execution_id is not None:
        return "It is being researched; its result is not here yet."
    if row.cause is not None:
        return _ABOUT_CAUSE[row.cause]
    if summary.resume_at is not None:
        when = f"{summary.resume_at:{'%Y-%m-%d %H:%M UTC' if exact else '%Y-%m-%d'}}"
        return f"Wait until the quota opens again: {when}."
    return "It has not been sent yet."


def _about_ids(row: ResultRow, roles: Mapping[Role, int]) -> str:
    for role, column in roles.items():
        found = parse_id(row.row.cells[column])
        if isinstance(found, DamagedId):
            what = _OTHER_ID if found.kind in _OTHER_IDS else "Correct the {id}."
            return _CORRECTIONS.get(found.kind, what).format(id=_ID[role])
    if row.company_id is None and row.contact_id is None:
        wanted = " or ".join(_ID[role] for role in roles) or "ID"
        return f"Add the {wanted}."
    return "Correct the value that the reason names."
