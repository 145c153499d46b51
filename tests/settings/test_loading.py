"""What a `.env` may do: hold a key, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchrun.errors import UsageError
from batchrun.settings.credentials import find_credentials
from batchrun.settings.loading import load_settings
from batchrun.settings.location import DEFAULT_BASE_URL
from batchrun.settings.model import Settings

KEY = "key-of-dotenv-0001"


def dotenv(text: str | bytes) -> None:
    Path(".env").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    "line",
    [
        f"PGAI_API_KEY={KEY}",
        f"export PGAI_API_KEY = {KEY}",
        f"PGAI_API_KEY='{KEY}'",
        f'PGAI_API_KEY="{KEY}" # of the team',
        f"PGAI_API_KEY={KEY} # of the team",
        f"pgai_api_key={KEY}\r",
    ],
)
def test_a_key_in_a_dotenv_is_used_and_announced(line: str) -> None:
    dotenv(f"# ours\n{line}\nOTHER=1\n")
    settings = load_settings()
    assert find_credentials(settings).key == KEY
    assert find_credentials(settings).base_url == DEFAULT_BASE_URL
    [notice] = settings.notices
    assert str(Path(".env").absolute()) in notice
    assert "using its PGAI_API_KEY" in notice
    assert KEY not in notice


ELSEWHERE = {
    "BATCHRUN_BASE_URL": "https://elsewhere.example.com/v1",
    "BATCHRUN_JOURNAL": "theirs.db",
    "BATCHRUN_LOG_FILE": "notes.txt",
    "BATCHRUN_PROFILE": "emea",
    "BATCHRUN_RATE": "unlimited",
    "BATCHRUN_SPEED": "nonsense",
    "BATCHRUN_NOTIFY_COMMAND": "sh evil.sh",
    "PGAI_BASE_URL": "https://elsewhere.example.com/v1",
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_any_other_variable_of_ours_in_a_dotenv_is_ignored_with_a_notice(name: str) -> None:
    before = load_settings()
    dotenv(f"{name}={ELSEWHERE[name]}\n")
    settings = load_settings()
    assert settings.model_dump() == before.model_dump()
    [notice] = settings.notices
    assert name in notice
    assert "nothing else" in notice


@pytest.mark.parametrize(
    "value",
    [
        *("${AWS_SECRET_ACCESS_KEY}", "$AWS_SECRET_ACCESS_KEY", '"x${HOME}"', "`id`", "%PATH%"),
        *("two words", "ké", '"unclosed'),
    ],
)
def test_nothing_in_a_dotenv_is_expanded(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-another-program")
    dotenv(f"PGAI_API_KEY={value}\n")
    settings = load_settings()
    assert settings.api_key is None
    assert "not expanded" in settings.notices[0]


@pytest.mark.parametrize(
    "content",
    [
        f"NAME=M\xfcller\nPGAI_API_KEY={KEY}\n".encode("latin-1"),
        f"PGAI_API_KEY={KEY}\n".encode("utf-8-sig"),
        f"PGAI_API_KEY={KEY}\n".encode("utf-16"),
        f"PGAI_API_KEY={KEY}\n".encode("utf-16-le"),
        f"PGAI_API_KEY={KEY}\n".encode("utf-16-be"),
        b"\x80\x81\xff\n" + f"PGAI_API_KEY={KEY}\n".encode(),
    ],
)
def test_a_dotenv_in_another_encoding_is_read(content: bytes) -> None:
    dotenv(content)
    assert find_credentials(load_settings()).key == KEY


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x00" * 9, b"=\n==\n", b"x" * 100_000])
def test_a_dotenv_that_is_none_stops_no_command(content: bytes) -> None:
    dotenv(content)
    assert load_settings().api_key is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_dotenv_that_is_no_file_is_not_waited_for() -> None:
    os.mkfifo(".env")
    assert load_settings().notices == ()


def test_a_key_of_a_dotenv_goes_only_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dotenv(f"PGAI_API_KEY={KEY}\nBATCHRUN_BASE_URL=https://evil.example/v1\n")
    assert find_credentials(load_settings()).base_url == DEFAULT_BASE_URL
    monkeypatch.setenv("BATCHRUN_BASE_URL", "https://mine.example/v1")
    assert find_credentials(load_settings()).base_url == "https://mine.example/v1"


@pytest.mark.parametrize(
    "line",
    [
        "PGAI_BASE_URL=https://evil.example/v1",
        "BATCHRUN_BASE_URL=https://evil.example/v1",
        "PGAI_API_KEY=key-of-a-stranger-2222",
    ],
)
def test_another_key_typed_beside_a_strangers_dotenv_goes_to_the_service(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not line.startswith("PGAI_API_KEY"):
        monkeypatch.setenv("PGAI_API_KEY", "key-that-is-refused-1")
    dotenv(f"{line}\n")
    typed = find_credentials(load_settings().with_typed_key(KEY))
    assert (typed.key, typed.base_url, typed.profile) == (KEY, DEFAULT_BASE_URL, None)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "0", "-1", "fast", "1e999", "1e-300"])
@pytest.mark.parametrize("name", ["speed", "timeout_seconds", "patience_seconds"])
def test_a_number_that_is_no_amount_of_time_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"BATCHRUN_{name.upper()}", value)
    with pytest.raises(UsageError, match=f"BATCHRUN_{name.upper()} is ") as refused:
        load_settings()
    assert "of at least 0.001" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "value", "most"),
    [
        ("speed", "1e12", "1,000,000,000"),
        ("workers", "65", "64"),
        ("daily", "9" * 20, "1,000,000,"),
    ],
)
def test_a_number_that_is_too_large_is_refused_with_the_largest(
    name: str, value: str, most: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"BATCHRUN_{name.upper()}", value)
    with pytest.raises(UsageError, match=f"BATCHRUN_{name.upper()} is more than {most}"):
        load_settings()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAILY", "LOG_FILE", "JOURNAL", "BASE_URL", "SPEED"):
        monkeypatch.setenv(f"BATCHRUN_{name}", " ")
    assert Settings().model_fields_set == set()


def test_a_setting_that_does_not_exist_is_named_with_the_closest() -> None:
    with pytest.raises(UsageError, match="There is no setting journl") as refused:
        load_settings(journl="x.db")
    assert refused.value.hint == "Did you mean journal?"


NUMBERS = [
    name
    for name, field in Settings.model_fields.items()
    if any(kind in str(field.annotation) for kind in ("int", "float"))
]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_too_large_to_work_with_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"BATCHRUN_{name.upper()}", "9" * 400)
    with pytest.raises(UsageError, match=f"BATCHRUN_{name.upper()}"):
        load_settings()
