"""A PostgreSQL server of the tests' own: a throw-away data folder, on loopback alone."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from batchrun.journal import Journal
from batchrun.journal.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "batchrun"
PASSWORD = "horse-battery-staple"
PATIENTLY = ("-w", "-t", "250")
"""Wait longer than the default of 60 s: on a loaded machine the first start takes a while."""
CONTENTS = """
    SELECT table_name || column_name || data_type FROM information_schema.columns
    WHERE table_schema = 'public'
    UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT value FROM meta WHERE name = 'schema_version' ORDER BY 1
"""
"""What a journal on a server has, apart from its rows."""


@dataclass(frozen=True)
class PostgresServer:
    """A server that may be stopped and started again."""

    programs: Path
    folder: Path
    port: int
    _unused: dict[bool, list[str]] = field(default_factory=lambda: {True: [], False: []})

    @contextmanager
    def journal(self, *, has_tables: bool) -> Iterator[str]:
        """A database that is emptied for the next test, 20 times as fast as creating one."""
        unused = self._unused[has_tables]
        url = unused.pop() if unused else self.new_journal() if has_tables else self.new_database()
        yield url
        with (
            suppress(psycopg.Error),  # a test may have stopped the server, or leave a lock
            psycopg.connect(url, options="-c lock_timeout=1s") as connection,
        ):
            if not has_tables:
                connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            elif connection.execute(CONTENTS).fetchall() == self._contents:
                connection.execute("SET session_replication_role = replica")  # no triggers
                for name in metadata.tables:
                    kept = "WHERE name <> 'schema_version'" if name == "meta" else ""
                    connection.execute(f"DELETE FROM {name} {kept}".encode())
            else:
                return
            connection.commit()
            unused.append(url)

    def new_database(self, options: str = "") -> str:
        """An empty database; its URL."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" {options}'.encode())
        return self.url(name)

    def new_journal(self) -> str:
        """Create a database with an empty journal and return its URL; copying one is faster."""
        return self.new_database(f'TEMPLATE "{self._template}"')

    @cached_property
    def _template(self) -> str:
        with Journal(self.new_database()) as journal:
            return journal.location.rpartition("/")[2]

    @cached_property
    def _contents(self) -> list[tuple[str]]:
        with psycopg.connect(self.url(self._template)) as connection:
            return connection.execute(CONTENTS).fetchall()

    def url(self, database: str) -> str:
        """The URL of a database, with the password in it."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        # fsync off: these tests stop processes, not machines.
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            "-c fsync=off -c autovacuum=off -c max_connections=40"
        )
        self._run("pg_ctl", "start", *PATIENTLY, "-D", "data", "-l", "log", "-o", options)

    def stop(self) -> None:
        """Stop it as a power loss would; connections break off."""
        self._run("pg_ctl", "stop", *PATIENTLY, "-m", "immediate", "-D", "data")

    def ensure_running(self) -> None:
        """Have it run, whether it was stopped or not."""
        try:
            self._run("pg_ctl", "status", "-D", "data")
        except subprocess.CalledProcessError:
            self.start()

    def make(self) -> None:
        """Make its data folder."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="ascii")
        secret.chmod(0o644)
        self._run(
            *("initdb", "-D", "data", "-U", USER, "-A", "scram-sha-256", "-E", "UTF8"),
            *("--pwfile", "password", "--no-sync", "--locale", "C"),
        )

    def _run(self, program: str, *arguments: str) -> None:
        as_whom = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_whom,  # type: ignore[call-overload]  # PostgreSQL refuses to run as root
        )


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server that is there until the block ends; skips where PostgreSQL isn't installed."""
    programs = _programs()
    if programs is None:
        if os.environ.get("BATCHRUN_TESTS_NEED_POSTGRES"):
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    # Not pytest's folder, into which only its owner may go.
    folder = Path(tempfile.mkdtemp(prefix="batchrun-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server = PostgresServer(programs, folder, free_port())
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    """Where PostgreSQL's programs are; Debian keeps them out of the PATH."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].parent if places else None


def free_port() -> int:
    """A port that is free and stays so: systems give connections none of these by themselves."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
