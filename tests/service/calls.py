"""The client's calls as a test makes them: a client of its own for each, no loop to care for."""

from __future__ import annotations

import asyncio
import socket

from batchrun.service import Client, PollAnswer, TriggerAnswer, WorkflowList

KEY = "sk_live_do_not_tell_anybody"
EXECUTION = {"execution_id": "exec_1", "workflow_id": "wf_1", "status": "queued"}


def trigger(base_url: str, timeout_seconds: float = 10.0) -> TriggerAnswer:
    async def send() -> TriggerAnswer:
        async with Client(KEY, base_url, timeout_seconds=timeout_seconds) as client:
            return await client.trigger({"workflow_id": "wf_1", "parameters": {"depth": "Überall"}})

    return asyncio.run(send())


def poll(base_url: str, execution_id: str = "exec_1", timeout_seconds: float = 10.0) -> PollAnswer:
    async def ask() -> PollAnswer:
        async with Client(KEY, base_url, timeout_seconds=timeout_seconds) as client:
            return await client.poll(execution_id)

    return asyncio.run(ask())


def workflows(base_url: str) -> WorkflowList:
    async def ask() -> WorkflowList:
        async with Client(KEY, base_url) as client:
            return await client.workflows()

    return asyncio.run(ask())


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
