"""What batchrun logs with the standard ``logging``: each event has a name and facts.

Loggers are named after modules, below ``batchrun``, and are silent without a handler. No event
contains cells, parameters, results or the service's messages, which may repeat any of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Event(StrEnum):
    """What can happen; docs/reference.md lists the facts of each."""

    BATCH_STARTED = "batch.started"
    BATCH_ENDED = "batch.ended"
    BATCH_ABORTED = "batch.aborted"
    KEY_REPLACED = "key.replaced"
    JOB_SENDING = "job.sending"
    JOB_ACCEPTED = "job.accepted"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_REJECTED = "job.rejected"
    JOB_IN_DOUBT = "job.in_doubt"
    JOB_REQUEUED = "job.requeued"
    JOB_TIMED_OUT = "job.timed_out"
    REQUEST = "request"
    QUOTA_WAITING = "quota.waiting"
    RESULTS_DEGRADED = "results.degraded"
    RESULTS_WRITTEN = "results.written"
    WORKBOOK_SPLIT = "workbook.split"
    WORKBOOK_SIMPLIFIED = "workbook.simplified"


@dataclass(frozen=True, slots=True)
class EventMessage:
    """The message of a log record, formatted only when a handler needs it.

    Facts that are ``None`` are left out.
    """

    event: Event
    facts: Mapping[str, object]

    def __str__(self) -> str:
        facts = (f"{name}={value}" for name, value in self.facts.items() if value is not None)
        return " ".join([self.event, *facts])


def log_event(
    logger: logging.Logger, event: Event, level: int = logging.INFO, **facts: object
) -> None:
    """Log an event with its facts."""
    if logger.isEnabledFor(level):
        logger.log(level, EventMessage(event, facts), stacklevel=2)
