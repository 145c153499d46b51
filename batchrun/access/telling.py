"""Every setting in force with its value and where it comes from, the key masked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from batchrun.access.choice import address_of, given_key, profile_of
from batchrun.masking import without_password
from batchrun.settings import location
from batchrun.settings.origin import Origin, origins
from batchrun.settings.wording import masked_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from batchrun.access.profiles import Profile
    from batchrun.settings import Configuration, Settings


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
        return Told("api_key", f"…{stored.end}", Origin.PROFILE, f"{stored.name} ({stored.kept})")
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
