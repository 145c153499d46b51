"""The settings in force: options, environment, ``.env``, ``batchrun.toml``, defaults."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from batchrun.errors import UsageError
from batchrun.settings.files import Configuration, find_configuration
from batchrun.settings.location import is_server
from batchrun.settings.model import KEY_VARIABLE, Settings, flaw_words, variable_of, wanted_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from batchrun.settings.files import Configuration


class Origin(StrEnum):
    """Where a value comes from, the first that says something wins."""

    OPTION = "option"
    ENVIRONMENT = "environment"
    DOTENV = ".env"
    FILE = "batchrun.toml"
    PROFILE = "profile"
    DEFAULT = "default"


def origins(
    settings: Settings, given: Collection[str], files: Configuration
) -> dict[str, tuple[Origin, str]]:
    """Where each setting comes from, and its name there: a variable, an option, a path.

    Args:
        settings: As they were loaded.
        given: Names of those that options gave.
        files: What the files say.
    """
    environment, dotenv = (
        {"api_key" if name == KEY_VARIABLE else name for name in source()}
        for source in (EnvSettingsSource(Settings), DotEnvSettingsSource(Settings))
    )
    found: dict[str, tuple[Origin, str]] = {}
    for name in Settings.model_fields:
        if name not in settings.model_fields_set:
            found[name] = Origin.DEFAULT, ""
        elif name in given:
            found[name] = Origin.OPTION, f"--{name.replace('_', '-')}"
        elif name in environment:
            found[name] = Origin.ENVIRONMENT, variable_of(name)
        elif name in dotenv:
            found[name] = Origin.DOTENV, variable_of(name)
        else:
            found[name] = Origin.FILE, str(files.holder(name) or "")
    return found


BASE_URL, JOURNAL = "BATCHRUN_BASE_URL", "BATCHRUN_JOURNAL"


def load_settings(configuration: Configuration | None = None, **overrides: object) -> Settings:
    """Read the settings; an override that is ``None`` counts as not given.

    Args:
        configuration: What the files say; ``None`` reads the user's own.
        overrides: Settings by name.

    Raises:
        UsageError: A setting has a value it can't have, the message names it; or a ``.env`` says
            where a key goes that is not from there.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    files = find_configuration() if configuration is None else configuration
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # pydantic checks the values
        _refuse_redirection(settings, given)
        beneath = from_files(settings, files)
        return Settings(**given, **beneath) if beneath else settings  # type: ignore[arg-type]
    except ValidationError as error:
        raise _unusable(error, given) from None


def from_files(settings: Settings, files: Configuration) -> dict[str, object]:
    """What the files say that nothing above them has said."""
    said = set(settings.model_fields_set)
    if "api_key" in said:
        said.add("profile")  # whose key it is, is settled
    if "profile" in said | files.settings.keys() and "api_key" not in said:
        said.add("base_url")  # a profile that is named has an address of its own
    return {name: value for name, value in files.settings.items() if name not in said}


def _refuse_redirection(settings: Settings, given: Mapping[str, object]) -> None:
    """A ``.env`` may have come with a list: it can't lead away a key, or the rows of a list."""
    found = origins(settings, given, Configuration())
    address, key = found["base_url"][0], found["api_key"][0]
    if address is Origin.DOTENV and key in {Origin.ENVIRONMENT, Origin.OPTION}:
        raise UsageError(
            f"The .env file here says where your key goes, and does not hold it: {BASE_URL}.",
            f"Take {BASE_URL} out of it, or set it in the environment, as PGAI_API_KEY is.",
        )
    if found["journal"][0] is Origin.DOTENV and is_server(settings.journal):
        raise UsageError(
            f"The .env file here would send your lists to a journal on a server: {JOURNAL}.",
            f"Take {JOURNAL} out of it, or set it in the environment.",
        )


def _unusable(error: ValidationError, given: Mapping[str, object]) -> UsageError:
    """What is wrong with the first setting that can't be used; never its value."""
    flaw = error.errors()[0]
    said = str(flaw["loc"][0])
    name = next(each for each in Settings.model_fields if said in {each, variable_of(each)})
    where = f"The setting {name}" if name in given else variable_of(name)
    return UsageError(
        f"{where} {flaw_words(flaw)}.", f"Write {wanted_words(name)}, or leave it out."
    )
