"""Check and save an API key, and delete it again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from batchrun.advice import Action, Advice
from batchrun.errors import KeyRefusedError, ServiceError, UsageError
from batchrun.service.client import Client, checked_key
from batchrun.settings import keyring
from batchrun.settings.location import checked_base_url, is_loopback
from batchrun.settings.model import Settings, key_end
from batchrun.settings.profiles import (
    DEFAULT_PROFILE,
    KeyStorage,
    Profile,
    checked_name,
    stored_profiles,
)

_NOTHING_SAVED = "Nothing was saved."


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A saved key."""

    profile: Profile
    workflows: int | None  # how many workflows the key can see; None if it was not checked
    place: str  # the keyring's name, or the file's path
    why_a_file: str = ""  # "" if it is in the keyring
    not_deleted_reason: str = ""  # why an earlier key is still in the keyring; "" if none is


def address_for(name: str, settings: Settings) -> str:
    """Return the address to save a new key for: the one in the settings, else the profile's.

    Raises:
        UsageError: It is not an address, or the key would be sent unencrypted.
    """
    earlier, given = stored_profiles().get(name), "base_url" in settings.model_fields_set
    if earlier is None or given or (name == DEFAULT_PROFILE and is_loopback(earlier.base_url)):
        return checked_base_url(settings.base_url)  # a sandbox there no longer runs
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
    """Check a key with one request, then save it with its address, the only one it is sent to.

    Without ``check``, it is only saved; with ``in_file``, in a file even if there is a keyring.

    Raises:
        KeyRefusedError: The service refuses the key; nothing was saved.
        ServiceError: The service can't be reached; nothing was saved.
        UsageError: The name or address can't be used, or the file can't be written.
    """
    name, address, bare = checked_name(name), checked_base_url(base_url), checked_key(key)
    workflows = await _count_workflows(bare, address, timeout_seconds) if check else None
    earlier = stored_profiles().get(name)
    profile = Profile(name, address, KeyStorage.KEYRING, key_end(bare))
    asked = keyring.NoKeyring("it was asked for")
    saved = asked if in_file else keyring.save(profile, bare)
    if isinstance(saved, str):
        place, why_a_file = saved, ""
        _add_profile(profile)
    else:
        profile = replace(profile, kept=KeyStorage.FILE, key=bare)
        place, why_a_file = str(stored_profiles().path), saved.reason
        stored_profiles().keep(profile)
    not_deleted_reason = ""
    if (
        earlier is not None
        and earlier.kept is KeyStorage.KEYRING
        and (earlier.kept, earlier.base_url) != (profile.kept, profile.base_url)
    ):
        try:
            not_deleted_reason = keyring.delete(earlier)
        except UsageError as error:  # the new key is already saved
            not_deleted_reason = f"{error.what} {error.hint}"
    return LoggedIn(profile, workflows, place, why_a_file, not_deleted_reason)


def _add_profile(profile: Profile) -> None:
    """Save the profile of a key in the keyring; if that fails, delete the key again."""
    try:
        stored_profiles().keep(profile)
    except UsageError:
        if profile.name not in stored_profiles().all():
            keyring.delete(profile)
        raise


async def _count_workflows(key: str, address: str, timeout_seconds: float) -> int:
    """Return how many workflows the key can see.

    Raises:
        KeyRefusedError: The service refuses the key.
        ServiceError: The service can't be reached, or something else answers at its address.
    """
    async with Client(key, address, timeout_seconds=timeout_seconds) as client:
        found = await client.probe()
    match found.status:
        case 200 if not found.reason:
            return found.workflows
        case 401:
            raise KeyRefusedError(
                f"The service at {address} does not know this key: {found.reason}.",
                f"{_NOTHING_SAVED} Copy the whole key again.",
            )
        case 403:
            raise KeyRefusedError(
                f"The key lacks the scope workflows:read at {address}: {found.reason}.",
                f"{_NOTHING_SAVED} It needs workflows:read and workflows:execute.",
            )
        case None:
            raise ServiceError(
                f"The service at {address} can't be reached: {found.reason}.",
                Advice(
                    f"{_NOTHING_SAVED} This is the practice sandbox.",
                    " For PG:AI, leave --base-url and BATCHRUN_BASE_URL out. To save the key "
                    "unchecked, add --no-check.",
                )
                if is_loopback(address)
                else Advice(
                    f"{_NOTHING_SAVED} Check your internet connection, VPN and proxy",
                    " with batchrun doctor. To save the key unchecked, add --no-check",
                )
                + ".",
            )
        case _:
            raise ServiceError(
                f"What answers at {address} did not check the key: {found.reason}.",
                Advice(
                    f"{_NOTHING_SAVED} ",
                    "Check --base-url, or try again later.",
                    Action.CHECK_ADDRESS,
                ),
            )


def log_out(name: str) -> str:
    """Delete a profile and its key; return why the key may still be in the keyring, else ``""``.

    If the keyring is unavailable, the profile is still deleted: it could not fetch its key anyway.

    Raises:
        UsageError: There is no such profile, or the keyring refuses.
    """
    profile = stored_profiles().named(name)
    not_deleted_reason = keyring.delete(profile) if profile.kept is KeyStorage.KEYRING else ""
    stored_profiles().drop(name)
    return not_deleted_reason
