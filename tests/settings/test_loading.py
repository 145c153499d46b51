"""What a `.env` that came with a list can't do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchrun.errors import UsageError
from batchrun.settings import load_settings

ELSEWHERE = "BATCHRUN_BASE_URL=https://elsewhere.example.com/v1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(("BATCHRUN_", "PGAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_a_dotenv_leads_no_key_away_that_it_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(ELSEWHERE, encoding="utf-8")
    monkeypatch.setenv("PGAI_API_KEY", "pg_mine")
    with pytest.raises(UsageError, match="where your key goes") as refused:
        load_settings()
    assert "pg_mine" not in str(refused.value)


def test_a_dotenv_says_where_its_own_key_goes() -> None:
    Path(".env").write_text(f"{ELSEWHERE}PGAI_API_KEY=pg_theirs\n", encoding="utf-8")
    assert load_settings().base_url == "https://elsewhere.example.com/v1"


def test_what_the_environment_says_wins_over_such_a_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(ELSEWHERE, encoding="utf-8")
    monkeypatch.setenv("PGAI_API_KEY", "pg_mine")
    monkeypatch.setenv("BATCHRUN_BASE_URL", "https://api.example.com/v1")
    assert load_settings().base_url == "https://api.example.com/v1"


def test_a_dotenv_sends_no_list_to_a_server() -> None:
    Path(".env").write_text("BATCHRUN_JOURNAL=postgresql://them@example.com/x\n", encoding="utf-8")
    with pytest.raises(UsageError, match="journal on a server"):
        load_settings()


def test_a_dotenv_may_name_a_journal_on_this_machine() -> None:
    Path(".env").write_text("BATCHRUN_JOURNAL=mine.db\n", encoding="utf-8")
    assert load_settings().journal == "mine.db"
