"""The service's answers: one type for each thing that the caller can do next. Pure.

`classify_trigger` and `classify_poll` make them from replies. Callers match on these types and
never compare a status, a header, or text.

For a trigger the question is: *could a proxy or gateway have passed it on to the service?* If so,
it may have run, and sending it again could pay for it twice.

=====================================================  =============================================
reply to a trigger                                     class
=====================================================  =============================================
2xx with an execution ID                               accepted
2xx without one, or about another subject              in doubt
301, 302, 307, 308: redirect to another address        rejected; the key goes to no other host
303: the answer is elsewhere; other 3xx                in doubt
401, 403, unless HTML                                  the key is refused
401, 403 in HTML: a gateway or firewall refused        rejected
429; 503 with Retry-After                              refused for now
408, 460, 499: a client or gateway stopped waiting     in doubt
other 4xx of the HTTP registry (`REFUSALS`)            rejected
4xx not in the registry                                in doubt: their meaning is unknown
1xx, 5xx, 600 and above                                in doubt
no connection                                          not sent
connected, but no status came back                     in doubt
=====================================================  =============================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from batchrun.model import JSON, Cause, Execution, Workflow
from batchrun.service.parsing import (
    QuotaReading,
    UnusableAnswerError,
    explain,
    is_html,
    read_accepted,
    read_credits,
    read_json,
    read_polled,
    tidy,
)
from batchrun.text import MIN_SECRET_CHARACTERS, spellings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class WorkflowList:
    """A page of the workflows of the key's organization."""

    workflows: tuple[Workflow, ...]  # in the service's order
    quota: QuotaReading | None = None
    more: bool = False  # whether another page will be requested


@dataclass(frozen=True, slots=True)
class Credits:
    """The credits left to the key's organization, if the key may read them."""

    remaining: Mapping[str, float] | None = None  # by name; None if they could not be read
    refused: bool = False  # whether the key may not read them
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a single request for the workflows shows about the service and the key."""

    status: int | None  # HTTP status; None if there was no answer
    reason: str  # why the answer is not a list of workflows, in plain words; "" if it is one
    workflows: int  # number of workflows the key can see
    quota: QuotaReading | None
    dated: float | None  # the answer's Date, in Unix seconds
    seconds: float  # duration of the request


@dataclass(frozen=True, slots=True)
class _WithExecution:
    execution: Execution
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class _WithReason:
    reason: str
    quota: QuotaReading | None = None


@dataclass(frozen=True, slots=True)
class _Refused:
    status: int
    reason: str  # in the service's own words if it gives any
    quota: QuotaReading | None = None


class Accepted(_WithExecution):
    """The service accepted the trigger: an execution exists."""


class NotSent(_WithReason):
    """Nothing reached the service; the trigger may be sent again."""


class Throttled(_WithReason):
    """Refused for now, without effect (429, or 503 with Retry-After); try again later."""


@dataclass(frozen=True, slots=True)
class Rejected(_Refused):
    """The service refused this trigger: nothing ran, and a retry would be refused too."""

    cause: Cause | None = None  # as far as the status says


class KeyRefused(_Refused):
    """The service refuses the key (401), or the key lacks permission (403)."""


class Doubtful(_WithReason):
    """The trigger may or may not have been accepted; only the user can settle it."""


class Polled(_WithExecution):
    """The execution's current state."""


class Unknown(_WithReason):
    """The service says it has no such execution (404)."""


@dataclass(frozen=True, slots=True)
class Unclear(_WithReason):
    """No usable answer to a poll this time; polling again is safe."""

    from_service: bool = False  # whether the service itself answered: it can be reached


TriggerAnswer: TypeAlias = Accepted | NotSent | Throttled | Rejected | KeyRefused | Doubtful
"""The possible outcomes of a trigger."""

PollAnswer: TypeAlias = Polled | Unclear | Throttled | Unknown | KeyRefused
"""The possible outcomes of a poll."""


REFUSALS = frozenset(
    {301, 302, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414}
    | {415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 431, 451}
)
"""Statuses that mean the request was refused before it had any effect: redirects of a POST, and the
4xx of the IANA registry of HTTP statuses except 408 (timeout) and 429 (too many requests)."""

CAUSES: Mapping[int, Cause] = {
    402: Cause.NO_CREDITS,
    **dict.fromkeys((401, 403), Cause.NO_ACCESS),
    **dict.fromkeys((404, 410), Cause.UNKNOWN_RECORD),
    **dict.fromkeys((301, 302, 307, 308, 405, 407, 421, 426), Cause.NOT_REACHED),
    **dict.fromkeys((400, 409, 412, 413, 414, 415, 417, 422, 428, 431), Cause.BAD_VALUES),
}
"""Why a trigger was refused, by status. The other statuses of `REFUSALS` don't say."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer whose status arrived; its body may be incomplete."""

    status: int
    body: bytes  # the part that arrived
    quota: QuotaReading | None = None  # from the headers
    location: str = ""  # target of a redirect
    body_error: str = ""  # why the body is incomplete or unreadable
    dated: float | None = None  # the answer's Date, in Unix seconds

    def document(self, *, lenient: bool = False) -> JSON:
        """Parse the body as `read_json` does.

        Raises:
            UnusableAnswerError: The body is incomplete or not JSON.
        """
        if self.body_error:
            raise UnusableAnswerError(self.body_error)
        return read_json(self.body, lenient=lenient)


@dataclass(frozen=True, slots=True)
class NoReply:
    """A request that got no status back."""

    reason: str  # in plain words
    sent: bool  # whether any part of it may have reached the service


def without_key(reply: Reply | NoReply, key: str) -> Reply | NoReply:
    """Mask the key in a reply: the service may repeat it anywhere, even in a result.

    A short or all-digit key is not masked, because it could occur in unrelated text.
    """
    if len(key) < MIN_SECRET_CHARACTERS or key.isdecimal():
        return reply
    for spelling in sorted(spellings(key), key=len, reverse=True):
        if isinstance(reply, NoReply):
            reply = replace(reply, reason=reply.reason.replace(spelling, "[key]"))
        else:
            reply = replace(
                reply,
                body=reply.body.replace(spelling.encode(), b"[key]"),
                location=reply.location.replace(spelling, "[key]"),
                body_error=reply.body_error.replace(spelling, "[key]"),
            )
    return reply


def classify_trigger(reply: Reply | NoReply, sent: Mapping[str, JSON]) -> TriggerAnswer:
    """Classify the reply to a trigger with the body ``sent``, by the table at the top.

    An answer about another workflow, company or contact is in doubt.
    """
    if isinstance(reply, NoReply):
        reason = tidy(reply.reason)
        return Doubtful(reason) if reply.sent else NotSent(reason)
    if 200 <= reply.status < 300:
        try:
            return Accepted(read_accepted(reply.document(), sent), reply.quota)
        except UnusableAnswerError as error:
            return Doubtful(_why_unusable(reply, error), reply.quota)
    if (refused := _refused(reply)) is not None:
        return refused
    if reply.status in REFUSALS:
        # A 401 or 403 that gets here is a page of a gateway or firewall.
        cause = Cause.NOT_REACHED if reply.status in {401, 403} else CAUSES.get(reply.status)
        return Rejected(reply.status, explain_reply(reply), reply.quota, cause)
    return Doubtful(explain_reply(reply), reply.quota)


def classify_poll(reply: Reply | NoReply, asked_id: str, sent: Mapping[str, JSON]) -> PollAnswer:
    """Classify the reply to a poll of an execution, which a trigger with the body ``sent`` began.

    An answer about another execution, workflow, company or contact is not used.
    """
    if isinstance(reply, NoReply):
        return Unclear(tidy(reply.reason))
    if 200 <= reply.status < 300:
        try:
            execution = read_polled(reply.document(lenient=True), asked_id, sent)
            return Polled(execution, reply.quota)
        except UnusableAnswerError as error:
            reason = _why_unusable(reply, error)
            return Unclear(reason, reply.quota, from_service=_is_json_object(reply))
    if (refused := _refused(reply)) is not None:
        return refused
    if reply.status in {404, 410}:
        return Unknown(explain_reply(reply), reply.quota)
    return Unclear(explain_reply(reply), reply.quota, from_service=_is_json_object(reply))


def classify_credits(reply: Reply | NoReply) -> Credits:
    """Classify the reply to a request for the credits; a failed request is not an error."""
    if isinstance(reply, NoReply):
        return Credits()
    if reply.status != 200:
        return Credits(refused=reply.status in {401, 403}, quota=reply.quota)
    try:
        return Credits(read_credits(reply.document()), quota=reply.quota)
    except UnusableAnswerError:
        return Credits(quota=reply.quota)


def _is_json_object(reply: Reply) -> bool:
    """Whether the service itself answered, not a gateway or a hotel's login page."""
    try:
        return isinstance(reply.document(), dict)
    except UnusableAnswerError:
        return False


def explain_reply(reply: Reply) -> str:
    """Explain in one line why a reply is not a success."""
    if 300 <= reply.status < 400 and reply.location:
        return tidy(f"HTTP {reply.status}: redirects to {reply.location}, not followed")
    return explain(reply.status, reply.body)


def _refused(reply: Reply) -> KeyRefused | Throttled | None:
    """Classify the refusals that mean the same for every request; ``None`` for other replies."""
    retry_after = reply.quota.retry_after_seconds if reply.quota else None
    if reply.status in {401, 403} and not is_html(reply.body):
        return KeyRefused(reply.status, explain_reply(reply), reply.quota)
    if reply.status == 429 or (reply.status == 503 and retry_after is not None):
        return Throttled(explain_reply(reply), reply.quota)
    return None


def _why_unusable(reply: Reply, error: UnusableAnswerError) -> str:
    # An incomplete body may be half a result, so its text explains nothing.
    seen = f"HTTP {reply.status}" if reply.body_error else explain(reply.status, reply.body)
    return tidy(f"{error} ({seen})")
