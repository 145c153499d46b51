"""What the service can answer, each case a type of its own.

An answer is parsed once, in this package; whoever calls matches on these types and compares no
status, header or word. The classes differ in one thing: what they let the caller do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.model import Execution, Workflow


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """What an answer's headers tell of the key's quota; ``None`` where they tell nothing usable.

    Attributes:
        limit: Requests the window allows.
        remaining: Requests left in the window.
        reset_seconds: Seconds from the answer until the window starts anew.
        retry_after_seconds: Seconds from the answer before which no request is welcome.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class WorkflowList:
    """The workflows of the key's organization.

    Attributes:
        workflows: As listed, in the service's order.
        quota: What the headers told of the quota.
        more: Whether the service says that there are further pages, which were not fetched.
    """

    workflows: tuple[Workflow, ...]
    quota: QuotaReading | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Credits:
    """The credits that the key's organization has left, where the key may read them.

    Attributes:
        remaining: Credits by their name; ``None`` where they could not be read.
        refused: Whether it is the key that may not read them.
        quota: What the headers told of the quota.
    """

    remaining: Mapping[str, float] | None = None
    refused: bool = False
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a single request for the workflows shows of the service and the key.

    Attributes:
        status: The HTTP status; ``None`` where no answer came.
        reason: Why it is no list of workflows, in plain words; ``""`` when it is one.
        workflows: How many the key sees.
        quota: What the headers told of the quota.
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
    """Surely nothing reached the service; the trigger may be sent again."""

    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """Refused without effect for now (429, or 503 with Retry-After); ask again later."""

    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The service said no to this trigger: nothing ran, and sending it again changes nothing.

    Attributes:
        status: The HTTP status, such as 400.
        reason: Why, in the service's own words where it has any.
        quota: What the headers told of the quota.
    """

    status: int
    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The service refuses the key (401) or what it may do (403); no request will do better.

    Attributes:
        status: 401 or 403.
        reason: Why, in the service's own words where it has any.
        quota: What the headers told of the quota.
    """

    status: int
    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The trigger may have been accepted or not; only the user can settle it."""

    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The service tells where the execution stands."""

    execution: Execution
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """No usable answer to a poll this time; it is safe to ask again.

    Attributes:
        reason: Why.
        quota: What the headers told of the quota.
        heard: Whether it was the service that answered, so that the way to it is sound.
    """

    reason: str
    quota: QuotaReading | None = None
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The service says it has no such execution (404)."""

    reason: str
    quota: QuotaReading | None = None


TriggerAnswer: TypeAlias = Accepted | NotSent | Throttled | Rejected | KeyRefused | Doubtful
"""What can become of a trigger."""

PollAnswer: TypeAlias = Told | Unclear | Throttled | Unknown | KeyRefused
"""What can become of a poll."""
