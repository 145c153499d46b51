"""Work on batches that other processes started, on any machine that shares their journal.

If another process holds a batch, a worker claims slices of it. If no process holds it, the worker
takes it over: it also writes the workbook and records how the batch ended.
"""

from __future__ import annotations

import asyncio
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from batchrun.advice import Action, Advice
from batchrun.batch.control import Control, from_any_thread
from batchrun.batch.pipeline import RunOptions, take_over
from batchrun.batch.session import open_session
from batchrun.batch.worker import limits_of, new_engine, working
from batchrun.errors import HeldError, UsageError
from batchrun.journal import Journal
from batchrun.settings import (
    find_credentials,
    for_batch,
    load_settings,
    profile_of,
    service_of,
)
from batchrun.settings.consent import Consent, has_agreed, require_consent
from batchrun.settings.model import KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchrun.batch.session import Session
    from batchrun.engine import Progress
    from batchrun.model import BatchSummary
    from batchrun.settings import Settings

OPEN_CHECK_SECONDS = 1.0
"""How often a worker with nothing to do checks for open batches."""


async def work(
    batch_id: str | None,
    settings: Settings | None,
    *,
    until_done: bool,
    on_progress: Callable[[Progress], None] | None,
    control: Control | None,
    on_end: Callable[[BatchSummary], None] | None = None,
) -> list[BatchSummary]:
    """Work on the open batches of the key, or on one batch; see `batchrun.aio.work`.

    ``on_end`` is called with each batch that is no longer open.
    """
    settings = (settings or load_settings()).model_copy(update={"wait": True, "workers": 1})
    control = control or Control()
    worked, open_ids = set[str](), set[str]()
    with Journal(settings.journal) as journal:
        if batch_id is not None:
            batch_id = journal.resolve(batch_id).batch_id
            worked.add(batch_id)
        while not control.stopped:
            batches = _open(journal, batch_id, settings)
            were_open, open_ids = open_ids, {each.batch_id for each in batches}
            if on_end is not None:
                for each in sorted(were_open - open_ids):
                    on_end(journal.summary(each))
            for summary in batches:
                async with open_session(for_batch(settings, summary)) as session:
                    try:
                        await take_over(
                            session,
                            summary.batch_id,
                            RunOptions(
                                output=_target(summary), on_progress=on_progress, control=control
                            ),
                        )
                    except HeldError:
                        await _help(session, summary, on_progress, control)
                control.report = None  # else Ctrl-C would be ignored: the work goes on
                worked.add(summary.batch_id)
            if until_done and not batches:
                break
            await asyncio.sleep(OPEN_CHECK_SECONDS)
        return [journal.summary(each) for each in sorted(worked)]


async def _help(
    session: Session,
    summary: BatchSummary,
    on_progress: Callable[[Progress], None] | None,
    control: Control,
) -> None:
    """Work on slices of a batch that another process holds."""
    journal, batch_id = session.journal, summary.batch_id
    with control.detached_at_end(), journal.safety_copy(batch_id, alone=False):
        jobs = journal.jobs(batch_id, session.key, leads=False)
        engine = new_engine(session, jobs, summary, limits_of(session.settings), on_progress)
        control.attach(batch_id, from_any_thread(engine.stop))
        async with working(jobs, engine):
            await engine.work()


def _open(journal: Journal, batch_id: str | None, settings: Settings) -> list[BatchSummary]:
    """Return the open batches that this worker may work on.

    Raises:
        UsageError: The given batch belongs to another key, or nobody has agreed to its address.
    """
    found = []
    for each in journal.open_batches():
        if batch_id in {None, each}:
            summary = journal.summary(each)
            try:
                require_key(journal, summary, for_batch(settings, summary))
            except UsageError:
                if batch_id is not None:
                    raise
                continue
            found.append(summary)
    return found


def require_key(journal: Journal, summary: BatchSummary, settings: Settings) -> None:
    """Check that this worker's key is the batch's key, and may be sent to the batch's address.

    Raises:
        UsageError: It is another key, or nobody on this machine has agreed to the address.
    """
    credentials, stored = find_credentials(settings), profile_of(settings)
    if journal.started_with_key_hash(summary.batch_id) != journal.key_hash(credentials.key):
        raise UsageError(
            f"Batch {summary.batch_id} was started with another key than this worker has. "
            "Nothing was triggered.",
            Advice(
                "",
                f"Set that key in {KEY_VARIABLE}, or save it with batchrun login.",
                Action.LOG_IN,
            ),
        )
    # The journal may come from somebody else: it must not decide where the key is sent.
    if stored is None or service_of(stored.base_url) != service_of(credentials.base_url):
        require_consent(settings, credentials.base_url)


def _target(summary: BatchSummary) -> Path | None:
    """Return where this worker writes a batch's workbook, if it has to.

    That is the batch's own path if this machine has written there, else the current folder.
    """
    target = summary.target
    if target is None:
        return None
    if has_agreed(Consent.OUTPUT, target) and Path(target).parent.is_dir():
        return Path(target)
    return Path.cwd() / PureWindowsPath(target).name
