"""Choose the key and its address. A stored key goes only to the address it was stored for."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from batchrun.advice import Action, Advice
from batchrun.errors import UsageError
from batchrun.settings import keyring, location
from batchrun.settings.consent import require_agreed_address
from batchrun.settings.location import service_of
from batchrun.settings.model import KEY_VARIABLE, Origin, Settings, masked_end, masked_key
from batchrun.settings.profiles import (
    DEFAULT_PROFILE,
    SANDBOX_PROFILE,
    Profile,
    stored_profiles,
)
from batchrun.text import hide_secret, quoted_command, without_password

if TYPE_CHECKING:
    from batchrun.model import BatchSummary
    from batchrun.settings.files import Configuration


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key and its address."""

    key: str = field(repr=False)
    base_url: str
    profile: str | None = None  # the profile that stores the key; None for a key not stored


def find_credentials(settings: Settings) -> Credentials:
    """Return the key to use and the address it goes to.

    The key comes from the first of these:

    1. ``--profile`` or ``BATCHRUN_PROFILE``: that profile's key
    2. ``PGAI_API_KEY`` in the environment
    3. the profile named in ``batchrun.toml``
    4. the profile "default"
    5. ``PGAI_API_KEY`` in a ``.env`` file of the current folder

    A key that was typed to replace a refused one goes to the same address. A profile's key goes
    only to the address it was stored for. Any other key goes to the service, or to an address that
    an option or the environment names or that a person has agreed to on this machine.

    Raises:
        UsageError: There is no key, no such profile, or the key may not go to that address.
    """
    require_key(settings)
    stored, given = profile_of(settings), given_key(settings)
    if stored is None:
        require_agreed_address(settings, settings.base_url)
        return Credentials(settings.typed_key or given, settings.base_url)
    address = address_of(settings)
    if service_of(address) != service_of(stored.base_url):
        raise UsageError(
            f"The key of profile {stored.name} is for {stored.base_url} and is not sent to "
            f"{address}.",
            Advice(
                "",
                "Remove --base-url, BATCHRUN_BASE_URL, and base_url in batchrun.toml; "
                "or save a key for that address: batchrun login --profile NAME --base-url URL",
                Action.CHECK_ADDRESS,
            ),
        )
    key = settings.typed_key or stored.key or keyring.fetch(stored)
    hide_secret(key)
    return Credentials(key, address, stored.name)


def require_key(settings: Settings) -> None:
    """Check that there is a key to use, in the settings or in a profile.

    Raises:
        UsageError: There is none, or no such profile.
    """
    if profile_of(settings) is not None or given_key(settings):
        return
    if others := stored_profiles().all():
        raise UsageError(
            f"No API key is saved as {DEFAULT_PROFILE}.",
            Advice(
                "",
                f"Saved keys: {', '.join(others)}. Choose one with --profile or BATCHRUN_PROFILE.",
                Action.LOG_IN,
            ),
        )
    raise UsageError(
        "There is no API key.",
        Advice(
            "",
            "Save yours with batchrun login, or set the environment variable PGAI_API_KEY. "
            "To try without a key, add --sandbox to this command, or run: batchrun demo",
            Action.LOG_IN,
            Action.PRACTICE,
        ),
    )


def given_key(settings: Settings) -> str:
    """Return the key from the environment or ``.env``; ``""`` if there is none."""
    return settings.api_key.get_secret_value() if settings.api_key is not None else ""


def key_source(settings: Settings) -> str:
    """Return the source of the key in use, as shown to the user: a profile, a variable or file."""
    stored = profile_of(settings)
    if stored is not None:
        return f"profile {stored.name}"
    origin, place = settings.origin_of("api_key")
    return f"{KEY_VARIABLE} in {place}" if origin is Origin.DOTENV else KEY_VARIABLE


def profile_of(settings: Settings) -> Profile | None:
    """Return the profile in use; ``None`` if a key is given or nothing is stored.

    Raises:
        UsageError: The named profile does not exist.
    """
    if settings.profile is not None:
        return stored_profiles().named(settings.profile)
    if given_key(settings):
        return None
    stored = stored_profiles()
    return stored.get(usual_profile(settings)) or stored.get(DEFAULT_PROFILE)


def usual_profile(settings: Settings) -> str:
    """Return the profile to use if none is named; a sandbox on this machine has its own."""
    sandbox = "base_url" in settings.model_fields_set and location.is_loopback(settings.base_url)
    return SANDBOX_PROFILE if sandbox else DEFAULT_PROFILE


def address_of(settings: Settings) -> str:
    """Return the address that requests go to: the one in the settings, else the profile's.

    Raises:
        UsageError: The named profile does not exist.
    """
    if "base_url" in settings.model_fields_set:
        return settings.base_url
    stored = profile_of(settings)
    return settings.base_url if stored is None else stored.base_url


def for_batch(settings: Settings, batch: BatchSummary) -> Settings:
    """Return the settings to resume a batch: with its own address and its own profile's key.

    If that profile has been deleted, the user must name another key, because another workspace
    might pay and wouldn't know the batch's executions. A key in ``.env`` does not count as named.

    Raises:
        UsageError: Another profile is named; or its own is deleted and no key is named.
    """
    same = service_of(settings.base_url) == service_of(batch.base_url)  # the port may differ
    address = settings.base_url if same else batch.base_url
    at_address = settings.model_copy(update={"base_url": address})
    own, named = batch.profile, settings.profile
    if own is None:
        return at_address
    resume = quoted_command("batchrun", "resume", batch.batch_id, "--profile", own)
    if stored_profiles().get(own) is not None:
        if named not in {None, own}:
            raise UsageError(
                f"Batch {batch.batch_id} was started with profile {own}, not with {named}.",
                f"Resume it with: {resume}",
            )
        return at_address.model_copy(update={"profile": own, "api_key": None})
    in_dotenv = settings.origin_of("api_key")[0] is Origin.DOTENV
    if named == own or (named is None and (in_dotenv or not given_key(settings))):
        raise UsageError(
            f"Batch {batch.batch_id} was started with profile {own}, which has no stored key now.",
            Advice(
                "",
                "To use another key, choose its profile with --profile or set PGAI_API_KEY in the "
                "environment. To save the key again: "
                f"{quoted_command('batchrun', 'login', '--profile', own)}",
                Action.LOG_IN,
            ),
        )
    return at_address


def profile_replaced_by(settings: Settings, batch: BatchSummary) -> str:
    """Return the source of the key that replaces a deleted profile's; ``""`` if none does.

    The settings are those that `for_batch` returned.
    """
    if batch.profile is None or settings.profile == batch.profile:
        return ""
    return KEY_VARIABLE if settings.profile is None else f"profile {settings.profile}"


def account_of(settings: Settings) -> tuple[str, str | None]:
    """Return the account whose quota is used: service, and profile or ``None`` for other keys.

    Raises:
        UsageError: The named profile does not exist.
    """
    stored = profile_of(settings)
    return service_of(address_of(settings)), None if stored is None else stored.name


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting in a form that is safe to show."""

    name: str
    value: str  # "" for none
    origin: Origin
    where: str = ""  # the variable, option, file or profile that sets it; "" for a default


def shown_settings(settings: Settings, files: Configuration) -> tuple[ShownSetting, ...]:
    """Return every setting, and the list defaults from the files.

    Raises:
        UsageError: The named profile does not exist.
    """
    stored = profile_of(settings)
    found = []
    for name in type(settings).model_fields:
        origin, where = settings.origin_of(name)
        value = _shown(getattr(settings, name))
        if name == "journal":
            value = location.shown(settings.journal)
        elif name == "api_key" and stored is not None:  # don't open the keyring just to show it
            origin, where = Origin.PROFILE, f"{stored.name} ({stored.kept})"
            value = masked_end(stored.end)
        elif name == "api_key" and given_key(settings):
            value = masked_key(given_key(settings))
        elif name == "base_url" and stored is not None and origin is Origin.DEFAULT:
            value, origin, where = stored.base_url, Origin.PROFILE, stored.name
        elif name == "profile" and stored is not None and origin is Origin.DEFAULT:
            value = stored.name
        found.append(ShownSetting(name, value, origin, where))
    found += [
        ShownSetting(name, _shown(value), Origin.FILE, str(files.holder(name)))
        for name, value in sorted(files.options.items())
    ]
    return tuple(found)


def _shown(value: object) -> str:
    match value:
        case None | SecretStr():
            return ""
        case bool() | dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case float() if math.isinf(value):
            return "unlimited"
        case float():
            return f"{value:g}"
        case _:
            return without_password(str(value))
