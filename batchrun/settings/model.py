"""The settings that apply to every batch of a user, and the source of each value."""

from __future__ import annotations

import math
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from platformdirs import user_data_path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr

from batchrun.settings.location import DEFAULT_BASE_URL, service_of
from batchrun.text import hide_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


PREFIX = "BATCHRUN_"
KEY_VARIABLE = "PGAI_API_KEY"

_IDENTITY = ("api_key", "profile")


class Origin(StrEnum):
    """The source of a value. The first source that has a value wins."""

    OPTION = "option"
    ENVIRONMENT = "environment"
    FILE = "batchrun.toml"
    PROFILE = "profile"
    DOTENV = ".env"
    DEFAULT = "default"


def read_rate(rate: object) -> object:
    """Read a rate: ``120``, ``120/min`` or ``unlimited``.

    Raises:
        ValueError: It is not a rate.
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


Seconds = Annotated[float, Field(allow_inf_nan=False, le=1e9)]
Positive = Annotated[Seconds, Field(ge=0.001)]
Count = Annotated[int, Field(ge=1, le=10**15)]


class Settings(BaseModel):
    """The settings that apply to every batch of a user.

    A value that is not passed comes from the environment variable in parentheses. `load_settings`
    also reads ``batchrun.toml`` and ``.env``.

    Attributes:
        api_key: The service's key (``PGAI_API_KEY``).
        profile: The profile whose stored key is used, at the profile's address
            (``BATCHRUN_PROFILE``); ``None`` for ``api_key``, else the profile "default".
        base_url: The service's address (``BATCHRUN_BASE_URL``); unless given, the profile's.
        journal: Path or database URL of the journal (``BATCHRUN_JOURNAL``).
        rate: Requests a minute (``120``, ``"120/min"``); ``None`` follows the service's headers,
            else 60; ``"unlimited"`` follows them too, else sends as fast as it can
            (``BATCHRUN_RATE``).
        daily: Requests a day, all batches of this key; ``None`` for no limit of our own
            (``BATCHRUN_DAILY``).
        max_in_flight: Jobs at once; ``None`` lets the rate decide
            (``BATCHRUN_MAX_IN_FLIGHT``).
        patience_seconds: How long to poll one job before its rows are "timed out"
            (``BATCHRUN_PATIENCE_SECONDS``).
        drain_seconds: How long an interrupted batch keeps collecting results of running jobs,
            in seconds (``BATCHRUN_DRAIN_SECONDS``).
        longest_pause_seconds: The longest a batch waits for the quota before it pauses with exit
            code 4 (``BATCHRUN_LONGEST_PAUSE_SECONDS``).
        largest_file_mb: The largest list that is opened, in MB (``BATCHRUN_LARGEST_FILE_MB``).
        largest_unpacked_mb: The largest total size of a workbook's parts, unpacked, in MB
            (``BATCHRUN_LARGEST_UNPACKED_MB``).
        most_cells: Cells of a sheet, blank ones between filled ones included
            (``BATCHRUN_MOST_CELLS``).
        most_sheets: Sheets of a workbook (``BATCHRUN_MOST_SHEETS``).
        wait: Whether a batch waits for the quota however long it takes, even past midnight UTC
            (``BATCHRUN_WAIT``).
        stop_after_failures: Failures in a row, or among the first four times as many jobs, after
            which nothing more is triggered; 0 for no such limit (``BATCHRUN_STOP_AFTER_FAILURES``).
        workers: Processes on this machine that work on a batch (``BATCHRUN_WORKERS``).
        dask: Address of a Dask scheduler whose workers work on a batch, too (``BATCHRUN_DASK``);
            in Python also a ``distributed.Client``.
        timeout_seconds: How long the service may take for a single step of an answer
            (``BATCHRUN_TIMEOUT_SECONDS``).
        log_file: Where the command line logs each event, one JSON object a line; ``None`` for
            nowhere (``BATCHRUN_LOG_FILE``). Programs listen to the logger ``batchrun``.
        speed: Simulated seconds per real second; more than 1 only with a sandbox on this machine
            that was started with the same ``--speed`` (``BATCHRUN_SPEED``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: SecretStr | None = None
    profile: str | None = None
    base_url: str = DEFAULT_BASE_URL
    journal: str = Field(  # a URL may hold a password
        default_factory=lambda: str(default_journal()), repr=False, min_length=1
    )
    rate: Annotated[Annotated[float, Field(ge=1)] | None, BeforeValidator(read_rate)] = None
    daily: Annotated[int | None, Field(ge=1, le=10**15)] = None
    max_in_flight: Annotated[int | None, Field(ge=1, le=10**15)] = None
    patience_seconds: Positive = 1800.0
    drain_seconds: Annotated[Seconds, Field(ge=0)] = 60.0
    longest_pause_seconds: Annotated[Seconds, Field(ge=0)] = 300.0
    largest_file_mb: Count = 2048
    largest_unpacked_mb: Count = 4096
    most_cells: Count = 50_000_000
    most_sheets: Count = 500
    wait: bool = False
    stop_after_failures: Annotated[int, Field(ge=0, le=10**15)] = 10
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    dask: Any = None
    timeout_seconds: Positive = 30.0
    log_file: Path | None = None
    speed: Positive = 1.0

    _typed_key: SecretStr | None = PrivateAttr(default=None)
    _origins: dict[str, tuple[Origin, str]] = PrivateAttr(default_factory=dict)
    _notices: tuple[str, ...] = PrivateAttr(default=())
    _stated_service: str = PrivateAttr(default="")

    def __init__(self, **given: Any) -> None:
        environment = _from_environment({name for name in _IDENTITY if given.get(name)})
        given = {name: each for name, each in given.items() if name not in _IDENTITY or each}
        if "profile" in given:
            given.pop("api_key", None)
        super().__init__(**{**environment, **given})
        for name in environment.keys() - given.keys():
            self._origins[name] = Origin.ENVIRONMENT, variable_of(name)
        if "base_url" in self.model_fields_set:
            self._stated_service = service_of(self.base_url)
        if self.api_key is not None:
            hide_secret(self.api_key.get_secret_value())

    @property
    def typed_key(self) -> str:
        """The key that was typed to replace a refused one; ``""`` for none."""
        return "" if self._typed_key is None else self._typed_key.get_secret_value()

    @property
    def notices(self) -> tuple[str, ...]:
        """Messages for the user about the sources of the settings."""
        return self._notices

    @property
    def named_service(self) -> str:
        """The service named by an option or the environment; ``""`` for none."""
        return self._stated_service

    def origin_of(self, name: str) -> tuple[Origin, str]:
        """Return the source of a value, and its variable, option or file; ``""`` for defaults."""
        if name not in self.model_fields_set:
            return Origin.DEFAULT, ""
        return self._origins.get(name, (Origin.OPTION, f"--{name.replace('_', '-')}"))

    def with_typed_key(self, key: str) -> Self:
        """Return these settings with a key that replaces a refused one, for the same address."""
        typed = self.model_copy()
        typed._typed_key = SecretStr(key)
        hide_secret(key)
        return typed

    def with_values(
        self,
        values: Mapping[str, object],
        origins: Mapping[str, tuple[Origin, str]],
        notices: Sequence[str] = (),
    ) -> Self:
        """Return these settings with checked values of a lower source, and what to say of them."""
        merged = self.model_copy(update=dict(values))
        merged._origins = {**self._origins, **origins}
        merged._notices = (*self._notices, *notices)
        return merged


def _from_environment(identity: set[str]) -> dict[str, str]:
    """Return the settings in the environment; empty ones count as not set.

    Keys and profiles are alternatives: the first source that names either decides. If one source
    names both, the profile wins: it has its own key and address.
    """
    stated = {name: value for name, value in os.environ.items() if value.strip()}
    variables = {name.upper(): value for name, value in stated.items()} | stated
    found = {
        name: variables[variable_of(name)]
        for name in Settings.model_fields
        if variable_of(name) in variables
    }
    if identity or "profile" in found:
        found.pop("api_key", None)
    if identity:
        found.pop("profile", None)
    return found


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return KEY_VARIABLE if name == "api_key" else f"{PREFIX}{name.upper()}"


def default_journal() -> Path:
    """Return the default path of a user's journal."""
    return user_data_path("batchrun", appauthor=False) / "journal.db"


KEY_END = 4
"""The most characters of a key that are shown."""

_LONG_ENOUGH = 12
"""Nothing is shown of a shorter key: its last characters would reveal too much."""

_NUMBERS: dict[object, str] = {
    **dict.fromkeys((int, int | None), "a whole number"),
    **dict.fromkeys((float, float | None), "a number"),
}

_PROBLEMS: dict[str, str] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "is not a whole number"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "is not a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "is neither true nor false"),
    **dict.fromkeys(("sequence_str", "is_instance_of"), "is not a list"),
    **dict.fromkeys(("dict_type", "mapping_type"), "is not a table"),
    "string_type": "is not a text",
    "string_too_short": "is empty",
}


def problem_of(error: Mapping[str, Any]) -> str:
    """Return a pydantic error in plain words.

    The value is never quoted: it might be a key in the wrong place.
    """
    bounds = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"is less than {bounds['ge']:g}"
        case "less_than_equal":
            return f"is more than {bounds['le']:,.0f}"
        case kind:
            return _PROBLEMS.get(kind, "can't be used")


_EXAMPLES = {
    "workflow": 'a text such as "Account Research"',
    "output": 'a text such as "{list}.csv"',
    "rate": "120, 120/min or unlimited",
    "reuse": '"30d", "12w" or "48h"',
    "write_every": '"30s", "5m" or "1h"',
    "columns": 'a list such as ["summary", "outputs.*"]',
    "parameters": 'a table such as [parameters] with the line depth = "comprehensive"',
    "parameter_columns": 'a table such as [parameter_columns] with the line focus = "Focus"',
    "rename": 'a table such as [rename] with the line "outputs.fit" = "Fit"',
}


def wanted_value(name: str, kind: object = None, bounds: Sequence[object] = ()) -> str:
    """Describe the values that an entry accepts, in plain words.

    Unless its type and the bounds of its values are given, they are those in `Settings`.
    """
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    if kind is None:
        kind, bounds = Settings.model_fields[name].annotation, Settings.model_fields[name].metadata
    if kind is bool:
        return "true or false"
    number = _NUMBERS.get(kind, "")
    number += " of seconds" if number and name.endswith("_seconds") else ""
    least = [bound.ge for bound in bounds if hasattr(bound, "ge")]
    return f"{number} of at least {least[0]}" if number and least else number or "a text"


_WITHOUT_QUOTES = re.compile(r"""\s*([\w.-]+)\s*=\s*[^\s"'\[{].*""")


def toml_hint(text: str, problem: str) -> str:
    """Return a hint for TOML that can't be read: the parser's ``problem`` names the line."""
    at = re.search(r"at line (\d+)", problem)
    lines = text.splitlines()
    line = lines[int(at[1]) - 1] if at is not None and int(at[1]) <= len(lines) else ""
    found = _WITHOUT_QUOTES.fullmatch(line)
    if found is None:
        return "See docs/reference.md."
    return f'Text needs quotes: {found[1]} = "…"'  # don't quote the text: it might be a key


def masked_key(key: str) -> str:
    """Return a key masked for display: its last four characters, or nothing of a short key."""
    return masked_end(key_end(key))


def masked_end(end: str) -> str:
    """Return the end of a key for display, or ``(hidden)`` if the key is too short."""
    return f"…{end}" if end else "(hidden)"


def key_end(key: str) -> str:
    """Return the last characters of a key, which may be shown; ``""`` for a short key."""
    return key[-KEY_END:] if len(key) >= _LONG_ENOUGH else ""
