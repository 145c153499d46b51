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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import reduce
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, get_args, get_type_hints

from platformdirs import user_config_path
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from batchrun.advice import Action, Advice
from batchrun.errors import OutputError, UsageError
from batchrun.options import ReadingOptions, merged, without_other_parameters
from batchrun.settings.model import (
    KEY_VARIABLE,
    Settings,
    problem_of,
    toml_hint,
    variable_of,
    wanted_value,
)
from batchrun.settings.private_file import write_whole
from batchrun.text import did_you_mean, visible

LIST_MARK = "{list}"
"""A placeholder in ``output``: the list's name without its extension."""


def _as_json(value: Any) -> Any:
    """Convert a TOML value to JSON; times become text.

    Raises:
        ValueError: JSON can't represent the number.
    """
    text = json.dumps(value, allow_nan=False, default=lambda moment: moment.isoformat())
    return json.loads(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDefaults(ReadingOptions):
    """Defaults for a list; an option of the same name wins.

    Attributes:
        workflow: ID or name of the workflow.
        output: Name of the results file, or only its extension; ``{list}`` stands for the list's
            name.
        columns: Result columns, in this order.
        rename: Column → title.
        flat_depth: The most keys in a column's name.
        csv_plain: Write CSV for programs.
        write_every: How often a running batch writes its results so far, such as ``5m``.
        reuse: Reuse results up to this age, such as ``30d``, instead of paying again.
    """

    workflow: str | None = None
    output: str | None = None
    columns: Sequence[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    flat_depth: int | None = None
    csv_plain: bool = False
    write_every: str | None = None
    reuse: str | None = None

    def merged_with(self, given: Mapping[str, Any], *, saved: bool = False) -> ListDefaults:
        """Return these defaults with options by name on top; ``saved`` as in `save_options`."""
        usual = self.values(ListDefaults)
        if saved:
            usual = without_other_parameters(usual, given.get("workflow"))
        return ListDefaults(**merged(usual, given))

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


ONLY_OPTIONS = frozenset({
    "again", "all", "compare", "crm", "detach", "details", "dry_run", "for", "in_doubt", "json",
    "limit", "notify", "notify_command", "only", "quiet", "raw_text", "rows_per_file", "sandbox",
    "save_options", "yes",
})  # fmt: skip
"""Options for lists and results that no file can set."""


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """One ``batchrun.toml``: its options for lists and its settings, by name."""

    path: Path
    options: Mapping[str, Any]
    settings: Mapping[str, object] = field(default_factory=dict)
    beside_list: bool = False  # whether it may have come with a list

    @property
    def names(self) -> list[str]:
        """The keys in the file."""
        return sorted({*self.options, *self.settings})


@dataclass(frozen=True, slots=True)
class Configuration:
    """All files together; the first one wins."""

    files: tuple[ConfigurationFile, ...] = ()  # beside the list, the user's own: those that exist

    @property
    def options(self) -> dict[str, Any]:
        """The options for lists that apply, by name."""
        return reduce(merged, (file.options for file in reversed(self.files)), {})

    @property
    def defaults(self) -> ListDefaults:
        """The defaults that apply to the list."""
        return ListDefaults(**self.options)

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
    for name in found:
        _refuse_unknown(path, name, beside_list=beside_list)
    try:
        checked = {name: _checked(path, name, value) for name, value in found.items()}
    except RecursionError:  # [parameters.a.a.a…]: nested without recursion in the parser
        raise _too_deep(path) from None
    options = {name: checked.pop(name) for name in found if name not in Settings.model_fields}
    output = options.get("output")
    if beside_list and output is not None and not is_plain_name(output):
        raise UsageError(
            f"{path}: output must be a plain file name: this file may have come with the list.",
            "Write a name or an ending, such as .csv; or choose another place with -o.",
        )
    return ConfigurationFile(path, options, checked, beside_list)


def save_options(source: Path, options: Mapping[str, Any]) -> Path:
    """Write options to the ``batchrun.toml`` beside a list, and return its path.

    Other entries there are kept, except the parameters of another workflow.

    Raises:
        UsageError: The existing file can't be read, or a value has no TOML form.
        OutputError: The file can't be written.
    """
    path = source.absolute().parent / FILE_NAME
    if path.is_symlink():  # it could point to any file of the user
        raise OutputError(f"{path} is a link.", "Remove it, or save the options by hand.")
    before = _toml(path) if path.exists() else {}
    found = merged(without_other_parameters(before, options.get("workflow")), options)
    tables = {name: value for name, value in found.items() if isinstance(value, dict)}
    lines = [f"{_key(name)} = {_value(found[name])}" for name in found if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{_key(name)}]", *(f"{_key(key)} = {_value(table[key])}" for key in table)]
    text = "\n".join(lines) + "\n"
    try:
        write_whole(path, text, private=False)  # colleagues run the list, too
    except OSError as error:
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


def _refuse_unknown(path: Path, name: str, *, beside_list: bool) -> None:
    """Refuse a key that this file may not contain."""
    if name.lower() in KEYS_BANNED_IN_FILES:
        raise UsageError(
            f"{path}: {name} does not belong in a configuration file.",
            Advice("Take it out", ", and save the key with: batchrun login", Action.LOG_IN),
        )
    if name not in known_names():
        known = known_names(beside_list=beside_list)
        hint = did_you_mean(name, known).strip() or f"It can contain: {', '.join(known)}."
        if name in ONLY_OPTIONS:
            option = f"--{name.replace('_', '-')}"
            hint = Advice("Take it out", f": {option} works only on the command line.")
        raise UsageError(f"{path}: there is no entry {visible(name, '')}.", hint)
    if beside_list and name not in known_names(beside_list=True):
        raise UsageError(
            f"{path}: {name} is not taken from a file beside a list, which may have come with it.",
            f"Put it in {user_file()}, or set {variable_of(name)}.",
        )


def known_names(*, beside_list: bool = False) -> list[str]:
    """Return the keys that a file may contain."""
    settings = BESIDE_A_LIST if beside_list else Settings.model_fields.keys() - KEYS_BANNED_IN_FILES
    return [*_OPTION_TYPES, *sorted(settings)]


def entry_type(name: str) -> tuple[Any, list[Any]]:
    """Return the type of an entry, and what else applies to its values, such as bounds."""
    if name in Settings.model_fields:
        setting = Settings.model_fields[name]
        return setting.annotation, setting.metadata
    kind = _OPTION_TYPES[name]
    from_one = Field(ge=1).metadata if kind == int | None else []  # lines and levels start at 1
    return kind, [*from_one, AfterValidator(_as_json)]


_OPTION_TYPES = get_type_hints(ListDefaults, localns={"JSON": Any})
_OPTION_TYPES = {"workflow": _OPTION_TYPES["workflow"], **_OPTION_TYPES}  # first, as in messages


def _checked(path: Path, name: str, value: object) -> Any:
    """Validate a value strictly: unlike the environment, TOML has types."""
    kind, others = entry_type(name)
    strict = Path not in get_args(kind)  # TOML has no type for a path
    for other in others:
        kind = Annotated[kind, other]
    try:
        return TypeAdapter(kind).validate_python(value, strict=strict)
    except ValidationError as error:
        problem = error.errors()[0]
        full = ".".join(map(str, (name, *problem["loc"])))
        raise UsageError(
            f"{path}: {visible(full, '')} {problem_of(problem)}.",
            f"Write {name} as {wanted_value(name, *entry_type(name))}, or leave it out.",
        ) from None
