"""What batchrun tells through the standard ``logging``: each event has a name and facts.

Loggers are named by module, below ``batchrun``, and silent until somebody listens. No event tells
of cells, parameters, results or the service's own words: an error text may repeat any of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


__all__ = ["Event", "Happening"]


class Event(StrEnum):
    """What can happen; docs/reference.md says what each tells."""

    BATCH_BEGUN = "batch.begun"
    BATCH_ENDED = "batch.ended"
    BATCH_BROKEN_OFF = "batch.broken_off"
    KEY_REPLACED = "key.replaced"
    JOB_SENDING = "job.sending"
    JOB_ACCEPTED = "job.accepted"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_REJECTED = "job.rejected"
    JOB_IN_DOUBT = "job.in_doubt"
    JOB_RETURNED = "job.returned"
    JOB_TIMED_OUT = "job.timed_out"
    REQUEST = "request"
    QUOTA_WAITING = "quota.waiting"
    RESULTS_DEGRADED = "results.degraded"
    RESULTS_WRITTEN = "results.written"
    WORKBOOK_SIMPLIFIED = "workbook.simplified"


@dataclass(frozen=True, slots=True)
class Happening:
    """The message of a log record, put into words only if somebody reads it.

    Attributes:
        event: What happened.
        facts: Its details by name; ``None`` for those without a value.
    """

    event: Event
    facts: Mapping[str, object]

    def __str__(self) -> str:
        facts = (f"{name}={told}" for name, told in self.facts.items() if told is not None)
        return " ".join([self.event, *facts])


def happened(
    logger: logging.Logger, event: Event, level: int = logging.INFO, **facts: object
) -> None:
    """Log an event.

    Args:
        logger: The module's own.
        event: What happened.
        level: How much it matters.
        **facts: Its details.
    """
    if logger.isEnabledFor(level):
        logger.log(level, Happening(event, facts), stacklevel=2)
