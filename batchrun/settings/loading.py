"""Load the settings from options, the environment, ``batchrun.toml`` and ``.env``."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr, ValidationError

from batchrun.errors import UsageError
from batchrun.settings.files import Configuration, find_configuration
from batchrun.settings.model import (
    KEY_VARIABLE,
    PREFIX,
    Origin,
    Settings,
    problem_of,
    variable_of,
    wanted_value,
)
from batchrun.settings.profiles import DEFAULT_PROFILE, stored_profiles
from batchrun.text import did_you_mean, hide_secret, visible

if TYPE_CHECKING:
    from collections.abc import Mapping


def load_settings(configuration: Configuration | None = None, **overrides: object) -> Settings:
    """Load the settings; the first of these that has a value wins.

    1. An override, which is an option of the command line.
    2. The environment.
    3. ``batchrun.toml`` beside the list, then the user's own.
    4. The stored profile, for the key and its address.
    5. ``.env`` in the current folder, only for the API key.
    6. The default.

    Keys and profiles are alternatives: the first source that names either decides.

    Args:
        configuration: The ``batchrun.toml`` files; ``None`` reads the user's own.
        overrides: Settings by name; ``None`` counts as not given.

    Raises:
        UsageError: A setting has an invalid value; the message names the setting.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    for name, value in given.items():
        if name != "api_key" and isinstance(value, str) and not value.strip():
            what = f"The setting {name} is empty."  # such as --profile "$NAME" with NAME unset
            raise UsageError(what, "Give it a value, or leave it out.")
    files = find_configuration() if configuration is None else configuration
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise _unusable(error, given) from None
    decided = set(settings.model_fields_set)
    if "api_key" in decided:
        decided.add("profile")
    elif "profile" in decided | files.settings.keys():
        decided.add("base_url")  # a profile has an address of its own
    values = {name: value for name, value in files.settings.items() if name not in decided}
    origins = {name: (Origin.FILE, str(files.holder(name) or "")) for name in values}
    return _with_dotenv(settings.with_values(values, origins))


DOTENV_BYTES = 65_536
"""The largest ``.env`` that is read, in bytes."""

_ASSIGNMENT = re.compile(
    rf"\s*(?:export\s+)?(?P<name>(?:{PREFIX}|PGAI_)\w{{1,64}})\s*=(?P<value>.*)",
    re.IGNORECASE | re.ASCII,  # no dotless i for an I
)


def _with_dotenv(settings: Settings) -> Settings:
    """Return the settings with the key of ``.env`` in the current folder, if there is no other key.

    The file may have come with a list. So only its key is used, nothing is expanded, its key never
    replaces another one, and a notice tells the user.
    """
    path = Path(".env").absolute()
    found = _read_dotenv(path)
    key = found.pop(KEY_VARIABLE, "")
    values: dict[str, object] = {}
    notices = []
    if found:
        notices.append(
            f"{path}: ignored {', '.join(sorted(found))}. A .env file may hold {KEY_VARIABLE} and "
            "nothing else; set the rest in the environment or in your own batchrun.toml."
        )
    if key and not {"api_key", "profile"} & settings.model_fields_set:
        hide_secret(key)
        if not (key.isascii() and key.isprintable()) or re.search(r"[\s$`%'\"]", key):
            notices.append(
                f"{path}: ignored {KEY_VARIABLE}, which can't be a key. Write the key itself: "
                "references to other variables are not expanded."
            )
        elif stored_profiles().get(DEFAULT_PROFILE) is not None:
            notices.append(
                f"{path}: ignored {KEY_VARIABLE}, because the stored profile {DEFAULT_PROFILE} "
                f"comes first. To use this key, set {KEY_VARIABLE} in the environment."
            )
        else:
            values["api_key"] = SecretStr(key)
            notices.append(f"{path}: using its {KEY_VARIABLE}.")
    origins = {name: (Origin.DOTENV, str(path)) for name in values}
    return settings.with_values(values, origins, notices)


def _read_dotenv(path: Path) -> dict[str, str]:
    """Return our variables in a file; none if it can't be read."""
    content, found = b"", {}
    with suppress(OSError):
        if path.is_file() and path.stat().st_size <= DOTENV_BYTES:
            content = path.read_bytes()
    # Editors and PowerShell write several encodings.
    text = content.decode(json.detect_encoding(content), errors="replace")
    for line in text.splitlines():
        if assignment := _ASSIGNMENT.fullmatch(line):
            found[assignment["name"].upper()] = _unquoted(assignment["value"].strip())
    return found


def _unquoted(value: str) -> str:
    if value[:1] in {"'", '"'}:
        inner, quote, _ = value[1:].partition(value[0])
        return inner.strip() if quote else value
    return re.split(r"\s#", f" {value}", maxsplit=1)[0].strip()


def _unusable(error: ValidationError, given: Mapping[str, object]) -> UsageError:
    """Return the error for the first invalid setting; it never quotes the value."""
    problem = error.errors()[0]
    name = str(problem["loc"][0])
    if name not in Settings.model_fields:
        hint = did_you_mean(name, Settings.model_fields) or "docs/reference.md lists them."
        return UsageError(f"There is no setting {visible(name)}.", hint.strip())
    where = f"The setting {name}" if name in given else variable_of(name)
    return UsageError(
        f"{where} {problem_of(problem)}.", f"Write {wanted_value(name)}, or leave it out."
    )
