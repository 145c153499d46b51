"""Background work: reading and checking lists, and running batches, each in its own thread.

Screens can start work, check its state, and stop it, but never wait for it to end.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from pydantic import SecretStr

import batchrun
from batchrun import Control, Outcome, Request, Rerun, aio, list_rows
from batchrun.advice import REUSE_AGE
from batchrun.batch.history import BatchStatus, jobs_of, requests_today, sent_elsewhere
from batchrun.batch.request import sheet_names
from batchrun.engine.session import open_session
from batchrun.errors import BatchrunError, NoBatchError, NotConfirmedError, StoppedError, UsageError
from batchrun.estimate import price_of
from batchrun.list_rows import RowNumbers, duplicates, other_names
from batchrun.plan import MadeOnAccess, PlannedRow
from batchrun.sandbox import PRACTICE_SPEED, practice
from batchrun.settings.credentials import given_key, profile_of
from batchrun.web.lists import RESULTS, Lists, SavedList, lists_folder
from batchrun.web.words import controls_of, plain, total_words
from batchrun.workbook.columns import row_names

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from batchrun import BatchSummary, Credits, Estimate, Plan, Progress, Report, Settings
    from batchrun.model import Role, Row, Table, TableSource, Workflow
    from batchrun.web.screens import Findings

_LOG = logging.getLogger(__name__)

FAILED = (Outcome.FAILED, Outcome.REJECTED, Outcome.TIMED_OUT)

T = TypeVar("T")

FRESH_SECONDS = 0.4
"""The oldest data that a screen may show: each tab polls once a second."""

FIRST_ROWS = 8
"""Rows of a list to show on its screen."""

NAMED_ROWS = 5
"""Rows to list by name; the others are only counted."""

BEGIN_SECONDS = 3.0
"""How long a click on "Run" waits for the batch to start before it shows the list again."""

REUSE_AGES = (REUSE_AGE, timedelta(days=90), timedelta(days=365))
"""The choices for how old a result may be to reuse it."""

FIRST_RESULTS = 5
"""Number of results after which a run without a trial first asks what they cost."""

COLLECTIONS = 10
"""Partial garbage collections after which a full one is due: Python's default."""

WORKFLOWS_SECONDS = 300.0
"""How long to reuse a list of workflows before asking the service again."""


@dataclass(frozen=True, slots=True)
class ReadList:
    """What was recognized in a list; ``problem`` is why the ID columns can't be identified.

    ``names`` are the columns that name its rows. ``hidden`` counts the rows that the file hides;
    ``hidden_rows`` are the first of them.
    """

    header: tuple[str, ...]
    names: tuple[int, ...]
    rows: int
    first: tuple[Row, ...]
    source: TableSource
    sheets: tuple[str, ...]
    roles: Mapping[Any, int]
    columns: tuple[Any, ...]
    problem: BatchrunError | None
    numbers: RowNumbers
    hidden: int
    hidden_rows: tuple[Row, ...]

    @classmethod
    def of(cls, saved: SavedList, settings: Settings) -> ReadList:
        """Read a list, and keep only what a screen needs, so that the other cells can be freed."""
        preview = batchrun.preview(saved.request, settings)
        table = preview.table
        hidden = _hidden_rows(saved, table, settings)
        return cls(
            table.header,
            row_names(table.header, preview.roles, (row.cells for row in table.rows())),
            len(table),
            tuple(islice(table.rows(), FIRST_ROWS)),
            table.source,
            preview.sheets,
            dict(preview.roles),
            preview.columns,
            preview.problem,
            RowNumbers.of_table(table),
            len(hidden),
            tuple(hidden[:FIRST_ROWS]),
        )


def _hidden_rows(saved: SavedList, table: Table, settings: Settings) -> Sequence[Row]:
    """Return the rows that a sheet hides, by reading the list again without or with them."""
    notices, left_out = table.source.notices, saved.request.visible_only
    noted = any(one.id == "visible_only" for each in notices for one in controls_of(each))
    if not noted and not left_out:
        return ()
    try:
        other = batchrun.preview(replace(saved.request, visible_only=not left_out), settings).table
    except BatchrunError:  # such as when the header or every row is hidden
        return ()
    all_rows, shown = (other, table) if left_out else (table, other)
    places = np.flatnonzero(~np.isin(all_rows.lines, shown.lines))
    return MadeOnAccess(places, all_rows.row)


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """A plan as it was shown. A run only starts if its own plan is the same.

    Its ID is in the form that runs it. ``reused_from`` is when the oldest reused result came.
    ``known`` counts the jobs that other runs have sent, and ``under_way`` those without a result,
    by run. ``reusable`` counts those whose results could be reused, and says how old these may be.
    ``first_to_send`` are the first rows that are sent if others are reused. ``reasons`` groups the
    invalid rows, the most frequent reason first. ``sent_ids`` are the kinds of ID that are sent;
    ``lacking`` has each parameter that some rows are sent without, its column, and their number.
    """

    id: str
    workflow: Workflow
    fingerprint: str
    rows: int
    to_trigger: int
    duplicates: int
    reused: int
    reused_from: datetime | None
    known: int
    under_way: Mapping[str, int]
    reusable: tuple[timedelta, int]
    first_to_send: Sequence[Row]
    invalid: tuple[PlannedRow, ...]
    reasons: Sequence[tuple[str, Sequence[PlannedRow]]]
    estimate: Estimate
    credits: Credits | None
    first_body: str | None
    hints: Sequence[str]
    earlier: BatchSummary | None
    other_names: Sequence[tuple[int, str, int, str]]
    first_duplicates: Sequence[tuple[int, str, int, str]]
    sent_ids: Sequence[Role]
    lacking: Sequence[tuple[str, str, int]]

    @classmethod
    def of(cls, plan: Plan) -> CheckedPlan:
        """Extract the parts of a plan to keep."""
        now = datetime.now(UTC)
        known = plan.known
        by_age = ((age, len(plan.with_known_results(known, now, age).reused)) for age in REUSE_AGES)
        jobs = plan.rows.jobs
        firsts = np.sort(np.unique(jobs, return_index=True)[1]) if plan.reused else ()
        to_send = (at for at in firsts if jobs[at] >= 0 and jobs[at] not in plan.reused)
        used = (plan.known[number].finished_at for number in plan.reused)
        invalid, reasons = tuple(plan.invalid), dict[str, list[PlannedRow]]()
        for row in invalid:
            reasons.setdefault(row.reason, []).append(row)
        return cls(
            secrets.token_hex(8),
            plan.workflow,
            plan.fingerprint(),
            len(plan.rows),
            plan.to_trigger,
            plan.duplicates,
            len(plan.reused),
            min(filter(None, used), default=None),
            len(known),
            Counter(job.batch_id for job in known.values() if job.outcome is not Outcome.COMPLETED),
            next((found for found in by_age if found[1]), (REUSE_AGES[0], 0)),
            [plan.table.row(int(at)) for at in islice(to_send, NAMED_ROWS)],
            invalid,
            sorted(reasons.items(), key=lambda each: -len(each[1])),
            plan.estimate,
            plan.credits,
            plan.first_body,
            plan.hints(),
            plan.earlier,
            other_names(plan),
            [*islice(duplicates(plan), NAMED_ROWS)],
            plan.sent_roles(),
            [
                (name, column, rows)
                for name, column, _, rows in plan.column_values()
                if rows and name not in plan.parameters.constant
            ],
        )

    @property
    def total_words(self) -> str:
        """How the rows of the list add up."""
        sent = {"to send": self.to_trigger, "reused": self.reused}
        return total_words(self.rows, sent, self.duplicates, len(self.invalid))

    def confirms(self, plan: Plan, earlier: BatchSummary | None, *, again: bool) -> bool:
        """Whether a run would do what was shown, and continue the batch that was shown."""
        shown = None if again or self.earlier is None else self.earlier.batch_id
        return (
            plan.fingerprint() == self.fingerprint
            and plan.to_trigger == self.to_trigger
            and len(plan.reused) == self.reused
            and len(plan.known) <= self.known  # else another run has sent some of them since
            and len(plan.invalid) == len(self.invalid)
            and (None if earlier is None else earlier.batch_id) == shown
        )


@dataclass
class ListState:
    """What is known about an uploaded list since the server started, with the choices checked.

    ``marked`` are the rows of a results workbook to run again, with an ID for the form that does.
    ``sheets`` are those to choose from if the workbook can't be read without a choice;
    ``results_of`` is the batch of a results workbook, ``""`` if it is not known; ``recalled`` says
    that the choices are those of an earlier list with the same columns.
    """

    request: Request
    busy: bool = False
    read: ReadList | None = None
    checked: CheckedPlan | None = None
    marked: Rerun | None = None
    marked_id: str = ""
    is_results: bool = False
    results_of: str = ""
    sheets: tuple[str, ...] = ()
    error: BatchrunError | None = None
    recalled: bool = False
    run: BatchRun | None = None
    version: int = 0


class _StartSignal(Control):
    """A control that also signals when the batch has started."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def attach(self, *given: Any, **named: Any) -> None:
        super().attach(*given, **named)
        self.begun.set()


@dataclass
class BatchRun:
    """A batch that this server runs, or has run.

    ``check_id`` is ``""`` for a batch that is continued, and ``version`` grows with each change.
    ``credits`` are those before it started, ``None`` once another run also spends some: they no
    longer show what a row costs. ``trial`` is how many rows it tries, 0 for all, and ``to_send``
    how many it has to send, if known. ``price`` is what a row costs, judging by the first results.
    ``again`` is how many rows it sends again, and ``again_in_all`` also counts those of the runs
    that it continues. ``requests_before`` is how many requests those runs used, if it is certain
    what they sent. ``reused`` is how many rows, without their duplicates, began with an earlier
    result.
    """

    check_id: str = ""
    trial: int = 0
    to_send: int = 0
    reused: int = 0
    priced_at: int = FIRST_RESULTS
    price: Mapping[str, float] | None = None
    again: int = 0
    again_in_all: int = 0
    requests_before: int = 0
    control: _StartSignal = field(default_factory=_StartSignal)
    progress: Progress | None = None
    report: Report | None = None
    error: BatchrunError | None = None
    ended: bool = False
    version: int = 0
    notice: str = ""
    credits: Credits | None = None

    @property
    def batch_id(self) -> str | None:
        """The batch's ID; ``None`` before it has started."""
        return self.control.batch_id

    @property
    def requests(self) -> int:
        """The requests of this run, once it has ended, and of those that it continues."""
        return self.requests_before + (0 if self.report is None else self.report.requests)


class Workspace:
    """The user's lists and batches, and the background work on them.

    ``reload`` returns the settings again, after a key was stored. ``credits`` are those that the
    service last said the key has.
    """

    def __init__(
        self, settings: Settings, reload: Callable[[], Settings], sandbox_journal: str
    ) -> None:
        self._reload = reload
        self._sandbox_journal = sandbox_journal
        self._lock = threading.RLock()
        self._resources = ExitStack()
        self._threads: set[threading.Thread] = set()
        self.sandbox = False
        self.closing = False
        self._begin(settings)

    def _begin(self, settings: Settings) -> None:
        """Start using a journal, with nothing cached."""
        self._settings = settings
        self._statuses: dict[str, _Cached[BatchStatus]] = {}
        self._numbers: dict[str, RowNumbers] = {}
        self._first_lines: dict[str, dict[int, int]] = {}
        self.findings: dict[str, Findings] = {}
        self._batches: _Cached[list[BatchSummary]] = _Cached()
        self._workflows: _Cached[list[Workflow]] = _Cached()
        self._requests: _Cached[int | None] = _Cached()
        self.lists = Lists(lists_folder(settings.journal), settings.base_url)
        self.states: dict[str, ListState] = {}
        self.runs: dict[str, BatchRun] = {}
        self.credits: Credits | None = None

    @property
    def settings(self) -> Settings:
        """The settings for the library, including those from the settings page."""
        daily = self.lists.preferences().get("daily")
        if isinstance(daily, int) and daily >= 1 and not self.sandbox:
            return self._settings.model_copy(update={"daily": daily})
        return self._settings

    @property
    def has_key(self) -> bool:
        """Whether there is a key to use."""
        with suppress(BatchrunError):  # does not ask the keyring, because every poll calls this
            settings = self._settings
            return bool(given_key(settings)) or profile_of(settings) is not None
        return False

    @property
    def has_practiced(self) -> bool:
        """Whether there are lists of the sandbox from before."""
        return bool(Lists(lists_folder(self._sandbox_journal)).all())

    def use_key(self) -> None:
        """Reload the settings, after a key was stored or deleted."""
        with self._lock:
            self._workflows, self._requests = _Cached(), _Cached()
            self.credits = None
            self._settings = self._reload()

    def use_sandbox(self) -> None:
        """Switch to the sandbox, whose batches have their own journal.

        Raises:
            UsageError: A batch is still running; the page would not show it any more.
        """
        with self._lock:
            if self.active and not self.sandbox:
                raise UsageError("A run is still going.", "Wait for its end, or stop it first.")
            if not self.sandbox:
                imitation = {
                    "api_key": SecretStr("sandbox"),
                    "profile": None,
                    "base_url": self._resources.enter_context(practice()),
                    "speed": PRACTICE_SPEED,
                    "daily": None,
                    "journal": self._sandbox_journal,
                }
                self.sandbox = True
                self._begin(self._settings.model_copy(update=imitation))

    def leave_sandbox(self) -> None:
        """Switch to the real service.

        Raises:
            UsageError: A batch of the sandbox is still running.
        """
        with self._lock:
            if self.active:
                raise UsageError(
                    "A practice run is still going.", "Wait for its end, or stop it first."
                )
            self.sandbox = False
            self._begin(self._reload())
            self._resources.close()

    # lists

    def state(self, saved: SavedList) -> ListState:
        """Return what is known about a list; read and check it if that is not up to date."""
        with self._lock:
            state = self.states.get(saved.id)
            if state is None or (state.checked is not None and self._is_outdated(state)):
                state = self.check(saved)
            return state

    def _is_outdated(self, state: ListState) -> bool:
        """Whether a run has used the figures of a list's check, or its earlier batch is gone."""
        checked, run = state.checked, state.run
        if checked is None or (run is not None and not run.ended):
            return False
        if run is not None and run.batch_id is not None and run.check_id == checked.id:
            return True
        earlier = checked.earlier
        return earlier is not None and earlier.batch_id not in {
            one.batch_id for one in self.batches()
        }

    def choose(self, saved: SavedList, request: Request) -> None:
        """Save the choices for a list, and check it again."""
        with self._lock:
            self.check(self.lists.change(saved, request=request))

    def check(self, saved: SavedList) -> ListState:
        """Read and check a list in the background, unless that is being done."""
        with self._lock:
            before = self.states.get(saved.id, ListState(saved.request))
            if before.busy and before.request == saved.request:
                return before
            state = ListState(saved.request, busy=True, read=before.read, run=before.run)
            state.version = before.version + 1
            self.states[saved.id] = state
        self._start(lambda: self._check(saved, state), "check")
        return state

    def _check(self, saved: SavedList, state: ListState) -> None:
        settings = self.settings
        try:
            if Rerun.holds_results(saved.path):
                self._read_marks(saved.path, state)
                return
            state.read = ReadList.of(saved, settings)
            if saved.request == Request(saved.path, ""):
                recalled = self.lists.remembered(state.read.header, saved.path)
                state.recalled = recalled is not None
                if recalled is not None and recalled != saved.request:
                    saved = self._change(saved, state, recalled)
                    state.read = ReadList.of(saved, settings)
            state.version += 1
            if not self.has_key:
                return
            workflows = self.workflows()
            names = [one.id for one in workflows if one.status == "active"]
            if saved.request.workflow not in names:
                workflow = names[0] if len(names) == 1 else ""
                request = replace(saved.request, workflow=workflow)
                saved = self._change(saved, state, request)
            if saved.request.workflow and state.read.problem is None:
                plan = asyncio.run(aio.check(saved.request, settings=settings, with_credits=True))
                state.checked = CheckedPlan.of(plan)
                if settings.base_url == self.settings.base_url:  # else the user has switched since
                    self.credits = plan.credits
        except BatchrunError as error:
            state.error = error
            if state.read is None and not state.is_results:
                state.sheets = sheet_names(saved.path, settings)
        except Exception:
            _LOG.exception("A list could not be checked.")
            state.error = unexpected_error()
        finally:
            try:
                self._change(saved, state, saved.request, **_found_by_check(state))
            except OSError:  # such as a full disk; the next check finds the same
                _LOG.exception("What was found in a list could not be saved.")
            state.busy = False
            state.version += 1

    def _change(
        self, saved: SavedList, state: ListState, request: Request, **found: str
    ) -> SavedList:
        """Save what a check has chosen or found, unless the user has made other choices since."""
        with self._lock:
            if self.states.get(saved.id) is not state:
                return replace(saved, request=request)
            state.request = request
            return self.lists.change(saved, request=request, **found)

    def _read_marks(self, path: Path, state: ListState) -> None:
        """Read which rows of a results workbook are marked to be sent again.

        Raises:
            BatchrunError: No row is marked, or the batch is not known.
        """
        state.read, state.is_results = None, True
        state.results_of = Rerun.batch_of(path) or ""
        rerun = Rerun.read(path, settings=self.settings)
        assert rerun is not None
        state.results_of = rerun.summary.batch_id
        state.marked, state.marked_id = rerun, secrets.token_hex(8)

    def run_marked(self, saved: SavedList, check_id: str) -> BatchRun:
        """Send the marked rows of a workbook again; a repeated call returns the same run.

        Raises:
            UsageError: They are not the rows that were shown.
        """
        with self._lock:
            state = self.state(saved)
            if state.run is not None and state.run.check_id == check_id:
                return state.run
            rerun = state.marked
            if rerun is None or state.marked_id != check_id:
                raise self._changed_error(saved)
            output = None if rerun.summary.output is None else Path(rerun.summary.output)
            if output is None or output.parent.parent != self.lists.folder.absolute():
                output = rerun.output  # beside the upload; never overwrite the user's file
            run = state.run = self._continue_batch(
                rerun.summary.batch_id,
                partial(aio.run_marked, rerun, output=output),
                check_id,
                again=len(rerun.jobs),
            )
            self.lists.change(saved, batch_id=rerun.summary.batch_id)
        return run

    def delete_list(self, saved: SavedList) -> None:
        """Delete a list that was never run; one with a batch stays until its batch is deleted.

        Raises:
            UsageError: The list has a batch.
        """
        if any(one.source.path == str(saved.path.absolute()) for one in self.batches()):
            raise UsageError(
                "This list belongs to a run, so it can't be removed.", "Forget the run instead."
            )
        with self._lock:
            self.states.pop(saved.id, None)
        self.lists.delete(saved.id)

    def workflows(self) -> list[Workflow]:
        """Return the workflows that the key may use; they are cached for a while.

        Raises:
            BatchrunError: The key or the service can't be used.
        """
        return self._workflows.get(
            lambda: asyncio.run(aio.workflows(settings=self.settings)), WORKFLOWS_SECONDS
        )

    def known_workflows(self) -> list[Workflow]:
        """Return the cached workflows, without a request."""
        return self._workflows.value or []

    # batches

    def run(self, saved: SavedList, check_id: str, *, limit: int | None, again: bool) -> BatchRun:
        """Run a list as its check showed it; a repeated call returns the same run.

        Raises:
            UsageError: The list has changed since it was shown.
        """
        with self._lock:
            if not check_id:
                raise self._changed_error(saved)
            state = self.state(saved)
            checked = state.checked
            if state.run is not None and (not state.run.ended or state.run.check_id == check_id):
                return state.run
            if checked is None or checked.id != check_id:
                raise self._changed_error(saved)
            self._refuse_while_closing()
            again = again and not checked.reused  # else it is a run like any other
            to_send, reused, earlier = checked.to_trigger, checked.reused, checked.earlier
            if earlier is not None and earlier.unfinished and not again:
                to_send, reused = self.status(earlier.batch_id, 0).left.to_trigger, 0
            run = state.run = BatchRun(check_id, limit or 0, to_send, reused)
            self.lists.remember(state.read.header if state.read else (), saved.request)
            request = replace(saved.request, reuse=None) if again else saved.request

            def confirm(plan: Plan, earlier: BatchSummary | None) -> bool:
                with self._lock:
                    run.credits = plan.credits if len(self.active) == 1 else None
                return checked.confirms(plan, earlier, again=again)

            begin = partial(aio.run, request, limit=limit, again=again, with_credits=True)
            self._start_run(run, partial(begin, confirm=confirm))
        return run

    def _changed_error(self, saved: SavedList) -> UsageError:
        """Check a list that is not as it was shown, and return the error for that."""
        self.check(saved)
        return UsageError(
            "The list or its choices have changed since this page was shown.",
            "Look at the new figures, then run it. Nothing was sent.",
        )

    def resume(self, batch_id: str, shown: str | None = None) -> BatchRun:
        """Resume a batch; if it is already running, return that run.

        Raises:
            UsageError: The batch is not as it was ``shown``, or another one has sent its rows.
        """
        status = self.status(batch_id, 0)
        sent = sent_elsewhere(status.left.to_trigger, status.summary, self.settings)
        begin = partial(aio.resume, batch_id)
        return self._continue_batch(batch_id, begin, shown=shown, elsewhere=sent)

    def settle(self, batch_id: str, decision: str, shown: str) -> BatchRun:
        """Apply a decision to a batch's rows in doubt, and send no others; like `retry`."""
        return self._continue_batch(
            batch_id,
            partial(aio.resume, batch_id, in_doubt=decision, only=()),  # type: ignore[arg-type]
            shown=shown,
            elsewhere=self.elsewhere(self.status(batch_id, 0)),
            again=len(self.status(batch_id).in_doubt) if decision == "retry" else 0,
        )

    def retry(self, batch_id: str, outcomes: Sequence[Outcome], shown: str) -> BatchRun:
        """Send a batch's rows with these outcomes again; like `resume` otherwise.

        Raises:
            UsageError: The batch is not as it was ``shown``, such as in a stale tab, or another one
                has sent such rows.
        """
        return self._continue_batch(
            batch_id,
            partial(aio.retry, batch_id, outcomes=outcomes),
            shown=shown,
            elsewhere=self.elsewhere(self.status(batch_id, 0)),
            again=sum(self.status(batch_id).summary.counts[each] for each in outcomes),
        )

    def elsewhere(self, status: BatchStatus) -> list[int]:
        """Return how many of a batch's failed jobs, and of those in doubt, others have sent."""
        batch, settings = status.summary, self.settings
        failed = batchrun.rows(batch.batch_id, FAILED, settings=settings).rows
        groups = failed, status.in_doubt
        return [sent_elsewhere(jobs_of(rows), batch, settings) for rows in groups]

    def _continue_batch(
        self,
        batch_id: str,
        begin: Callable[..., Coroutine[Any, Any, Report]],
        check_id: str = "",
        *,
        shown: str | None = None,
        again: int = 0,
        elsewhere: object = 0,
    ) -> BatchRun:
        with self._lock:
            before = self.run_of(batch_id)
            if before is not None and not before.ended:
                return before
            status = self.status(batch_id, 0)
            summary = status.summary
            if shown not in {None, shown_version(summary, elsewhere)}:
                raise UsageError(
                    "This run has changed since this page was shown. Nothing was sent.",
                    "Look at the rows below, then decide.",
                )
            self._refuse_while_closing()
            if status.needed_consents(self.settings, None):  # a journal may come from a stranger
                raise UsageError(
                    "This run was not started on this computer. Nothing was sent.",
                    "If you trust it, continue it once in a terminal.",
                )
            run = self.runs[batch_id] = BatchRun(check_id, again=again)
            if before is not None and _is_certain_what_was_sent(summary, again):
                run.requests_before, run.reused = before.requests, before.reused
                run.again_in_all = before.again_in_all + again
            self._start_run(run, begin)
        return run

    def run_of(self, batch_id: str) -> BatchRun | None:
        """Return this server's last run of a batch."""
        with self._lock:
            found = self.runs.get(batch_id)
            return found or next((run for run in self._runs if run.batch_id == batch_id), None)

    @property
    def active(self) -> list[BatchRun]:
        """The runs that have not ended."""
        with self._lock:
            return [run for run in self._runs if not run.ended]

    @property
    def _runs(self) -> list[BatchRun]:
        """The runs of this server."""
        of_lists = (state.run for state in self.states.values() if state.run is not None)
        return list({id(run): run for run in (*self.runs.values(), *of_lists)}.values())

    def stop_all(self) -> None:
        """Stop every run gracefully, and start no more."""
        with self._lock:
            self.closing = True
            for run in self.active:
                run.control.stop()
                run.version += 1

    def cancel_all(self) -> None:
        """Stop every run at once."""
        for run in self.active:
            run.control.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait for the background work; return whether all of it has ended."""
        until = time.monotonic() + seconds
        while (alive := self._alive()) and (left := until - time.monotonic()) > 0:
            alive.pop().join(left)
        return not alive

    def _alive(self) -> set[threading.Thread]:
        with self._lock:
            return {thread for thread in self._threads if thread.is_alive()}

    def close(self) -> None:
        """Stop the sandbox."""
        self._resources.close()

    def batches(self) -> list[BatchSummary]:
        """Return all batches, newest first; the answer is cached, since counting takes time."""

        def find() -> list[BatchSummary]:
            try:
                return batchrun.batches(settings=self.settings)
            except NoBatchError:  # the first run creates the journal
                return []

        return self._batches.get(find)

    def status(self, batch_id: str, seconds: float = FRESH_SECONDS) -> BatchStatus:
        """Return the status of a batch, at most this many seconds old; 0 for a fresh one.

        Raises:
            JournalError: There is no such batch.
        """
        kept = self._statuses.setdefault(batch_id, _Cached())
        if not seconds:
            kept.expire()
        return kept.get(lambda: batchrun.status(batch_id, settings=self.settings), seconds)

    def numbers(self, batch_id: str) -> RowNumbers:
        """Return the line of each row of a batch.

        Raises:
            JournalError: There is no such batch.
        """
        found = self._numbers.get(batch_id)
        if found is None:
            summary = self.status(batch_id).summary
            rows = partial(batchrun.rows, batch_id, settings=self.settings)
            found = self._numbers[batch_id] = RowNumbers.of_batch(summary, rows)
        return found

    def first_lines(self, batch_id: str) -> Mapping[int, int]:
        """Return the line of each duplicate of a batch → the line of the first row with its ID.

        Long lists have too many rows to compare: for them, it is empty.
        """
        found = self._first_lines.get(batch_id)
        if found is None:
            summary = self.status(batch_id).summary
            sendable = summary.rows - summary.counts[Outcome.INVALID]
            compared = summary.jobs < sendable and summary.rows <= list_rows.COMPARED_ROWS
            found, first = {}, dict[int, int]()
            rows = partial(batchrun.rows, batch_id, settings=self.settings)
            for row in list_rows.all_rows(summary, rows) if compared else ():
                line = row.row.line
                if row.job is not None and (own := first.setdefault(row.job, line)) != line:
                    found[line] = own
            self._first_lines[batch_id] = found
        return found

    def forget(self, batch_id: str) -> None:
        """Delete a batch, and its list and workbooks if they were uploaded here.

        Raises:
            UsageError: It is running here.
            JournalError: There is no such batch, or another process works on it.
        """
        if (run := self.run_of(batch_id)) is not None and not run.ended:
            raise UsageError("This run is still going.", "Wait for its end, or stop it first.")
        summary = self.status(batch_id, 0).summary
        batchrun.forget(summary.batch_id, settings=self.settings)
        saved = self.lists.of_source(summary.source.path)
        marked = [one for one in self.lists.all() if one.batch_id == summary.batch_id]
        for one in marked:
            self.lists.delete(one.id)
        self._batches.expire()
        with self._lock:
            caches = (self._statuses, self._numbers, self._first_lines, self.findings, self.runs)
            for cached in caches:
                cached.pop(batch_id, None)
        with suppress(UsageError):  # the list has another batch
            if saved is not None:
                self.delete_list(saved)

    def requests_today(self) -> int | None:
        """Return how many requests were sent with this key today; ``None`` if not known."""

        def find() -> int | None:
            try:
                return requests_today(self.settings)
            except NoBatchError:  # the first run creates the journal
                return 0
            except BatchrunError:
                return None

        return self._requests.get(find)

    def _refuse_while_closing(self) -> None:
        if self.closing:
            raise UsageError(
                "batchrun is stopping and starts nothing new.", "Start it again: batchrun web"
            )

    def _note(self, run: BatchRun, progress: Progress) -> None:
        if run.progress is None or progress.done > run.progress.done:
            run.notice = ""
        run.progress = progress
        results = progress.counts[Outcome.COMPLETED]
        if not run.trial and results >= run.priced_at:
            run.priced_at = 2 * results  # more results make the price more precise
            self._start(lambda: self._find_price(run), "price")
        stopped = progress.stopped_because
        if stopped:
            run.notice = f"Nothing more is sent: {stopped}"
        elif progress.notice:
            run.notice = "A request failed and is sent again automatically. If this message "
            run.notice += "stays, check your network."
        run.version += 1

    def _find_price(self, run: BatchRun) -> None:
        """Find what a row costs, from the credits left now, while sending continues."""
        if run.credits is None or not run.credits.remaining or run.batch_id is None:
            return
        try:
            left = self.credits = asyncio.run(_credits_left(self.settings))
            sent = run.to_send - self.status(run.batch_id, 0).left.to_trigger
        except BatchrunError:  # the run itself reports it
            return
        if price := price_of(run.credits, left, sent):
            run.price = price
            run.version += 1

    def _credits_after(self) -> Credits | None:
        if self.closing:
            return None
        with suppress(BatchrunError):  # the run itself reports it
            return asyncio.run(_credits_left(self.settings))
        return None

    def _start_run(self, run: BatchRun, begin: Callable[..., Coroutine[Any, Any, Report]]) -> None:
        settings, note = self.settings, partial(self._note, run)

        def work() -> None:
            try:
                begun = begin(settings=settings, on_progress=note, control=run.control)
                report = run.report = asyncio.run(run.control.cancellable(begun))
                # else those before the run would be shown
                self.credits = report.credits or self._credits_after()
                if price := price_of(run.credits, report.credits, len(report.sent)):
                    run.price = price
                elif run.to_send and not self.closing:
                    self._find_price(run)
                if run.price is not None:
                    self.lists.remember_price(report.summary.workflow.id, run.price)
            except NotConfirmedError:
                run.error = NotConfirmedError(
                    "What would be sent has changed since this page was shown.",
                    "Nothing was sent. Check the list again.",
                )
            except BatchrunError as error:
                run.error = error
            except asyncio.CancelledError:
                run.error = StoppedError("Stopped at once.", "Nothing is lost.")
            except Exception:
                _LOG.exception("A batch broke off.")
                run.error = unexpected_error()
            finally:
                run.ended = True
                run.version += 1
                self._batches.expire()
                if run.batch_id is not None:
                    self._statuses.pop(run.batch_id, None)
                run.control.begun.set()

        with self._lock:
            if len(active := self.active) > 1:
                for each in active:
                    each.credits = None
        self._start(work, "batch")

    def _start(self, work: Callable[[], None], name: str) -> None:
        """Run work in a daemon thread, which can't keep the process from ending."""

        def run() -> None:
            work()
            # The server runs no full collection while lists are worked on.
            if gc.get_count()[2] > COLLECTIONS and self._alive() == {threading.current_thread()}:
                gc.collect()

        thread = threading.Thread(target=run, name=f"batchrun-{name}", daemon=True)
        with self._lock:  # a run starts a thread, too
            thread.start()
            self._threads = {*self._alive(), thread}


async def _credits_left(settings: Settings) -> Credits | None:
    async with open_session(settings, few_requests=True) as session:
        return await session.credits()


class _Cached(Generic[T]):
    """A cache for a value that is slow to find: the longer that takes, the longer it is kept."""

    def __init__(self) -> None:
        self.value: T | None = None
        self._lock = threading.Lock()
        self._until = 0.0

    def get(self, find: Callable[[], T], seconds: float = FRESH_SECONDS) -> T:
        """Return the value, at most this old, or at most five times as old as it took to find."""
        with self._lock:
            if self.value is None or time.monotonic() > self._until:
                begun = time.monotonic()
                self.value = find()
                now = time.monotonic()
                self._until = now + max(seconds, 5 * (now - begun))
            return self.value

    def expire(self) -> None:
        """Discard the cached value."""
        self._until = 0.0


def _found_by_check(state: ListState) -> dict[str, str]:
    """Return why a list can't be read, and the batch that has run its rows; ``""`` for neither."""
    can_choose = state.read is not None or state.is_results or state.sheets
    refused = "" if state.error is None or can_choose else plain(state.error.what)
    earlier = None if state.checked is None else state.checked.earlier
    ran_as = "" if earlier is None else earlier.batch_id
    if state.is_results and (state.marked is None or not state.marked.jobs):
        ran_as = RESULTS
    return {"refused": refused, "ran_as": ran_as}


def _is_certain_what_was_sent(summary: BatchSummary, again: int) -> bool:
    """Whether each row was accepted, and those to send again share their ID with no other."""
    counts = summary.counts
    return not (counts[Outcome.REJECTED] or counts[Outcome.IN_DOUBT]) and not (
        again and summary.rows - counts[Outcome.INVALID] > summary.jobs
    )


def shown_version(summary: BatchSummary, elsewhere: object) -> str:
    """Return what tells whether a batch, and what others have sent of it, is as it was shown."""
    return f"{summary.updated_at.timestamp()} {elsewhere}"


def unexpected_error() -> BatchrunError:
    """Return what the page shows after a bug; the log has its details."""
    return BatchrunError(
        "Something went wrong inside batchrun.",
        "Nothing is lost. The terminal that runs batchrun web shows the details.",
    )
