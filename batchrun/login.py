"""Keep a key after the service has said that it is good, and erase it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchrun.errors import KeyRefusedError, ServiceError, UsageError
from batchrun.service import Client
from batchrun.service.client import checked_key
from batchrun.settings import keyring
from batchrun.settings.location import checked_base_url, is_loopback
from batchrun.settings.model import key_end
from batchrun.settings.profiles import (
    DEFAULT_PROFILE,
    Kept,
    Profile,
    checked_name,
    stored_profiles,
)

if TYPE_CHECKING:
    from batchrun.settings import Settings

NOTHING_KEPT = "Nothing was kept."


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A key that was kept.

    Attributes:
        profile: Under which name, for which address, where.
        workflows: How many workflows it sees; ``None`` where the service was not asked.
        place: The keyring's name, or the file's path.
        why_a_file: Why it is in a file; ``""`` where it is in the keyring.
        left_behind: Why an earlier key of the profile is still in the keyring; ``""`` where none
            is.
    """

    profile: Profile
    workflows: int | None
    place: str
    why_a_file: str = ""
    left_behind: str = ""


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """A profile that was erased.

    Attributes:
        profile: As it was.
        left_behind: Why its key may still be in the keyring, and what to do; ``""`` where it is
            erased.
    """

    profile: Profile
    left_behind: str = ""


def address_for(name: str, settings: Settings) -> str:
    """Where a key that is kept now goes: as said, else where the profile's key went before.

    Args:
        name: Of the profile.
        settings: What is said.

    Raises:
        UsageError: It is no address of a service, or the key would travel unencrypted.
    """
    earlier = stored_profiles().get(name)
    if earlier is None or "base_url" in settings.model_fields_set:
        return checked_base_url(settings.base_url)
    if name == DEFAULT_PROFILE and is_loopback(earlier.base_url):  # a sandbox that is gone
        return checked_base_url(settings.base_url)
    return checked_base_url(earlier.base_url)


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
    earlier = stored_profiles().get(name)
    profile, place, why_a_file = _kept(
        Profile(name, address, Kept.KEYRING, key_end(bare)), bare, in_file
    )
    left_behind = ""
    if earlier is not None and earlier.kept is Kept.KEYRING and not _same_entry(earlier, profile):
        try:
            left_behind = _left_behind(earlier)
        except UsageError as error:  # the new key counts all the same
            left_behind = f"{error.what} {error.hint}"
    return LoggedIn(profile, seen, place, why_a_file, left_behind)


def _kept(profile: Profile, key: str, in_file: bool) -> tuple[Profile, str, str]:
    """Keep a key: the profile, the place, and why it is a file if it is one."""
    kept: str | keyring.NoKeyring = keyring.NoKeyring("it was asked for")
    if not in_file:
        kept = keyring.save(profile, key)
    if isinstance(kept, str):
        _index(profile)
        return profile, kept, ""
    profile = replace(profile, kept=Kept.FILE, key=key)
    stored_profiles().keep(profile)
    return profile, str(stored_profiles().path), kept.reason


def _index(profile: Profile) -> None:
    """Keep the profile of a key that is in the keyring; if that fails, no key stays there."""
    try:
        stored_profiles().keep(profile)
    except UsageError:
        if profile.name not in stored_profiles().all():
            keyring.erase(profile)
        raise


def _same_entry(one: Profile, other: Profile) -> bool:
    return one.kept is other.kept and one.base_url == other.base_url


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
                f"{NOTHING_KEPT} This is the practice sandbox. For PG:AI, leave --base-url and "
                "BATCHRUN_BASE_URL out. To save the key unchecked, add --no-check."
                if is_loopback(address)
                else f"{NOTHING_KEPT} Try again later, or save the key unchecked with --no-check.",
            )
        case _:
            raise ServiceError(
                f"What answers at {address} did not check the key: {found.reason}.",
                f"{NOTHING_KEPT} Check --base-url, or try again later.",
            )


def log_out(name: str) -> LoggedOut:
    """Erase a profile and its key.

    Where the keyring is gone, the profile is erased all the same: nothing can be fetched by it.

    Raises:
        UsageError: There is no such profile, or the keyring doesn't let its key go.
    """
    profile = stored_profiles().named(name)
    left_behind = _left_behind(profile) if profile.kept is Kept.KEYRING else ""
    stored_profiles().drop(name)
    return LoggedOut(profile, left_behind)


def _left_behind(profile: Profile) -> str:
    """Erase a key in the keyring; why it may still be there, and what to do, if it may."""
    gone = keyring.erase(profile)
    if gone is None:
        return ""
    return f"The key may still be there: {gone.reason}. {keyring.removal_hint(profile)}"
