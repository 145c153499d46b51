"""``batchrun.toml``: the file beside a list, and the user's own file.

A file beside a list may have come with the list. It controls how the list is read, what is sent,
and what the results look like; the plan shows all of that before any credits are spent. Of the
settings it may contain only the pace and the limits on spending, and it can tighten those limits
but never lift them. So it can't choose a key, profile, address, journal or log file, or an output
in another folder. Neither file can run a command.
"""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path, PureWindowsPath
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, get_args

from platformdirs import user_config_path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from batchrun.advice import Action, Advice
from batchrun.errors import OutputError, UsageError
from batchrun.settings.model import (
    KEY_VARIABLE,
    Settings,
    problem_of,
    toml_hint,
    variable_of,
    wanted_value,
)
from batchrun.text import did_you_mean, visible

if TYPE_CHECKING:
    from collections.abc import Mapping


LIST_MARK = "{list}"
"""A placeholder in ``output``: the list's name without its extension."""


def _as_json(value: Any) -> Any:
    """Convert a TOML value to JSON; times become text.

    Raises:
        ValueError: JSON can't represent the number.
    """
    match value:
        case dict():
            return {name: _as_json(each) for name, each in value.items()}
        case list():
            return [_as_json(each) for each in value]
        case datetime() | date() | time():
            return value.isoformat()
        case float() if not math.isfinite(value):
            raise ValueError("JSON has no such number")
        case _:
            return value


class ListDefaults(BaseModel):
    """Defaults for a list; an option of the same name wins.

    Attributes:
        workflow: ID or name of the workflow.
        sheet: Sheet of a workbook.
        header_row: Line of the column names.
        no_header: The list has no column names.
        visible_only: Leave out hidden rows.
        encoding: Encoding of a text file.
        delimiter: The field separator of a text file.
        quoting: ``literal`` if quotes in a text file are ordinary characters.
        company_column: Column with the company IDs.
        contact_column: Column with the contact IDs.
        no_company: Send no company IDs.
        no_contact: Send no contact IDs.
        lenient_ids: Also send IDs that are not valid UUIDs.
        parameters: Sent with every row.
        parameter_columns: Parameter name → column its value comes from.
        output: Name of the results file, or only its extension; ``{list}`` stands for the list's
            name.
        columns: Result columns, in this order.
        rename: Column → title.
        flat_depth: The most keys in a column's name.
        csv_plain: Write CSV for programs.
        write_every: How often a running batch writes its results so far, such as ``5m``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    workflow: str | None = None
    sheet: str | None = None
    header_row: Annotated[int | None, Field(ge=1)] = None
    no_header: bool = False
    visible_only: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    company_column: str | None = None
    contact_column: str | None = None
    no_company: bool = False
    no_contact: bool = False
    lenient_ids: bool = False
    parameters: Annotated[dict[str, Any], AfterValidator(_as_json)] = Field(default_factory=dict)
    parameter_columns: dict[str, str] = Field(default_factory=dict)
    output: str | None = None
    columns: list[str] = Field(default_factory=list)
    rename: dict[str, str] = Field(default_factory=dict)
    flat_depth: Annotated[int | None, Field(ge=1)] = None
    csv_plain: bool = False
    write_every: str | None = None

    def merged_with(self, other: ListDefaults) -> ListDefaults:
        """Return these defaults with the other's values on top; tables are merged by entry."""
        values = {name: getattr(other, name) for name in other.model_fields_set}
        tables = {
            name: {**getattr(self, name), **values[name]}
            for name in ("parameters", "parameter_columns", "rename")
            if name in values
        }
        return self.model_copy(update=values | tables)

    def output_of(self, source: Path) -> Path | None:
        """Return the results file of a list; ``None`` for the default path."""
        if self.output is None:
            return None
        wanted = self.output.replace(LIST_MARK, source.stem)
        if wanted.startswith(".") and wanted.count(".") == 1 and is_plain_name(wanted):
            wanted = f"{source.stem}.results{wanted}"
        path = Path(wanted)
        # A plain name that starts with ~ is a file, not a home folder.
        return source.parent / (path if is_plain_name(wanted) else path.expanduser())


def is_plain_name(name: str) -> bool:
    """Return whether a name stays in its folder on any system, and is printable."""
    plain = name.isprintable() and name not in {"", ".", ".."} and ":" not in name  # C:x, x:stream
    return plain and PureWindowsPath(name).name == name


FILE_NAME = "batchrun.toml"
MAX_BYTES = 1_000_000

KEYS_BANNED_IN_FILES = frozenset({"api_key", KEY_VARIABLE.lower()})
"""Settings that may not be in any file."""

LIMITS_ON_SPENDING = frozenset({"daily", "stop_after_failures"})
"""For these the strictest value applies, so a file with a list can't lift the user's own limit."""

BESIDE_A_LIST = LIMITS_ON_SPENDING | {"max_in_flight", "rate", "wait"}
"""Settings that a file beside a list may contain: the pace. Not ``profile``, which decides who
pays; not ``patience_seconds``, which can give up on results that are already paid for."""


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """One ``batchrun.toml``.

    Attributes:
        path: The path of the file.
        defaults: Its defaults for lists.
        settings: Its settings, by name.
        beside_list: Whether it may have come with a list.
    """

    path: Path
    defaults: ListDefaults
    settings: Mapping[str, object] = field(default_factory=dict)
    beside_list: bool = False

    @property
    def names(self) -> list[str]:
        """The keys in the file."""
        return sorted({*self.defaults.model_fields_set, *self.settings})


@dataclass(frozen=True, slots=True)
class Configuration:
    """All files together; the first one wins.

    Attributes:
        files: The file beside the list and the user's own, if they exist.
    """

    files: tuple[ConfigurationFile, ...] = ()

    @property
    def defaults(self) -> ListDefaults:
        """The defaults that apply to the list."""
        found = ListDefaults()
        for file in reversed(self.files):
            found = found.merged_with(file.defaults)
        return found

    @property
    def settings(self) -> dict[str, object]:
        """The settings that apply, by name."""
        return {
            name: file.settings[name]
            for file in reversed(self.files)
            for name in file.settings
            if self.holder(name) == file.path
        }

    def holder(self, name: str) -> Path | None:
        """Return the file whose value applies; ``None`` for the default."""
        holders = [file for file in self.files if name in file.names]
        if name in LIMITS_ON_SPENDING and holders and holders[0].beside_list:
            own = holders[1].settings if len(holders) > 1 else {}
            limit = own.get(name, Settings.model_fields[name].default)
            if _amount(limit) <= _amount(holders[0].settings[name]):
                del holders[0]
        return holders[0].path if holders else None


def _amount(limit: object) -> float:
    """Return the amount that a limit allows; no limit (0 or ``None``) allows any amount."""
    return limit if isinstance(limit, int) and limit else math.inf


def user_file() -> Path:
    """Return the path of the user's own file."""
    return configuration_folder() / FILE_NAME


def configuration_folder() -> Path:
    """Return the user's configuration folder."""
    return user_config_path("batchrun", appauthor=False)


def find_configuration(source: Path | None = None) -> Configuration:
    """Find and read the file beside a list and the user's own.

    Raises:
        UsageError: A file can't be read, or has an entry that can't be used.
    """
    own = user_file()
    beside = None if source is None else source.absolute().parent / FILE_NAME
    has_own = _is_file(own)
    files = [read_configuration(own)] if has_own else []
    if beside is not None and _is_file(beside) and not (has_own and beside.samefile(own)):
        files.insert(0, read_configuration(beside, beside_list=True))
    return Configuration(tuple(files))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _unreadable(path, error) from error


def read_configuration(path: Path, *, beside_list: bool = False) -> ConfigurationFile:
    """Read one file, which may have come with a list if it is beside one.

    Raises:
        UsageError: The file can't be read, or has an entry that can't be used.
    """
    found = _toml(path)
    listed = {name: value for name, value in found.items() if name not in Settings.model_fields}
    for name in found:
        _allowed(path, name, beside_list=beside_list)
    settings = {name: _setting(path, name, found[name]) for name in found.keys() - listed.keys()}
    try:
        defaults = ListDefaults(**listed)
    except ValidationError as error:
        raise _unusable(path, error) from None
    except RecursionError:  # [parameters.a.a.a…]: nested without recursion in the parser
        raise _too_deep(path) from None
    if beside_list and defaults.output is not None and not is_plain_name(defaults.output):
        raise UsageError(
            f"{path}: output must be a plain file name: this file may have come with the list.",
            "Write a name or an ending, such as .csv; or choose another place with -o.",
        )
    return ConfigurationFile(path, defaults, settings, beside_list)


def save_options(source: Path, options: Mapping[str, Any]) -> Path:
    """Write options to the ``batchrun.toml`` beside a list; other entries there are kept.

    Args:
        source: The list.
        options: Entries by name, as in `ListDefaults` and `Settings`.

    Returns:
        The path of the file.

    Raises:
        UsageError: The existing file can't be read, or a value has no TOML form.
        OutputError: The file can't be written.
    """
    path = source.absolute().parent / FILE_NAME
    if path.is_symlink():  # it could point to any file of the user
        raise OutputError(f"{path} is a link.", "Remove it, or save the options by hand.")
    found = _toml(path) if path.exists() else {}
    for name, value in options.items():
        before = found.get(name)
        both = isinstance(before, dict) and isinstance(value, dict)
        found[name] = before | value if both else value
    tables = {name: value for name, value in found.items() if isinstance(value, dict)}
    lines = [f"{_key(name)} = {_value(found[name])}" for name in found if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{_key(name)}]", *(f"{_key(key)} = {_value(table[key])}" for key in table)]
    text = "\n".join(lines) + "\n"
    temporary = None
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path} can't be written: {error.strerror}.", "Leave --save-options out."
        ) from error
    return path


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: object) -> str:
    """Format a value as TOML. JSON strings are valid TOML, except that TOML escapes DEL."""
    match value:
        case None:
            raise UsageError("batchrun.toml can't hold null.", "Leave --save-options out.")
        case dict():
            return f"{{ {', '.join(f'{_key(key)} = {_value(value[key])}' for key in value)} }}"
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise UsageError(f"{path} is a folder or a device, not a file.", "Rename it.")
        with path.open("rb") as opened:
            if os.fstat(opened.fileno()).st_size > MAX_BYTES:
                raise UsageError(
                    f"{path} is too large for a configuration.", "Rename it, or make it shorter."
                )
            text = opened.read().decode("utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        raise _unreadable(path, error) from error
    except RecursionError:
        raise _too_deep(path) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.", "Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.", toml_hint(text, str(error))) from error
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise UsageError(f"{path}: a number is too long.", "Write a smaller one.") from None


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path} can't be read: {error.strerror}.", "Check that you may read it, or rename it."
    )


def _too_deep(path: Path) -> UsageError:
    return UsageError(
        f"{path} can't be used: it is nested too deeply.",
        "Correct it; docs/reference.md has an example.",
    )


def _allowed(path: Path, name: str, *, beside_list: bool) -> None:
    """Refuse a key that this file may not contain."""
    if name.lower() in KEYS_BANNED_IN_FILES:
        raise UsageError(
            f"{path}: {name} does not belong in a configuration file.",
            Advice("Take it out", ", and save the key with: batchrun login", Action.LOG_IN),
        )
    if name not in known_names():
        known = known_names(beside_list=beside_list)
        hint = did_you_mean(name, known) or f"It may hold: {', '.join(known)}."
        raise UsageError(f"{path}: there is no key {visible(name, '')}.", hint.strip())
    if beside_list and name not in known_names(beside_list=True):
        raise UsageError(
            f"{path}: {name} is not taken from a file beside a list, which may have come with it.",
            f"Put it in {user_file()}, or set {variable_of(name)}.",
        )


def known_names(*, beside_list: bool = False) -> list[str]:
    """Return the keys that a file may contain."""
    settings = BESIDE_A_LIST if beside_list else Settings.model_fields.keys() - KEYS_BANNED_IN_FILES
    return [*ListDefaults.model_fields, *sorted(settings)]


def _setting(path: Path, name: str, value: object) -> object:
    """Validate a setting's value strictly: unlike the environment, TOML has types."""
    field_ = Settings.model_fields[name]
    kind: Any = field_.annotation
    for bound in field_.metadata:  # not the whole field: TypeAdapter can't take its other options
        kind = Annotated[kind, bound]
    try:
        strict = Path not in get_args(field_.annotation)  # TOML has no type for a path
        return TypeAdapter(kind).validate_python(value, strict=strict)
    except ValidationError as error:
        words = problem_of(error.errors()[0])
        raise UsageError(
            f"{path}: {name} {words}.", f"Write {wanted_value(name)}, or leave it out."
        ) from None


def _unusable(path: Path, error: ValidationError) -> UsageError:
    problem = error.errors()[0]
    name = str(problem["loc"][0])
    full = ".".join(str(part) for part in problem["loc"])
    return UsageError(
        f"{path}: {visible(full, '')} {problem_of(problem)}.",
        f"Write {name} as {wanted_value(name, ListDefaults)}, or leave it out.",
    )
