"""A service with every kind of fault: do outcomes and accepted triggers still add up?

    python -m benchmarks.chaos                     2,000 rows; each fault hits 5 % of the requests
    python -m benchmarks.chaos --rows 200 --share 0.1 --transport httpx
    python -m benchmarks.chaos --postgres          with the journal on a PostgreSQL server

A run of the real command line against the real sandbox. Resets, 5xx, 429, garbage and slow answers
hit triggers and polls alike, half of the resets and 5xx after the service has accepted. Beside
these, `StrangeService` gives answers that are well formed and wrong. Prints the rows by outcome
beside what the sandbox itself counted; exits 1 unless nothing was accepted twice, lost or put on a
wrong row, the counts agree, and the workbook has every row.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openpyxl import load_workbook
from starlette.responses import Response

from batchrun.errors import ExitCode
from batchrun.sandbox import SandboxSettings
from batchrun.sandbox.server import running_app
from tests.sandbox.faults import (
    ACCEPTED_UNHEARD,
    FaultKind,
    Faults,
    FaultyApp,
    OtherShapes,
    answer_of,
    faulty_app,
    read_body,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.types import Receive, Scope, Send

SPEED = 200.0
PATIENCE_SECONDS = 3_000
"""Of the sandbox's time; executions that can never be read are timed out after it."""
SHARE_THAT_FAILS = 0.02
RESUMES = 20
WITHOUT_AIOHTTP = (
    "import batchrun.service.transport as t; t.find_spec = lambda _: None; "
    "from batchrun.cli import main; main()"
)


class Strange(StrEnum):
    """Wrong answers to a trigger, then to a poll. Each has a fixed share of the rows."""

    DUPLICATE = "execution of another row"
    OTHER_WORKFLOW = "another workflow"
    GAVE_UP = "408 or 499 after it was accepted"
    FORBIDDEN = "403 for one row"
    BLOCKED = "403 in HTML"
    UNREADABLE = "never readable"
    CANCELLED = "cancelled"
    ODD_RESULT = "number of 5,000 digits, 965 levels"
    REFUSED_ONCE = "401 once"
    OTHER_EXECUTION = "another execution once"


TRIGGERS = tuple(Strange)[:5]
POLLS = tuple(Strange)[5:]


class StrangeService:
    """An app that gives some rows answers that are well formed and wrong.

    Args:
        app: What answers the other requests, and counts the kinds; wrong answers are made of the
            right ones that it has without faults.
        share: Of the rows for each kind, from 0 to 0.1.
        seed: What the rows are drawn from.
    """

    def __init__(self, app: FaultyApp, share: float, seed: int) -> None:
        self._app = app
        self._service = app.app
        self._share = share
        self._seed = seed
        self._played = app.played
        self._asked: Counter[str] = Counter()
        self._last_id = ""
        self.unreadable: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = str(scope["path"])
        if path == "/v1/workflows/trigger":
            body, again = await read_body(receive)
            kind = self._draw(TRIGGERS, json.loads(body).get("company_id"))
            answer = await self._trigger(kind, scope, again)
        elif path.startswith("/v1/workflows/executions/"):
            again = receive
            kind = self._draw(POLLS, path)
            answer = await self._poll(kind, path, scope, again)
        else:
            again, kind, answer = receive, None, None
        if answer is None:
            await self._app(scope, again, send)
            return
        assert kind is not None
        self._played[kind] += 1
        await answer(scope, again, send)

    def _draw(self, kinds: Sequence[Strange], of: object) -> Strange | None:
        drawn = int.from_bytes(hashlib.sha256(f"{self._seed} {of}".encode()).digest()[:8]) / 2**64
        place = int(drawn / self._share) if self._share else len(kinds)
        return kinds[place] if place < len(kinds) else None

    async def _trigger(
        self, kind: Strange | None, scope: Scope, receive: Receive
    ) -> Response | None:
        match kind:
            case Strange.FORBIDDEN:
                return Response('{"error": "company of another workspace"}', 403)
            case Strange.BLOCKED:
                return Response("<html><title>Blocked</title></html>", 403)
            case Strange.GAVE_UP | Strange.OTHER_WORKFLOW | Strange.DUPLICATE:
                status, content = await answer_of(self._service, scope, receive)
                if status != 202:
                    return Response(content, status)
                self._played[ACCEPTED_UNHEARD] += 1
                if kind is Strange.GAVE_UP:
                    return Response(status_code=(408, 499)[self._played[kind] % 2])
                wrong = {"workflow_id": "wf_other"}
                if kind is Strange.DUPLICATE and self._last_id:
                    wrong = {"execution_id": self._last_id}
                return Response(json.dumps(json.loads(content) | wrong), 202)
            case _:
                return None

    async def _poll(
        self, kind: Strange | None, path: str, scope: Scope, receive: Receive
    ) -> Response | None:
        self._last_id = path.rpartition("/")[2]  # it is held by a row: its trigger was heard
        self._asked[path] += 1
        first = self._asked[path] == 1
        match kind:
            case Strange.UNREADABLE:
                self.unreadable.add(path)
                return Response("<html><title>Error</title></html>", 500)
            case Strange.REFUSED_ONCE if first:
                return Response('{"error": "try again"}', 401)
            case Strange.OTHER_EXECUTION if first:
                stray = {"execution_id": "exec_stray", "status": "completed", "result": {}}
                return Response(json.dumps(stray), 200)
            case Strange.CANCELLED:
                return Response('{"status": "cancelled", "completed_at": "2026-01-02T03:04:05Z"}')
            case Strange.ODD_RESULT:
                status, content = await answer_of(self._service, scope, receive)
                odd = b'"result": {"long": ' + b"9" * 5_000
                odd += b', "deep": ' + b"[" * 965 + b"]" * 965 + b", "
                return Response(content.replace(b'"result": {', odd, 1), status)
            case _:
                return None


def main(arguments: Sequence[str] | None = None) -> int:
    from tests.acceptance import sandbox_process
    from tests.postgres import running_server

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.05, help="of each fault")
    parser.add_argument("--strange", type=float, default=0.02, help="share of each strange answer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--transport", choices=("httpx", "aiohttp"), default="aiohttp")
    parser.add_argument("--workers", type=int, default=1, help="processes that work on the batch")
    parser.add_argument("--postgres", action="store_true", help="the journal on a server")
    options = parser.parse_args(arguments)
    command = ["-m", "batchrun"] if options.transport == "aiohttp" else ["-c", WITHOUT_AIOHTTP]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        journal = str(folder / "journal.db")
        if options.postgres:
            journal = stack.enter_context(running_server()).new_database()
        faulty = faulty_app(
            SandboxSettings(rate_per_minute=None, seed=options.seed, fail=SHARE_THAT_FAILS),
            Faults(**{kind.value: options.share for kind in FaultKind}),
            SPEED,
            OtherShapes,
        )
        app = StrangeService(faulty, options.strange, options.seed)
        url = stack.enter_context(running_app(app, http=faulty.connections.protocol()))
        sandbox = sandbox_process.SandboxProcess(url, SPEED)
        env = sandbox.environment(folder) | {
            "BATCHRUN_JOURNAL": journal,
            # Many jobs fail by design: that must not stop the triggers here.
            "BATCHRUN_STOP_AFTER_FAILURES": "0",
            "BATCHRUN_PATIENCE_SECONDS": str(PATIENCE_SECONDS),
            "BATCHRUN_WORKERS": str(options.workers),
        }
        began = time.perf_counter()
        rows, runs = work(env, folder, options.rows, [sys.executable, *command])
        seconds = time.perf_counter() - began
        written = rows_of_workbook(folder / "accounts.results.xlsx")
        how = f"{runs} runs, {seconds:.0f} s, {options}"
        return conclude(rows, sandbox.report(), written, len(app.unreadable), how)


def work(
    env: dict[str, str], folder: Path, rows: int, command: Sequence[str]
) -> tuple[list[dict[str, Any]], int]:
    """Run and resume to the end; the exported rows, and how many commands it took."""
    from tests.acceptance.verdict import WORKFLOW, exported, write_list

    write_list(folder / "accounts.csv", rows)
    arguments = ["run", "accounts.csv", "-w", WORKFLOW, "--yes"]
    for number in range(1, RESUMES + 1):
        ended = subprocess.run(
            [*command, *arguments],
            env=env,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if ended.returncode in {ExitCode.COMPLETED, ExitCode.INCOMPLETE}:
            return exported(env, folder), number
        if ended.returncode not in {ExitCode.PAUSED, ExitCode.KEY_REFUSED}:
            raise AssertionError(ended.stdout + ended.stderr)
        print(f"run {number}: {ended.stdout.splitlines()[-4:]} {ended.stderr}", file=sys.stderr)
        arguments = ["resume"]
    raise AssertionError(f"not done after {RESUMES} resumes")


def rows_of_workbook(path: Path) -> int:
    """The rows of the results, without the header."""
    book = load_workbook(path, read_only=True)
    try:
        return max(_lengths(book))
    finally:
        book.close()


def _lengths(book: Any) -> Iterator[int]:
    for sheet in book.worksheets:
        yield sum(1 for _ in sheet.iter_rows()) - 1 if sheet.title == "Results" else 0


def conclude(
    rows: list[dict[str, Any]], report: dict[str, Any], written: int, unreadable: int, how: str
) -> int:
    """Print the counts; 0 when they agree."""
    outcomes = Counter(row["outcome"] for row in rows)
    wrong = sum(
        row["outcome"] == "completed" and row["result"]["company_id"] != row["company_id"]
        for row in rows
    )
    twice = len(report["triggered_more_than_once"])
    lost = outcomes["pending"] + max(outcomes["timed out"] - unreadable, 0)
    known = outcomes["completed"] + outcomes["failed"] + outcomes["timed out"]
    accepted, unheard = report["triggers_accepted"], report["accepted_unheard"]
    print(
        f"{how}\n"
        f"rows                     {len(rows)}: "
        f"{', '.join(f'{number} {outcome}' for outcome, number in outcomes.most_common())}\n"
        f"requests                 {report['requests']}, faults {report['faults']}\n"
        f"bodies accepted twice    {twice}\n"
        f"rows without an outcome  {lost}\n"
        f"results on a wrong row   {wrong}\n"
        f"rows in the workbook     {written}\n"
        f"accepted triggers        {accepted} = {known} with an execution known to us "
        f"+ {unheard} accepted unheard, of {outcomes['in doubt']} in doubt"
    )
    agree = accepted == known + unheard and unheard <= outcomes["in doubt"]
    return int(bool(twice or lost or wrong or not agree or written != len(rows)))


if __name__ == "__main__":
    sys.exit(main())
