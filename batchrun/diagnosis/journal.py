"""The journal: where it is, whether it is whole, and whether it can be written. It is only read."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from batchrun.diagnosis.finding import Finding, Verdict
from batchrun.errors import JournalError, parameter
from batchrun.journal.faults import unusable
from batchrun.journal.places import network_filesystem
from batchrun.journal.schema import SCHEMA_VERSION, batches, meta
from batchrun.journal.server import connect_to_server
from batchrun.settings.location import is_server, shown
from batchrun.words import plural

if TYPE_CHECKING:
    from sqlalchemy import Connection

LITTLE_BYTES = 500_000_000
"""A disk with less free is worth a word: a run keeps its results in the journal."""


def examine_journal(location: str) -> Finding:
    """How the journal is."""
    if is_server(location):
        return _on_a_server(location)
    path = Path(location).expanduser().absolute()
    folder = next(each for each in path.parents if each.exists())
    free = shutil.disk_usage(folder).free
    found = _place(path, folder) or (_contents(path) if path.exists() else _none_yet(path))
    if found.verdict is Verdict.FAULT:
        return found
    text = f"{found.text}; {free / 1e9:,.1f} GB free"
    if free < LITTLE_BYTES:
        return Finding("Journal", Verdict.WARNING, text, "Make room before a long run.")
    return replace(found, text=text)


def _none_yet(path: Path) -> Finding:
    return Finding("Journal", Verdict.OK, f"none yet; the first run makes {path}")


def _place(path: Path, folder: Path) -> Finding | None:
    """What is wrong with where it is, if anything is."""
    filesystem = network_filesystem(folder.resolve())
    if filesystem is not None:
        return _fault(f"{path} is on a network drive ({filesystem})", _ELSEWHERE)
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return _fault(f"{path} can't be written", f"Give yourself the right to, or {_ELSEWHERE}")
    return None


def _contents(path: Path) -> Finding:
    """How a journal that is there is."""
    try:
        flaws, schema, there = _read(path)
    except sqlite3.Error as error:
        flaws, schema, there = str(error), "", 0
    if flaws != "ok":
        return _fault(f"{path} is damaged: {flaws}", f"Put a copy back, or {_ELSEWHERE}")
    found = _of_schema(str(path), schema, there, ", whole")
    if found.verdict is Verdict.OK and os.name == "posix" and path.stat().st_mode & 0o077:
        advice = f"Others can read it: chmod 600 {path}"
        return replace(found, verdict=Verdict.WARNING, advice=advice)
    return found


def _of_schema(name: str, schema: str, there: int, state: str = "") -> Finding:
    """How a journal of a schema's version with so many batches is."""
    if not schema.isdecimal():
        return _fault(f"{name} is not a journal of batchrun", _ELSEWHERE)
    if int(schema) > SCHEMA_VERSION:
        return _fault(
            f"{name} was written by a newer batchrun (schema {schema})",
            "Update batchrun: pip install --upgrade batchrun",
        )
    text = f"{name}, schema {schema}{state}, {plural(there, 'batch', 'batches')}"
    return Finding("Journal", Verdict.OK, text)


_OF_ITS_OWN = "Give it a database of its own, such as: CREATE DATABASE batchrun OWNER USER"
_ELSEWHERE = f"name another place with {parameter('journal')} or BATCHRUN_JOURNAL."


def _fault(text: str, advice: str) -> Finding:
    return Finding("Journal", Verdict.FAULT, text, advice[0].upper() + advice[1:])


def _read(path: Path) -> tuple[str, str, int]:
    """What SQLite's quick check says, the schema's version, and how many batches there are."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        flaws = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if flaws != "ok":
            return str(flaws), "", 0
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not {"meta", "batches"} <= tables:
            return "ok", "", 0
        found = database.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
        [batches] = database.execute("SELECT count(*) FROM batches").fetchone()
        return "ok", "" if found is None else str(found[0]), int(batches)


def _on_a_server(location: str) -> Finding:
    """How a database of a server is; in a transaction that may write nothing."""
    name = shown(location)
    try:
        engine = connect_to_server(location)
        try:
            reading = engine.connect().execution_options(postgresql_readonly=True)
            with reading as connection:
                return _tables(connection, name)
        finally:
            engine.dispose()
    except JournalError as error:
        return _fault(error.marked_what, error.marked_hint or _ELSEWHERE)
    except SQLAlchemyError as error:
        found = unusable(name, error)
        return _fault(found.marked_what, found.marked_hint)


def _tables(connection: Connection, name: str) -> Finding:
    """How a server's tables are, and whether there are any."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        may = func.has_schema_privilege(func.current_schema(), "CREATE")
        if connection.scalar(select(may)):
            return Finding("Journal", Verdict.OK, f"none yet; the first run makes it in {name}")
        return _fault(f"{name}: this user may make no tables there", _OF_ITS_OWN)
    found = None
    if {"meta", "batches"} <= tables:
        found = connection.scalar(select(meta.c.value).where(meta.c.name == "schema_version"))
    batches_there = 0
    if found is not None and found.isdecimal():
        batches_there = connection.scalar(select(func.count()).select_from(batches)) or 0
    return _of_schema(name, found or "", batches_there)
