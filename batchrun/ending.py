"""How a batch's journal and workbook tell why it stands where it stands. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from batchrun.engine import Ending


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
    return f"{_NOTES[ending]} {_OPENS}{resume_at:{_MINUTE}} UTC."


def opens_at(note: str) -> datetime | None:
    """When the quota opens again, by the note of a batch that waits for it; else ``None``."""
    begins = f"{_NOTES[Ending.QUOTA]} {_OPENS}"  # a note with words of the service begins otherwise
    if not note.startswith(begins):
        return None
    told = note.removeprefix(begins).removesuffix(" UTC.")
    try:
        return datetime.strptime(f"{told}+0000", f"{_MINUTE}%z")
    except ValueError:
        return None


def whole_minute(seconds: float) -> datetime:
    """When so much time has passed, rounded up: who comes a minute early finds the quota spent."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    begun = moment.replace(second=0, microsecond=0)
    return begun if begun == moment else begun + timedelta(minutes=1)


_OPENS = "It opens again at "
_MINUTE = "%Y-%m-%d %H:%M"
_NOTES = {
    Ending.FINISHED: "",
    Ending.LIMIT: "The limit of jobs is reached.",
    Ending.INTERRUPTED: "It was interrupted.",
    Ending.QUOTA: "The quota is spent for now.",
    Ending.UNREACHABLE: "The service could not be reached.",
    Ending.FAILURES: "Nothing more was triggered:",
    Ending.NAMED: "What was to be sent again is done; the rest waits.",
}
