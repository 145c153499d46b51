"""Where a key is kept, and that nothing is kept of one that is no good."""

from __future__ import annotations

import asyncio
import errno
import json
import stat
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import pytest
from keyring.backends import chainer, fail, null

from batchrun.errors import KeyRefusedError, ServiceError, UsageError
from batchrun.login import LoggedIn, log_in, log_out
from batchrun.sandbox.model import SandboxSettings, Scope
from batchrun.sandbox.server import running
from batchrun.settings.credentials import find_credentials
from batchrun.settings.loading import load_settings
from batchrun.settings.profiles import FILE_NAME, Profiles, stored_profiles
from tests.settings.keyrings import LockedKeyring, MemoryKeyring, SilentKeyring, system_keyring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from keyring.backend import KeyringBackend

KEY = "sk-5up3r-s3cr3t-k3y-0123456789"
READS_NOTHING = "sk-reads-nothing-at-all-9999"
CLOSED = "http://127.0.0.1:9/v1"


@pytest.fixture
def service() -> Iterator[str]:
    keys = {KEY: frozenset(Scope), READS_NOTHING: frozenset({Scope.EXECUTE})}
    with running(SandboxSettings(keys=keys), speed=100) as url:
        yield url


def keep(key: str, url: str, name: str = "default", **how: bool) -> LoggedIn:
    return asyncio.run(log_in(key, url, name, **how))


def test_a_key_is_kept_in_the_keyring_and_nowhere_else(
    service: str, memory: MemoryKeyring, home: Path
) -> None:
    kept = keep(KEY, service)
    assert kept.workflows == 4
    assert list(memory.kept.values()) == [KEY]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert files
    assert all(KEY not in path.read_text(encoding="utf-8") for path in files)
    assert find_credentials(load_settings()).key == KEY


def test_without_a_keyring_it_is_in_a_file_that_only_its_owner_can_read(
    service: str, home: Path
) -> None:
    kept = keep(KEY, service)
    path = home / "batchrun" / FILE_NAME
    assert kept.place == str(path)
    assert "no keyring" in kept.why_a_file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert find_credentials(load_settings()).key == KEY


def test_a_file_that_others_could_read_is_closed_by_the_next_login(
    service: str, home: Path
) -> None:
    keep(KEY, service)
    path = home / "batchrun" / FILE_NAME
    path.chmod(0o644)
    keep(KEY, service, "other")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(stored_profiles().all()) == ["default", "other"]


@pytest.mark.parametrize(
    "backend", [null.Keyring(), chainer.ChainerBackend()], ids=["null", "empty"]
)
def test_a_keyring_that_keeps_nothing_is_none(
    service: str, backend: KeyringBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [])
    with system_keyring(backend):
        assert "no keyring" in keep(KEY, service).why_a_file


def test_a_locked_keyring_is_said_without_the_key(service: str) -> None:
    with system_keyring(LockedKeyring()):
        kept = keep(KEY, service)
    assert "Failed to unlock the collection" in kept.why_a_file
    assert KEY not in kept.why_a_file


def test_a_keyring_that_never_answers_is_not_waited_for_for_ever(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = SilentKeyring()

    def wait_until_asked(answers: list[Future[object]], timeout: float) -> Any:
        """Give up as soon as the keyring waits."""
        while not silent.asked.is_set():
            if (found := wait(answers, 0.01)).done:
                return found
        return wait(answers, 0)

    monkeypatch.setattr("batchrun.settings.keyring.wait", wait_until_asked)
    with system_keyring(silent):
        kept = keep(KEY, service)
    silent.unlocked.set()
    assert "locked?" in kept.why_a_file


def test_a_keyring_that_locks_later_is_told_with_what_to_do(
    service: str, memory: MemoryKeyring
) -> None:
    keep(KEY, service)
    with system_keyring(LockedKeyring()), pytest.raises(UsageError) as refused:
        find_credentials(load_settings())
    assert "can't be read" in refused.value.what
    assert "batchrun login" in refused.value.hint


def test_a_file_is_used_where_one_is_asked_for(service: str, memory: MemoryKeyring) -> None:
    keep(KEY, service)
    kept = keep(KEY, service, in_file=True)
    assert kept.why_a_file == "it was asked for"
    assert memory.kept == {}  # and no second copy stays behind
    assert find_credentials(load_settings()).key == KEY


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk-unknown-0123456789", "does not know"),
        (READS_NOTHING, "workflows:read"),
        ("two words", "space"),
    ],
    ids=["401", "403", "no key"],
)
def test_of_a_key_that_is_no_good_nothing_is_kept(
    service: str, memory: MemoryKeyring, home: Path, key: str, words: str
) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        keep(key, service)
    assert words in refused.value.what
    assert key not in str(refused.value)
    assert memory.kept == {}
    assert not home.exists()


def test_where_the_service_is_out_of_reach_nothing_is_kept_unless_asked_for(home: Path) -> None:
    with pytest.raises(ServiceError) as refused:
        keep(KEY, CLOSED)
    assert "--no-check" in refused.value.hint
    assert not home.exists()
    assert keep(KEY, CLOSED, check=False).workflows is None
    assert stored_profiles().named("default").base_url == CLOSED


def test_a_key_never_travels_unencrypted(home: Path) -> None:
    with pytest.raises(UsageError, match="not encrypted"):
        keep(KEY, "http://api.example.com/v1", check=False)
    assert not home.exists()


def test_logging_out_deletes_the_key_everywhere(
    service: str, memory: MemoryKeyring, home: Path
) -> None:
    keep(KEY, service)
    keep(KEY, service, "other", in_file=True)
    log_out("default")
    log_out("other")
    assert memory.kept == {}
    assert KEY not in (home / "batchrun" / FILE_NAME).read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="no profile"):
        log_out("other")


def test_a_key_moved_to_another_address_leaves_none_behind(
    service: str, memory: MemoryKeyring
) -> None:
    keep(KEY, service)
    keep(KEY, CLOSED, check=False)
    assert [name for name, _ in memory.kept] == [f"batchrun {CLOSED}"]


def test_a_key_the_keyring_does_not_let_go_stays_known(service: str, memory: MemoryKeyring) -> None:
    keep(KEY, service)
    with system_keyring(LockedKeyring()), pytest.raises(UsageError, match="can't be deleted"):
        log_out("default")
    assert "default" in stored_profiles().all()


def test_a_profile_whose_keyring_is_gone_can_be_logged_out(
    service: str, memory: MemoryKeyring
) -> None:
    """A desktop that was left for a server, or a keyring that was uninstalled."""
    keep(KEY, service)
    with system_keyring(fail.Keyring()):
        gone = log_out("default")
    assert "may still be there: this system has no keyring" in gone
    assert f'"batchrun {service}" of user default' in gone
    assert stored_profiles().all() == {}


def test_a_new_key_is_kept_although_the_keyring_with_the_old_one_is_locked(
    service: str, memory: MemoryKeyring
) -> None:
    keep(KEY, service)
    with system_keyring(LockedKeyring()):
        kept = keep(KEY, service)
        assert find_credentials(load_settings()).key == KEY
    assert "by hand" in kept.not_deleted_reason


def test_what_can_not_be_noted_is_not_left_in_the_keyring(
    service: str, memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("batchrun.settings.private_file.write_whole", full)
    with pytest.raises(UsageError, match="can't be written"):
        keep(KEY, service)
    assert memory.kept == {}


def test_a_key_deleted_in_the_keyring_by_hand_can_be_logged_out(
    service: str, memory: MemoryKeyring
) -> None:
    keep(KEY, service)
    memory.kept.clear()
    with pytest.raises(UsageError, match="no longer has"):
        find_credentials(load_settings())
    log_out("default")
    assert stored_profiles().all() == {}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"a": 1}',
        '{"a": {"kept": "file", "base_url": "x"}}',
        '{"a": {"kept": "cloud", "base_url": "x"}}',
        '{"a": {"kept": "keyring", "base_url": 3}}',
    ],
)
def test_a_damaged_file_of_profiles_is_one_plain_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="can't be read"):
        Profiles(path).all()


def test_a_short_key_shows_nothing_of_itself(home: Path) -> None:
    keep("sandbox", CLOSED, check=False)
    entry = json.loads((home / "batchrun" / FILE_NAME).read_text(encoding="utf-8"))["default"]
    assert entry["end"] == ""


@pytest.mark.parametrize("name", ["", "../x", "two words", "a" * 65, "-x", "é"])
def test_a_profile_has_a_plain_name(name: str) -> None:
    with pytest.raises(UsageError, match="profile's name"):
        keep(KEY, CLOSED, name, check=False)
