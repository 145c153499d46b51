"""Work on batches that others have begun, on any machine that shares their journal.

A worker claims slices of a batch that another process holds. A batch that nobody holds, it takes
over: it also writes the workbook and keeps how the batch ended.
"""

from __future__ import annotations

import asyncio
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from batchrun.batch.control import Control, attach, detached_at_end
from batchrun.batch.pipeline import RunOptions, take_over
from batchrun.batch.session import open_session
from batchrun.batch.worker import limits_of, new_engine, working
from batchrun.errors import HeldError, UsageError
from batchrun.journal import Journal
from batchrun.settings import (
    find_access,
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

LOOK_AGAIN_SECONDS = 1.0
"""How often a worker with nothing to do looks for open batches."""


async def work(
    batch_id: str | None,
    settings: Settings | None,
    *,
    until_done: bool,
    on_progress: Callable[[Progress], None] | None,
    control: Control | None,
) -> list[BatchSummary]:
    """Work on the open batches of the key, or on one.

    Args:
        batch_id: Which batch; ``None`` for all that are open.
        settings: Key, journal and so on; ``None`` reads them from the environment.
        until_done: End when no batch is open.
        on_progress: Called after each step.
        control: Stops this worker.

    Returns:
        The batches that were worked on, as they are now.

    Raises:
        BatchrunError: The journal, the key or the service can't be used.
    """
    settings = (settings or load_settings()).model_copy(update={"wait": True, "workers": 1})
    control = control or Control()
    worked: set[str] = set()
    with Journal(settings.journal) as journal:
        if batch_id is not None:
            batch_id = journal.resolve(batch_id).batch_id
            worked.add(batch_id)
        while not control.stopped:
            batches = _open(journal, batch_id, settings)
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
                worked.add(summary.batch_id)
            if until_done and not batches:
                break
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return [journal.summary(each) for each in sorted(worked)]


async def _help(
    session: Session,
    summary: BatchSummary,
    on_progress: Callable[[Progress], None] | None,
    control: Control,
) -> None:
    """Work on slices of a batch that another process holds."""
    journal, batch_id = session.journal, summary.batch_id
    with detached_at_end(control), journal.safety_copy(batch_id, alone=False):
        jobs = journal.jobs(batch_id, session.key, leads=False)
        engine = new_engine(session, jobs, summary, limits_of(session.settings), on_progress)
        attach(control, batch_id, engine)
        async with working(jobs, engine):
            await engine.work()


def _open(journal: Journal, batch_id: str | None, settings: Settings) -> list[BatchSummary]:
    """The open batches that this worker may work on.

    Raises:
        UsageError: The batch that was named belongs to another key, or its address is not known.
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
    """Check that this worker's key is the batch's, and may go to its address.

    Raises:
        UsageError: It isn't, or nobody on this machine has agreed to the address.
    """
    access, stored = find_access(settings), profile_of(settings)
    if journal.key_begun_with(summary.batch_id) != journal.key_hash(access.key):
        raise UsageError(
            f"Batch {summary.batch_id} was begun with another key than this worker has. "
            "Nothing was triggered.",
            f"Set that key in {KEY_VARIABLE}, or save it with batchrun login.",
        )
    # The journal may be somebody else's: it must not say where the key goes.
    if stored is None or service_of(stored.base_url) != service_of(access.base_url):
        require_consent(settings, access.base_url)


def _target(summary: BatchSummary) -> Path | None:
    """Where this worker writes a batch's workbook, if it has to.

    It goes where it belongs if this machine has written there, else into the current folder.
    """
    target = summary.target
    if target is None:
        return None
    if has_agreed(Consent.OUTPUT, target) and Path(target).parent.is_dir():
        return Path(target)
    return Path.cwd() / PureWindowsPath(target).name
