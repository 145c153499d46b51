"""Which key goes to which address. A stored key goes only to the address it was stored for."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from batchrun.errors import UsageError
from batchrun.settings import keyring, location
from batchrun.settings.loading import Origin, origins
from batchrun.settings.location import service_of
from batchrun.settings.model import masked_key, shown_end
from batchrun.settings.profiles import (
    DEFAULT_PROFILE,
    SANDBOX_PROFILE,
    Profile,
    stored_profiles,
)
from batchrun.text import without_password

if TYPE_CHECKING:
    from collections.abc import Collection

    from batchrun.model import BatchSummary
    from batchrun.settings.files import Configuration
    from batchrun.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Access:
    """A key, and where it goes.

    Attributes:
        key: The key.
        base_url: The address.
        profile: Whose stored key it is; ``None`` where it was not stored.
    """

    key: str = field(repr=False)
    base_url: str
    profile: str | None = None


def find_access(settings: Settings) -> Access:
    """The key to use now, and the address it goes to.

    Raises:
        UsageError: There is no key; there is no such profile; or the profile's key belongs to
            another address.
    """
    stored, given = profile_of(settings), given_key(settings)
    if stored is None:
        if given:
            return Access(settings.typed_key or given, settings.base_url)
        if others := stored_profiles().all():
            raise UsageError(
                f"There is no API key, and no profile {DEFAULT_PROFILE}.",
                f"Name one with --profile or BATCHRUN_PROFILE; there are: {', '.join(others)}.",
            )
        raise UsageError(
            "There is no API key.",
            "Keep yours with batchrun login, or put it into the environment variable PGAI_API_KEY "
            "or into a .env file here; to try without one: batchrun run FILE --sandbox",
        )
    address = address_of(settings)
    if service_of(address) != service_of(stored.base_url):
        raise UsageError(
            f"The key of profile {stored.name} is for {stored.base_url} and is not sent to "
            f"{address}.",
            "Leave --base-url, BATCHRUN_BASE_URL and base_url in batchrun.toml "
            "out; or keep a key for that address: batchrun login --profile NAME --base-url URL",
        )
    key = settings.typed_key or stored.key or keyring.fetch(stored)
    return Access(key, address, stored.name)


def given_key(settings: Settings) -> str:
    """The key of the environment or ``.env``; ``""`` for none."""
    return settings.api_key.get_secret_value() if settings.api_key is not None else ""


def profile_of(settings: Settings) -> Profile | None:
    """The profile that counts; ``None`` where a key is given, or nothing is stored.

    Raises:
        UsageError: A profile is named that is not there.
    """
    if settings.profile is not None:
        return stored_profiles().named(settings.profile)
    if given_key(settings):
        return None
    stored = stored_profiles()
    return stored.get(usual_profile(settings)) or stored.get(DEFAULT_PROFILE)


def usual_profile(settings: Settings) -> str:
    """The profile to use when none is named; a sandbox on this machine has one of its own."""
    sandbox = "base_url" in settings.model_fields_set and location.is_loopback(settings.base_url)
    return SANDBOX_PROFILE if sandbox else DEFAULT_PROFILE


def address_of(settings: Settings) -> str:
    """Where requests go: as said in so many words, else where the profile's key belongs.

    Raises:
        UsageError: A profile is named that is not there.
    """
    if "base_url" in settings.model_fields_set:
        return settings.base_url
    stored = profile_of(settings)
    return settings.base_url if stored is None else stored.base_url


def for_batch(settings: Settings, batch: BatchSummary) -> Settings:
    """The settings to go on with a batch: at its own address, with the key of its own profile.

    Where that profile is erased, another key must be named in so many words: another workspace
    would pay, and knows nothing of the batch's executions.

    Args:
        settings: As given now.
        batch: Which batch.

    Raises:
        UsageError: Another profile is named now; or its own is erased, and no key is given.
    """
    here = settings.model_copy(update={"base_url": batch.base_url})
    own, named = batch.profile, settings.profile
    if own is None:
        return here
    if stored_profiles().get(own) is not None:
        if named not in {None, own}:
            raise UsageError(
                f"Batch {batch.batch_id} was begun with profile {own}, not with {named}.",
                f"Go on with: batchrun resume {batch.batch_id} --profile {own}",
            )
        return here.model_copy(update={"profile": own, "api_key": None})
    if named == own or (named is None and not given_key(settings)):
        raise UsageError(
            f"Batch {batch.batch_id} was begun with profile {own}, and no key is kept under that "
            "name any more.",
            f"Keep it again: batchrun login --profile {own}. To go on with another key, name its "
            f"profile with --profile, or set PGAI_API_KEY.",
        )
    return here


def other_key(settings: Settings, batch: BatchSummary) -> str:
    """Which key a batch goes on with in place of its profile's, which is erased; ``""`` for none.

    Args:
        settings: What `for_batch` made of them.
        batch: Which batch.
    """
    if batch.profile is None or settings.profile == batch.profile:
        return ""
    return "PGAI_API_KEY" if settings.profile is None else f"profile {settings.profile}"


def account_of(settings: Settings) -> tuple[str, str | None]:
    """Whose quota it is: the service, and the profile; ``None`` for a key that is not stored.

    Raises:
        UsageError: A profile is named that is not there.
    """
    stored = profile_of(settings)
    return service_of(address_of(settings)), None if stored is None else stored.name


@dataclass(frozen=True, slots=True)
class Told:
    """A setting as it may be shown.

    Attributes:
        name: Its name.
        value: Its value; ``""`` for none.
        origin: Where it comes from.
        where: The variable, option, file or profile that says it; ``""`` for a default.
    """

    name: str
    value: str
    origin: Origin
    where: str = ""


def tell_settings(
    settings: Settings, given: Collection[str], files: Configuration
) -> tuple[Told, ...]:
    """Every setting, and what the files say of the list.

    Args:
        settings: As they were loaded.
        given: Names of those that options gave.
        files: What the files say.

    Raises:
        UsageError: A profile is named that is not there.
    """
    stored = profile_of(settings)
    found = []
    for name, (origin, where) in origins(settings, given, files).items():
        value = (
            location.shown(settings.journal)
            if name == "journal"
            else shown(getattr(settings, name))
        )
        if name == "api_key":
            found.append(tell_key(settings, stored, origin, where))
        elif name == "base_url" and stored is not None and origin is Origin.DEFAULT:
            found.append(Told(name, address_of(settings), Origin.PROFILE, stored.name))
        elif name == "profile" and stored is not None and origin is Origin.DEFAULT:
            found.append(Told(name, stored.name, Origin.DEFAULT))
        else:
            found.append(Told(name, value, origin, where))
    for name in type(files.defaults).model_fields:
        if name in files.defaults.model_fields_set:
            value = shown(getattr(files.defaults, name))
            found.append(Told(name, value, Origin.FILE, str(files.holder(name))))
    return tuple(found)


def tell_key(settings: Settings, stored: Profile | None, origin: Origin, where: str) -> Told:
    """The key's end, and who keeps it; the keyring is not opened for it."""
    if stored is not None:
        return Told(
            "api_key", shown_end(stored.end), Origin.PROFILE, f"{stored.name} ({stored.kept})"
        )
    key = given_key(settings)
    return Told("api_key", masked_key(key) if key else "", origin, where)


def shown(value: object) -> str:
    """A value as text that holds no password."""
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
