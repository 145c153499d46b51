"""The journal: where it is, whether it is whole, and whether it can be written. It is only read."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from batchrun.diagnosis.finding import Finding, Verdict
from batchrun.errors import JournalError
from batchrun.journal import Journal
from batchrun.journal.places import network_filesystem
from batchrun.journal.schema import SCHEMA_VERSION
from batchrun.settings.location import is_server, shown

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
        flaws, schema, batches = _read(path)
    except sqlite3.Error as error:
        flaws, schema, batches = str(error), "", 0
    if flaws != "ok":
        return _fault(f"{path} is damaged: {flaws}", f"Put a copy back, or {_ELSEWHERE}")
    if not schema.isdecimal():
        return _fault(f"{path} is not a journal of batchrun", _ELSEWHERE)
    if int(schema) > SCHEMA_VERSION:
        return _fault(
            f"{path} was written by a newer batchrun (schema {schema})",
            "Update batchrun: pip install --upgrade batchrun",
        )
    text = f"{path}, schema {schema}, whole, {batches:,} {'batch' if batches == 1 else 'batches'}"
    if os.name == "posix" and path.stat().st_mode & 0o077:
        advice = f"Others can read it: chmod 600 {path}"
        return Finding("Journal", Verdict.WARNING, text, advice)
    return Finding("Journal", Verdict.OK, text)


_ELSEWHERE = "name another place with --journal or BATCHRUN_JOURNAL."


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
    try:
        with Journal(location) as journal:
            batches = len(journal.batches())
    except JournalError as error:
        return _fault(error.what, error.hint or _ELSEWHERE)
    return Finding("Journal", Verdict.OK, f"{shown(location)}, {batches:,} batches")
