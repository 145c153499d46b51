"""Where a setting comes from."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from batchrun.settings.model import KEY_VARIABLE, Settings, variable_of

if TYPE_CHECKING:
    from collections.abc import Collection

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
