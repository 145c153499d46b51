"""Whatever the service answers: no traceback, counts that add up, and a workbook with every row."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

import batchrun
from batchrun.errors import BatchrunError

ROWS = 3
LIST = json.dumps([{"id": "wf_1", "name": "Research", "status": "active"}]).encode()

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["9999-12-31T23:59:59.9999999Z", "1601-01-01T00:00:00Z", "=1+1", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
DEEP = st.integers(1, 2_000).map(lambda depth: "[" * depth + "]" * depth)
STATUSES = st.sampled_from(
    ["queued", "running", "completed", "failed", "COMPLETED", "cancelled", "done", "halted"]
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "execution_id": st.sampled_from(["exec_1", "exec_2", "", " exec_1", "é/..", 7]) | JSON,
        "workflow_id": st.sampled_from(["wf_1", "wf_2", None]),
        "status": STATUSES | JSON,
        "created_at": JSON,
        "started_at": JSON,
        "completed_at": JSON,
        "result": JSON,
        "error": JSON,
    },
)
LONG_NUMBER = b'{"status": "completed", "result": ' + b"9" * 5_000 + b"}"
BODIES = (
    (FIELDS | JSON).map(lambda document: json.dumps(document).encode("utf-8", "surrogatepass"))
    | DEEP.map(lambda deep: f'{{"status": "completed", "result": {deep}}}'.encode())
    | st.binary(max_size=50)
    | st.sampled_from(
        [
            b"<html><title>x</title></html>",
            b'{"status": "completed", "result": ' + b"9" * 5_000 + b"}",
        ]
    )
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Retry-After",
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset",
            "Date",
            "Content-Encoding",
            "Content-Type",
            "Location",
            "Set-Cookie",
            "X-Odd",
        ]
    ),
    st.sampled_from(["0", "1", "-1", "60", "1e999", "soon", "gzip", "gzip, gzip", "http://[/"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    max_size=3,
)
ANSWERS = st.tuples(
    st.sampled_from([200, 200, 200, 202, 204, 301, 303, 400, 401, 403, 404, 408, 429, 500, 503])
    | st.integers(200, 599),
    BODIES,
    HEADERS,
)


class AnyAnswer(BaseHTTPRequestHandler):
    """Lists one workflow, and answers triggers and polls as the example says, in turn."""

    protocol_version = "HTTP/1.1"
    triggers: tuple[tuple[int, bytes, dict[str, str]], ...] = ()
    polls: tuple[tuple[int, bytes, dict[str, str]], ...] = ()
    asked: ClassVar = [0, 0]

    def do_GET(self) -> None:
        if self.path.startswith("/v1/workflows/executions/"):
            self._answer(self.polls, 1)
        else:
            self._send(200, LIST, {})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.triggers, 0)

    def _answer(self, answers: tuple[tuple[int, bytes, dict[str, str]], ...], kind: int) -> None:
        self.asked[kind] += 1
        self._send(*answers[self.asked[kind] % len(answers)])

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        body = b"" if status in {204, 304} else body
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Any:
    with ThreadingHTTPServer(("127.0.0.1", 0), AnyAnswer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    triggers=st.lists(ANSWERS, max_size=3),
    polls=st.lists(ANSWERS, min_size=1, max_size=3),
    taken=st.integers(0, ROWS),
)
def test_every_row_has_an_outcome_in_a_workbook(
    url: str, triggers: list[Any], polls: list[Any], taken: int
) -> None:
    accepted: list[Any] = [
        (202, json.dumps({"execution_id": f"exec_{number}"}).encode(), {})
        for number in range(taken)
    ]
    AnyAnswer.triggers = (*accepted, *triggers) or ((400, b"", {}),)
    AnyAnswer.polls = tuple(polls)
    AnyAnswer.asked = [0, 0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = [f"a1b2c3d4-e5f6-7890-abcd-{number:012x}" for number in range(ROWS)]
        source = folder / "list.csv"
        source.write_text("\n".join(["Company ID", *ids]) + "\n", encoding="utf-8")
        options = batchrun.load_settings(
            api_key="key",
            base_url=url,
            journal=str(folder / "journal.db"),
            speed=2_000.0,
            patience_seconds=600,
        )
        with contextlib.suppress(BatchrunError):  # such as a key that is refused, with words
            batchrun.run(source, "Research", settings=options)
        [summary] = batchrun.batches(settings=options)
        assert sum(summary.counts.values()) == ROWS
        exported = batchrun.export(summary.batch_id, folder / "out.xlsx", options)
        for written in (folder / "list.results.xlsx", exported):  # by `run` itself, and later
            book = CalamineWorkbook.from_path(written)
            lengths = [book.get_sheet_by_name(name).height for name in book.sheet_names]
            assert ROWS + 1 in lengths
