"""What tests of the sandbox have in common."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import strategies as st

from batchrun.sandbox.model import SandboxService, SandboxSettings

if TYPE_CHECKING:
    from batchrun.model import JSON

NOON = 1_763_899_200.0
"""2025-11-23 12:00:00 UTC, a whole minute."""

KEY = "sandbox"

gaps = st.lists(st.floats(0, 40), min_size=1, max_size=60)
"""Seconds between one request and the next."""


def company(number: int) -> str:
    """A company ID, the same for the same number."""
    return str(UUID(int=number, version=4))


def trigger_body(number: int = 1, **more: JSON) -> dict[str, JSON]:
    """A body the sandbox accepts."""
    return {"workflow_id": "wf_account_research", "company_id": company(number), **more}


def wire(body: JSON) -> bytes:
    """A body as it travels."""
    return json.dumps(body).encode()


def unlimited(**settings: Any) -> SandboxService:
    """A service without a quota."""
    return SandboxService(replace(SandboxSettings(rate_per_minute=None), **settings), NOON)


def triggered(service: SandboxService, number: int, now: float = NOON) -> str:
    """Trigger a company; its execution ID."""
    answer = service.trigger(KEY, wire(trigger_body(number)), now)
    assert answer.status == 202, answer.body
    assert isinstance(answer.body, dict)
    return str(answer.body["execution_id"])


def told(service: SandboxService, execution_id: str, now: float) -> dict[str, JSON]:
    """What the service tells of an execution."""
    answer = service.execution(KEY, execution_id, now)
    assert answer.status == 200, answer.body
    assert isinstance(answer.body, dict)
    return answer.body
