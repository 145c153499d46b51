"""What names a journal: a path on any system, or a server's URL, whose password nobody sees."""

from __future__ import annotations

from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from batchrun.errors import BatchrunError, JournalError
from batchrun.journal import Journal
from batchrun.settings.loading import load_settings
from batchrun.settings.location import is_server, server_url, shown, synchronised_by


@pytest.mark.parametrize(
    ("location", "server"),
    [
        (r"C:\Users\Anna\journal.db", False),
        ("C:/Users/Anna/journal.db", False),
        ("C://Users/Anna/journal.db", False),
        (r"\\nas\team\journal.db", False),
        ("//nas/team/journal.db", False),
        ("/home/anna/Bücher und Listen/journal.db", False),
        ("journal.db", False),
        ("~/journal.db", False),
        ("./a://b", False),
        ("postgresql://host/batchrun", True),
        ("POSTGRES://host/batchrun", True),
        ("mysql://host/batchrun", True),
    ],
)
def test_a_path_of_any_system_is_not_taken_for_a_url(location: str, server: bool) -> None:
    assert is_server(location) is server
    if not server:
        assert shown(location) == location


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:geheim@db.example.com/batchrun",
        "postgres://anna:geheim@db.example.com:5433/batchrun?sslmode=require",
        "postgresql+psycopg://anna:geheim@db.example.com/batchrun",
        "postgresql://db.example.com/batchrun?user=anna&password=geheim",
        "postgresql://anna@db.example.com?password=geheim",
        "mysql://anna@db.example.com/x?password=geheim",
        "postgresql://anna:x@geheim@db.example.com/batchrun",
        "postgresql://anna:geheim@db.example.com:port/batchrun",
        "mysql://anna:geheim@db.example.com/batchrun",
        "postgresql://anna:geheim@db.example.com",
        "postgresql://anna:x/geheim@db.example.com/batchrun",
        "postgresql://anna:x?geheim@db.example.com/batchrun",
        "postgresql://db.example.com/batchrun?password=x@geheim",
        "postgresql://db.example.com/batchrun?sslpassword=geheim&user=anna@example.com",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    assert "geheim" not in shown(url)
    assert "db.example.com" in shown(url)
    assert "geheim" not in repr(load_settings(journal=url))


@pytest.mark.parametrize(
    "location",
    [
        "postgresql+psycopg2://anna:geheim@db/batchrun",
        "POSTGRESQL://anna:geheim@db/batchrun",
        " postgres://anna:geheim@db/batchrun\n",
        '"postgresql://anna:geheim@db/batchrun"',
        "pgsql://anna:geheim@db/batchrun",
        "jdbc:postgresql://anna:geheim@db/batchrun",
        "jdbc:postgresql://db/batchrun?user=anna&password=geheim",
        "postgresql:/anna:geheim@db/batchrun",
        "postgresql//anna:geheim@db/batchrun",
        "postgresql:anna:geheim@db/batchrun",
        "anna:geheim@db.example.com:5432/batchrun",
        "a:geheim@db/batchrun",
        "host=db user=anna password=geheim dbname=batchrun",
        "dbname=batchrun password='geheim geheim'",
        "PASSWORD = geheim HOST = db",
        "Server=db;Database=batchrun;Uid=anna;Pwd=geheim;",
        "mysql://anna:geheim@db/batchrun",
        "mongodb+srv://anna:geheim@db/batchrun",
        "sqlite:///geheim.db?password=geheim",
    ],
)
def test_no_spelling_of_a_database_is_a_file_or_shows_its_password(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_server(location)
    assert ":geheim@" not in shown(location)
    assert "password=geheim" not in shown(location).lower()
    with pytest.raises((JournalError, BatchrunError)) as refused:
        Journal(location)
    assert "geheim" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://host/batchrun", "no journal in a database of mysql"),
        ("sqlite:///x.db", "path alone"),
        ("host=db dbname=batchrun", "neither a path nor a URL"),
        ("notes:2024.db", "neither a path nor a URL"),
        ("postgresql://host:port/batchrun", "can't be read"),
        ("postgresql://anna:p@ss@host/batchrun", "%40"),
        ("postgresql://host", "names no database"),
    ],
)
def test_a_url_that_cannot_be_used_says_what_is_wrong(url: str, words: str) -> None:
    with pytest.raises(JournalError) as refused:
        server_url(url)
    assert words in str(refused.value)
    assert url not in str(refused.value)
    assert "p@ss" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "service"),
    [
        (PureWindowsPath(r"C:\Users\Anna\OneDrive\journal.db"), "OneDrive"),
        (PureWindowsPath(r"C:\Users\Anna\OneDrive - Example GmbH\x\journal.db"), "OneDrive"),
        (PurePosixPath("/Users/anna/Library/CloudStorage/OneDrive-Example/j.db"), "OneDrive"),
        (PurePosixPath("/Users/anna/Library/Mobile Documents/com~apple~CloudDocs/j.db"), "iCloud"),
        (PurePosixPath("/home/anna/Dropbox/j.db"), "Dropbox"),
        (PurePosixPath("/home/anna/dropboxes/j.db"), ""),
        (PurePosixPath("/home/anna/onedrive.db"), ""),
    ],
)
def test_a_folder_that_is_copied_to_other_machines_is_known(path: PurePath, service: str) -> None:
    assert (synchronised_by(path) or "").startswith(service)
    assert bool(synchronised_by(path)) is bool(service)
