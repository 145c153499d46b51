"""How a batch's journal and workbook tell why it stands where it stands. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from batchrun.engine import Ending
from batchrun.opening import SPENT, spent_until


def note_of(ending: Ending, resume_at: datetime | None, stopped_because: str) -> str:
    """Why a batch ended, in sentences; ``""`` where nothing is left to say.

    Args:
        ending: Why the engine stopped.
        resume_at: When the quota opens again, where it is spent.
        stopped_because: Which failures stopped it, where they did; the service's words end it.
    """
    if ending is Ending.FAILURES:
        return f"{_NOTES[ending]} {stopped_because.rstrip('.')}."
    if resume_at is None:
        return _NOTES[ending]
    return spent_until(resume_at)


def whole_minute(seconds: float) -> datetime:
    """When so much time has passed, rounded up: who comes a minute early finds the quota spent."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    begun = moment.replace(second=0, microsecond=0)
    return begun if begun == moment else begun + timedelta(minutes=1)


_NOTES = {
    Ending.FINISHED: "",
    Ending.LIMIT: "The limit of jobs is reached.",
    Ending.INTERRUPTED: "It was interrupted.",
    Ending.QUOTA: SPENT,
    Ending.UNREACHABLE: "The service could not be reached.",
    Ending.FAILURES: "Nothing more was triggered:",
    Ending.NAMED: "What was to be sent again is done; the rest waits.",
}
