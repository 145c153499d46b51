"""Which class of answer a reply is: what it lets the caller do next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchrun.service.answers import (
    Accepted,
    Credits,
    Doubtful,
    KeyRefused,
    NotSent,
    PollAnswer,
    QuotaReading,
    Rejected,
    Throttled,
    Told,
    TriggerAnswer,
    Unclear,
    Unknown,
)
from batchrun.service.parsing import (
    UnusableAnswerError,
    explain,
    read_accepted,
    read_credits,
    read_json,
    read_polled,
    tidy,
)

if TYPE_CHECKING:
    from batchrun.model import JSON


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer of which at least the status came.

    Attributes:
        status: The HTTP status.
        body: What came of the body.
        quota: What the headers told of the quota.
        location: Where a redirect points, else ``""``.
        flaw: Why the body is not whole, else ``""``.
        dated: When the service says it answered, in Unix seconds.
    """

    status: int
    body: bytes
    quota: QuotaReading | None = None
    location: str = ""
    flaw: str = ""
    dated: float | None = None

    def document(self) -> JSON:
        """The body as JSON.

        Raises:
            UnusableAnswerError: The body is not whole or not JSON.
        """
        if self.flaw:
            raise UnusableAnswerError(self.flaw)
        return read_json(self.body)


@dataclass(frozen=True, slots=True)
class NoReply:
    """A request that got no status back.

    Attributes:
        reason: Why, in plain words.
        sent: Whether any of it may have reached the service.
    """

    reason: str
    sent: bool


def classify_trigger(reply: Reply | NoReply, key: str) -> TriggerAnswer:
    """Say what became of a trigger.

    Args:
        reply: What came back.
        key: The key, which no reason may repeat.
    """
    if isinstance(reply, NoReply):
        reason = tidy(reply.reason, key)
        return Doubtful(reason) if reply.sent else NotSent(reason)
    if 200 <= reply.status < 300:
        try:
            return Accepted(read_accepted(reply.document(), key), reply.quota)
        except UnusableAnswerError as error:
            return Doubtful(_doubt(reply, error, key), reply.quota)
    refused = _refused(reply, key)
    if refused is not None:
        return refused
    if 300 <= reply.status < 500:
        return Rejected(reply.status, explain_reply(reply, key), reply.quota)
    return Doubtful(explain_reply(reply, key), reply.quota)


def classify_poll(reply: Reply | NoReply, asked_id: str, key: str) -> PollAnswer:
    """Say what became of a poll.

    Args:
        reply: What came back.
        asked_id: The execution that was asked for; another's answer is never taken for its.
        key: The key, which no reason may repeat.
    """
    if isinstance(reply, NoReply):
        return Unclear(tidy(reply.reason, key))
    if 200 <= reply.status < 300:
        try:
            return Told(read_polled(reply.document(), asked_id, key), reply.quota)
        except UnusableAnswerError as error:
            return Unclear(_doubt(reply, error, key), reply.quota, heard=_speaks(reply))
    refused = _refused(reply, key)
    if refused is not None:
        return refused
    if reply.status in {404, 410}:
        return Unknown(explain_reply(reply, key), reply.quota)
    return Unclear(explain_reply(reply, key), reply.quota, heard=_speaks(reply))


def classify_credits(reply: Reply | NoReply, key: str) -> Credits:
    """Say what is known of the credits: whatever else comes back than a telling 200 is no error.

    Args:
        reply: What came back.
        key: The key, which no name of credits may repeat.
    """
    if isinstance(reply, NoReply):
        return Credits()
    if reply.status != 200:
        return Credits(refused=reply.status in {401, 403}, quota=reply.quota)
    try:
        return Credits(read_credits(reply.document(), key), quota=reply.quota)
    except UnusableAnswerError:
        return Credits(quota=reply.quota)


def _speaks(reply: Reply) -> bool:
    """Whether the service itself answered, and not a gateway or a hotel's log-in page."""
    try:
        return isinstance(reply.document(), dict)
    except UnusableAnswerError:
        return False


def explain_reply(reply: Reply, key: str) -> str:
    """Say in one line why a reply is no success."""
    if 300 <= reply.status < 400 and reply.location:
        return tidy(f"HTTP {reply.status}: redirects to {reply.location}, not followed", key)
    return explain(reply.status, reply.body, key)


def _refused(reply: Reply, key: str) -> KeyRefused | Throttled | None:
    """Tell the refusals that mean the same for every request, else ``None``."""
    retry_after = reply.quota.retry_after_seconds if reply.quota else None
    if reply.status in {401, 403}:
        return KeyRefused(reply.status, explain_reply(reply, key), reply.quota)
    if reply.status == 429 or (reply.status == 503 and retry_after is not None):
        return Throttled(explain_reply(reply, key), reply.quota)
    return None


def _doubt(reply: Reply, error: UnusableAnswerError, key: str) -> str:
    # A body that broke off may be half a result: its text is no explanation.
    seen = f"HTTP {reply.status}" if reply.flaw else explain(reply.status, reply.body, key)
    return tidy(f"{error} ({seen})", key)
