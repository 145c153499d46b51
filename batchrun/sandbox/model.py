"""A pure model of the service: no clock, no socket, no global randomness.

Methods take the key, ``None`` for a request without one, and ``now``, the virtual time in Unix
seconds; it must never decrease between calls.
Checks run in this order: 401 for an unknown key, 429 for a spent quota, 403 for a missing scope,
then the request itself. Every request uses quota, except those answered with 401 or 429.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from heapq import heappush, heapreplace
from typing import TYPE_CHECKING, assert_never

from batchrun.model import JSON, ExecutionStatus, Workflow
from batchrun.sandbox.results import FAILURES, canonical, draw_fate, draw_result, result_digest
from batchrun.text import strict_json, unique_members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random


WORKFLOWS = (
    Workflow("wf_account_research", "Account Research", "Research one company in depth."),
    Workflow("wf_contact_research", "Contact Research", "Research one person at a company."),
    Workflow("wf_account_plan", "Account Plan", "Draft a plan for winning one company."),
    Workflow("wf_legacy_scoring", "Legacy Scoring", "Replaced by Account Research.", "inactive"),
)
"""The sandbox's workflows."""

CREDITS_A_TRIGGER = 1
"""An assumption: the service does not document the price of a trigger."""

_ID = re.compile(r"exec_[0-9a-f]{8}(?P<result>[0-9a-f]{32})(?P<failure>[0-3])(?P<workflow>[0-3])")

_WORKFLOW_CREATED_AT = "2025-06-02T09:00:00.000Z"


class Scope(StrEnum):
    """A permission of an API key."""

    READ = "workflows:read"
    EXECUTE = "workflows:execute"
    SETTINGS = "org_settings:read"


DEFAULT_KEYS: Mapping[str, frozenset[Scope]] = {
    "sandbox": frozenset(Scope),
    "sandbox-read": frozenset({Scope.READ}),
    "sandbox-execute": frozenset({Scope.EXECUTE}),
}
"""The keys that the sandbox accepts, with their scopes."""


class RunTimeKind(StrEnum):
    """A distribution of run times."""

    LOGNORMAL = "lognormal"
    BIMODAL = "bimodal"  # 40 % about 4 s (cached), the others about 85 s
    UNIFORM = "uniform"  # 5 to 120 s
    SHORT = "short"  # 1 to 4 s
    NONE = "none"  # 0 s


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How the sandbox behaves.

    Attributes:
        rate_per_minute: Requests per minute for each key; ``None`` for no quota at all, neither
            per minute nor per day, and no X-RateLimit headers.
        daily: Requests per day for each key; ``None`` for no daily limit.
        slots: Number of executions that run at the same time; others queue in order. ``None``
            for no limit.
        fail: Share of bodies whose first execution fails, 0 to 1; sent again, a body succeeds.
        seed: Random seed. With the body, it determines run time, failure and result.
        run_times: Distribution of run times; the next three attributes are for ``LOGNORMAL``.
        run_median_seconds: Median of the log-normal run time, in virtual seconds.
        run_sigma: Standard deviation of the run time's logarithm.
        run_cap_seconds: The longest run time, in virtual seconds.
        retry_after: Whether a 429 has a ``Retry-After`` header; the service documents none.
        results: Whether completed executions have results. Generating them takes most of the time.
        credits: Credits at the start. Each accepted trigger uses one, until none are left.
        knows_earlier: Whether executions of an earlier sandbox are reported as ended instead of
            404.
        keys: The accepted keys, with their scopes.
        silent_quota: Whether to omit X-RateLimit headers but still enforce the quota.
    """

    rate_per_minute: int | None = 60
    daily: int | None = 10_000
    slots: int | None = None
    fail: float = 0.0
    seed: int = 0
    run_times: RunTimeKind = RunTimeKind.LOGNORMAL
    run_median_seconds: float = 45.0
    run_sigma: float = 0.35
    run_cap_seconds: float = 120.0
    retry_after: bool = False
    results: bool = True
    credits: int = 10_000
    knows_earlier: bool = False
    keys: Mapping[str, frozenset[Scope]] = field(default_factory=lambda: DEFAULT_KEYS)
    silent_quota: bool = False

    def __post_init__(self) -> None:
        for name in ("rate_per_minute", "daily", "slots"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ValueError(f"{name} must be at least 1, not {count}")
        if not 0 <= self.fail <= 1:
            raise ValueError(f"fail must be from 0 to 1, not {self.fail}")
        for name in ("run_median_seconds", "run_sigma", "run_cap_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")

    def draw_run_seconds(self, random: Random) -> float:
        """Draw a run time in seconds."""
        match self.run_times:
            case RunTimeKind.LOGNORMAL:
                drawn = self.run_median_seconds * math.exp(random.gauss(0, self.run_sigma))
                return min(self.run_cap_seconds, drawn)
            case RunTimeKind.BIMODAL:
                center = 4.0 if random.random() < 0.4 else 85.0
                return center * math.exp(random.gauss(0, 0.05))
            case RunTimeKind.UNIFORM:
                return random.uniform(5, 120)
            case RunTimeKind.SHORT:
                return random.uniform(1, 4)
            case RunTimeKind.NONE:
                return 0.0
            case _:
                assert_never(self.run_times)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response: status, JSON body and extra headers."""

    status: int
    body: JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoggedTrigger:
    """An accepted trigger: virtual time (Unix seconds), execution ID and body."""

    at: float
    execution_id: str
    body: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class _Execution:
    workflow: Workflow
    body: Mapping[str, JSON]
    result: str  # what its result depends on
    starts_at: float
    ends_at: float
    error: str | None

    def status(self, now: float) -> ExecutionStatus:
        if now < self.starts_at:
            return ExecutionStatus.QUEUED
        if now < self.ends_at:
            return ExecutionStatus.RUNNING
        return ExecutionStatus.COMPLETED if self.error is None else ExecutionStatus.FAILED


class SandboxService:
    """The service, its executions and a log of accepted triggers.

    Args:
        settings: How it behaves.
        started_at: Virtual start time, Unix seconds. It is part of execution IDs, so they differ
            from those of an earlier sandbox.
        draw_run_seconds: Draws a run time in seconds; ``None`` to use the settings.
    """

    def __init__(
        self,
        settings: SandboxSettings,
        started_at: float,
        draw_run_seconds: Callable[[Random], float] | None = None,
    ) -> None:
        self.settings = settings
        self.log: list[LoggedTrigger] = []
        self._started_at = started_at
        self._draw_run_seconds = draw_run_seconds or settings.draw_run_seconds
        self._workflows = {workflow.id: workflow for workflow in WORKFLOWS}
        self._executions: dict[str, _Execution] = {}
        self._seen: set[str] = set()
        self._slots_free_at: list[float] = []
        self._requests: Counter[str] = Counter()
        self._quotas: dict[str, _KeyQuota] = {}
        if settings.rate_per_minute is not None:
            self._quotas = {
                key: _KeyQuota(settings.rate_per_minute, settings.daily) for key in settings.keys
            }

    def workflows(self, key: str | None, now: float) -> Answer:
        """Answer ``GET /v1/workflows``."""
        listed: JSON = [
            {**asdict(workflow), "created_at": _WORKFLOW_CREATED_AT} for workflow in WORKFLOWS
        ]
        return self._answer("lists", key, Scope.READ, now, lambda: Answer(200, listed))

    def trigger(
        self, key: str | None, body: bytes, now: float, content_type: str = "application/json"
    ) -> Answer:
        """Answer ``POST /v1/workflows/trigger``."""
        return self._answer(
            "trigger_requests",
            key,
            Scope.EXECUTE,
            now,
            lambda: self._accept(_read_trigger(body, content_type), now),
        )

    def execution(self, key: str | None, execution_id: str, now: float) -> Answer:
        """Answer ``GET /v1/workflows/executions/{execution_id}``."""
        return self._answer(
            "polls", key, Scope.READ, now, lambda: self._state_of(execution_id, now)
        )

    def credits(self, key: str | None, now: float) -> Answer:
        """Answer ``GET /v1/organization/credits``."""
        spent = len(self.log) * CREDITS_A_TRIGGER
        left: dict[str, JSON] = {"credits": max(self.settings.credits - spent, 0)}
        answer = Answer(200, {"credit_remaining": left})
        return self._answer("credits", key, Scope.SETTINGS, now, lambda: answer)

    def report(self, now: float) -> dict[str, JSON]:
        """Return counts of requests, triggers and executions, for tests. Not part of the contract.

        ``requests`` is the sum of ``lists``, ``trigger_requests``, ``polls``, ``credits`` (all
        of these use quota), ``refused`` (429) and ``unauthorized`` (401).
        """
        triggered = Counter(canonical(trigger.body) for trigger in self.log)
        firsts = {canonical(trigger.body): dict(trigger.body) for trigger in reversed(self.log)}
        statuses = Counter(execution.status(now) for execution in self._executions.values())
        kinds = ("lists", "trigger_requests", "polls", "credits", "refused", "unauthorized")
        return {
            "requests": self._requests.total(),
            **{kind: self._requests[kind] for kind in kinds},
            "triggers_accepted": len(self.log),
            "triggered_more_than_once": [
                firsts[body] for body, times in triggered.items() if times > 1
            ],
            "executions": {
                status.value: statuses[status]
                for status in ExecutionStatus
                if status is not ExecutionStatus.UNKNOWN
            },
        }

    def _answer(
        self, kind: str, key: str | None, scope: Scope, now: float, serve: Callable[[], Answer]
    ) -> Answer:
        if key is None or key not in self.settings.keys:
            self._requests["unauthorized"] += 1
            return _error(401, "missing or invalid API key")
        quota = self._quotas.get(key)
        spent = quota is not None and not quota.take(now)
        headers = {} if quota is None or self.settings.silent_quota else quota.headers()
        if quota is not None and spent:
            self._requests["refused"] += 1
            if self.settings.retry_after:
                headers["Retry-After"] = str(quota.seconds_to_reset(now))
            return _error(429, "rate limit exceeded", headers)
        self._requests[kind] += 1
        if scope in self.settings.keys[key]:
            try:
                answer = serve()
            except _RefusedError as refused:
                answer = _error(refused.status, str(refused))
        else:
            answer = _error(403, f"the API key lacks the scope {scope}")
        return Answer(answer.status, answer.body, headers)

    def _accept(self, body: dict[str, JSON], now: float) -> Answer:
        workflow = self._workflows.get(str(body["workflow_id"]))
        if workflow is None:
            raise _RefusedError(404, "workflow not found")
        if workflow.status != "active":
            raise _RefusedError(400, f"workflow {workflow.id} is not active")
        execution = self._schedule(workflow, body, now)
        execution_id = self._new_id(execution)
        self.log.append(LoggedTrigger(now, execution_id, body))
        self._executions[execution_id] = execution
        return Answer(
            202,
            {
                "execution_id": execution_id,
                "workflow_id": workflow.id,
                "status": ExecutionStatus.QUEUED.value,
                "created_at": _timestamp(now),
            },
        )

    def _schedule(self, workflow: Workflow, body: Mapping[str, JSON], now: float) -> _Execution:
        settings, text = self.settings, canonical(body)
        run_seconds, error = draw_fate(
            text,
            seed=settings.seed,
            fail=0.0 if text in self._seen else settings.fail,
            draw_run_seconds=self._draw_run_seconds,
        )
        self._seen.add(text)
        # First come, first served: each execution gets the slot that frees up first, so its
        # start time is known when it is triggered.
        free_at = self._slots_free_at
        queued = settings.slots is not None and len(free_at) >= settings.slots
        starts_at = max(now, free_at[0]) if queued else now
        ends_at = starts_at + run_seconds
        if queued:
            heapreplace(free_at, ends_at)
        elif settings.slots is not None:
            heappush(free_at, ends_at)
        result = result_digest(text, seed=settings.seed)
        return _Execution(workflow, body, result, starts_at, ends_at, error)

    def _state_of(self, execution_id: str, now: float) -> Answer:
        execution = self._executions.get(execution_id) or self._of_earlier(execution_id)
        if execution is None:
            raise _RefusedError(404, "execution not found")
        status = execution.status(now)
        started = status is not ExecutionStatus.QUEUED
        ended = status in {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED}
        body: dict[str, JSON] = {
            "execution_id": execution_id,
            "workflow_id": execution.workflow.id,
            "status": status.value,
            "started_at": _timestamp(execution.starts_at) if started else None,
            "completed_at": _timestamp(execution.ends_at) if ended else None,
            "result": None,
        }
        if status is ExecutionStatus.COMPLETED and self.settings.results:
            # of an earlier sandbox's execution, only the ID is known
            about = {} if self.settings.knows_earlier else execution.body
            body["result"] = draw_result(execution.workflow.name, about, execution.result)
        elif status is ExecutionStatus.FAILED:
            body["error"] = execution.error
        return Answer(200, body)

    def _of_earlier(self, execution_id: str) -> _Execution | None:
        """Return the ended execution of an earlier sandbox; `_new_id` says what its ID tells."""
        if not self.settings.knows_earlier:
            return None
        result, failure, workflow = hashlib.sha256(execution_id.encode()).hexdigest(), "0", "0"
        if known := _ID.fullmatch(execution_id):
            result, failure, workflow = known.groups()
        error = FAILURES[int(failure) - 1] if failure != "0" else None
        at = self._started_at
        return _Execution(WORKFLOWS[int(workflow)], {}, result, at, at, error)

    def _new_id(self, execution: _Execution) -> str:
        """Return a new ID. It tells later sandboxes how the execution ends."""
        name = f"{self.settings.seed} {self._started_at!r} {len(self.log)}"
        unique = hashlib.sha256(name.encode()).hexdigest()[:8]
        failure = 0 if execution.error is None else FAILURES.index(execution.error) + 1
        workflow = WORKFLOWS.index(execution.workflow)
        return f"exec_{unique}{execution.result}{failure}{workflow}"


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"error": text}, headers or {})


def _timestamp(seconds: float) -> str:
    instant = datetime.fromtimestamp(seconds, UTC)
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


# Quotas

MINUTE_SECONDS = 60
DAY_SECONDS = 86_400


@dataclass(slots=True)
class _Window:
    seconds: int
    limit: int
    reset: int = 0
    remaining: int = 0

    def move_to(self, now: float) -> None:
        reset = (math.floor(now / self.seconds) + 1) * self.seconds
        if reset != self.reset:
            self.reset, self.remaining = reset, self.limit


class _KeyQuota:
    """The remaining quota of a key, in fixed windows.

    The service does not document when its windows start. Here, minutes start at multiples of 60 s
    of Unix time, and days at 00:00 UTC.
    """

    def __init__(self, per_minute: int, per_day: int | None) -> None:
        self._windows = [_Window(MINUTE_SECONDS, per_minute)]
        if per_day is not None:
            self._windows.append(_Window(DAY_SECONDS, per_day))

    def take(self, now: float) -> bool:
        """Count one request at ``now`` (Unix seconds); return false if a window is spent."""
        for window in self._windows:
            window.move_to(now)
        if any(window.remaining == 0 for window in self._windows):
            return False
        for window in self._windows:
            window.remaining -= 1
        return True

    def headers(self) -> dict[str, str]:
        """Return the X-RateLimit headers as of the last `take`."""
        window = self._described()
        return {
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Remaining": str(window.remaining),
            "X-RateLimit-Reset": str(window.reset),
        }

    def seconds_to_reset(self, now: float) -> int:
        """Return whole seconds from ``now`` until the window in the headers ends; at least 1."""
        return max(1, math.ceil(self._described().reset - now))

    def _described(self) -> _Window:
        """Return the window for the headers: the minute, or the day once its quota is spent."""
        minute, *day = self._windows
        return next((window for window in day if window.remaining == 0), minute)


# Bodies of triggers

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FIELDS = frozenset({"workflow_id", "company_id", "contact_id", "parameters"})


class _RefusedError(Exception):
    """The service rejects the request with this HTTP status, and this text for ``error``."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _read_trigger(content: bytes, content_type: str) -> dict[str, JSON]:
    """Parse a trigger's body as strictly as the service might, to catch our own mistakes in tests.

    Raises:
        _RefusedError: The body does not follow the contract (status 400).
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise _RefusedError(400, "Content-Type must be application/json")
    try:
        body = strict_json(content.decode("utf-8"), unique_members)
    except ValueError as error:
        raise _RefusedError(400, "invalid JSON") from error
    if not isinstance(body, dict):
        raise _RefusedError(400, "the body must be a JSON object")
    _check(body)
    return body


def _check(body: dict[str, JSON]) -> None:
    workflow_id = body.get("workflow_id")
    if workflow_id is None or workflow_id == "":
        raise _RefusedError(400, "workflow_id is required")
    if not isinstance(workflow_id, str):
        raise _RefusedError(400, "workflow_id must be a string")
    for name in ("company_id", "contact_id"):
        if name in body and not _is_uuid(body[name]):
            raise _RefusedError(400, f"{name} must be a UUID")
    if not isinstance(body.get("parameters", {}), dict):
        raise _RefusedError(400, "parameters must be an object")
    if unknown := sorted(body.keys() - _FIELDS):
        raise _RefusedError(400, f"unknown field: {unknown[0]}")


def _is_uuid(value: JSON) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None
