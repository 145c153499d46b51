"""Profiles: their names, the address that each profile's key belongs to, and where the key is kept.

They are in a JSON file in the user's configuration folder that only its owner can read. The file
contains a key only if the key is not in the keyring.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from batchrun.advice import Action, Advice
from batchrun.errors import UsageError
from batchrun.settings.files import configuration_folder
from batchrun.settings.private_file import PrivateFile
from batchrun.text import did_you_mean, quoted_command

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PROFILE = "default"
SANDBOX_PROFILE = "sandbox"
"""The profile for keys of a sandbox on this machine."""
SANDBOX_KEY = "sandbox"
"""The key that `batchrun sandbox` prints."""

FILE_NAME = "profiles.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class KeyStorage(StrEnum):
    """Where a key is kept."""

    KEYRING = "keyring"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Profile:
    """A key and the address it belongs to."""

    name: str
    base_url: str  # the only address the key is sent to
    kept: KeyStorage
    end: str = ""  # the key's last characters, for display; "" for a short key
    key: str | None = field(default=None, repr=False)  # if it is kept in the file


class Profiles(PrivateFile):
    """The file of profiles."""

    def all(self) -> dict[str, Profile]:
        """Return the profiles by name, sorted.

        Raises:
            UsageError: The file can't be read.
        """
        try:
            return self._parsed(self.read())
        except (OSError, ValueError):
            raise self._unreadable() from None

    def get(self, name: str) -> Profile | None:
        """Return the profile with this name, if there is one."""
        return self.all().get(name)

    def named(self, name: str) -> Profile:
        """Return the profile with this name.

        Raises:
            UsageError: There is none; the hint suggests similar names.
        """
        known = self.all()
        if name not in known:
            others = f"There are: {', '.join(known)}. " if known else ""
            login = quoted_command("batchrun", "login", "--profile", name)
            raise UsageError(
                f"There is no profile {name}.",
                f"{did_you_mean(name, known) or others}To create it: {login}",
            )
        return known[name]

    def keep(self, profile: Profile) -> None:
        """Save a profile; it replaces an earlier one with the same name.

        Raises:
            UsageError: The file can't be read or written.
        """
        self._change(lambda found: found | {profile.name: profile})

    def drop(self, name: str) -> None:
        """Remove a profile.

        Raises:
            UsageError: The file can't be read or written.
        """
        self._change(lambda found: {key: found[key] for key in found if key != name})

    def _change(self, changed: Callable[[dict[str, Profile]], dict[str, Profile]]) -> None:
        def changed_text(text: str) -> str:
            entries = changed(self._parsed(text))
            return json.dumps({name: _entry(one) for name, one in entries.items()}, indent=2)

        self.change(changed_text)

    def _parsed(self, text: str) -> dict[str, Profile]:
        try:
            found = [_read(name, entry) for name, entry in json.loads(text or "{}").items()]
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise self._unreadable() from None  # not the cause: it might quote a key
        return {profile.name: profile for profile in sorted(found, key=lambda one: one.name)}

    def _unreadable(self) -> UsageError:
        return UsageError(
            f"{self.path} can't be read.",
            Advice("Correct or remove it", ", then log in again: batchrun login", Action.LOG_IN),
        )


def stored_profiles() -> Profiles:
    """Return the user's profiles."""
    return Profiles(configuration_folder() / FILE_NAME)


def checked_name(name: str) -> str:
    """Return a profile's name if it is valid.

    Raises:
        UsageError: The name is not valid.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            "That can't be a profile's name.",
            "Use letters, digits, dots, hyphens and underscores, at most 64.",
        )
    return name


def _read(name: str, entry: Any) -> Profile:
    key = entry.get("key")
    kept, base_url, end = KeyStorage(entry["kept"]), entry["base_url"], entry.get("end", "")
    texts = (base_url, end, "" if key is None else key)
    if not all(isinstance(text, str) for text in texts) or (kept is KeyStorage.FILE) != bool(key):
        raise ValueError(name)
    return Profile(name, base_url, kept, end, key)


def _entry(profile: Profile) -> dict[str, str]:
    entry = {"base_url": profile.base_url, "kept": profile.kept.value, "end": profile.end}
    return entry if profile.key is None else entry | {"key": profile.key}
