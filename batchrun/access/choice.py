"""Which key goes to which address. A stored key goes only to the address it was stored for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchrun.access import vault
from batchrun.access.profiles import DEFAULT_PROFILE, Profile, stored_profiles
from batchrun.errors import UsageError, parameter
from batchrun.settings.address import service_of

if TYPE_CHECKING:
    from batchrun.model import BatchSummary
    from batchrun.settings import Settings


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
                f"Name one with {parameter('profile')} or BATCHRUN_PROFILE; "
                f"there are: {', '.join(others)}.",
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
            f"Leave {parameter('base_url')}, BATCHRUN_BASE_URL and base_url in batchrun.toml "
            "out; or keep a key for that address: batchrun login --profile NAME --base-url URL",
        )
    key = settings.typed_key or stored.key or vault.fetch(stored)
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
    return None if given_key(settings) else stored_profiles().get(DEFAULT_PROFILE)


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
            f"profile with {parameter('profile')}, or set PGAI_API_KEY.",
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
