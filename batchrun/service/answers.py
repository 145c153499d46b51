"""The service's answers: one type for each thing that the caller can do next.

This package parses each answer once. Callers match on these types and never compare a status, a
header, or text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.model import Cause, Execution, Workflow


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """The key's quota from an answer's headers; ``None`` for anything missing or unusable.

    Attributes:
        limit: Requests allowed per window.
        remaining: Requests left in the window.
        reset_seconds: Seconds from the answer until the next window begins.
        retry_after_seconds: Seconds from the answer to wait before the next request.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class WorkflowList:
    """A page of the workflows of the key's organization.

    Attributes:
        workflows: The workflows, in the service's order.
        quota: The quota from the headers.
        more: Whether another page will be requested.
    """

    workflows: tuple[Workflow, ...]
    quota: QuotaReading | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Credits:
    """The credits left to the key's organization, if the key may read them.

    Attributes:
        remaining: Credits by name; ``None`` if they could not be read.
        refused: Whether the key may not read them.
        quota: The quota from the headers.
    """

    remaining: Mapping[str, float] | None = None
    refused: bool = False
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a single request for the workflows shows about the service and the key.

    Attributes:
        status: The HTTP status; ``None`` if there was no answer.
        reason: Why the answer is not a list of workflows, in plain words; ``""`` if it is one.
        workflows: Number of workflows the key can see.
        quota: The quota from the headers.
        dated: The answer's ``Date``, in Unix seconds.
        seconds: Duration of the request, in seconds.
    """

    status: int | None
    reason: str
    workflows: int
    quota: QuotaReading | None
    dated: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service accepted the trigger: an execution exists."""

    execution: Execution
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing reached the service; the trigger may be sent again."""

    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """Refused for now, without effect (429, or 503 with Retry-After); try again later."""

    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The service refused this trigger: nothing ran, and a retry would be refused too.

    Attributes:
        status: The HTTP status, such as 400.
        reason: Why, in the service's own words if it gives any.
        quota: The quota from the headers.
        cause: Why, as far as the status says.
    """

    status: int
    reason: str
    quota: QuotaReading | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The service refuses the key (401), or the key lacks permission (403).

    Attributes:
        status: 401 or 403.
        reason: Why, in the service's own words if it gives any.
        quota: The quota from the headers.
    """

    status: int
    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The trigger may or may not have been accepted; only the user can settle it."""

    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Polled:
    """The execution's current state."""

    execution: Execution
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """No usable answer to a poll this time; polling again is safe.

    Attributes:
        reason: Why there is no usable answer.
        quota: The quota from the headers.
        from_service: Whether the service itself answered, which shows that it can be reached.
    """

    reason: str
    quota: QuotaReading | None = None
    from_service: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The service says it has no such execution (404)."""

    reason: str
    quota: QuotaReading | None = None


TriggerAnswer: TypeAlias = Accepted | NotSent | Throttled | Rejected | KeyRefused | Doubtful
"""The possible outcomes of a trigger."""

PollAnswer: TypeAlias = Polled | Unclear | Throttled | Unknown | KeyRefused
"""The possible outcomes of a poll."""
