"""The options that several commands share, each defined once."""

from __future__ import annotations

import inspect
import os
import re
import sys
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import timedelta
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar, get_type_hints

import typer

from batchrun.cli.help import AUTOMATION, OUTPUT, PARAMETERS, SERVICE, SPENDING, THE_BATCH, THE_LIST
from batchrun.cli.notifications import desktop_command
from batchrun.cli.output import OutputMode, print_text, repeats_options
from batchrun.cli.prompts import ask_for_column
from batchrun.errors import UsageError, missing_file
from batchrun.model import InDoubt
from batchrun.text import json_or_text, plural, strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from batchrun import Request
    from batchrun.model import JSON
    from batchrun.settings.files import ListDefaults
    from batchrun.workbook import Form

T = TypeVar("T")

OFFERED = 20
"""The most completions to offer."""


def workflow_names(incomplete: str) -> list[tuple[str, str]]:
    """Return names and IDs of workflows in the journal, without waiting for the service."""
    found: dict[str, str] = {}
    with suppress(Exception):  # no journal, or one that can't be read: nothing to offer
        from batchrun import batches

        for each in batches():
            found.setdefault(each.workflow.name, each.workflow.id)
    offered = [*found.items(), *((id_, name) for name, id_ in found.items() if incomplete)]
    fitting = [each for each in offered if each[0].startswith(incomplete)][:OFFERED]
    return [(_typable(name), about) for name, about in fitting]


def _typable(name: str) -> str:
    """Return a name as the shell that asks for it needs it typed; zsh and fish quote themselves."""
    shell, typed = os.environ.get("_BATCHRUN_COMPLETE", ""), os.environ.get("COMP_WORDS", "")
    if re.fullmatch(r"[\w.@%+=:,/-]+", name):
        return name
    if shell == "complete_bash" and typed.count('"') % 2 == typed.count("'") % 2 == 0:
        return re.sub(r"([^\w.@%+=:,/-])", r"\\\1", name)
    if shell in {"complete_powershell", "complete_pwsh"}:
        return "'" + name.replace("'", "''") + "'"
    return name


def profile_names(incomplete: str) -> list[str]:
    """Return the saved profiles."""
    with suppress(Exception):  # none can be read: there is nothing to offer
        from batchrun.settings.profiles import stored_profiles

        return [name for name in stored_profiles().all() if name.startswith(incomplete)]
    return []


def batch_ids(incomplete: str) -> list[tuple[str, str]]:
    """Return the newest batches of the journal, each with a description."""
    with suppress(Exception):  # no journal, an unusable one: there is nothing to offer
        from batchrun import batches

        return [
            (each.batch_id, f"{each.workflow.name}, {plural(each.rows, 'row')}")
            for each in batches()
            if each.batch_id.startswith(incomplete)
        ][:OFFERED]
    return []


_list, _parameter, _spending, _output, _service, _automation = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in (THE_LIST, PARAMETERS, SPENDING, OUTPUT, SERVICE, AUTOMATION)
)

# The batch


def batch_argument(without_it: str = "") -> Any:
    """Return the argument of a batch; ``without_it`` is the end of its help."""
    return typer.Argument(
        metavar="BATCH",
        help=f"ID of the batch, or the first characters of it. {without_it}".rstrip(),
        autocompletion=batch_ids,
        rich_help_panel=THE_BATCH,
    )


Batch: TypeAlias = Annotated[str | None, batch_argument("Without it, the newest batch.")]

# Reading the list

List: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="The list: a workbook, CSV or Parquet; or a folder of them.",
        rich_help_panel=THE_LIST,
    ),
]
Workflow: TypeAlias = Annotated[
    str | None,
    _list(
        "--workflow",
        "-w",
        metavar="NAME",
        help="Name or ID of the workflow. Not needed if batchrun.toml names it.",
        autocompletion=workflow_names,
    ),
]

SaveOptions: TypeAlias = Annotated[
    bool,
    _list(
        "--save-options",
        help="Save these options in batchrun.toml beside the list, for the next run.",
    ),
]

# Spending

Limit: TypeAlias = Annotated[
    int | None,
    _spending(
        metavar="N",
        min=1,
        help="Trigger only the next N jobs, show the results, and ask about the rest. With --yes, "
        "the rest waits for batchrun resume.",
    ),
]
Yes: TypeAlias = Annotated[bool, _spending("--yes", "-y", help="Don't ask for confirmation.")]
Reuse: TypeAlias = Annotated[
    str | None,
    _spending(
        metavar="AGE", help="Reuse results up to this age, such as 30d, instead of paying again."
    ),
]
Again: TypeAlias = Annotated[
    bool,
    _spending("--again", help="Send all rows, even those with results (you pay for them twice)."),
]
Rate: TypeAlias = Annotated[
    str | None,
    _spending(
        metavar="N/min",
        help="Requests a minute, such as 120/min, or unlimited. [env: BATCHRUN_RATE]",
    ),
]
Daily: TypeAlias = Annotated[
    int | None, _spending(metavar="N", min=1, help="Requests a day. [env: BATCHRUN_DAILY]")
]
Doubts: TypeAlias = Annotated[
    InDoubt | None,
    _spending(
        "--in-doubt",
        metavar="hold|retry|drop",
        help="For rows whose trigger may or may not have been accepted: leave them, send them "
        "again (you may pay twice), or give them up. Without it, batchrun asks.",
    ),
]

# Results

Output: TypeAlias = Annotated[
    Path | None,
    _output(
        "--output",
        "-o",
        metavar="FILE",
        help="File for the results: .xlsx, .csv, .jsonl or .parquet. Without it, "
        "NAME.results.xlsx beside the list.",
    ),
]
ForCrm: TypeAlias = Annotated[
    Literal["salesforce", "hubspot"] | None,
    _output(metavar="CRM", case_sensitive=False, help="CSV to import into salesforce or hubspot."),
]
WriteEvery: TypeAlias = Annotated[
    str | None,
    _output(
        metavar="TIME",
        help="Also write the results while the batch runs, such as every 30s, 5m or 1h.",
    ),
]

# Service, keys, journal

ProfileName: TypeAlias = Annotated[
    str | None,
    _service(
        "--profile",
        metavar="NAME",
        help="Use the key saved under this name (its profile). [env: BATCHRUN_PROFILE]",
        autocompletion=profile_names,
    ),
]
BaseUrl: TypeAlias = Annotated[
    str | None, _service(metavar="URL", help="Address of the service. [env: BATCHRUN_BASE_URL]")
]
JournalAt: TypeAlias = Annotated[
    str | None,
    _service(
        "--journal",
        metavar="PATH",
        help="Path or URL of the journal, which keeps the batches. [env: BATCHRUN_JOURNAL]",
    ),
]
Sandbox: TypeAlias = Annotated[
    bool,
    _service(
        "--sandbox",
        help="Practice with an imitation of PG:AI: no key, no cost. Its batches are kept apart.",
    ),
]

# Scripts and schedulers

AsJson: TypeAlias = Annotated[
    bool, _automation("--json", help="Print one JSON document and nothing else.")
]
Quiet: TypeAlias = Annotated[
    bool, _automation("--quiet", "-q", help="Print only the path of the results, at the end.")
]
LogFile: TypeAlias = Annotated[
    Path | None,
    _automation(
        "--log-file",
        metavar="FILE",
        help="Log every event to this file, one JSON object a line. [env: BATCHRUN_LOG_FILE]",
    ),
]


def refuse_together(options: Mapping[str, object], why: str = "") -> None:
    """Check that no other option was given together with the first one; ``why`` is a sentence.

    Raises:
        UsageError: One was.
    """
    (first, given), *more = options.items()
    others = [name for name, value in more if value]
    if given and others:
        hint = f"{why} Leave one out.".strip()
        raise UsageError(f"{first} and {', '.join(others)} can't be combined.", hint)


def age(text: str, said_by: str) -> timedelta:
    """Parse an age such as ``90d``, ``12w`` or ``48h``.

    Raises:
        UsageError: It is not an age.
    """
    return _duration(text, said_by, ("30d", "12w", "48h"), zero=True)


_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def _duration(text: str, said_by: str, examples: Sequence[str], *, zero: bool = False) -> timedelta:
    """Parse a duration: a number and one of the units in the examples.

    Args:
        text: The duration.
        said_by: The option, or the name of the entry in ``batchrun.toml``.
        examples: A duration for each unit.
        zero: Whether it may be 0.

    Raises:
        UsageError: It is not such a duration.
    """
    units = [example[-1] for example in examples]
    bare = text.strip().lower()
    number_and_unit = rf"(\d{{1,5}}(?:\.\d+)?)\s*([{''.join(units)}])(?:(?<=s)ec|(?<=m)in)?"
    found = re.fullmatch(number_and_unit, bare, re.ASCII)
    if found is not None and (zero or float(found[1])):
        return float(found[1]) * _UNITS[found[2]]
    problem, written = "is not a duration", examples
    if re.fullmatch(r"\d{1,5}", bare, re.ASCII) and (zero or int(bare)):
        problem, written = "has no unit", [f"{bare}{unit}" for unit in units]
    said = f"{said_by} {text}"
    if not said_by.startswith("--"):
        said = f'{said_by} = "{text}" in batchrun.toml'
    *first, last = written
    raise UsageError(f"{said} {problem}.", f"Write it as {', '.join(first)} or {last}.")


@dataclass(frozen=True, slots=True)
class ColumnOptions:
    """Options for result columns, the same for all commands that write results."""

    columns: Annotated[
        list[str] | None,
        _output(
            metavar="NAME,…",
            help="Result columns to write, in this order; * matches anything. Repeatable.",
        ),
    ] = None
    rename: Annotated[
        list[str] | None,
        _output(metavar="NAME=TITLE", help="Title of a result column. Repeatable."),
    ] = None
    flat_depth: Annotated[
        int | None,
        _output(
            metavar="N",
            min=1,
            help="Turn nested results into columns up to N levels; deeper ones stay JSON.",
        ),
    ] = None
    csv_plain: Annotated[
        bool,
        _output("--csv-plain", help="CSV for programs: no BOM, no protection against formulas."),
    ] = False
    raw_text: Annotated[
        bool, _output("--raw-text", help="Keep the signs of Markdown in texts, such as ## and **.")
    ] = False
    for_: Annotated[
        Literal["operators", "people"] | None,
        _output(
            "--for",
            metavar="WHOM",
            case_sensitive=False,
            help="Workbook for operators (everything, the default) or for people you share it with "
            "(no execution IDs, times, result field names or commands).",
        ),
    ] = None
    compare: Annotated[
        str | None,
        _output(
            metavar="BATCH|auto|off",
            help="Earlier batch of this workflow whose results to compare with, in the sheet "
            "Changes. Without it, each row's newest result in earlier batches.",
        ),
    ] = None
    rows_per_file: Annotated[
        int | None,
        _output(
            metavar="N",
            min=1,
            max=1_048_575,
            help="Split a workbook into files of at most N rows. Without it, only where Excel's "
            "1,048,575 rows are not enough.",
        ),
    ] = None

    def entries(self) -> dict[str, Any]:
        """Return the options that were given and can be saved, as in ``batchrun.toml``.

        Raises:
            UsageError: An option can't be used.
        """
        return _given(
            columns=_names(self.columns or ()),
            rename=_distinct("--rename", map(_title_from, self.rename or ())),
            flat_depth=self.flat_depth,
            csv_plain=self.csv_plain,
        )


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value}


def form_from(
    options: ColumnOptions,
    *,
    crm: str | None = None,
    write_every: str | None = None,
    defaults: ListDefaults | None = None,
    source: Path | str | None = None,
) -> Form:
    """Return the form that the options ask for.

    Raises:
        UsageError: An option can't be used.
    """
    from batchrun.settings.files import ListDefaults
    from batchrun.workbook import Audience, Crm, Form

    typed = options.entries() | ({} if write_every is None else {"write_every": write_every})
    usual = (defaults or ListDefaults()).merged_with(typed)
    every = None
    if usual.write_every is not None:
        said_by = "--write-every" if "write_every" in typed else "write_every"
        every = _duration(usual.write_every, said_by, ("30s", "5m", "1h")).total_seconds()
    return Form(
        _names(usual.columns) or None,
        usual.rename,
        usual.flat_depth,
        usual.csv_plain,
        None if crm is None else Crm(crm),
        every,
        None if source is None else usual.output_of(Path(source)),
        raw_text=options.raw_text,
        compare=options.compare,
        rows_per_file=options.rows_per_file,
        audience=None if options.for_ is None else Audience(options.for_),
    )


def _names(columns: Sequence[str]) -> tuple[str, ...]:
    """Split names that are given one by one or separated by commas."""
    return tuple(name for given in columns for one in given.split(",") if (name := one.strip()))


def _title_from(text: str) -> tuple[str, str]:
    name, title = _pair(text, f"--rename {text} has no title.", "--rename outputs.fit_score=Fit")
    return name, title.strip()


def _pair(text: str, problem: str, example: str, *, empty: bool = False) -> tuple[str, str]:
    """Split ``name=value``; the value may be ``empty``.

    Raises:
        UsageError: There is no name or no value.
    """
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and (empty or value.strip())):
        raise UsageError(problem, f"Write it as {example}.")
    return name.strip(), value


def _distinct(option: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return name → value.

    Raises:
        UsageError: A name is given twice.
    """
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f"{option} is given twice for {name}.", "Leave one out.")
        found[name] = value
    return found


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Options for reading a list and sending its rows, the same for `check` and `run`."""

    sheet: Annotated[
        str | None,
        _list(metavar="NAME", help="Sheet of the workbook. Without it, the first visible one."),
    ] = None
    header_row: Annotated[
        int | None,
        _list(
            metavar="N", min=1, help="Line with the column names. Without it, batchrun finds it."
        ),
    ] = None
    no_header: Annotated[
        bool, _list("--no-header", help="The list has no column names: its first line is a row.")
    ] = False
    visible_only: Annotated[
        bool, _list("--visible-only", help="Leave out rows that are hidden or filtered out.")
    ] = False
    encoding: Annotated[
        str | None,
        _list(
            metavar="NAME",
            help="Encoding of a text file, such as utf-8, cp1251 or shift_jis. "
            "Without it, batchrun finds it.",
        ),
    ] = None
    delimiter: Annotated[
        str | None,
        _list(
            metavar="CHARACTER",
            help="What separates the fields of a text file: comma, semicolon, tab, bar, or any "
            "character. Without it, batchrun finds it.",
        ),
    ] = None
    quoting: Annotated[
        str | None,
        _list(
            metavar="HOW", help="literal: quotes in a text file are text like any other character."
        ),
    ] = None
    company_column: Annotated[
        str | None,
        _list(metavar="COLUMN", help="Column with the company IDs. Without it, batchrun finds it."),
    ] = None
    contact_column: Annotated[
        str | None,
        _list(metavar="COLUMN", help="Column with the contact IDs. Without it, batchrun finds it."),
    ] = None
    no_company: Annotated[
        bool, _list("--no-company", help="Send no company IDs, only contact IDs.")
    ] = False
    no_contact: Annotated[
        bool, _list("--no-contact", help="Send no contact IDs, only company IDs.")
    ] = False
    lenient_ids: Annotated[
        bool,
        _list(
            "--lenient-ids",
            help="Also send IDs that look like PG:AI IDs but have a typo.",
        ),
    ] = False
    param: Annotated[
        list[str] | None,
        _parameter(
            metavar="NAME=VALUE", help="Send a parameter with every row: JSON or text. Repeatable."
        ),
    ] = None
    param_column: Annotated[
        list[str] | None,
        _parameter(metavar="NAME=COL", help="Send a parameter from a column. Repeatable."),
    ] = None
    params: Annotated[
        Path | None,
        _parameter(metavar="FILE.json", help="Send the parameters in this file with every row."),
    ] = None

    def given(self) -> dict[str, object]:
        """Return the options that were given, as they were typed."""
        return _given(
            **{f"--{one.name.replace('_', '-')}": getattr(self, one.name) for one in fields(self)}
        )

    def entries(self, workflow: str | None) -> dict[str, Any]:
        """Return the options that were given, and the workflow, as in ``batchrun.toml``.

        Raises:
            UsageError: An option can't be used.
        """
        names = [each.name for each in fields(self) if not each.name.startswith("param")]
        parameters = {} if self.params is None else read_parameters(self.params)
        parameters |= _distinct("--param", map(_parameter_from, self.param or []))
        return _given(
            workflow=workflow,
            **{name: getattr(self, name) for name in names},
            parameters=parameters,
            parameter_columns=_distinct(
                "--param-column", map(_column_from, self.param_column or [])
            ),
        )


@dataclass(frozen=True, slots=True)
class PaceOptions:
    """Options for how fast requests are sent and when a batch stops."""

    rate: Rate = None
    daily: Daily = None
    wait: Annotated[
        bool,
        _spending(
            "--wait",
            help="When the day's quota is spent, wait for the next day instead of pausing.",
        ),
    ] = False
    stop_after_failures: Annotated[
        int | None,
        _spending(
            metavar="N",
            min=0,
            help="Stop after N failures in a row, or N among the first 4 x N jobs; 0 for never. "
            "Jobs already sent keep running and may fail, too. To risk less, add --limit. "
            "[default: 10] [env: BATCHRUN_STOP_AFTER_FAILURES]",
        ),
    ] = None
    workers: Annotated[
        int | None,
        _spending(
            metavar="N",
            min=1,
            max=64,
            help="Processes on this machine that work on the batch. Only needed above 60,000 "
            "requests a minute. [default: 1] [env: BATCHRUN_WORKERS]",
        ),
    ] = None
    dask: Annotated[
        str | None,
        _spending(
            metavar="ADDRESS",
            help="Dask scheduler, such as tcp://scheduler:8786, whose workers work on the batch, "
            "too. Needs a PostgreSQL journal. [env: BATCHRUN_DASK]",
        ),
    ] = None
    detach: Annotated[
        bool,
        _spending(
            "--detach",
            help="Return at once. The workers of --dask, or processes on this machine, do the "
            "work.",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Options for the service, key and journal."""

    sandbox: Sandbox = False
    profile: ProfileName = None
    base_url: BaseUrl = None
    journal: JournalAt = None


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Options for how a command reports to a person, a script, or a log."""

    log_file: LogFile = None
    notify_command: Annotated[
        str | None,
        _automation(
            "--notify-command",
            metavar="COMMAND",
            envvar="BATCHRUN_NOTIFY_COMMAND",
            show_envvar=False,
            help="Run this command when the batch ends or pauses. [env: BATCHRUN_NOTIFY_COMMAND]",
        ),
    ] = None
    notify: Annotated[
        bool,
        _automation("--notify", help="Show a desktop notification when the batch ends or pauses."),
    ] = False
    quiet: Quiet = False
    as_json: AsJson = False

    @property
    def for_scripts(self) -> bool:
        """Whether standard output is only for a script."""
        return self.quiet or self.as_json

    def mode(self) -> OutputMode:
        """Return how a batch is shown.

        Raises:
            UsageError: Two options can't be combined.
        """
        refuse_together({"--notify": self.notify, "--notify-command": self.notify_command})
        command = desktop_command() if self.notify else self.notify_command
        return OutputMode(self.as_json, self.quiet, command)


def settings_of(*groups: object) -> dict[str, Any]:
    """Return the settings from options, by name; ``None`` for options that were not given."""
    from batchrun.settings.model import Settings

    found = {each.name: getattr(group, each.name) for group in groups for each in fields(group)}  # type: ignore[arg-type]
    return {
        name: None if value is False and name != "sandbox" else value
        for name, value in found.items()
        if name in {*Settings.model_fields, "sandbox"}
    }


def save_typed_options(file: Path, entries: Mapping[str, Any]) -> None:
    """Save options by name to the batchrun.toml beside a list.

    Raises:
        UsageError: An option can't be saved.
        OutputError: The file can't be written.
    """
    from batchrun.settings.files import save_options

    path = save_options(file, entries)
    print_text(f"Saved:     {path}", err=True, whole=[str(path)])


def request_from(
    file: Path, options: ListDefaults, reuse: str | None, *, again: bool = False
) -> Request:
    """Return the request for a list. With ``again``, only a typed ``reuse`` counts.

    Raises:
        UsageError: An option can't be used, or no workflow is given.
    """
    from batchrun import Request
    from batchrun.options import ReadingOptions
    from batchrun.settings.credentials import given_key
    from batchrun.settings.loading import load_settings
    from batchrun.settings.profiles import stored_profiles

    if options.workflow is None:
        if not file.exists() and set("*?[").isdisjoint(str(file)):  # no pattern of several files
            raise missing_file(file)
        has_key = given_key(load_settings()) or stored_profiles().all()
        login = "" if has_key or repeats_options("workflows") else "batchrun login, then "
        raise UsageError(
            "No workflow given.",
            f'Add one, such as -w "Account Research". To list them: {login}batchrun workflows',
        )
    said_by = "--reuse" if reuse else "reuse"
    reuse = reuse or (None if again else options.reuse)
    return Request(
        file,
        options.workflow,
        **options.values(ReadingOptions),
        ask=ask_for_column if sys.stdin.isatty() else None,
        reuse=None if reuse is None else age(reuse, said_by),
    )


def _parameter_from(text: str) -> tuple[str, JSON]:
    """Parse ``name=value``: a value that is JSON is sent as JSON, any other as text.

    A note is printed about text that looks like broken JSON.

    Raises:
        UsageError: There is no ``=``, or no name before it.
    """
    problem = f"The parameter {text} has no value."
    name, typed = _pair(text, problem, "--param depth=comprehensive", empty=True)
    value = json_or_text(typed)
    if isinstance(value, str) and _BROKEN_JSON.fullmatch(value.strip()):
        print_text(
            f"Note:      --param {name} is text, because it is not valid JSON. "
            'PowerShell and cmd remove quotes: write \\" for each, or use --params FILE.json',
            err=True,
        )
    return name, value


def _column_from(text: str) -> tuple[str, str]:
    problem = f"--param-column {text} needs a parameter's name and a column's name."
    return _pair(text, problem, "--param-column focus=Focus")


_BROKEN_JSON = re.compile(r"'?[{\[].*|.*[}\]]'?", re.DOTALL)
"""Text that looks like an attempt at a JSON object or list."""


def read_parameters(path: Path) -> dict[str, JSON]:
    """Read parameters for all rows from a JSON file that contains one object.

    Raises:
        UsageError: The file can't be read, or is not an object.
    """
    problem = "doesn't contain a JSON object"
    try:
        found = strict_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"The parameter file {path} can't be read: {error.strerror}.",
            "Check the name given with --params.",
        ) from error
    except ValueError as error:
        found, problem = None, f"is not JSON: {error}"
    if not isinstance(found, dict):
        raise UsageError(
            f"The parameter file {path} {problem}.", 'Write it as {"depth": "comprehensive"}.'
        )
    return found


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each group parameter of a command with the group's fields, as separate options.

    A group is a parameter whose type is a dataclass. Its fields are annotated like a command's
    parameters and have defaults.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def as_typed(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        command(**given)

    parameters = [
        each
        for name, parameter in signature.parameters.items()
        for each in (_options(groups[name]) if name in groups else [parameter])
    ]
    by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    # Typer reads a command's signature and its annotations.
    vars(as_typed)["__signature__"] = signature.replace(parameters=by_name)
    as_typed.__annotations__ = {each.name: each.annotation for each in by_name}
    return as_typed


def _options(group: type[Any]) -> Iterator[inspect.Parameter]:
    annotations = get_type_hints(group, include_extras=True)
    for each in fields(group):
        assert each.default is not MISSING
        yield inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=annotations[each.name],
        )
