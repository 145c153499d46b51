"""Keep a key after the service has said that it is good, and erase it again."""

from __future__ import annotations

from dataclasses import dataclass

from batchrun.access import vault
from batchrun.access.profiles import Kept, Profile, checked_name, profiles
from batchrun.errors import KeyRefusedError, ServiceError
from batchrun.service import Client
from batchrun.service.address import checked_base_url, checked_key
from batchrun.settings.wording import key_end

NOTHING_KEPT = "Nothing was kept."


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A key that was kept.

    Attributes:
        profile: Under which name, for which address, where.
        workflows: How many workflows it sees; ``None`` where the service was not asked.
        place: The keyring's name, or the file's path.
        why_a_file: Why it is in a file; ``""`` where it is in the keyring.
    """

    profile: Profile
    workflows: int | None
    place: str
    why_a_file: str = ""


async def log_in(
    key: str,
    base_url: str,
    name: str,
    *,
    timeout_seconds: float = 30.0,
    check: bool = True,
    in_file: bool = False,
) -> LoggedIn:
    """Check a key against the service, then keep it with its address.

    Args:
        key: The key.
        base_url: The only address it will be sent to.
        name: Of the profile.
        timeout_seconds: How long the service may take for a step of its answer.
        check: Whether to ask the service; one request.
        in_file: Keep it in a file even where there is a keyring.

    Raises:
        KeyRefusedError: The service refuses the key, or what it may do; nothing was kept.
        ServiceError: The service can't be reached; nothing was kept.
        UsageError: The name or the address can't be used, or the file can't be written.
    """
    name, address, bare = checked_name(name), checked_base_url(base_url), checked_key(key)
    seen = None
    if check:
        seen = await _checked(bare, address, timeout_seconds)
    earlier = profiles().get(name)
    profile = Profile(name, address, Kept.KEYRING, key_end(bare))
    kept: str | vault.NoKeyring = vault.NoKeyring("it was asked for")
    if not in_file:
        kept = vault.keep(profile, bare)
    if earlier is not None and earlier.kept is Kept.KEYRING:
        _erase_earlier(earlier, None if isinstance(kept, vault.NoKeyring) else profile)
    if isinstance(kept, vault.NoKeyring):
        profile = Profile(name, address, Kept.FILE, key_end(bare), bare)
        profiles().keep(profile)
        return LoggedIn(profile, seen, str(profiles().path), kept.reason)
    profiles().keep(profile)
    return LoggedIn(profile, seen, kept)


async def _checked(key: str, address: str, timeout_seconds: float) -> int:
    """How many workflows the key sees.

    Raises:
        KeyRefusedError: The service refuses it.
        ServiceError: The service can't be reached or makes no sense.
    """
    async with Client(key, address, timeout_seconds=timeout_seconds) as client:
        found = await client.probe()
    match found.status:
        case 200 if not found.reason:
            return found.workflows
        case 401:
            raise KeyRefusedError(
                f"The service at {address} does not know this key: {found.reason}.",
                f"{NOTHING_KEPT} Copy the key again, whole.",
            )
        case 403:
            raise KeyRefusedError(
                f"The key lacks the scope workflows:read at {address}: {found.reason}.",
                f"{NOTHING_KEPT} It needs workflows:read and workflows:execute.",
            )
        case None:
            raise ServiceError(
                f"The service at {address} can't be reached: {found.reason}.",
                f"{NOTHING_KEPT} Try again later, or keep the key unchecked with --no-check.",
            )
        case _:
            raise ServiceError(
                f"What answers at {address} did not check the key: {found.reason}.",
                f"{NOTHING_KEPT} Check --base-url, or try again later.",
            )


def _erase_earlier(earlier: Profile, new: Profile | None) -> None:
    """Erase what the keyring still has under the profile's name, unless it was overwritten."""
    if new is None or earlier.base_url != new.base_url:
        vault.erase(earlier)


def log_out(name: str) -> Profile:
    """Erase a profile and its key.

    Raises:
        UsageError: There is no such profile, or the keyring doesn't let its key go.
    """
    profile = profiles().named(name)
    if profile.kept is Kept.KEYRING:
        vault.erase(profile)
    profiles().drop(name)
    return profile
