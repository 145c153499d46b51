"""Settings: from arguments, else the environment, else a ``.env`` file, else defaults."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from batchrun.settings.location import DEFAULT_BASE_URL
from batchrun.text import KeepsSecrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


PREFIX = "BATCHRUN_"
KEY_VARIABLE = "PGAI_API_KEY"

_KEY_NAMES = frozenset({"api_key", KEY_VARIABLE})
_WHOSE_KEY = _KEY_NAMES | {"profile"}


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


class Settings(BaseSettings, KeepsSecrets):
    """Everything that is the same for every batch of a user.

    Attributes:
        api_key: The service's key (``PGAI_API_KEY``).
        profile: Whose stored key is used, and where it belongs (``BATCHRUN_PROFILE``); ``None``
            for ``api_key``, else the profile "default".
        base_url: Where the service is (``BATCHRUN_BASE_URL``); unless given, where the profile's
            key belongs.
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
        log_file: Where the command line logs each event, one JSON object a line; ``None`` for
            nowhere (``BATCHRUN_LOG_FILE``). Programs listen to the logger ``batchrun``.
        speed: How many seconds pass in one; more than 1 only against a sandbox on this machine
            that was started with the same ``--speed`` (``BATCHRUN_SPEED``).
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        dotenv_filtering="only_existing",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    api_key: SecretStr | None = Field(default=None, validation_alias=KEY_VARIABLE)
    profile: str | None = None
    base_url: str = DEFAULT_BASE_URL
    journal: str = Field(  # a URL may hold a password
        default_factory=lambda: str(default_journal()), repr=False
    )
    rate: Annotated[Annotated[float, Field(ge=1)] | None, BeforeValidator(read_rate)] = None
    daily: Annotated[int | None, Field(ge=1)] = None
    max_in_flight: Annotated[int | None, Field(ge=1)] = None
    patience_seconds: Annotated[float, Field(gt=0)] = 1800.0
    drain_seconds: Annotated[float, Field(ge=0)] = 60.0
    longest_pause_seconds: Annotated[float, Field(ge=0)] = 300.0
    largest_file_mb: Annotated[int, Field(ge=1)] = 2048
    largest_unpacked_mb: Annotated[int, Field(ge=1)] = 4096
    most_cells: Annotated[int, Field(ge=1)] = 50_000_000
    most_sheets: Annotated[int, Field(ge=1)] = 500
    wait: bool = False
    stop_after_failures: Annotated[int, Field(ge=0)] = 10
    timeout_seconds: Annotated[float, Field(gt=0)] = 30.0
    log_file: Path | None = None
    speed: Annotated[float, Field(gt=0)] = 1.0

    _typed_key: SecretStr | None = PrivateAttr(default=None)

    @property
    def typed_key(self) -> str:
        """The key that was typed in place of a refused one; ``""`` for none."""
        return "" if self._typed_key is None else self._typed_key.get_secret_value()

    def secrets(self) -> Iterator[str]:
        """See `KeepsSecrets`."""
        yield self.typed_key
        if self.api_key is not None:
            yield self.api_key.get_secret_value()

    def with_typed_key(self, key: str) -> Self:
        """These settings with a key that goes where the refused one went."""
        typed = self.model_copy()
        typed._typed_key = SecretStr(key)
        return typed

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, the environment, ``.env``: the first that says whose key it is decides."""
        del file_secret_settings
        sources = (init_settings, env_settings, dotenv_settings)
        return tuple(OneIdentity(settings_cls, source) for source in sources)


class OneIdentity(PydanticBaseSettingsSource):
    """A source as it counts under those above it: a key and a profile never stand side by side.

    Where both are said at one height, the profile counts: it keeps its own key and address.

    Args:
        settings_cls: Of which settings.
        source: Where they are read from.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource
    ) -> None:
        super().__init__(settings_cls)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """See `PydanticBaseSettingsSource`."""
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """What the source says, without what something above it has settled."""
        said = {name: value for name, value in self._source().items() if not _blank(name, value)}
        said.pop("api_key", None)  # BATCHRUN_API_KEY: a key has one variable
        if _WHOSE_KEY & self.current_state.keys():
            hidden = _WHOSE_KEY
        else:
            hidden = _KEY_NAMES if "profile" in said else frozenset()
        return {name: value for name, value in said.items() if name not in hidden}


def _blank(name: str, value: object) -> bool:
    return name in _WHOSE_KEY and (value is None or value == "")


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return KEY_VARIABLE if name == "api_key" else f"{PREFIX}{name.upper()}"


def default_journal() -> Path:
    """Where a user's journal is kept unless told otherwise."""
    return user_data_path("batchrun", appauthor=False) / "journal.db"


KEY_END = 4
"""How many characters of a key are shown at most."""

_LONG_ENOUGH = 12
"""A shorter key is not shown at all: its end would be too much of it."""

_NUMBERS: dict[object, str] = {
    **dict.fromkeys((int, int | None), "a whole number"),
    **dict.fromkeys((float, float | None), "a number"),
}


_FLAWS: dict[str, str] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "is not a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "is not a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "is neither true nor false"),
    "string_type": "is not a text",
}


def flaw_words(flaw: Mapping[str, Any]) -> str:
    """What is wrong, from one of pydantic's errors.

    Never the value: it might be a key put into the wrong place.
    """
    bounds = flaw.get("ctx", {})
    match flaw["type"]:
        case "greater_than_equal":
            return f"is less than {bounds['ge']:g}"
        case "greater_than":
            return f"is not more than {bounds['gt']:g}"
        case kind:
            return _FLAWS.get(kind, "can't be used")


def wanted_words(name: str) -> str:
    """What a setting takes."""
    field = Settings.model_fields[name]
    if name == "rate":
        return "120, 120/min or unlimited"
    if field.annotation is bool:
        return "true or false"
    number = _NUMBERS.get(field.annotation)
    if number is None:
        return "a text"
    for bound in field.metadata:
        if hasattr(bound, "ge"):
            return f"{number} of at least {bound.ge}"
        if hasattr(bound, "gt"):
            return f"{number} greater than {bound.gt}"
    return number


_WITHOUT_QUOTES = re.compile(r"""\s*([\w.-]+)\s*=\s*[^\s"'\[{].*""")


def unread_hint(text: str, problem: str) -> str:
    """What to do about TOML that can't be read.

    Args:
        text: The TOML.
        problem: What its parser says, with a place such as ``(at line 3, column 12)``.
    """
    at = re.search(r"at line (\d+)", problem)
    lines = text.splitlines()
    line = lines[int(at[1]) - 1] if at is not None and int(at[1]) <= len(lines) else ""
    found = _WITHOUT_QUOTES.fullmatch(line)
    if found is None:
        return "See docs/reference.md."
    return f'A text stands in quotes: {found[1]} = "…"'  # not the text: it might be a key


def masked_key(key: str) -> str:
    """A key as it may be shown: its last four characters, of a short one nothing."""
    return shown_end(key_end(key))


def shown_end(end: str) -> str:
    """The end of a key, as it may be shown; a word where it is too short to show any of it."""
    return f"…{end}" if end else "(hidden)"


def key_end(key: str) -> str:
    """What may be shown of a key."""
    return key[-KEY_END:] if len(key) >= _LONG_ENOUGH else ""
