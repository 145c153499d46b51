"""The client sends each request once and returns a typed answer. It never retries or waits."""

from __future__ import annotations

import json
import logging
import time
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from batchrun import __version__
from batchrun.advice import Action, Advice
from batchrun.errors import BatchrunError, KeyRefusedError, ServiceError, UsageError, WorkflowError
from batchrun.events import Event, log_event
from batchrun.service.answers import (
    Credits,
    NoReply,
    PollAnswer,
    Probe,
    Reply,
    TriggerAnswer,
    Unknown,
    WorkflowList,
    classify_credits,
    classify_poll,
    classify_trigger,
    explain_reply,
    without_key,
)
from batchrun.service.parsing import (
    QuotaReading,
    UnusableAnswerError,
    is_html,
    is_usable_id,
    read_workflows,
    tidy,
)
from batchrun.service.transport import exchange, fault_for_log, open_transport
from batchrun.settings.location import DEFAULT_BASE_URL, checked_base_url, is_loopback
from batchrun.text import OFFERED, close_matches, duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from batchrun.model import JSON, Workflow


_LOG = logging.getLogger(__name__)


def checked_key(key: str) -> str:
    """Return the key without surrounding white space.

    Raises:
        KeyRefusedError: The key is empty, or has characters that a header can't carry. The message
            doesn't repeat the key.
    """
    bare = key.strip()
    if not bare:
        hint = Advice("", "Save yours with: batchrun login", Action.LOG_IN)
        raise KeyRefusedError("There is no API key.", hint)
    if not all("!" <= character <= "~" for character in bare):
        raise KeyRefusedError(
            "The API key holds a space or a character that no key has.",
            "Copy it again, alone and on one line.",
        )
    return bare


_JSON_CONTENT = {"Content-Type": "application/json"}

# Limit for a whole exchange, as a multiple of the timeout of one step (wait for a free connection,
# connect, TLS, first byte). Only an answer that trickles in takes longer.
_DEADLINE_FACTOR = 4

MAX_PAGES = 50
"""Maximum number of workflow pages to read: a faulty service may always name a next page."""

_BASE_URL_HINT = Advice("Check the base URL", " (BATCHRUN_BASE_URL)") + "."


def unreachable_hint(base_url: str) -> str:
    """What to do if nothing answers at an address."""
    if is_loopback(base_url):
        return Advice("This is the practice sandbox. ", "For PG:AI: batchrun login", Action.LOG_IN)
    return Advice("Check the network, the proxy and the base URL", " (BATCHRUN_BASE_URL)") + "."


class Client(AbstractAsyncContextManager["Client"]):
    """Talks to the service with one key.

    Use as an async context manager. Redirects are never followed: the key goes to no other host.

    Args:
        key: The API key.
        base_url: The service's address; plain http is allowed only for this machine.
        timeout_seconds: Timeout of a single step (connecting, sending, the next bytes of an
            answer), in seconds.
        few_requests: Whether only one or two requests will be sent, so a fast start matters more.

    Attributes:
        base_url: The service's address.
        requests_at_once: Maximum number of concurrent requests.

    Raises:
        KeyRefusedError: The key is empty, or has characters that a header can't carry.
        UsageError: The base URL, or a proxy or certificate set in the environment, can't be used.
    """

    def __init__(
        self,
        key: str,
        base_url: str = DEFAULT_BASE_URL,
        *,
        timeout_seconds: float = 30.0,
        few_requests: bool = False,
    ) -> None:
        self._key = checked_key(key)
        self.base_url = checked_base_url(base_url)
        try:
            _ = httpx.URL(self.base_url).host  # validates the host name by IDNA 2008
        except (httpx.InvalidURL, ValueError):
            raise UsageError("The base URL is not an address.", _BASE_URL_HINT) from None
        self._deadline_seconds = timeout_seconds * _DEADLINE_FACTOR
        self._transport, self.requests_at_once = open_transport(
            self.base_url, timeout_seconds, few_requests=few_requests
        )
        self._headers = {
            "x-api-key": self._key,
            "User-Agent": f"batchrun/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }

    def __repr__(self) -> str:
        return f"Client(base_url={self.base_url!r})"

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def workflow_pages(self) -> AsyncIterator[WorkflowList]:
        """Yield the workflows page by page, with one request for each page as it is needed.

        Stops after the last page, after a page that can't be read or has nothing new, and after
        `MAX_PAGES`.

        Raises:
            KeyRefusedError: The service refuses the key.
            ServiceError: The service can't be reached, or something else answers in its place.
        """
        known: set[str] = set()
        asked: set[str] = set()
        query = ""
        for number in range(1, MAX_PAGES + 1):
            asked.add(query)
            reply = await self._exchange("GET", f"/workflows?{query}" if query else "/workflows")
            try:
                listed, query = self._read_page(reply, number)
            except BatchrunError:
                if number == 1:
                    raise
                listed, query = (), ""  # keep the pages before it
            new = tuple(workflow for workflow in listed if workflow.id not in known)
            known.update(workflow.id for workflow in new)
            more = bool(query and new and query not in asked and number < MAX_PAGES)
            quota = reply.quota if isinstance(reply, Reply) else None
            yield WorkflowList(new, quota, more)
            if not more:
                return

    def _read_page(self, reply: Reply | NoReply, number: int) -> tuple[tuple[Workflow, ...], str]:
        """Return a page's workflows, and the query for the next page."""
        if isinstance(reply, NoReply):
            raise ServiceError(
                tidy(f"The service at {self.base_url} can't be reached: {reply.reason}."),
                unreachable_hint(self.base_url),
            )
        if reply.status != 200:
            raise self._error(reply)
        try:
            return read_workflows(reply.document(), number)
        except UnusableAnswerError as error:
            raise ServiceError(
                f"What answers at {self.base_url} is not the service: {error}.", _BASE_URL_HINT
            ) from None

    async def probe(self) -> Probe:
        """Request the workflows once, and report what that shows about the service and the key."""
        began = time.perf_counter()
        reply = await self._exchange("GET", "/workflows")
        seconds = time.perf_counter() - began
        if isinstance(reply, NoReply):
            return Probe(None, tidy(reply.reason), 0, None, None, seconds)
        found, reason = 0, "" if reply.status == 200 else explain_reply(reply)
        if not reason:
            try:
                found = len(read_workflows(reply.document())[0])
            except UnusableAnswerError as error:
                reason = tidy(f"not a list of workflows: {error}")
        return Probe(reply.status, reason, found, reply.quota, reply.dated, seconds)

    async def trigger(self, body: Mapping[str, JSON]) -> TriggerAnswer:
        """Send a trigger, exactly once.

        Args:
            body: The complete body: ``workflow_id`` and any other fields.

        Raises:
            ValueError: The body has NaN or an infinity, which JSON doesn't allow; nothing was sent.
        """
        content = json.dumps(body, allow_nan=False).encode("ascii")
        reply = await self._exchange("POST", "/workflows/trigger", content)
        return classify_trigger(reply, body)

    async def poll(
        self, execution_id: str, body: Mapping[str, JSON] = MappingProxyType({})
    ) -> PollAnswer:
        """Request an execution's current state, once.

        Args:
            execution_id: The execution.
            body: The body of its trigger. An answer about another workflow, company or contact
                isn't used.
        """
        if not is_usable_id(execution_id):
            return Unknown("execution id of an unusable shape")
        path = f"/workflows/executions/{quote(execution_id, safe='')}"
        return classify_poll(await self._exchange("GET", path), execution_id, body)

    async def credits(self) -> Credits:
        """Request the credits left, once; a failed request is not an error."""
        return classify_credits(await self._exchange("GET", "/organization/credits"))

    async def _exchange(
        self, method: str, path: str, content: bytes | None = None
    ) -> Reply | NoReply:
        headers = self._headers if content is None else self._headers | _JSON_CONTENT
        sent = self._transport.send(method, self.base_url + path, headers, content)
        began = time.monotonic()
        reply = without_key(await exchange(sent, self._deadline_seconds), self._key)
        log_event(
            _LOG,
            Event.REQUEST,
            logging.DEBUG,
            method=method,
            path=path,
            status=None if isinstance(reply, NoReply) else reply.status,
            seconds=round(time.monotonic() - began, 3),
            fault=fault_for_log(reply.reason if isinstance(reply, NoReply) else reply.body_error),
        )
        return reply

    def _error(self, reply: Reply) -> ServiceError | KeyRefusedError:
        """Return the error for a list of workflows that failed (any status except 200)."""
        address, reason = self.base_url, explain_reply(reply)
        quota = reply.quota or QuotaReading()
        wait = min(quota.retry_after_seconds or quota.reset_seconds or 0.0, _MAX_WAIT_SECONDS)
        hint: str = f"Try again in {duration(wait)}." if wait else "Try again later."
        kind: type[ServiceError | KeyRefusedError] = ServiceError
        match reply.status:
            case 401 | 403 if is_html(reply.body):
                what = (
                    f"Something in front of the service at {address} refuses the request: {reason}."
                )
                check = "Check the proxy, the firewall and the base URL"
                hint = Advice(check, " (BATCHRUN_BASE_URL)") + "."
            case 401:
                what = f"The service at {address} refuses the key: {reason}."
                kind = KeyRefusedError
                hint = Advice(
                    "",
                    "Save your current key with batchrun login, or set it in PGAI_API_KEY.",
                    Action.LOG_IN,
                )
            case 403:
                what = f"The service at {address} lists no workflows for this key: {reason}."
                kind = KeyRefusedError
                hint = "The key needs the scopes workflows:read and workflows:execute."
            case 429:
                what = f"The key's quota at {address} is spent: {reason}."
            case status if status >= 500:
                what = f"The service at {address} failed: {reason}."
            case _:
                what = f"What answers at {address} is not the service: {reason}."
                hint = _BASE_URL_HINT
        return kind(what, hint)


_MAX_WAIT_SECONDS = 86_400.0
"""The longest quota is a day's; a service that names a later time is not believed."""


ACTIVE = "active"


def choose_workflow(workflows: Sequence[Workflow], wanted: str) -> Workflow:
    """Return the workflow with this ID, or with this name in any case.

    Raises:
        WorkflowError: No workflow matches (the error suggests close ones), several have the
            name, or the match is not active.
    """
    name = " ".join(wanted.split()).casefold()
    found = [workflow for workflow in workflows if workflow.id == wanted] or [
        workflow for workflow in workflows if " ".join(workflow.name.split()).casefold() == name
    ]
    if not found:
        names = [each.name for each in workflows]
        close = [each for each in names if name in each.casefold()] or close_matches(name, names, 1)
        hint = Advice("", "To list them: batchrun workflows", workflow="")
        if close:
            quoted = " or ".join(f'"{each}"' for each in close[:OFFERED])
            meant = f"Did you mean {quoted}?"
            hint = Advice(meant, " To list them all: batchrun workflows", workflow="")
        raise WorkflowError(f'There is no workflow "{wanted}".', hint)
    active = [workflow for workflow in found if workflow.status.casefold() == ACTIVE]
    if not active:
        raise WorkflowError(
            f'The workflow "{found[0].name}" ({found[0].id}) is {found[0].status}, not active.',
            Advice("Activate it in PG:AI, or choose another", ": batchrun workflows", workflow=""),
        )
    if len(active) > 1:
        ids = ", ".join(workflow.id for workflow in active)
        raise WorkflowError(
            f'{len(active)} workflows are called "{wanted}": {ids}.',
            "Name the one you mean by its id.",
        )
    return active[0]
