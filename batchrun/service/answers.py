"""What the service can answer: one type for each thing that the caller may do next.

An answer is parsed once, in this package. Callers match on these types and compare no status,
header or text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.model import Execution, Workflow


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """The key's quota according to an answer's headers; ``None`` where they say nothing usable.

    Attributes:
        limit: Requests the window allows.
        remaining: Requests left in the window.
        reset_seconds: Seconds from the answer until the next window begins.
        retry_after_seconds: Seconds from the answer before which no request is welcome.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class WorkflowList:
    """Workflows of the key's organization: one page, or all of them.

    Attributes:
        workflows: As listed, in the service's order.
        quota: The quota according to the headers.
        more: Whether another page will be requested.
    """

    workflows: tuple[Workflow, ...]
    quota: QuotaReading | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Credits:
    """The credits that the key's organization has left, where the key may read them.

    Attributes:
        remaining: Credits by name; ``None`` where they could not be read.
        refused: Whether the key may not read them.
        quota: The quota according to the headers.
    """

    remaining: Mapping[str, float] | None = None
    refused: bool = False
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a single request for the workflows says about the service and the key.

    Attributes:
        status: The HTTP status; ``None`` where no answer came.
        reason: Why it is no list of workflows, in plain words; ``""`` when it is one.
        workflows: How many the key sees.
        quota: The quota according to the headers.
        dated: When the service says it answered, in Unix seconds.
        seconds: How long it took, in seconds.
    """

    status: int | None
    reason: str
    workflows: int
    quota: QuotaReading | None
    dated: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service took the trigger: an execution exists."""

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
    """The service refused this trigger: nothing ran, and sending it again changes nothing.

    Attributes:
        status: The HTTP status, such as 400.
        reason: Why, in the service's own words where it has any.
        quota: The quota according to the headers.
    """

    status: int
    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The service refuses the key (401), or what the key asks for (403).

    Attributes:
        status: 401 or 403.
        reason: Why, in the service's own words where it has any.
        quota: The quota according to the headers.
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
    """No usable answer to a poll this time; it is safe to ask again.

    Attributes:
        reason: Why.
        quota: The quota according to the headers.
        from_service: Whether the service itself answered, so it can be reached.
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
"""What can happen to a trigger."""

PollAnswer: TypeAlias = Polled | Unclear | Throttled | Unknown | KeyRefused
"""What can happen to a poll."""
