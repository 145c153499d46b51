"""The content of the screens, as values and words. The templates only lay it out."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import batchrun
from batchrun import BatchSummary, Credits, Estimate, Outcome, Progress, Rerun, estimate, list_rows
from batchrun.batch.pipeline import NOTES
from batchrun.batch.report import compared
from batchrun.engine.engine import Ending
from batchrun.model import Cell, ResultRow, Row
from batchrun.settings.location import service_of
from batchrun.text import duration, listed, plural, visible
from batchrun.web.lists import RESULTS
from batchrun.web.words import moment_words, plain, reason_words, sentence, short, total_words
from batchrun.web.work import FRESH_SECONDS, NAMED_ROWS, BatchRun, ReadList, Workspace
from batchrun.workbook.changes import NEW, Change
from batchrun.workbook.columns import SAMPLED_ROWS, name_of
from batchrun.workbook.markdown import without_heading
from batchrun.workbook.readable import Fields, Names, cell_words
from batchrun.workbook.reasons import Reasons, remedy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from batchrun.batch.history import BatchStatus, RowPage
    from batchrun.list_rows import RowNumbers
    from batchrun.workbook.flatten import Path

ROWS_A_PAGE = 50
COUNTED_SECONDS = 30.0
"""How long to reuse a batch's counts from the journal while its run reports progress."""
SEARCHED_ROWS = 200_000
SEARCHED_AT_ONCE = 5_000
"""Rows to search at once. Longer lists are not searched again with each live update."""
UNLIMITED = 1e9
"""Requests a minute that count as no limit."""
GROUPED_ROWS = 5_000
COMPARED_ROWS = 5_000
"""The most rows to compare with an earlier batch; for longer lists, only the workbook does."""


class Phase(StrEnum):
    """The state that a batch's screen shows."""

    RUNNING = "running"
    STOPPING = "stopping"
    ELSEWHERE = "elsewhere"
    PILOT = "pilot"
    PAUSED = "paused"
    DONE = "done"

    @property
    def live(self) -> bool:
        """Whether it changes without the user doing anything."""
        return self in {Phase.RUNNING, Phase.STOPPING, Phase.ELSEWHERE}

    @property
    def sent_words(self) -> str:
        """The status of rows that were sent and have not ended: a stopped run runs none."""
        return "running" if self in {Phase.RUNNING, Phase.ELSEWHERE} else "no result yet"


@dataclass(frozen=True, slots=True)
class Figures:
    """A run's rows in numbers, which add up to ``rows``; rejected ones count as failed."""

    rows: int
    done: int
    failed: int
    timed_out: int
    in_doubt: int
    invalid: int
    running: int
    waiting: int

    @property
    def ended(self) -> int:
        """Number of rows that were sent and have ended."""
        return self.done + self.failed + self.timed_out + self.in_doubt

    @property
    def words(self) -> str:
        """The progress in words."""
        return f"{self.ended:,} of {plural(self.rows, 'row')} finished"

    @property
    def bars(self) -> list[tuple[str, float, float]]:
        """The parts of the progress bar: kind, start, and width in percent."""
        parts = [
            ("ok", self.done),
            ("bad", self.failed + self.timed_out),
            ("wait", self.in_doubt),
            ("busy", self.running),
            ("rest", self.waiting),
            ("none", self.invalid),
        ]
        found, begin = [], 0.0
        for kind, number in parts:
            width = 100 * number / max(self.rows, 1)
            if number:
                found.append((kind, round(begin, 2), round(width, 2)))
            begin += width
        return found

    def attention(self) -> int:
        """Number of rows that somebody should look at."""
        return self.failed + self.timed_out + self.in_doubt + self.invalid


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch as its screen shows it. Its version changes when anything on the screen does."""

    workspace: Workspace
    summary: BatchSummary
    phase: Phase
    figures: Figures
    status: BatchStatus
    run: BatchRun | None
    seconds_left: float | None
    quota_until: datetime | None
    notice: str
    version: str

    @property
    def done_at(self) -> str:
        """The estimated time when it will be done, in words; ``""`` if not known."""
        if self.seconds_left is None or self.trial or not self.pending:
            return ""
        moment = datetime.now(UTC) + timedelta(seconds=self.seconds_left)
        return moment_words(moment).removeprefix("today, ")

    @property
    def trial(self) -> int:
        """How many rows are being tried before the user decides about the others; 0 for none."""
        return self.run.trial if self.phase.live and self.run is not None else 0

    @property
    def pending(self) -> int:
        """Number of rows that have not ended and can be sent."""
        return self.figures.running + self.figures.waiting

    @property
    def total_words(self) -> str:
        """How the run's rows add up."""
        summary, run = self.summary, self.run
        if self.phase.live and run is not None and run.again:
            return f"{run.again:,} of {plural(self.figures.rows, 'row')} sent again."
        to_send, reused = self.status.left.to_trigger, self.reused
        parts = {"sent or reused": summary.jobs - to_send, "to send": to_send}
        if self.phase.live:  # the journal's count would be old
            parts = {"to send in all": summary.jobs}
        elif reused is not None:
            sent = summary.jobs - to_send - reused
            parts = {"sent": sent, "reused": reused, "to send": to_send}
        return total_words(self.figures.rows, parts, self.duplicates, self.figures.invalid)

    @property
    def reused(self) -> int | None:
        """How many rows without their duplicates have a reused result; ``None`` if not known."""
        if self.summary.reused == self.figures.rows - self.figures.invalid:
            return self.summary.jobs
        return None if self.summary.reused and self.duplicates else self.summary.reused

    @property
    def duplicates(self) -> int:
        """Number of rows that share the result of another."""
        return max(self.figures.rows - self.figures.invalid - self.summary.jobs, 0)

    @property
    def unsent(self) -> int:
        """How many rows this run has still to send."""
        if self.trial:
            return self.trial - (self.figures.ended + self.figures.running)
        return self.figures.waiting

    @property
    def can_stop(self) -> bool:
        """Whether there is anything to stop: rows to send or to collect."""
        progress = None if self.run is None else self.run.progress
        stopped = progress is not None and progress.stopped_because  # such as by failures
        left = self.unsent > 0 or self.figures.running > 0
        return self.phase is Phase.RUNNING and left and not stopped

    @property
    def accepted(self) -> int | None:
        """How often rows were sent and accepted; ``None`` if uncertain."""
        summary, run = self.summary, self.run
        if (
            run is None
            or run.requests != summary.requests  # another run may have sent some, too
            or (summary.reused and not run.reused)
            or summary.counts[Outcome.REJECTED]
            or summary.counts[Outcome.IN_DOUBT]
        ):
            return None
        to_trigger = self.status.left.to_trigger
        return summary.jobs - run.reused - to_trigger + run.again_in_all

    @property
    def about(self) -> str:
        """``""`` if the cost of a row in this run was measured, else ``"about"``."""
        return "" if self.run is not None and self.run.price is not None else "about"

    @property
    def price(self) -> Mapping[str, float] | None:
        """What a row costs, in this run or last time; ``None`` if that is unknown."""
        measured = None if self.run is None else self.run.price
        return measured or self.workspace.lists.price(self.summary.workflow.id)

    def rows(
        self, outcomes: Collection[Outcome] | None = None, *, offset: int = 0, limit: int
    ) -> RowPage:
        """Return some of its rows, with these outcomes."""
        batch_id, settings = self.summary.batch_id, self.workspace.settings
        return batchrun.rows(batch_id, outcomes, offset=offset, limit=limit, settings=settings)

    @property
    def title(self) -> str:
        """The title of the browser window."""
        figures = self.figures
        if self.phase.live:
            return f"{figures.ended:,} of {figures.rows:,}"
        return self.summary.source.name


def view_batch(workspace: Workspace, batch_id: str) -> BatchView:
    """Return the current view of a batch.

    Raises:
        JournalError: There is no such batch.
    """
    run = workspace.run_of(batch_id)
    active = None if run is None or run.ended else run
    progress = None if active is None else active.progress
    status = workspace.status(batch_id, COUNTED_SECONDS if progress else FRESH_SECONDS)
    if active is None and status.working and run is not None:
        status = workspace.status(batch_id, 0)  # it has just ended
    phase = _phase(status, active)
    seconds_left = quota_until = None
    speed = workspace.settings.speed
    if progress is not None:
        seconds_left = progress.seconds_left / speed or None
        if progress.waiting_seconds / speed > 1:
            wait = timedelta(seconds=progress.waiting_seconds / speed)
            quota_until = datetime.now(UTC) + wait
    if run is not None:
        version = f"{id(run):x}.{run.version}"
    else:
        left, summary = status.left, status.summary
        version = f"{summary.updated_at.timestamp()}.{summary.requests}.{left.to_trigger}"
    return BatchView(
        workspace,
        status.summary,
        phase,
        _figures(status, progress),
        status,
        run,
        seconds_left,
        quota_until,
        "" if active is None else active.notice,
        f"{version}.{phase.value}",
    )


def _phase(status: BatchStatus, active: BatchRun | None) -> Phase:
    if active is not None:
        return Phase.STOPPING if active.control.stopped else Phase.RUNNING
    if status.working:
        return Phase.ELSEWHERE
    if status.summary.unfinished:
        failed = status.summary.note.startswith(NOTES[Ending.FAILURES])
        return Phase.PILOT if status.to_confirm and not failed else Phase.PAUSED
    return Phase.DONE


def _figures(status: BatchStatus, progress: Progress | None) -> Figures:
    summary, left = status.summary, status.left
    counts: Mapping[Outcome, int] = summary.counts
    running = left.running_rows
    if progress is not None:
        counts, running = progress.counts, progress.running_rows
    pending = counts[Outcome.PENDING]
    running = min(running, pending)
    return Figures(
        rows=summary.rows,
        done=counts[Outcome.COMPLETED],
        failed=counts[Outcome.FAILED] + counts[Outcome.REJECTED],
        timed_out=counts[Outcome.TIMED_OUT],
        in_doubt=counts[Outcome.IN_DOUBT],
        invalid=counts[Outcome.INVALID],
        running=running,
        waiting=pending - running,
    )


# home and lists


@dataclass(frozen=True, slots=True)
class HomeLine:
    """A list or a batch on the home screen: what it is, how it stands, and what to do next.

    ``tag`` is a kind and words. ``action`` is the label of the button that leads to ``path``;
    ``""`` for none. ``other`` is the label and the path of another link.
    """

    name: str
    detail: str
    path: str
    tag: tuple[str, str] | None
    words: str
    action: str
    other: tuple[str, str] | None


def home_of(workspace: Workspace) -> dict[str, list[HomeLine]]:
    """Return the lists and batches by section, those that need a decision first."""
    sections = "Needs a decision", "Running", "Not run yet", "Can't be read", "Already run"
    home: dict[str, list[HomeLine]] = {section: [] for section in sections}
    summaries = workspace.batches()
    for summary in summaries:
        section, line = _home_batch(workspace, summary)
        home[section].append(line)
    used = {summary.source.path for summary in summaries}
    by_id = {summary.batch_id: summary for summary in summaries}
    unused = [
        one
        for one in workspace.lists.all()
        if str(one.path.absolute()) not in used and not one.batch_id
    ]
    names = [one.path.name for one in unused]
    for at, (one, name) in enumerate(zip(unused, names, strict=True)):
        state, path, copies = workspace.states.get(one.id), f"/lists/{one.id}", names.count(name)
        copy = f"copy {names[at:].count(name)} of {copies} · " if copies > 1 else ""
        rows = f"{plural(state.read.rows, 'row')} · " if state and state.read else ""
        detail = f"{copy}{rows}uploaded {moment_words(one.uploaded_at)}"
        section, tag = "Can't be read" if one.refused else "Not run yet", None
        if one.ran_as in by_id:
            section = "Already run"
            started = by_id[one.ran_as].unfinished
            tag = ("wait", "You started this list") if started else ("ok", "You ran these rows")
        elif one.ran_as == RESULTS:
            section, tag = "Already run", ("ok", "Results of a run")
        remove = "Remove", f"{path}/delete"
        home[section].append(HomeLine(name, detail, path, tag, one.refused, "Open", remove))
    return home


def _home_batch(workspace: Workspace, summary: BatchSummary) -> tuple[str, HomeLine]:
    """Return a batch's section on the home screen, and its line there."""
    path, run = f"/batches/{summary.batch_id}", workspace.run_of(summary.batch_id)
    detail = f"{summary.workflow.name} · {moment_words(summary.created_at)}"
    line = HomeLine(summary.source.name, detail, path, None, "", "", None)
    download = "Download workbook", f"{path}/download"
    ran = "Already run", replace(line, words=_result_words(summary), other=download)
    settled = not (summary.unfinished or summary.counts[Outcome.IN_DOUBT])
    if settled and (run is None or run.ended):
        return ran
    view = view_batch(workspace, summary.batch_id)
    if view.phase.live:
        words = view.figures.words + (f", ends at about {view.done_at}" if view.done_at else "")
        where = "Running" if view.phase is not Phase.ELSEWHERE else "Running in a terminal"
        return "Running", replace(line, tag=("busy", where), words=words, action="Watch")
    if view.status.in_doubt:
        waiting = view.figures.waiting
        return "Needs a decision", replace(
            line,
            path=f"{path}/attention",
            tag=("wait", f"{len(view.status.in_doubt):,} in doubt"),
            words="No clear answer came when they were sent. They may have been accepted."
            + (f" {plural(waiting, 'row')} not sent yet." if waiting else ""),
            action="Decide",
        )
    if view.phase is Phase.DONE:
        return ran
    sent = summary.jobs - view.status.left.to_trigger
    tried = "First rows" if view.reused is None else f"First {sent - view.reused:,}"
    tag = "wait", f"{tried} tried" if view.phase is Phase.PILOT else "Stopped"
    return "Needs a decision", replace(line, tag=tag, words=ended_words(view), action="Open")


def _result_words(summary: BatchSummary) -> str:
    counts = summary.counts
    numbers = {
        "completed": counts[Outcome.COMPLETED],
        "failed": counts[Outcome.FAILED] + counts[Outcome.REJECTED],
        "in doubt": counts[Outcome.IN_DOUBT],
    }
    return total_words(summary.rows, numbers, 0, counts[Outcome.INVALID]).removesuffix(".")


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """A column in a select element: its value and its name, and what it contains.

    ``holds`` counts its IDs, ``others`` its other cells, ``sample`` is one of its IDs; all are
    ``""`` for a column that can't contain IDs. ``sent`` says whether its IDs are sent.
    """

    value: str
    name: str
    holds: str
    others: str
    sample: str
    sent: bool


def column_choices(read: ReadList) -> list[ColumnChoice]:
    """Return the columns of a list, with a description of those that may contain IDs."""
    contents = {each.position: each for each in read.columns}
    counts = Counter(read.header)
    found = []
    for at, header in enumerate(read.header):
        name = cell_words(header)
        alone = counts[header] == 1 and name and not header.strip().isdecimal()
        value = header if alone else str(at + 1)
        own, sent = contents.get(at), at in read.roles.values()
        holds = others = sample = ""
        if own is not None:
            holds = f"{own.uuids:,} of {read.rows:,} are PG:AI IDs"
            others = plain(replace(own, uuids=0).words)
            sample = own.samples[0] if own.uuids else ""
        found.append(ColumnChoice(value, name or f"Column {at + 1}", holds, others, sample, sent))
    return found


def parameter_rows(choices: batchrun.Request) -> list[tuple[str, str, str]]:
    """Return the parameters for the form (name, column, value), followed by two empty ones."""
    rows = [
        (name, "", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in choices.parameters.items()
    ]
    rows += [(name, column, "") for name, column in choices.parameter_columns.items()]
    return [*rows, *[("", "", "")] * 2]


def body_fields(body: str) -> list[tuple[str, str]]:
    """Return the names and values of what is sent for a row, those of objects in it one by one."""
    titles = {"company_id": "Company ID", "contact_id": "Contact ID"}
    found = []
    for name, value in json.loads(body).items():
        if name == "workflow_id":  # its name is shown
            continue
        inner = value.items() if isinstance(value, dict) else [(titles.get(name, name), value)]
        found += [
            (key, one if isinstance(one, str) else json.dumps(one, ensure_ascii=False))
            for key, one in inner
        ]
    return found


def sandbox_gone(view: BatchView) -> bool:
    """Whether a batch ran in a sandbox that has ended, so that it can't continue."""
    own, now = view.summary.base_url, view.workspace.settings.base_url
    return view.workspace.sandbox and service_of(own) != service_of(now)


# rows

FILTERS: dict[str, tuple[str, frozenset[Outcome] | None]] = {
    "all": ("All rows", None),
    "done": ("Completed", frozenset({Outcome.COMPLETED})),
    "failed": ("Failed", frozenset({Outcome.FAILED, Outcome.REJECTED, Outcome.TIMED_OUT})),
    "doubt": ("In doubt", frozenset({Outcome.IN_DOUBT})),
    "problems": (
        "Failed or in doubt",
        frozenset({Outcome.FAILED, Outcome.REJECTED, Outcome.TIMED_OUT, Outcome.IN_DOUBT}),
    ),
    "waiting": ("Without a result yet", frozenset({Outcome.PENDING})),
    "invalid": ("Can't be sent", frozenset({Outcome.INVALID})),
    "duplicates": ("Duplicates", None),
}


@dataclass(frozen=True, slots=True)
class RowTable:
    """One page of a batch's rows, and what is needed to show them.

    ``columns`` are the fields worth a column, each with its title. ``first_lines``: line of a
    duplicate → line of the first row with its ID. ``total`` is ``None`` if not counted.
    """

    rows: Sequence[ResultRow]
    names: Names
    fields: Fields
    columns: Sequence[tuple[Path, str]]
    numbers: RowNumbers
    first_lines: Mapping[int, int]
    show: str
    find: str
    page: int
    first: int
    total: int | None
    more: bool


def table_of(view: BatchView, show: str = "all", find: str = "", page: int = 1) -> RowTable:
    """Return the rows of a batch for one page of the table."""
    show = show if show in FILTERS else "all"
    outcomes, offset = FILTERS[show][1], (page - 1) * ROWS_A_PAGE
    total: int | None = None
    first_lines = view.workspace.first_lines(view.summary.batch_id)
    if find or show == "duplicates":
        among = first_lines if show == "duplicates" else None
        found = _found(view, outcomes, find.casefold(), offset, among)
    else:
        counts = view.summary.counts
        if outcomes is None:
            total = view.figures.rows
        elif not view.phase.live:
            total = sum(counts[outcome] for outcome in outcomes)
        found = view.rows(outcomes, offset=offset, limit=ROWS_A_PAGE + 1)
    sample = view.rows({Outcome.COMPLETED}, limit=SAMPLED_ROWS)
    rows = found.rows[:ROWS_A_PAGE]
    fields = Fields([*sample.rows, *rows], found.header)
    return RowTable(
        rows,
        names_of(view),
        fields,
        fields.main_fields(),
        view.workspace.numbers(view.summary.batch_id),
        first_lines,
        show,
        find,
        page,
        offset + 1,
        total,
        len(found.rows) > ROWS_A_PAGE,
    )


def _found(
    view: BatchView,
    outcomes: frozenset[Outcome] | None,
    find: str,
    offset: int,
    among: Collection[int] | None,
) -> RowPage:
    """Return the rows with a text in their cells, on one of the lines if they are given."""
    matches: list[ResultRow] = []
    wanted = offset + ROWS_A_PAGE + 1
    at = 0
    while True:
        page = view.rows(outcomes, offset=at, limit=SEARCHED_AT_ONCE)
        for row in page.rows:
            if among is not None and row.row.line not in among:
                continue
            cells = (str(cell) for cell in row.row.cells if cell is not None)
            if any(find in cell.casefold() for cell in cells):
                matches.append(row)
        at += SEARCHED_AT_ONCE
        if len(matches) >= wanted or len(page.rows) < SEARCHED_AT_ONCE or at >= SEARCHED_ROWS:
            return batchrun.RowPage(page.header, page.roles, tuple(matches[offset:wanted]))


_TAGS = {
    Outcome.COMPLETED: ("ok", "Completed"),
    Outcome.FAILED: ("bad", "Failed"),
    Outcome.REJECTED: ("bad", "Rejected"),
    Outcome.INVALID: ("bad", "Can't be sent"),
    Outcome.TIMED_OUT: ("wait", "Timed out"),
    Outcome.IN_DOUBT: ("wait", "In doubt"),
}


class Findings(NamedTuple):
    """What is noteworthy about the results of a ``version`` of a batch that has ended.

    ``since`` names the earlier results, ``""`` for none; ``changes`` are in a list for each row;
    ``new`` counts the rows that had no result then. ``other_names`` is as in `other_names_in`.
    """

    version: str = ""
    since: str = ""
    changes: Sequence[Sequence[Change]] = ()
    new: int = 0
    other_names: Sequence[tuple[int, str, int, str]] = ()


def findings_of(view: BatchView) -> Findings:
    """Return what is noteworthy about a batch's results; nothing for one that has not ended."""
    if view.phase is not Phase.DONE:
        return Findings()
    workspace, batch_id, since = view.workspace, view.summary.batch_id, ""
    found = workspace.findings.get(batch_id, Findings())
    if found.version != view.version:
        compare = "auto" if view.figures.rows <= COMPARED_ROWS else "off"
        with compared(workspace.settings.journal, batch_id, compare) as (results, comparison):
            marks = Counter[str]() if comparison is None else comparison.marks_counted
            changed = () if comparison is None else comparison.changes()
            changes = [[*of_row] for _, of_row in groupby(changed, attrgetter("number"))]
            if results.earlier is not None and marks.keys() - {NEW}:
                several = len(results.earlier.batch_ids) > 1
                run = f"the run of {moment_words(results.earlier.created_at)}"
                since = "the last results" if several else run
            few = view.figures.rows <= list_rows.COMPARED_ROWS
            others = list_rows.other_names_in(results) if few else []
        found = Findings(view.version, since, changes, marks[NEW], others)
        workspace.findings[batch_id] = found
    return found


def names_of(view: BatchView) -> Names:
    """Return the names of a batch's rows."""
    first = view.rows(limit=SAMPLED_ROWS)
    return Names(first.header, first.roles, first.rows)


def tag_of(row: ResultRow, phase: Phase) -> tuple[str, str]:
    """Return a row's status in a batch: kind and words."""
    if row.outcome is Outcome.PENDING:
        return ("busy", sentence(phase.sent_words)) if row.execution_id else ("none", "Not sent")
    if row.dropped:
        return "wait", "In doubt, left so"
    if row.sending:
        return "busy", "Sending"
    if row.reused:
        return "ok", "Reused"
    return _TAGS[row.outcome]


def row_message(row: ResultRow) -> str:
    """Return why a row has no result; the service's own words stay unchanged."""
    if row.outcome in {Outcome.COMPLETED, Outcome.PENDING} or row.sending:
        return ""
    if row.outcome is Outcome.INVALID:
        return reason_words(visible(row.message))
    if row.outcome is Outcome.IN_DOUBT:  # the message is about the connection
        return "No clear answer came when it was sent. It may have been accepted."
    return sentence(visible(row.message))


def tried_rows(view: BatchView, most: int) -> Sequence[ResultRow]:
    """Return the first rows that were tried; after a restart, all rows that have ended."""
    if view.run is not None and view.run.report is not None and view.run.report.sent:
        return view.run.report.pilot(most).rows
    ended = set(Outcome) - {Outcome.PENDING, Outcome.INVALID}
    return view.rows(ended, limit=most).rows


# attention


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that need attention for the same kind of reason."""

    tag: str
    reason: str
    advice: str
    rows: Sequence[ResultRow]


def groups_of(view: BatchView, outcomes: Collection[Outcome]) -> list[Group]:
    """Return the rows with these outcomes, grouped by kind of reason."""
    page = view.rows(outcomes, limit=GROUPED_ROWS)
    reasons, of_reason = Reasons(), dict[int, list[ResultRow]]()
    for row in page.rows:
        reasons.see(row)
        of_reason.setdefault(id(reasons.of(row)), []).append(row)
    groups = []
    for reason in reasons.ranked():
        own = of_reason[id(reason)]
        tag, words = tag_of(own[0], view.phase)
        text = row_message(replace(own[0], message=reason.text)) or "No reason was given"
        if reason.outcome in {Outcome.REJECTED, Outcome.TIMED_OUT}:
            text = f"{words}: {text}"
        if reason.varies:
            text += f" (such as {visible(short(reason.value_in(own[0].message)))})"
        groups.append(Group(tag, text, remedy(own[0], page.roles, view.summary), own))
    return groups


def marked_words(rerun: Rerun) -> str:
    """Return the name and line of the first marked rows of a workbook."""
    lines = rerun.lines[:NAMED_ROWS]
    words = [row_words(name, f"{line:,}", "row") for _, line, name in lines]
    return listed(words, NAMED_ROWS, total=rerun.rows)


def rows_words(read: ReadList, rows: Sequence[Row], number: int) -> str:
    """Return the name and line of the first of a number of rows of a list."""
    names, lines = read.names, read.numbers.words
    words = [row_words(name_of(row.cells, names), lines(row.line)) for row in rows[:NAMED_ROWS]]
    return listed(words, NAMED_ROWS, total=number)


def row_words(name: str | None, line: str, what: str = "line") -> str:
    """Return what a row is called: by its name and line, or by its line alone."""
    return f"{cell_words(name)} in {what} {line}" if name else f"{what} {line}"


def workbook_words(view: BatchView) -> str:
    """Return which rows are in the workbook, and how many lines of the file are not."""
    set_aside = ", ".join(view.summary.source.set_aside)
    without = f" Lines of the file that are not rows of the list: {set_aside}." if set_aside else ""
    return f"The workbook has every row that was read, in the same order.{without}"


def result_words(cell: Cell) -> str:
    """Return a cell of a result on one line, without Markdown."""
    return cell_words(without_heading(cell) if isinstance(cell, str) else cell)


def problem_words(figures: Figures) -> str:
    """Return how many rows failed and how many are in doubt, in words; ``""`` if none."""
    failed = figures.failed + figures.timed_out
    words = [plural(failed, "row failed", "rows failed")] if failed else []
    if figures.in_doubt:
        words.append(plural(figures.in_doubt, "row is in doubt", "rows are in doubt"))
    return " and ".join(words)


def without_result_words(figures: Figures) -> str:
    """Return how many rows have no result for which reason, in a sentence."""
    words = [problem_words(figures)] if figures.attention() > figures.invalid else []
    if figures.invalid:
        words.append(f"{plural(figures.invalid, 'row')} can't be sent")
    return f"{', and '.join(words)}."


def time_words(takes: Estimate) -> str:
    """Return how the time of a run adds up, in words; ``""`` if no quota limits it."""
    a_minute = takes.requests_per_minute
    if a_minute > UNLIMITED:
        return ""
    quota = f"PG:AI accepts {plural(int(a_minute), 'request')} a minute"
    if takes.midnights:
        days = plural(takes.midnights, "time")
        daily = f"{takes.daily or 0:,} a day from you, and a row takes two"
        return f": {quota} and {daily}. The run waits for the next day {days}"
    sending = takes.requests / a_minute * 60
    last = duration(takes.seconds - sending)
    why = f"{quota} from you, and a row takes two"
    return f": {duration(sending)} for the requests ({why}), then about {last} for the last results"


def stop_words(view: BatchView) -> str:
    """Return what Stop does, or is doing."""
    figures, settings = view.figures, view.workspace.settings
    seconds = settings.drain_seconds / settings.speed
    rows = plural(figures.running, "row")
    collected = f" Results of {rows} already sent are collected for up to {duration(seconds)}."
    rest = collected if figures.running else ""
    if view.phase is Phase.STOPPING:
        return f"Stopping: nothing more is sent.{rest} No row is charged twice."
    if not view.can_stop:
        return ""
    if view.unsent <= 0:
        return "If you stop now, you can collect the missing results later at no cost."
    return f"Stop: nothing more is sent.{rest} You can continue later; no row is charged twice."


def retry_words(
    workspace: Workspace, price: Mapping[str, float] | None, rows: int, *, duplicates: bool = False
) -> str:
    """Return the cost of sending rows again, in words; duplicates among them are sent once."""
    most = duplicates and rows > 1
    charged = ("would be" if workspace.sandbox else "is" if rows == 1 else "are") + " charged again"
    again = f"{plural(rows, 'row')} {charged}"
    cost = cost_words(workspace, price, rows, "at most" if most else "about")
    priced = f": {cost}" if cost else ""
    return f"Up to {again}{priced}; duplicates count once." if most else f"{again}{priced}."


# credits and reasons for stopping


def cost_words(
    workspace: Workspace, price: Mapping[str, float] | None, rows: int = 1, about: str = "about"
) -> str:
    """Return what a number of rows costs in credits, in words; ``""`` if none or unknown.

    ``price`` is what a row costs; ``None`` if that is unknown.
    """
    if price is None or not rows:
        return ""
    amounts = {name: each * rows for name, each in price.items()}
    return f"{about} {credit_amounts(workspace, amounts)}".strip()


def credit_amounts(workspace: Workspace, amounts: Mapping[str, float]) -> str:
    """Return credits in words; those of practice are not real."""
    unit = "practice credit" if workspace.sandbox else "credit"
    return estimate.credit_amounts(amounts, unit=unit)


def credit_words(
    workspace: Workspace, own: Credits | None, price: Mapping[str, float] | None, rows: int
) -> tuple[str, bool]:
    """Return how many credits are left in words, and whether that is too few for some rows."""
    if own is not None and own.refused:
        return "This key may not see your credits (scope org_settings:read).", False
    if own is None or not own.remaining:
        return "", False
    left = own.remaining
    short = any(each * rows > left.get(name, 0) for name, each in (price or {}).items())
    few = f", too few for {plural(rows, 'row')}: rows are refused without credits" if short else ""
    return f"You have {credit_amounts(workspace, left)}{few}.", short


def pilot_words(view: BatchView, rows: int) -> str:
    """Return what the first rows cost, and what the rest is expected to cost and take, in words.

    ``rows`` is how many were tried. After a restart, the last known price of a row is used.
    """
    summary, left, run = view.summary, view.status.to_confirm, view.run
    workspace, price = view.workspace, view.price
    report = None if run is None else run.report
    seconds = summary.estimated_seconds * left / summary.jobs
    if report is not None and report.rest is not None:
        seconds = report.rest.seconds
    rest = f"The other {plural(left, 'row')}: about {duration(seconds / workspace.settings.speed)}"
    if price is None or not rows:
        return f"{rest}. What a row costs is not known."
    have, _ = credit_words(workspace, report.credits if report else None, price, left)
    they = "It" if rows == 1 else "They"
    spent = cost_words(workspace, price, rows, view.about)
    return f"{they} cost {spent}. {rest}, {cost_words(workspace, price, left)}. {have}".rstrip()


def run_cost_words(view: BatchView) -> str:
    """Return what the rest of a run will cost in credits, or what the run cost; ``""`` if unknown.

    Credits are added up only if it is certain that each row was sent once and accepted.
    """
    workspace, price, run = view.workspace, view.price, view.run
    again = 0 if run is None else run.again
    if view.phase.live:
        return "" if view.trial else _rest_cost_words(view, price, again)
    if view.reused == view.summary.jobs:
        return "Nothing was sent, and it cost nothing."
    if not price:
        return ""
    if view.accepted:
        verb, so_far = ("cost", "") if view.phase is Phase.DONE else ("has cost", " so far")
        cost = f"This run {verb} {cost_words(workspace, price, view.accepted, view.about)}{so_far}"
        cost += ", including failed rows." if view.figures.failed else "."
        if run is not None and run.again_in_all:
            part = cost_words(workspace, price, run.again_in_all)
            cost += f" Rows that were sent again cost {part} of that."
        return cost
    if again:
        part = f"Sending {plural(again, 'row')} again cost {cost_words(workspace, price, again)}"
        return f"{part}, on top of what the run had cost before."
    return f"Last time, a row cost {cost_words(workspace, price, about='')}."


def _rest_cost_words(view: BatchView, price: Mapping[str, float] | None, again: int) -> str:
    workspace, run = view.workspace, view.run
    rows = view.figures.rows - view.figures.invalid
    if again:
        return retry_words(workspace, price, again, duplicates=view.duplicates > 0)
    if price is None:
        known = run is not None and run.credits is not None and run.credits.remaining
        return "You see what a row costs after the first results." if known else ""
    left = math.ceil(view.figures.waiting * view.summary.jobs / max(rows, 1))  # without duplicates
    return f"The rest costs {cost_words(workspace, price, left)}." if left else ""


def ended_words(view: BatchView) -> str:
    """Return why a batch has stopped, in one sentence."""
    figures, note = view.figures, plain(view.summary.note)
    if view.phase is Phase.PILOT:
        return view.total_words
    if view.phase is Phase.PAUSED:
        why = note or "It was stopped before the end."
        opens_at = view.status.opens_at
        if opens_at is not None and opens_at > datetime.now(UTC):
            why = f"The quota is spent until {moment_words(opens_at)}."
        elif opens_at is not None:
            why = "The quota was spent, and is open again."
        sent = plural(figures.ended + figures.running, "row") + " sent"
        running = f", {figures.running:,} of them without a result yet" if figures.running else ""
        waiting = f"; {plural(figures.waiting, 'row')} not sent" if figures.waiting else ""
        return f"{sentence(why)} {sent}{running}{waiting}."
    return note
