"""Start batchrun as a process without the CPU seconds that its imports and its first run take.

A server process imports everything once and forks for each command. A command is a process as
always: it has its own PID, files, signals and exit code, and can be killed. The server forks twice,
and Linux makes the command a child of the process that asked for it, its "subreaper". On other
systems, and if a variable changes how Python itself starts, Python starts as usual.

A second, small server forks the process in which a workbook is read (batchrun/tables/isolated.py).
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = [sys.executable, "-m", "batchrun"]
MODULES = ("batchrun", "distributed.cli.dask_scheduler", "distributed.cli.dask_worker")
"""What can be forked. Dask is imported when a test first asks for it."""
READER = "batchrun.tables.isolated"
NOT_PRELOADED = ("batchrun.__main__", "batchrun.batch.cluster", "batchrun.notebook")
ALSO_PRELOADED = (
    *("certifi", "encodings.idna", "h11", "markdown_it", "numpy.ma", "pandas", "sqlite3"),
    *("psycopg", "sqlalchemy.dialects.postgresql.psycopg", "stringprep"),
    *("openpyxl.packaging.extended", "uvicorn.lifespan.off", "uvicorn.loops.auto"),
    *("uvicorn.protocols.http.auto", "uvicorn.protocols.http.h11_impl"),
)
"""What a run imports only then."""
READER_PRELOADED = ("python_calamine", "defusedxml.ElementTree", "olefile")
STREAMS = {"stdin": "r", "stdout": "w", "stderr": "w"}
INTERPRETER_VARIABLES = ("LANG", "LC_", "LD_", "MALLOC_", "PYTHON")
WITH_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
PR_SET_CHILD_SUBREAPER = 36
MAX_PID_BYTES = 16
MAX_REQUEST_BYTES = 200_000


class Popen(subprocess.Popen[str]):
    """`subprocess.Popen` that lets a server fork batchrun, Dask, `python -c`, or a reader.

    In a new session, a terminal that is standard input is the controlling terminal.
    """

    def _execute_child(self, args: Any, *how: Any) -> None:
        _, _, _, _, cwd, env, _, _, _, *pipes_and_more = how
        pipes, new_session = pipes_and_more[:6], pipes_and_more[-2]
        env = dict(os.environ if env is None else env)
        starts = (pipes[0], pipes[3], pipes[5])
        files = [number if end == -1 else end for number, end in enumerate(starts)]
        same = _of_interpreter(env) == _of_interpreter(os.environ)
        match list(map(os.fspath, args)):
            case [sys.executable, "-m", module, *arguments] if module in MODULES and same:
                server = "commands"
            case [sys.executable, "-c" as module, *arguments] if same:
                server = "commands"
            case [sys.executable, "-I", "-c", code, *arguments] if READER in code:
                server, module = "readers", READER
            case _:
                server, module, arguments = "", "", []
        if server and sys.platform == "linux":
            self.pid = _server(server).fork(
                files,
                module=module,
                arguments=arguments,
                cwd=os.fspath(cwd or Path.cwd()),
                env=env,
                new_session=new_session,
            )
            self._child_created = True
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # not in the stubs
            return
        if new_session and os.isatty(files[0]):
            args = [sys.executable, "-c", WITH_TERMINAL, *args]
        super()._execute_child(args, *how)  # type: ignore[misc]  # not in the stubs


def _of_interpreter(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(INTERPRETER_VARIABLES)}


class _Server:
    """A server, as the tests see it; it ends with them."""

    def __init__(self, what: str) -> None:
        self._requests, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        with its:
            # The environment of each command replaces this one.
            env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # a fork takes no other thread along
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.preloaded", what, str(its.fileno())],
                pass_fds=[its.fileno()],
                env=env,
                cwd=Path(__file__).parents[1],
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._requests.close()
        self._process.wait()

    def fork(self, files: list[int], **request: Any) -> int:
        """Start a command; its process ID."""
        with self._one_at_a_time:
            _adopt_orphans(True)
            try:
                socket.send_fds(self._requests, [json.dumps(request).encode()], files)
                return int(self._requests.recv(MAX_PID_BYTES))
            finally:
                _adopt_orphans(False)


@functools.cache
def _server(what: str) -> _Server:
    return _Server(what)


def _adopt_orphans(adopt: bool) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(adopt))


def import_everything() -> None:
    """Import what a command may need, in a process that then forks."""
    import typer

    import batchrun
    from batchrun.cli import app

    for module in pkgutil.walk_packages(batchrun.__path__, "batchrun."):
        if module.name not in NOT_PRELOADED:
            importlib.import_module(module.name)
    for name in ALSO_PRELOADED:
        importlib.import_module(name)
    command = typer.main.get_command(app)
    typer.main.get_command = lambda typer_instance: command
    _run_a_batch()


def _run_a_batch() -> None:
    """Run a row, so that the commands find SQL compiled and their keys hashed."""
    import pytest

    import batchrun
    from batchrun.sandbox import SandboxSettings, running
    from tests.shortcuts import compile_statements_once, hash_keys_once, make_tables_once

    patch = pytest.MonkeyPatch()  # for as long as this process lives
    hash_keys_once(patch)
    compile_statements_once(patch)
    make_tables_once(patch)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(SandboxSettings(rate_per_minute=None), speed=1000.0) as url,
    ):
        accounts = Path(folder) / "accounts.csv"
        accounts.write_text("Company ID\na1b2c3d4-e5f6-7890-abcd-ef1234567890\n", encoding="ascii")
        settings = batchrun.load_settings(
            api_key="sandbox", base_url=url, speed=1000.0, journal=f"{folder}/journal.db"
        )
        batchrun.run(accounts, "Account Research", settings=settings)


def import_readers() -> None:
    """Import what the process needs that reads a workbook."""
    readers = ("batchrun.tables.calamine", "batchrun.tables.xlsx")
    for name in (READER, *readers, *READER_PRELOADED):
        importlib.import_module(name)


def _next_command(requests: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each request; this returns in the new processes only."""
    while True:
        message, files, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, len(STREAMS))
        if not message:
            os._exit(0)  # the tests have ended
        request = json.loads(message)
        if request["module"] != "-c":
            importlib.import_module(request["module"].partition(".")[0])
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                os.close(writing)
                requests.close()
                return request, files
            os.write(writing, str(pid).encode())
            os._exit(0)
        os.waitpid(between, 0)
        for file in (writing, *files):
            os.close(file)
        requests.send(os.read(reading, MAX_PID_BYTES))
        os.close(reading)


def _become(request: dict[str, Any], files: list[int]) -> None:
    """Make this process what `python -m MODULE` would be at its start."""
    import fcntl
    import termios

    from batchrun import _search_path

    if request["new_session"]:
        os.setsid()
    for (name, mode), number, file in zip(STREAMS.items(), range(3), files, strict=True):
        os.dup2(file, number)
        os.close(file)
        as_before = getattr(sys, name)
        stream = open(  # noqa: SIM115  # a number is no path, and it stays open
            number, mode, encoding=as_before.encoding, errors=as_before.errors, closefd=False
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if request["new_session"] and os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = ["-c" if request["module"] == "-c" else "-m", *request["arguments"]]
    sys.orig_argv = [*COMMAND[:2], request["module"], *request["arguments"]]
    sys.path.insert(0, str(Path.cwd()))
    if request["module"] == "batchrun":
        _search_path.forget_current_folder()


def _run(module: str) -> None:
    """Run the command, and end without Python's freeing of each object: that copies their pages."""
    try:
        if module == READER:
            importlib.import_module(module).main()
            sys.exit()
        if module == "-c":
            exec(sys.argv.pop(1), {"__name__": "__main__"})
            sys.exit()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = int(ended.code or 0)
        threading._shutdown()  # type: ignore[attr-defined]  # not in the stubs
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    {"commands": import_everything, "readers": import_readers}[sys.argv[1]]()
    gc.freeze()  # a collection in a command would copy the pages of all these objects
    with socket.socket(fileno=int(sys.argv[2])) as incoming:
        asked, standard_files = _next_command(incoming)
    _become(asked, standard_files)
    _run(asked["module"])
