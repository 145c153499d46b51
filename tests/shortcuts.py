"""What each test and each process would do again, and slowly, is done once."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import secrets
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import uvicorn
from jinja2 import Environment
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from batchrun.engine import share
from batchrun.journal import journal, schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    import pytest

SALT_BYTES = 16
"""Of a journal's salt; what else it draws has other sizes, and stays as it is."""
TURNS_OF_A_CONNECTION = 5
"""How often a loop runs, at most, between accepting a connection and calling its protocol."""


def hash_keys_once(patch: pytest.MonkeyPatch) -> None:
    """What is slow on purpose is done once for each key: all journals have one salt."""
    salt = secrets.token_hex(SALT_BYTES)

    def drawn(size: int) -> str:
        return salt if size == SALT_BYTES else secrets.token_hex(size)

    patch.setattr(hashlib, "scrypt", functools.cache(hashlib.scrypt))
    patch.setattr(journal, "secrets", SimpleNamespace(token_hex=drawn))


def compile_statements_once(patch: pytest.MonkeyPatch) -> None:
    """SQL is compiled once for all journals in files: each engine would do it again."""
    cache = LRUCache[Any, Any](1_000)
    # The dialect is part of a statement's key there.
    patch.setattr(SQLiteDialect_pysqlite, "__hash__", lambda self: hash(type(self)))
    patch.setattr(SQLiteDialect_pysqlite, "__eq__", lambda self, one: type(self) is type(one))
    patch.setattr(
        Engine, "_compiled_cache", property(lambda _: cache, lambda *_: None), raising=False
    )


def compile_templates_once(patch: pytest.MonkeyPatch) -> None:
    """The page's templates are compiled once for all pages: each would do it again."""
    compile_template, kept = Environment.compile, dict[tuple[object, ...], Any]()

    def compiled(environment: Environment, *source_and_path: Any) -> Any:
        if source_and_path not in kept:
            kept[source_and_path] = compile_template(environment, *source_and_path)
        return kept[source_and_path]

    patch.setattr(Environment, "compile", compiled)


def make_tables_once(patch: pytest.MonkeyPatch) -> None:
    """Create the tables of a journal file with SQL kept from the first: writing it takes longer."""
    statements: list[str] = []
    create_all = schema.metadata.create_all

    def created(connection: Connection) -> None:
        if connection.dialect.name != "sqlite" or inspect(connection).get_table_names():
            create_all(connection)
            return
        for statement in statements:
            connection.exec_driver_sql(statement)
        if not statements:
            create_all(connection)
            kept = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
            statements.extend(connection.exec_driver_sql(kept).scalars())

    patch.setattr(schema.metadata, "create_all", created)


def stop_servers_soon(patch: pytest.MonkeyPatch) -> None:
    """A server looks every 0.1 s whether it is to stop, and then waits as long: most of a test."""
    told = WeakKeyDictionary[uvicorn.Server, tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def wait_until_told(server: uvicorn.Server) -> None:
        await server.on_tick(0)
        told[server] = asyncio.get_running_loop(), asyncio.Event()
        if not server.should_exit:
            await told[server][1].wait()

    def tell(server: uvicorn.Server, stop: bool) -> None:
        vars(server)["stops"] = stop
        with suppress(KeyError, RuntimeError):  # it has not started, or has ended
            loop, event = told[server]
            loop.call_soon_threadsafe(event.set)

    async def briefly(seconds: float) -> None:
        await asyncio.sleep(seconds / 5)

    should_exit = property(lambda server: vars(server)["stops"], tell)
    patch.setattr(uvicorn.Server, "should_exit", should_exit, raising=False)
    patch.setattr(uvicorn.Server, "main_loop", wait_until_told)
    patch.setattr(uvicorn.server, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": briefly}))
    patch.setattr(uvicorn.Server, "shutdown", stop_completely(uvicorn.Server.shutdown))


def take_few_slots(patch: pytest.MonkeyPatch) -> None:
    """Take slots for a shorter time: the next session waits until those of the last are over."""
    patch.setattr(share, "AHEAD_SECONDS", share.AHEAD_SECONDS / 10)


def stop_completely(shutdown: Callable[..., Any]) -> Callable[..., Any]:
    """Accept nothing more before the shutdown.

    A connection that is accepted while a server is closed would stay open, half made, and be
    reported as a leak in whichever test runs when it is collected.
    """

    async def stop(server: uvicorn.Server, sockets: list[socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        for listener in [each for closing in server.servers for each in closing.sockets]:
            with suppress(NotImplementedError):  # Windows
                loop.remove_reader(listener)
        for _ in range(TURNS_OF_A_CONNECTION):
            await asyncio.sleep(0)
        await shutdown(server, sockets)

    return stop
