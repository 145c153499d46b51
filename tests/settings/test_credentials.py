"""Which key goes where: a stored key goes only to the address it was stored for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from batchrun.errors import UsageError
from batchrun.login import log_in
from batchrun.model import BatchSummary, Outcome, TableSource, Workflow
from batchrun.settings.credentials import (
    Credentials,
    address_of,
    find_credentials,
    for_batch,
    profile_replaced_by,
)
from batchrun.settings.files import Configuration, read_configuration
from batchrun.settings.loading import load_settings
from batchrun.settings.location import DEFAULT_BASE_URL
from batchrun.settings.model import Settings

if TYPE_CHECKING:
    from pathlib import Path

HERE = "http://127.0.0.1:9/v1"
THERE = "http://127.0.0.1:10/v1"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
KEYS = {"default": "key-of-default-0001", "emea": "key-of-emea-00000002"}


@pytest.fixture(autouse=True)
def stored(home: Path) -> None:
    """Two profiles at two addresses."""
    for name, url in (("default", HERE), ("emea", THERE)):
        asyncio.run(log_in(KEYS[name], url, name, check=False))


def test_without_a_word_it_is_the_default_profile() -> None:
    assert find_credentials(load_settings()) == Credentials(KEYS["default"], HERE, "default")


def test_a_profile_brings_its_own_address() -> None:
    assert find_credentials(load_settings(profile="emea")) == Credentials(
        KEYS["emea"], THERE, "emea"
    )


@pytest.mark.parametrize("profile", [None, "default"])
@pytest.mark.parametrize("where", ["option", "environment"])
def test_a_stored_key_is_sent_to_no_other_address(
    profile: str | None, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "environment":
        monkeypatch.setenv("BATCHRUN_BASE_URL", "https://evil.example/v1")
    given = "https://evil.example/v1" if where == "option" else None
    with pytest.raises(UsageError) as refused:
        find_credentials(load_settings(profile=profile, base_url=given))
    assert "is not sent to https://evil.example/v1" in refused.value.what
    assert KEYS["default"] not in str(refused.value)


def test_the_same_address_in_other_words_is_no_other() -> None:
    found = find_credentials(load_settings(base_url="HTTP://127.0.0.1:9/v1/"))
    assert found.key == KEYS["default"]


def test_a_key_of_the_environment_is_not_the_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGAI_API_KEY", "key-of-the-environment")
    assert find_credentials(load_settings()) == Credentials(
        "key-of-the-environment", DEFAULT_BASE_URL
    )
    assert find_credentials(load_settings(profile="emea")) == Credentials(
        KEYS["emea"], THERE, "emea"
    )


def test_a_profile_and_a_key_at_one_height_are_the_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGAI_API_KEY", "key-of-the-environment")
    monkeypatch.setenv("BATCHRUN_PROFILE", "emea")
    assert find_credentials(load_settings()).profile == "emea"
    assert find_credentials(Settings()).profile == "emea"


def test_a_stored_profile_and_the_environment_come_before_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PGAI_API_KEY=key-of-dotenv\n", encoding="utf-8")
    settings = load_settings()
    assert find_credentials(settings).profile == "default"
    assert "ignored PGAI_API_KEY" in settings.notices[0]
    monkeypatch.setenv("PGAI_API_KEY", "key-of-the-environment")
    assert find_credentials(load_settings()).key == "key-of-the-environment"
    monkeypatch.setenv("PGAI_API_KEY", "")
    assert find_credentials(load_settings()).profile == "default"
    monkeypatch.setenv("BATCHRUN_PROFILE", "emea")
    assert find_credentials(load_settings()).profile == "emea"


def test_a_file_names_a_profile_and_the_profile_its_address(tmp_path: Path) -> None:
    path = tmp_path / "batchrun.toml"
    path.write_text(f'profile = "emea"\nbase_url = "{HERE}"\n', encoding="utf-8")
    settings = load_settings(Configuration((read_configuration(path),)))
    assert find_credentials(settings) == Credentials(KEYS["emea"], THERE, "emea")


def test_a_profile_that_is_not_there_is_named_with_the_closest() -> None:
    with pytest.raises(UsageError) as refused:
        find_credentials(load_settings(profile="emae"))
    assert "Did you mean emea?" in refused.value.hint


def test_a_key_typed_again_goes_where_the_refused_one_went() -> None:
    for profile, address in ((None, HERE), ("emea", THERE)):
        typed = load_settings(profile=profile).with_typed_key("typed-key")
        assert find_credentials(typed).base_url == address
        assert find_credentials(typed).key == "typed-key"
    outside = load_settings(api_key="refused").with_typed_key("typed-key")
    assert find_credentials(outside) == Credentials("typed-key", DEFAULT_BASE_URL)


def batch_of(profile: str | None, base_url: str = THERE) -> BatchSummary:
    """A batch that was begun at an address with the key of a profile."""
    return BatchSummary(
        batch_id="1124-accounts-7f3a",
        workflow=Workflow("wf_1", "Research"),
        source=TableSource("accounts.csv"),
        parameters={},
        created_at=NOW,
        updated_at=NOW,
        counts=dict.fromkeys(Outcome, 0),
        jobs=0,
        requests=0,
        estimated_seconds=0.0,
        base_url=base_url,
        profile=profile,
    )


def test_a_batch_goes_on_with_the_key_it_was_begun_with(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of("emea")
    assert find_credentials(for_batch(load_settings(), batch)).key == KEYS["emea"]
    monkeypatch.setenv("PGAI_API_KEY", "key-of-the-environment")
    assert find_credentials(for_batch(load_settings(), batch)).key == KEYS["emea"]
    assert profile_replaced_by(for_batch(load_settings(), batch), batch) == ""
    typed = load_settings().with_typed_key("typed-key")
    assert find_credentials(for_batch(typed, batch)).key == "typed-key"


def test_a_batch_does_not_go_on_with_another_profile() -> None:
    with pytest.raises(UsageError, match="started with profile emea, not with default"):
        for_batch(load_settings(profile="default"), batch_of("emea"))


def test_a_batch_of_an_address_without_a_key_says_so() -> None:
    with pytest.raises(UsageError, match="is not sent to"):
        find_credentials(for_batch(load_settings(), batch_of(None, "https://api.example.com/v1")))


@pytest.mark.parametrize("named", [None, "gone"])
def test_a_batch_whose_profile_is_deleted_is_not_paid_by_another_workspace(
    named: str | None,
) -> None:
    """The default profile's key would fit the address."""
    with pytest.raises(UsageError) as refused:
        for_batch(load_settings(profile=named), batch_of("gone", HERE))
    assert "started with profile gone, which has no stored key" in refused.value.what
    assert "batchrun login --profile gone" in refused.value.hint
    assert "PGAI_API_KEY" in refused.value.hint


@pytest.mark.parametrize(
    ("given", "key", "said"),
    [
        ({"api_key": "given-key"}, "given-key", "PGAI_API_KEY"),
        ({"profile": "emea"}, KEYS["emea"], "profile emea"),
    ],
)
def test_a_batch_whose_profile_is_deleted_takes_a_key_that_is_named_and_says_so(
    given: dict[str, Any], key: str, said: str
) -> None:
    batch = batch_of("gone")
    settings = for_batch(load_settings(**given), batch)
    found = find_credentials(settings)
    assert (found.key, found.base_url) == (key, THERE)
    assert profile_replaced_by(settings, batch) == said


def test_the_address_is_known_without_opening_the_keyring() -> None:
    assert address_of(load_settings(profile="emea")) == THERE


def test_a_key_has_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHRUN_API_KEY", "no-variable-of-ours")
    assert find_credentials(load_settings()).key == KEYS["default"]
