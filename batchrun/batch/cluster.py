"""Run a batch on a Dask cluster: one long-running task per Dask worker.

Dask only starts the tasks, and restarts a task if its worker dies. The slices and leases in the
journal decide which worker sends what. A task carries no key and no password: each worker uses its
own key, which must be the batch's key.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from batchrun.advice import Action, Advice
from batchrun.batch.pipeline import work
from batchrun.batch.recover import require_key
from batchrun.errors import BatchrunError, UsageError
from batchrun.installation import install_hint
from batchrun.journal import Journal
from batchrun.journal.schema import SCHEMA_VERSION
from batchrun.settings.credentials import for_batch
from batchrun.settings.loading import load_settings
from batchrun.settings.location import is_server, server_url, shown
from batchrun.text import plural, visible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from distributed import Client

    from batchrun.engine.session import Session
    from batchrun.settings.model import Settings

CONNECT_SECONDS = 10.0
_SENT = (
    *("daily", "drain_seconds", "max_in_flight", "patience_seconds", "rate", "speed"),
    *("stop_after_failures", "timeout_seconds"),
)
"""The settings that all workers of a batch share."""


class Cluster:
    """The workers of a Dask cluster."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def check(self, session: Session, batch_id: str) -> None:
        """Raise `UsageError` unless the cluster has workers, and each can work on a batch."""
        task = batch_id, _shared(session.settings), SCHEMA_VERSION
        found = self._client.run(problem_of_worker, *task, on_error="return")
        if not found:
            raise UsageError("The Dask cluster has no workers.", "Start some: dask worker ADDRESS")
        problems = {address: _words(answer) for address, answer in found.items() if answer}
        for address, words in problems.items():
            raise UsageError(
                f"{len(problems)} of {plural(len(found), 'worker')} of the Dask cluster can't work "
                f"on batch {batch_id}. {address}: {words}",
                Advice(
                    "Nothing was triggered. ",
                    f"Correct it, then: batchrun resume {batch_id}",
                    Action.RESUME,
                ),
            )

    def start(self, session: Session, batch_id: str) -> None:
        """Start a task on each worker. The tasks outlive this process and end with the batch."""
        from distributed import fire_and_forget

        shared = _shared(session.settings)
        for address in self._client.scheduler_info(n_workers=-1)["workers"]:
            task = self._client.submit(
                work_on,
                batch_id,
                shared,
                key=f"batchrun-{batch_id}-{uuid.uuid4()}",
                workers=[address],
                allow_other_workers=True,
            )
            fire_and_forget(task)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Cluster | None]:
    """Connect to the cluster in the settings until the block ends; ``None`` if none is set."""
    if settings.dask is None:
        yield None
        return
    if not is_server(settings.journal):
        raise UsageError(
            f"The workers of a Dask cluster can't reach the journal {shown(settings.journal)}.",
            Advice("Keep it on a PostgreSQL server", ": --journal postgresql://USER@HOST/DATABASE"),
        )
    client = await asyncio.to_thread(_connect, settings.dask)
    try:
        yield Cluster(client)
    finally:
        await asyncio.to_thread(client.close)


def _connect(dask: Any) -> Client:
    """Open a new connection: the caller's client may belong to another event loop."""
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("A Dask cluster needs distributed.", install_hint("dask")) from None
    address = dask if isinstance(dask, str) else dask.scheduler.address
    how = {"timeout": CONNECT_SECONDS, "set_as_default": False}
    try:
        return Client(address, security=getattr(dask, "security", None), **how)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"The Dask scheduler {visible(address)} can't be reached.",
            "Write its address as tcp://HOST:8786, and check that it runs and this machine may "
            "connect to it.",
        ) from error


def _shared(settings: Settings) -> dict[str, Any]:
    """Return the settings to send to a worker. Without secrets: they pass through the scheduler."""
    journal = server_url(settings.journal).difference_update_query(["password", "sslpassword"])
    journal = journal._replace(drivername="postgresql", password=None)
    shared = {name: getattr(settings, name) for name in _SENT}
    return shared | {"journal": journal.render_as_string(hide_password=False)}


def _words(answer: object) -> str:
    if isinstance(answer, str):
        return answer
    if re.search("ModuleNotFoundError|ImportError|AttributeError", repr(answer)):
        return "it has no batchrun, or an older one."
    return visible(f"{type(answer).__name__}: {answer}")


# Code that runs on the workers of the cluster


def problem_of_worker(batch_id: str, shared: dict[str, Any], schema_version: int) -> str:
    """Return why this process can't work on a batch, as a sentence; ``""`` if it can."""
    if schema_version != SCHEMA_VERSION:
        return "it has another version of batchrun."
    try:
        settings = _settings(shared)
        with Journal(settings.journal) as journal:
            summary = journal.resolve(batch_id)
            require_key(journal, summary, for_batch(settings, summary))
    except BatchrunError as error:
        return error.what
    return ""


def work_on(batch_id: str, shared: dict[str, Any]) -> None:
    """Work on the batch until it is done. Safe to repeat."""
    from distributed import secede

    secede()  # the task mostly waits, so free the Dask worker's slot for other tasks
    settings = _settings(shared)
    asyncio.run(work(batch_id, settings, until_done=True, on_progress=None, control=None))


def _settings(shared: dict[str, Any]) -> Settings:
    """Return this process's settings. Its own journal URL wins, as it may have a password."""
    own = load_settings()
    given = shared | ({"journal": own.journal} if "journal" in own.model_fields_set else {})
    return load_settings(**given)
