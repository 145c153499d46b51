"""`login` and `logout`, and the key on every command: typed unseen, never shown, never astray."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import ExitCode
from batchrun.login import address_for
from batchrun.sandbox.model import SandboxSettings, Scope
from batchrun.sandbox.server import running
from batchrun.settings.loading import load_settings
from batchrun.settings.location import DEFAULT_BASE_URL
from batchrun.settings.profiles import DEFAULT_PROFILE, KeyStorage, Profile, stored_profiles
from tests.cli.conftest import SPEED
from tests.cli.test_bad_input import assert_refused, triggers_accepted
from tests.settings.keyrings import LockedKeyring, MemoryKeyring, system_keyring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.commands import CommandLine, Ended

KEY = "sk-workspace-one-000000001111"
OTHER = "sk-workspace-two-000000002222"
RUN = ("run", "accounts.csv", "-w", "account research", "--yes")


@pytest.fixture
def service(batchrun: CommandLine) -> Iterator[str]:
    """A service with two workspaces; the second may trigger nothing."""
    keys = {KEY: frozenset(Scope), OTHER: frozenset({Scope.READ})}
    with running(SandboxSettings(rate_per_minute=None, keys=keys), speed=SPEED) as url:
        batchrun.monkeypatch.setenv("BATCHRUN_SPEED", str(SPEED))
        yield url


def login(batchrun: CommandLine, key: str, *arguments: str) -> Ended:
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO(key + "\n"))
    named = () if "--profile" in arguments else ("--profile", "default")
    ended = batchrun("login", *named, *arguments)
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert key not in ended.stdout + ended.stderr
    return ended


def test_profile_names_are_listed_when_there_is_no_default_profile(
    batchrun: CommandLine, service: str
) -> None:
    login(batchrun, KEY, "--base-url", service, "--profile", "work")
    assert "Saved keys: work." in batchrun().stdout
    assert_refused(
        batchrun("workflows"), ExitCode.UNUSABLE, "saved as default", "Saved keys: work."
    )
    assert "Choose one with --profile or BATCHRUN_PROFILE" in batchrun("doctor").stdout


def test_a_sandbox_key_becomes_the_profile_sandbox(batchrun: CommandLine, sandbox: str) -> None:
    """So that `login` sends the real key to the real service later."""
    batchrun.monkeypatch.delenv("PGAI_API_KEY")
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO("sandbox\n"))
    assert "Name:      sandbox (choose it" in batchrun("login").stdout
    assert batchrun("workflows").exit_code == ExitCode.COMPLETED  # at the same address
    batchrun.monkeypatch.delenv("BATCHRUN_BASE_URL")
    later = address_for(DEFAULT_PROFILE, load_settings())
    assert later == DEFAULT_BASE_URL
    assert stored_profiles().get(DEFAULT_PROFILE) is None


def test_a_default_profile_of_a_sandbox_does_not_block_the_real_key(
    batchrun: CommandLine, sandbox: str
) -> None:
    login(batchrun, "sandbox-read")
    batchrun.monkeypatch.delenv("BATCHRUN_BASE_URL")
    assert address_for(DEFAULT_PROFILE, load_settings()) == DEFAULT_BASE_URL


@pytest.mark.parametrize(
    "typed", [("workflows",), ("login",), ("check", "accounts.csv", "-w", "x")]
)
def test_a_stopped_sandbox_is_named_in_the_error(
    batchrun: CommandLine, accounts: Path, typed: tuple[str, ...]
) -> None:
    with running(SandboxSettings()) as url:
        pass
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO("sandbox\n"))
    batchrun.monkeypatch.setenv("BATCHRUN_BASE_URL", url)
    batchrun.monkeypatch.setenv("PGAI_API_KEY", "sandbox")
    assert_refused(batchrun(*typed), ExitCode.PAUSED, "This is the practice sandbox. For PG:AI")


def test_a_short_key_is_shown_as_hidden(batchrun: CommandLine, sandbox: str) -> None:
    batchrun.monkeypatch.delenv("PGAI_API_KEY")
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO("sandbox\n"))
    assert "key (hidden) for" in batchrun("login", "--profile", "default").stdout
    for command in ("config", "doctor"):
        said = batchrun(command).stdout
        assert "default (hidden)" in said
        assert "… " not in said


def test_a_saved_key_is_enough_for_every_command(
    batchrun: CommandLine, service: str, accounts: Path
) -> None:
    kept = login(batchrun, KEY, "--base-url", service)
    assert kept.exit_code == ExitCode.COMPLETED
    assert "key …1111 for" in kept.stdout
    assert "sees 4 workflows" in kept.stdout
    assert "readable only by your account" in kept.stdout
    assert batchrun(*RUN).exit_code == ExitCode.INCOMPLETE
    assert triggers_accepted(service) == 2
    gone = batchrun("logout")
    assert "default" in gone.stdout
    assert_refused(batchrun("workflows"), ExitCode.UNUSABLE, "no API key", "batchrun login")


def test_a_wrong_key_is_reported_and_not_saved(batchrun: CommandLine, service: str) -> None:
    ended = login(batchrun, "sk-wrong-0123456789", "--base-url", service)
    assert_refused(ended, ExitCode.KEY_REFUSED, "does not know this key", "Nothing was saved")
    assert stored_profiles().all() == {}


def test_a_missing_key_is_reported(batchrun: CommandLine, service: str) -> None:
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO())
    ended = batchrun("login", "--base-url", service)
    assert_refused(ended, ExitCode.UNUSABLE, "Nothing was saved")
    assert stored_profiles().all() == {}


def test_a_stored_key_never_reaches_another_address(batchrun: CommandLine, service: str) -> None:
    login(batchrun, KEY, "--base-url", service)
    with running(SandboxSettings(keys={KEY: frozenset(Scope)}), speed=SPEED) as elsewhere:
        for arguments in (
            ("--base-url", elsewhere),
            ("--profile", "default", "--base-url", elsewhere),
        ):
            ended = batchrun("workflows", *arguments)
            assert_refused(ended, ExitCode.UNUSABLE, "is not sent to", elsewhere)
        (batchrun.folder / ".env").write_text(f"BATCHRUN_BASE_URL={elsewhere}\n", encoding="utf-8")
        ended = batchrun("workflows")
        assert ended.exit_code == ExitCode.COMPLETED
        assert "ignored BATCHRUN_BASE_URL" in ended.stderr


def test_a_batch_resumes_with_its_own_workspace(
    batchrun: CommandLine, service: str, accounts: Path
) -> None:
    """The default profile is of the other workspace, at the same address."""
    login(batchrun, KEY, "--base-url", service, "--profile", "one")
    login(batchrun, OTHER, "--base-url", service)
    assert batchrun(*RUN, "--profile", "one", "--limit", "1").exit_code == ExitCode.PAUSED
    refused = batchrun("resume", "--profile", "default")
    assert_refused(refused, ExitCode.UNUSABLE, "started with profile one, not with default")
    batchrun.monkeypatch.setenv("PGAI_API_KEY", OTHER)
    assert batchrun("resume").exit_code == ExitCode.INCOMPLETE
    assert triggers_accepted(service) == 2


def test_a_batch_whose_profile_is_deleted_needs_another_key_by_name(
    batchrun: CommandLine, service: str, accounts: Path
) -> None:
    """Neither the default profile nor anybody's key pays for it in silence."""
    login(batchrun, KEY, "--base-url", service, "--profile", "north")
    login(batchrun, KEY, "--base-url", service)
    assert batchrun(*RUN, "--profile", "north", "--limit", "1").exit_code == ExitCode.PAUSED
    stored_profiles().drop("north")
    for command in (("resume",), ("retry", "--outcome", "in-doubt", "--yes")):
        refused = batchrun(*command)
        assert_refused(refused, ExitCode.UNUSABLE, "started with profile north", "login --profile")
        assert "resume" not in refused.stdout
    assert triggers_accepted(service) == 1
    ended = batchrun("resume", "--profile", "default")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "profile default pays from now on" in ended.stderr
    assert triggers_accepted(service) == 2


def test_a_list_is_not_resumed_with_another_workspaces_key(
    batchrun: CommandLine, service: str, accounts: Path
) -> None:
    login(batchrun, KEY, "--base-url", service, "--profile", "north")
    login(batchrun, KEY, "--base-url", service)
    assert batchrun(*RUN, "--profile", "north", "--limit", "1").exit_code == ExitCode.PAUSED
    refused = batchrun(*RUN)
    assert_refused(refused, ExitCode.UNUSABLE, "profile default would pay", "batchrun resume")
    batchrun.monkeypatch.setenv("PGAI_API_KEY", KEY)
    batchrun.monkeypatch.setenv("BATCHRUN_BASE_URL", service)
    assert_refused(batchrun(*RUN), ExitCode.UNUSABLE, "the key in PGAI_API_KEY would pay")
    assert triggers_accepted(service) == 1
    batchrun.monkeypatch.delenv("PGAI_API_KEY")
    assert batchrun(*RUN, "--profile", "north").exit_code == ExitCode.INCOMPLETE
    assert triggers_accepted(service) == 2


def test_the_profile_named_wins_over_the_key_of_the_environment(
    batchrun: CommandLine, service: str
) -> None:
    login(batchrun, KEY, "--base-url", service, "--profile", "one")
    batchrun.monkeypatch.setenv("PGAI_API_KEY", "sk-nobodys-key-0000")
    assert batchrun("workflows", "--profile", "one").exit_code == ExitCode.COMPLETED
    batchrun.monkeypatch.setenv("BATCHRUN_PROFILE", "one")
    assert batchrun("workflows").exit_code == ExitCode.COMPLETED


def test_logging_in_again_keeps_the_address(batchrun: CommandLine, service: str) -> None:
    login(batchrun, KEY, "--base-url", service, "--profile", "one")
    assert service in login(batchrun, KEY, "--profile", "one").stdout


def test_logout_all_deletes_every_key(batchrun: CommandLine, service: str) -> None:
    login(batchrun, KEY, "--base-url", service)
    login(batchrun, OTHER, "--base-url", service, "--profile", "two")
    ended = batchrun("logout", "--all")
    assert "default" in ended.stdout
    assert "two" in ended.stdout
    assert stored_profiles().all() == {}
    assert batchrun("logout", "--all").exit_code == ExitCode.COMPLETED


def test_logout_all_goes_on_after_a_locked_keyring(batchrun: CommandLine, service: str) -> None:
    stored_profiles().keep(Profile("early", service, KeyStorage.KEYRING, "1111"))
    login(batchrun, KEY, "--base-url", service, "--profile", "late", "--in-file")
    with system_keyring(LockedKeyring()):
        ended = batchrun("logout", "--all")
        assert ended.exit_code == ExitCode.UNUSABLE
        assert ended.stdout == f"Deleted:   the key of profile late for {service}\n"
        assert "of 2, early is left" in ended.stderr
        assert "Failed to unlock the collection!" in ended.stderr
        assert f'Remove the entry "batchrun {service}" of user early' in ended.stderr
    assert list(stored_profiles().all()) == ["early"]
    with system_keyring(MemoryKeyring()):
        assert batchrun("logout", "--all").exit_code == ExitCode.COMPLETED
    assert stored_profiles().all() == {}


def test_a_profile_without_its_keyring_is_deleted_and_the_entry_named(
    batchrun: CommandLine,
) -> None:
    url = "https://api.example.com/v1"
    stored_profiles().keep(Profile("north", url, KeyStorage.KEYRING, "1111"))
    ended = batchrun("logout", "--profile", "north")
    assert ended.exit_code == ExitCode.COMPLETED
    assert f"Deleted:   profile north for {url}" in ended.stdout
    assert f'Remove the entry "batchrun {url}" of user north' in ended.stdout
    assert stored_profiles().all() == {}


def test_a_sandbox_takes_no_profile(batchrun: CommandLine, accounts: Path) -> None:
    ended = batchrun(*RUN, "--sandbox", "--profile", "one")
    assert_refused(ended, ExitCode.UNUSABLE, "--profile")


def test_a_refused_stored_key_may_be_typed_again_and_goes_to_the_same_place(
    batchrun: CommandLine, service: str, accounts: Path
) -> None:
    from tests.cli.test_another_key import Terminal

    login(batchrun, "sk-revoked-0123456789", "--base-url", service, "--no-check")
    batchrun.monkeypatch.setattr(sys, "stdin", Terminal())
    batchrun.monkeypatch.setattr("batchrun.cli.runner.ask", lambda *_, **__: KEY)
    assert batchrun(*RUN).exit_code == ExitCode.INCOMPLETE
    assert triggers_accepted(service) == 2


def test_config_shows_where_everything_comes_from(batchrun: CommandLine, service: str) -> None:
    login(batchrun, KEY, "--base-url", service, "--profile", "one")
    batchrun.monkeypatch.setenv("BATCHRUN_DAILY", "70")
    (batchrun.folder / "batchrun.toml").write_text('max_in_flight = 3\nworkflow = "W"\n')
    shown = batchrun("config", "accounts.csv", "--profile", "one", "--json")
    document = json.loads(shown.stdout)
    found = {one["name"]: (one["value"], one["origin"]) for one in document["settings"]}
    assert found["api_key"] == ("…1111", "profile")
    assert found["base_url"] == (service, "profile")
    assert found["profile"] == ("one", "option")
    assert found["daily"] == ("70", "environment")
    assert found["journal"][1] == "environment"
    assert found["max_in_flight"] == ("3", "batchrun.toml")
    assert found["workflow"] == ("W", "batchrun.toml")
    assert found["wait"] == ("false", "default")
    assert document["profiles"][0]["name"] == "one"
    assert KEY not in shown.stdout
    lines = batchrun("config").stdout
    assert "daily" in lines
    assert "environment BATCHRUN_DAILY" in lines


def test_config_shows_no_password(batchrun: CommandLine) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_JOURNAL", "postgresql://me:hunter2@db.example/batches")
    batchrun.monkeypatch.setenv("PGAI_API_KEY", KEY)
    for arguments in (["config"], ["config", "--json"]):
        shown = batchrun(*arguments).stdout
        assert "hunter2" not in shown
        assert KEY not in shown
        assert "…1111" in shown


@pytest.fixture
def begun(batchrun: CommandLine, accounts: Path) -> Iterator[None]:
    """A batch started with a key of the environment, at a service where another one may go on."""
    keys = dict.fromkeys((KEY, OTHER), frozenset(Scope))
    with running(SandboxSettings(rate_per_minute=None, keys=keys), speed=SPEED) as url:
        batchrun.connect(url, key=KEY)
        assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
        yield


@pytest.mark.parametrize("command", [("resume",), RUN])
@pytest.mark.usefixtures("begun")
def test_a_note_says_when_another_key_than_the_first_pays(
    batchrun: CommandLine, command: tuple[str, ...]
) -> None:
    batchrun.monkeypatch.setenv("PGAI_API_KEY", OTHER)
    ended = batchrun(*command, "--log-file", "log.jsonl")
    assert "was started with another key: PGAI_API_KEY pays from now on" in ended.stderr
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert '"key.replaced"' in (batchrun.folder / "log.jsonl").read_text(encoding="utf-8")


@pytest.mark.usefixtures("begun")
def test_no_note_about_another_key_if_there_is_nothing_to_retry(batchrun: CommandLine) -> None:
    batchrun.monkeypatch.setenv("PGAI_API_KEY", OTHER)
    ended = batchrun("retry", "--yes")
    assert ended.stderr.startswith("Error: Batch ")
    assert "has no row that is failed or rejected" in ended.stderr


@pytest.fixture
def of_profile(batchrun: CommandLine, accounts: Path) -> Iterator[str]:
    """A batch started with a stored key, at a service where another one may go on; its address."""
    keys = dict.fromkeys((KEY, OTHER), frozenset(Scope))
    with running(SandboxSettings(rate_per_minute=None, keys=keys), speed=SPEED) as url:
        batchrun.monkeypatch.setenv("BATCHRUN_SPEED", str(SPEED))
        login(batchrun, KEY, "--base-url", url, "--profile", "north")
        assert batchrun(*RUN, "--profile", "north", "--limit", "1").exit_code == ExitCode.PAUSED
        yield url


@pytest.mark.parametrize("command", [("resume",), (*RUN, "--profile", "north")])
def test_a_note_says_when_login_replaced_the_key_of_the_batch(
    batchrun: CommandLine, of_profile: str, command: tuple[str, ...]
) -> None:
    login(batchrun, OTHER, "--base-url", of_profile, "--profile", "north")
    ended = batchrun(*command, "--log-file", "log.jsonl")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "was started with another key: profile north pays from now on" in ended.stderr
    assert '"key.replaced"' in (batchrun.folder / "log.jsonl").read_text(encoding="utf-8")


def test_saving_the_same_key_again_prints_no_note(batchrun: CommandLine, of_profile: str) -> None:
    login(batchrun, KEY, "--base-url", of_profile, "--profile", "north")
    ended = batchrun("resume", "--log-file", "log.jsonl")
    assert ended.exit_code == ExitCode.INCOMPLETE
    assert "another key" not in ended.stderr
    assert "key.replaced" not in (batchrun.folder / "log.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [("resume",), RUN])
@pytest.mark.usefixtures("begun")
def test_the_first_key_of_a_batch_prints_no_note(
    batchrun: CommandLine, command: tuple[str, ...]
) -> None:
    ended = batchrun(*command, "--log-file", "log.jsonl")
    assert "another key" not in ended.stderr
    assert "key.replaced" not in (batchrun.folder / "log.jsonl").read_text(encoding="utf-8")
