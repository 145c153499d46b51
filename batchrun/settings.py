"""Settings: from arguments, else the environment, else a ``.env`` file, else the defaults here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from batchrun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_BASE_URL = "https://api.pipelinegeneration.ai/v1"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


DEFAULT_PORTS = {"http": 80, "https": 443}


def service_of(base_url: str) -> str:
    """The one spelling of all base URLs that name the same service.

    Without a slash at its end or a port that goes without saying; scheme and host in small
    letters. An address that can't be read stays as it is.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return base_url
    if ":" in host:  # IPv6
        host = f"[{host}]"
    if port is not None and port != DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    return parts._replace(netloc=host, path=parts.path.rstrip("/")).geturl()


def _variable(name: str) -> AliasChoices:
    """Accept a setting by its own name in code and by its variable in the environment."""
    return AliasChoices(name.removeprefix("BATCHRUN_").removeprefix("PGAI_").lower(), name)


def read_rate(rate: object) -> object:
    """A rate as people write it: ``120``, ``120/min``, ``unlimited``.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(rate, str):
        return rate
    text = rate.strip().lower()
    if text == "unlimited":
        return math.inf
    number = text.removesuffix("/min").rstrip()
    if not number.isdecimal() or int(number) < 1:
        raise ValueError("it is written 120, 120/min or unlimited")
    return int(number)


class Settings(BaseSettings):
    """Everything that is the same for every batch of a user.

    Attributes:
        api_key: The service's key (``PGAI_API_KEY``).
        base_url: Where the service is (``BATCHRUN_BASE_URL``).
        journal: Path or database URL of the journal (``BATCHRUN_JOURNAL``).
        rate: Requests a minute (``120``, ``"120/min"``); ``None`` follows the service's headers,
            else 60; ``"unlimited"`` follows them too, else sends as fast as it can
            (``BATCHRUN_RATE``).
        daily: Requests a day, all batches of this key; ``None`` for no limit of our own
            (``BATCHRUN_DAILY``).
        max_in_flight: Executions at once; ``None`` lets the rate decide
            (``BATCHRUN_MAX_IN_FLIGHT``).
        patience_seconds: How long to poll one execution before its rows are "timed out"
            (``BATCHRUN_PATIENCE_SECONDS``).
        drain_seconds: How long an interrupted batch still collects what is in flight, in seconds
            (``BATCHRUN_DRAIN_SECONDS``).
        longest_pause_seconds: The longest a batch waits for the quota before it pauses with exit
            code 4 (``BATCHRUN_LONGEST_PAUSE_SECONDS``).
        largest_file_mb: The largest list that is opened, in MB (``BATCHRUN_LARGEST_FILE_MB``).
        largest_unpacked_mb: The same for a workbook's parts, unpacked
            (``BATCHRUN_LARGEST_UNPACKED_MB``).
        most_cells: Cells of a sheet, blank ones between filled ones included
            (``BATCHRUN_MOST_CELLS``).
        most_sheets: Sheets of a workbook (``BATCHRUN_MOST_SHEETS``).
        wait: Whether a batch waits for the quota however long it takes, across midnight UTC too
            (``BATCHRUN_WAIT``).
        stop_after_failures: Failures in a row, or among the first four times as many jobs, after
            which nothing more is triggered; 0 for no such limit (``BATCHRUN_STOP_AFTER_FAILURES``).
        timeout_seconds: How long the service may take for a single step of an answer
            (``BATCHRUN_TIMEOUT_SECONDS``).
        speed: How many seconds pass in one; more than 1 only against a sandbox on this machine
            that was started with the same ``--speed`` (``BATCHRUN_SPEED``).
    """

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    api_key: SecretStr | None = Field(None, validation_alias=_variable("PGAI_API_KEY"))
    base_url: str = Field(DEFAULT_BASE_URL, validation_alias=_variable("BATCHRUN_BASE_URL"))
    journal: str = Field(
        default_factory=lambda: str(default_journal()),
        repr=False,  # a URL may hold a password
        validation_alias=_variable("BATCHRUN_JOURNAL"),
    )
    rate: Annotated[Annotated[float, Field(ge=1)] | None, BeforeValidator(read_rate)] = Field(
        None, validation_alias=_variable("BATCHRUN_RATE")
    )
    daily: Annotated[int | None, Field(ge=1)] = Field(
        None, validation_alias=_variable("BATCHRUN_DAILY")
    )
    max_in_flight: Annotated[int | None, Field(ge=1)] = Field(
        None, validation_alias=_variable("BATCHRUN_MAX_IN_FLIGHT")
    )
    patience_seconds: Annotated[float, Field(gt=0)] = Field(
        1800.0, validation_alias=_variable("BATCHRUN_PATIENCE_SECONDS")
    )
    drain_seconds: Annotated[float, Field(ge=0)] = Field(
        60.0, validation_alias=_variable("BATCHRUN_DRAIN_SECONDS")
    )
    longest_pause_seconds: Annotated[float, Field(ge=0)] = Field(
        300.0, validation_alias=_variable("BATCHRUN_LONGEST_PAUSE_SECONDS")
    )
    largest_file_mb: Annotated[int, Field(ge=1)] = Field(
        2048, validation_alias=_variable("BATCHRUN_LARGEST_FILE_MB")
    )
    largest_unpacked_mb: Annotated[int, Field(ge=1)] = Field(
        4096, validation_alias=_variable("BATCHRUN_LARGEST_UNPACKED_MB")
    )
    most_cells: Annotated[int, Field(ge=1)] = Field(
        50_000_000, validation_alias=_variable("BATCHRUN_MOST_CELLS")
    )
    most_sheets: Annotated[int, Field(ge=1)] = Field(
        500, validation_alias=_variable("BATCHRUN_MOST_SHEETS")
    )
    wait: bool = Field(False, validation_alias=_variable("BATCHRUN_WAIT"))
    stop_after_failures: Annotated[int, Field(ge=0)] = Field(
        10, validation_alias=_variable("BATCHRUN_STOP_AFTER_FAILURES")
    )
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(
        30.0, validation_alias=_variable("BATCHRUN_TIMEOUT_SECONDS")
    )
    speed: Annotated[float, Field(gt=0)] = Field(1.0, validation_alias=_variable("BATCHRUN_SPEED"))


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    alias = Settings.model_fields[name].validation_alias
    assert isinstance(alias, AliasChoices)  # as `_variable` made it
    return str(alias.choices[-1])


def _unusable(error: ValidationError, given: Mapping[str, object]) -> UsageError:
    """What is wrong with the first setting that can't be used.

    Never its value: it might be a key put into the wrong variable.
    """
    first = error.errors()[0]
    said = str(first["loc"][0])
    name = next(each for each in Settings.model_fields if said in {each, variable_of(each)})
    where = f"The setting {name}" if name in given else variable_of(name)
    match first["type"]:
        case "int_parsing" | "int_type" | "int_from_float":
            what = "is not a whole number"
        case "float_parsing" | "float_type":
            what = "is not a number"
        case "bool_parsing" | "bool_type":
            what = "is neither true nor false"
        case "greater_than_equal":
            what = f"is less than {first['ctx']['ge']:g}"
        case "greater_than":
            what = f"is not more than {first['ctx']['gt']:g}"
        case _:
            what = "can't be used"
    return UsageError(f"{where} {what}.", f"Write {_wanted(name)}, or leave it out.")


def _wanted(name: str) -> str:
    """What a setting takes, in words."""
    field = Settings.model_fields[name]
    if name == "rate":
        return "120, 120/min or unlimited"
    if field.annotation is bool:
        return "true or false"
    if field.annotation not in {int, float, int | None}:
        return "a text"
    number = "a number" if field.annotation is float else "a whole number"
    for bound in field.metadata:
        if hasattr(bound, "ge"):
            return f"{number} of at least {bound.ge}"
        if hasattr(bound, "gt"):
            return f"{number} greater than {bound.gt}"
    return number


def default_journal() -> Path:
    """Where a user's journal is kept unless told otherwise."""
    return user_data_path("batchrun", appauthor=False) / "journal.db"


def load_settings(**overrides: object) -> Settings:
    """Read the settings; an override that is ``None`` counts as not given.

    Raises:
        UsageError: A setting has a value it can't have; the message names it.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # pydantic checks the values
    except ValidationError as error:
        raise _unusable(error, given) from None
    host = urlsplit(settings.base_url).hostname
    if settings.speed != 1 and host not in LOOPBACK_HOSTS:
        raise UsageError(
            "BATCHRUN_SPEED other than 1 is for a sandbox on this machine.",
            "Unset it to talk to the real service.",
        )
    return settings
