"""Keyrings as systems have them: one that keeps, one that is locked, one that never answers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import keyring
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import KeyringLocked, PasswordDeleteError

if TYPE_CHECKING:
    from collections.abc import Iterator


class MemoryKeyring(KeyringBackend):
    """Keeps passwords as a system's keyring does, for the time of a test."""

    priority = 5.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has no annotation there
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("No such password!")


class LockedKeyring(MemoryKeyring):
    """Its user has dismissed the question for its password."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked(f"Failed to unlock the collection for {password}!")

    def delete_password(self, service: str, username: str) -> None:
        raise KeyringLocked("Failed to unlock the collection!")


class SilentKeyring(MemoryKeyring):
    """Waits for somebody to unlock it, where nobody can."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.unlocked = threading.Event(), threading.Event()

    def set_password(self, service: str, username: str, password: str) -> None:
        self.asked.set()
        self.unlocked.wait()


@contextmanager
def system_keyring(backend: KeyringBackend) -> Iterator[None]:
    """Make it the system's keyring until the block ends."""
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(fail.Keyring())
