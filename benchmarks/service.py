"""A service that costs almost nothing, so that a benchmark measures its client.

    python -m benchmarks.service        prints its base URL and serves until it is stopped

Every trigger is accepted, and every execution has completed at once, with the same result. It
checks nothing: for tests there is the sandbox.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULT = {
    "summary": "Based in Zürich. **New VP of Sales** joined from a competitor." * 8,
    "company": {"industry": "Food & beverage", "employees": 17422, "founded": None},
    "insights": [{"title": "Moved its CRM to the cloud", "score": n} for n in range(8)],
}
WORKFLOWS = [{"id": "wf_account_research", "name": "Account Research", "status": "active"}]


class Service(asyncio.Protocol):
    """One connection."""

    numbers = count()

    def __init__(self) -> None:
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request, once it is complete."""
        self._unread += data
        head, end, rest = self._unread.partition(b"\r\n\r\n")
        if not end:
            return
        method, target, _ = head.split(b" ", 2)
        length = 0
        if method == b"POST":
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self._unread = rest[length:]
        if method == b"POST":
            now = time.time_ns() // 1_000_000
            accepted = {"execution_id": f"{now}-{next(self.numbers)}", "created_at": now}
            self._answer(b"202 Accepted", json.dumps(accepted).encode())
        elif target.endswith(b"/workflows"):
            self._answer(b"200 OK", json.dumps(WORKFLOWS).encode())
        else:
            execution = target.rsplit(b"/", 1)[1].decode()
            begun = int(execution.partition("-")[0])
            times = {"started_at": begun, "completed_at": begun}
            ended = {"execution_id": execution, "status": "completed", **times, "result": RESULT}
            self._answer(b"200 OK", json.dumps(ended).encode())

    def _answer(self, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, len(body)) + body)


@contextmanager
def fast_service() -> Iterator[str]:
    """Start the service as a process; its base URL."""
    command = [sys.executable, "-m", "benchmarks.service"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def main() -> None:
    """Serve on a free port of loopback."""
    server = await asyncio.get_running_loop().create_server(Service, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
