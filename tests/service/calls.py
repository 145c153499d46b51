"""The client's calls as a test makes them: a client of its own for each, no loop to care for."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batchrun.service.answers import PollAnswer, TriggerAnswer, WorkflowList
from batchrun.service.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk_live_do_not_tell_anybody"
EXECUTION = {"execution_id": "exec_1", "workflow_id": "wf_1", "status": "queued"}


def trigger(base_url: str, timeout_seconds: float = 60.0) -> TriggerAnswer:
    async def send() -> TriggerAnswer:
        async with Client(KEY, base_url, timeout_seconds=timeout_seconds) as client:
            return await client.trigger({"workflow_id": "wf_1", "parameters": {"depth": "Überall"}})

    return asyncio.run(send())


def poll(base_url: str, execution_id: str = "exec_1", timeout_seconds: float = 60.0) -> PollAnswer:
    async def ask() -> PollAnswer:
        async with Client(KEY, base_url, timeout_seconds=timeout_seconds) as client:
            return await client.poll(execution_id)

    return asyncio.run(ask())


def workflows(base_url: str) -> WorkflowList:
    async def ask() -> WorkflowList:
        async with Client(KEY, base_url) as client:
            pages = [page async for page in client.workflow_pages()]
            every = tuple(workflow for page in pages for workflow in page.workflows)
            return WorkflowList(every, pages[-1].quota)

    return asyncio.run(ask())


@contextmanager
def unused_port() -> Iterator[int]:
    """A port at which nobody listens, and nobody else begins to while the block lasts."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        yield mute.getsockname()[1]
