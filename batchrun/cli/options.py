"""The options that several commands share, each written once."""

from __future__ import annotations

import inspect
import json
import re
from contextlib import contextmanager, suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_type_hints
from urllib.parse import urlsplit

import typer

from batchrun.cli.help import AUTOMATION, OUTPUT, PARAMETERS, SERVICE, SPENDING, THE_BATCH, THE_LIST
from batchrun.cli.output import print_text
from batchrun.cli.prompts import ask_if_somebody_is_here
from batchrun.errors import BatchrunError, NoBatchError, UsageError
from batchrun.model import InDoubt
from batchrun.text import did_you_mean, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from batchrun import Request
    from batchrun.model import JSON, BatchSummary
    from batchrun.settings import Configuration, ListDefaults, Settings
    from batchrun.workbook import Form


OFFERED = 20
"""Completions to offer at most."""


def workflow_names(incomplete: str) -> list[tuple[str, str]]:
    """Workflows of the newest batches: completion must not wait for the service."""
    found: dict[str, str] = {}
    with suppress(Exception):  # no journal, or one that can't be read: nothing to offer
        from batchrun import batches

        for each in batches():
            found.setdefault(each.workflow.name, each.workflow.id)
    start = incomplete.casefold()
    return [(name, id_) for name, id_ in found.items() if name.casefold().startswith(start)][
        :OFFERED
    ]


def batch_ids(incomplete: str) -> list[tuple[str, str]]:
    """The newest batches of the journal, each with what it was."""
    offered: list[tuple[str, str]] = []
    with suppress(Exception):  # no journal, an unusable one: there is nothing to offer
        from batchrun import batches

        offered += [
            (each.batch_id, f"{each.workflow.name}, {plural(each.rows, 'row')}")
            for each in batches()
            if each.batch_id.startswith(incomplete)
        ]
    return offered[:OFFERED]


# Which batch

Batch: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="BATCH",
        help="ID of the batch, or the first characters of it. Without it, the newest batch.",
        autocompletion=batch_ids,
        rich_help_panel=THE_BATCH,
    ),
]

# How a list is read

List: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="The list: a workbook or CSV.", rich_help_panel=THE_LIST),
]
Workflow: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--workflow",
        "-w",
        metavar="NAME",
        help="Name or ID of the workflow. Not needed if batchrun.toml names it.",
        autocompletion=workflow_names,
        rich_help_panel=THE_LIST,
    ),
]
Sheet: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Sheet of the workbook. Without it, the first.",
        rich_help_panel=THE_LIST,
    ),
]
HeaderRow: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Line with the column names. Without it, batchrun finds it.",
        rich_help_panel=THE_LIST,
    ),
]
NoHeader: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-header",
        help="The list has no column names: its first line is a row.",
        rich_help_panel=THE_LIST,
    ),
]
VisibleOnly: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--visible-only",
        help="Leave out rows that are hidden or filtered out.",
        rich_help_panel=THE_LIST,
    ),
]
Encoding: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Encoding of a text file, such as utf-8, cp1251 or shift_jis. "
        "Without it, batchrun finds it.",
        rich_help_panel=THE_LIST,
    ),
]
Delimiter: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="What separates the fields of a text file: comma, semicolon, tab, bar, or any "
        "character. Without it, batchrun finds it.",
        rich_help_panel=THE_LIST,
    ),
]
Quoting: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="literal: quotes in a text file are text like any other character.",
        rich_help_panel=THE_LIST,
    ),
]
CompanyColumn: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column with the company IDs. Without it, batchrun finds it.",
        rich_help_panel=THE_LIST,
    ),
]
ContactColumn: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column with the contact IDs. Without it, batchrun finds it.",
        rich_help_panel=THE_LIST,
    ),
]
NoCompany: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-company", help="Send no company IDs, only contact IDs.", rich_help_panel=THE_LIST
    ),
]
NoContact: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-contact", help="Send no contact IDs, only company IDs.", rich_help_panel=THE_LIST
    ),
]
LenientIds: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--lenient-ids",
        help="Also send IDs that are not valid UUIDs but have their form.",
        rich_help_panel=THE_LIST,
    ),
]

SaveOptions: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--save-options",
        help="Save these options in batchrun.toml beside the list, for the next run.",
        rich_help_panel=THE_LIST,
    ),
]

# What is sent with each row

Param: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Send a parameter with every row: JSON or text. Repeatable.",
        rich_help_panel=PARAMETERS,
    ),
]
ParamColumn: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COL",
        help="Send a parameter from a column. Repeatable.",
        rich_help_panel=PARAMETERS,
    ),
]
Params: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="Send the parameters in this file with every row.",
        rich_help_panel=PARAMETERS,
    ),
]

# What is spent

Limit: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Trigger only the next N jobs, show the results, and ask about the rest.",
        rich_help_panel=SPENDING,
    ),
]
Yes: TypeAlias = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Don't ask for confirmation.", rich_help_panel=SPENDING),
]
Reuse: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="AGE",
        help="Reuse results up to this age, such as 30d, instead of paying again.",
        rich_help_panel=SPENDING,
    ),
]
Again: TypeAlias = Annotated[
    bool,
    typer.Option("--again", help="Run everything again (you pay again).", rich_help_panel=SPENDING),
]
Rate: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="N/min",
        help="Requests a minute, such as 120/min, or unlimited. [env: BATCHRUN_RATE]",
        rich_help_panel=SPENDING,
    ),
]
Daily: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Requests a day. [env: BATCHRUN_DAILY]",
        rich_help_panel=SPENDING,
    ),
]
Wait: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="When the day's quota is spent, wait for the next day instead of pausing.",
        rich_help_panel=SPENDING,
    ),
]
StopAfterFailures: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        help="Stop after N failures in a row, or N among the first 4 x N jobs; 0 for never. "
        "[default: 10] [env: BATCHRUN_STOP_AFTER_FAILURES]",
        rich_help_panel=SPENDING,
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=64,
        help="Processes on this machine that work on the batch. Only needed above 60,000 requests "
        "a minute. [default: 1] [env: BATCHRUN_WORKERS]",
        rich_help_panel=THE_BATCH,
    ),
]
Doubts: TypeAlias = Annotated[
    InDoubt | None,
    typer.Option(
        "--in-doubt",
        metavar="hold|retry|drop",
        help="For rows whose trigger may or may not have been accepted: leave them, send them "
        "again (you may pay twice), or give them up. Without it, batchrun asks.",
        rich_help_panel=SPENDING,
    ),
]

# Where and how results are written

Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File for the results: .xlsx, .csv, .jsonl or .parquet. Without it, "
        "NAME.results.xlsx beside the list.",
        rich_help_panel=OUTPUT,
    ),
]
Columns: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,…",
        help="Result columns to write, in this order; * matches anything. Repeatable.",
        rich_help_panel=OUTPUT,
    ),
]
Rename: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=TITLE",
        help="Title of a result column. Repeatable.",
        rich_help_panel=OUTPUT,
    ),
]
FlatDepth: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Turn nested results into columns up to N levels; deeper ones stay JSON.",
        rich_help_panel=OUTPUT,
    ),
]
CsvPlain: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--csv-plain",
        help="CSV for programs: no BOM, no protection against formulas.",
        rich_help_panel=OUTPUT,
    ),
]
RawText: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--raw-text",
        help="Keep the signs of Markdown in texts, such as ## and **.",
        rich_help_panel=OUTPUT,
    ),
]
For: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="WHOM",
        help="Workbook for operators (everything, the default) or for people you hand it to (no "
        "execution IDs, times, key paths or commands).",
        autocompletion=lambda: ["operators", "people"],
        rich_help_panel=OUTPUT,
    ),
]
Compare: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="BATCH|auto|off",
        help="Earlier batch of this workflow whose results to compare with, in the sheet Changes. "
        "Without it, the newest with a result for the same company or contact.",
        rich_help_panel=OUTPUT,
    ),
]
ForCrm: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="CRM",
        help="CSV to import into salesforce or hubspot.",
        autocompletion=lambda: ["hubspot", "salesforce"],
        rich_help_panel=OUTPUT,
    ),
]
WriteEvery: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Also write the results while the batch runs, such as every 30s, 5m or 1h.",
        rich_help_panel=OUTPUT,
    ),
]

# Service, keys, journal

ProfileName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Use this profile's saved key. [env: BATCHRUN_PROFILE]",
        rich_help_panel=SERVICE,
    ),
]
BaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Address of the service. [env: BATCHRUN_BASE_URL]",
        rich_help_panel=SERVICE,
    ),
]
JournalAt: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="PATH",
        help="Path or URL of the journal. [env: BATCHRUN_JOURNAL]",
        rich_help_panel=SERVICE,
    ),
]
Sandbox: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Practice with an imitation of PG:AI: no key, no cost.",
        rich_help_panel=SERVICE,
    ),
]
SandboxJournal: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Use the batches of demo and run --sandbox.",
        rich_help_panel=SERVICE,
    ),
]

# For scripts and schedulers

AsJson: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON document and nothing else.", rich_help_panel=AUTOMATION
    ),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print only the path of the results, at the end.",
        rich_help_panel=AUTOMATION,
    ),
]
LogFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--log-file",
        metavar="FILE",
        help="Log every event to this file, one JSON object a line. [env: BATCHRUN_LOG_FILE]",
        rich_help_panel=AUTOMATION,
    ),
]
NotifyCommand: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--notify-command",
        metavar="COMMAND",
        envvar="BATCHRUN_NOTIFY_COMMAND",
        show_envvar=False,
        help="Run this command when the batch ends or pauses. [env: BATCHRUN_NOTIFY_COMMAND]",
        rich_help_panel=AUTOMATION,
    ),
]
NotifyDesktop: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--notify",
        help="Show a desktop notification when the batch ends or pauses.",
        rich_help_panel=AUTOMATION,
    ),
]


def settings_from(
    *,
    base_url: str | None = None,
    journal: str | None = None,
    rate: str | None = None,
    daily: int | None = None,
    configuration: Configuration | None = None,
    **others: object,
) -> Settings:
    """The settings with a command's options over them.

    Args:
        base_url: As given.
        journal: As given.
        rate: As typed.
        daily: As given.
        configuration: What files say; ``None`` for the user's own.
        others: More of them by name; ``None`` for what was not given.

    Raises:
        UsageError: One of them can't be used.
    """
    from batchrun.settings import load_settings

    settings = load_settings(
        configuration, base_url=base_url, journal=journal, rate=_rate(rate), daily=daily, **others
    )
    _note_synchronised(settings)
    announce(settings)
    return settings


announced: set[str] = set()
"""Notices that this command has printed."""


def announce(settings: Settings) -> None:
    """Say what a ``.env`` file contributes, once in each command."""
    for notice in settings.notices:
        if notice not in announced:
            print_text(f"Note:      {notice}", err=True)
            announced.add(notice)


def settings_with_journal(*, sandbox: bool = False, **given: Any) -> Settings:
    """The settings of a command that needs a journal to be there: looking makes none.

    Args:
        sandbox: Whether to use the sandbox's journal.
        **given: As in `settings_from`.

    Raises:
        UsageError: A setting can't be used.
        NoBatchError: There is no journal.
    """
    settings = settings_to_look(sandbox=sandbox, **given)
    path = journal_path(settings)
    if path is not None and not path.exists():
        raise NoBatchError(
            f"There is no journal at {path}.",
            "To make one, run: batchrun demo"
            if sandbox
            else "The first batchrun run makes it. To use another one, add --journal.",
        )
    return settings


def settings_to_look(*, sandbox: bool = False, **given: Any) -> Settings:
    """The settings of a command that looks at batches; --journal wins over --sandbox.

    Args:
        sandbox: Whether to use the sandbox's journal.
        **given: As in `settings_from`.

    Raises:
        UsageError: A setting can't be used.
    """
    if not sandbox or given.get("journal") is not None:
        return settings_from(**given)
    from batchrun.settings import load_settings

    settings = load_settings(**given)
    announce(settings)
    return with_sandbox_journal(settings, None)


SANDBOX_SPEED = 60.0


@contextmanager
def sandbox_of(batch: BatchSummary) -> Iterator[dict[str, Any]]:
    """A sandbox in place of the one that a batch ran against; the settings to use it.

    Raises:
        UsageError: The batch did not run against a sandbox.
    """
    from batchrun.sandbox import SandboxSettings, running
    from batchrun.settings.location import is_loopback

    if not is_loopback(batch.base_url):
        raise UsageError(
            f"Batch {batch.batch_id} did not run in the sandbox.", "Leave --sandbox out."
        )
    settings = SandboxSettings(resumed_workflow=batch.workflow.id)
    from pydantic import SecretStr

    with running(settings, SANDBOX_SPEED, urlsplit(batch.base_url).port or 0) as url:
        yield {"base_url": url, "api_key": SecretStr("sandbox"), "speed": SANDBOX_SPEED}


def with_sandbox_journal(settings: Settings, typed: str | None) -> Settings:
    """The settings of a command with --sandbox; all of them take the same journal.

    Args:
        settings: As they were loaded.
        typed: What --journal says; ``None`` for nothing.
    """
    if typed is not None:
        return settings
    return settings.model_copy(update={"journal": sandbox_journal(settings)})


def sandbox_journal(settings: Settings) -> str:
    """Where batches of the sandbox are kept: beside those that cost, and never among them."""
    from batchrun.settings import default_journal

    path = journal_path(settings)
    if path is None or not path.name:
        path = default_journal()
    name = "sandbox.db" if path.name.casefold() != "sandbox.db" else "imitated.db"
    return str(path.with_name(name))


def sandbox_hint() -> str:
    """Where batches of the sandbox are seen, as a hint; ``""`` where there are none."""
    from batchrun import batches

    with suppress(BatchrunError):  # whatever is wrong with it, nobody has asked for it
        settings = settings_to_look(sandbox=True)
        if Path(settings.journal).exists() and batches(settings=settings):
            return "To list the batches of demo and run --sandbox: batchrun batches --sandbox"
    return ""


def age(text: str, option: str) -> timedelta:
    """An age as people write it: ``90d``, ``12w``, ``48h``.

    Raises:
        UsageError: It is none.
    """
    found = re.fullmatch(r"(\d{1,5})\s*([hdw])", text.strip().lower(), re.ASCII)
    if found is None:
        raise UsageError(f"{option} {text} is no age.", "Write it as 90d, 12w or 48h.")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def journal_path(settings: Settings) -> Path | None:
    """Where the journal's file is; ``None`` where it is a database server's."""
    from batchrun.settings.location import is_server

    return None if is_server(settings.journal) else Path(settings.journal).expanduser()


def _note_synchronised(settings: Settings) -> None:
    """Say it where the journal lies in a folder that something copies to other machines."""
    if "journal" not in settings.model_fields_set:
        return
    path = journal_path(settings)
    if path is None:
        return
    from batchrun.settings.location import synchronised_by

    service = synchronised_by(path.absolute())
    if service is not None:
        print_text(
            f"Note: the journal {path} lies in a folder of {service}, which may put back an older "
            "copy of it. Name one outside with --journal or BATCHRUN_JOURNAL.",
            err=True,
            whole=[str(path)],
        )


def _rate(text: str | None) -> object:
    from batchrun.settings import read_rate

    try:
        return read_rate(text)
    except ValueError:
        raise UsageError(
            f"--rate {text} is not a number of requests a minute.",
            "Write it as --rate 120, --rate 120/min or --rate unlimited.",
        ) from None


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 60.0}


@dataclass(frozen=True, slots=True)
class ColumnOptions:
    """Which result columns, and how they are written: the same wherever results are."""

    columns: Columns = None
    rename: Rename = None
    flat_depth: FlatDepth = None
    csv_plain: CsvPlain = False
    raw_text: RawText = False
    for_: For = None
    compare: Compare = None


def form_from(
    options: ColumnOptions,
    *,
    crm: str | None = None,
    write_every: str | None = None,
    defaults: ListDefaults | None = None,
    source: Path | str | None = None,
) -> Form:
    """The form that the options ask for.

    Args:
        options: As given.
        crm: As given.
        write_every: As given.
        defaults: What counts where the options say nothing.
        source: The list, which names the results.

    Raises:
        UsageError: One of them can't be used.
    """
    from batchrun.settings import ListDefaults
    from batchrun.workbook import Audience, Crm, Form

    usual = defaults or ListDefaults()
    every, said_by = write_every, "--write-every"
    if every is None:
        every, said_by = usual.write_every, "write_every in batchrun.toml"

    if crm is not None and crm.lower() not in set(Crm):
        raise UsageError(
            f"--crm {crm} is not known.", f"{did_you_mean(crm, Crm)}It can be {' or '.join(Crm)}."
        )
    audience = options.for_
    if audience is not None and audience.lower() not in set(Audience):
        raise UsageError(
            f"--for {audience} is not known.",
            f"{did_you_mean(audience, Audience)}It can be {' or '.join(Audience)}.",
        )
    wanted = Form(
        _names(options.columns or usual.columns),
        _titles(options.rename or ()),
        options.flat_depth or usual.flat_depth,
        options.csv_plain or usual.csv_plain,
        None if crm is None else Crm(crm.lower()),
        None if every is None else _seconds(every, said_by),
        None if source is None else usual.output_of(Path(source)),
        raw_text=options.raw_text,
        compare=options.compare,
        audience=None if audience is None else Audience(audience.lower()),
    )
    return wanted.over(Form(rename=usual.rename))


def _names(columns: Sequence[str]) -> Sequence[str] | None:
    """Dotted names, given one by one or with commas between; ``None`` for none."""
    return (
        tuple(name for given in columns for one in given.split(",") if (name := one.strip()))
        or None
    )


def _titles(rename: Sequence[str]) -> dict[str, str]:
    titles: dict[str, str] = {}
    for given in rename:
        name, equals, title = given.partition("=")
        if not (equals and name.strip() and title.strip()):
            raise UsageError(
                f"--rename {given} has no title.", "Write it as --rename outputs.fit_score=Fit."
            )
        titles[name.strip()] = title.strip()
    return titles


def _seconds(text: str, said_by: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)(?:in|ec)?", text.strip().lower())
    if found is None or not float(found[1]):
        raise UsageError(f"{said_by}: {text} is no time.", "Write it as 30s, 5m or 1h.")
    return float(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How a list is read, and what is sent with each row: the same for `check` and `run`."""

    sheet: Sheet = None
    header_row: HeaderRow = None
    no_header: NoHeader = False
    visible_only: VisibleOnly = False
    encoding: Encoding = None
    delimiter: Delimiter = None
    quoting: Quoting = None
    company_column: CompanyColumn = None
    contact_column: ContactColumn = None
    no_company: NoCompany = False
    no_contact: NoContact = False
    lenient_ids: LenientIds = False
    param: Param = None
    param_column: ParamColumn = None
    params: Params = None

    def given(self) -> dict[str, object]:
        """Those that were given, by their options."""
        each = {f"--{one.name.replace('_', '-')}": getattr(self, one.name) for one in fields(self)}
        return {option: value for option, value in each.items() if value}


def configuration_beside(file: Path) -> Configuration:
    """What the ``batchrun.toml`` beside a list and the user's own say."""
    from batchrun.settings import find_configuration

    return find_configuration(file)


def save_typed_options(
    file: Path, request: Request, columns: ColumnOptions, **others: object
) -> None:
    """Save what was typed in the batchrun.toml beside a list.

    Args:
        file: The list.
        request: How it is read and what is sent, without the defaults of files.
        columns: How results are written.
        **others: Further entries by name; ``None`` for what was not given.

    Raises:
        UsageError: An option can't be saved.
        OutputError: The file can't be written.
    """
    from batchrun.settings.files import save_options

    entries = {
        **{name: getattr(request, name) for name in READING},
        "columns": list(_names(columns.columns or ()) or ()),
        "rename": _titles(columns.rename or ()),
        "flat_depth": columns.flat_depth,
        "csv_plain": columns.csv_plain,
        **others,
    }
    path = save_options(file, {name: value for name, value in entries.items() if value})
    print_text(f"Saved:     {path}", err=True, whole=[str(path)])


def configuration_of(batch: BatchSummary) -> Configuration:
    """What the files say of the list that a batch was made of."""
    from batchrun.settings import find_configuration

    return find_configuration(None if batch.source.path is None else Path(batch.source.path))


def print_configuration(configuration: Configuration, settings: Settings) -> None:
    """Say which files count: what they hold may decide what is paid for."""
    for file in configuration.files:
        print_text(
            f"Using:     {file.path} ({', '.join(file.names)})", err=True, whole=[str(file.path)]
        )
    named = configuration.settings.get("profile")
    if named is not None and settings.profile == named:
        print_text(f"Note:      profile {named} pays, as batchrun.toml says", err=True)
    if named is not None and settings.profile != named:
        print_text(
            f"Note:      profile {named} of batchrun.toml is not used: "
            "the key comes from elsewhere (see: batchrun config)",
            err=True,
        )


READING = (
    *("workflow", "sheet", "header_row", "no_header", "visible_only", "encoding", "delimiter"),
    *("quoting", "company_column", "contact_column", "no_company", "no_contact", "lenient_ids"),
    *("parameters", "parameter_columns"),
)
"""Attributes of a request that a batchrun.toml may hold."""


def request_from(
    file: Path,
    workflow: str | None,
    options: ListOptions,
    reuse: timedelta | None,
    defaults: ListDefaults,
) -> Request:
    """The request that the options make, and the files where they say nothing.

    Raises:
        UsageError: One of them can't be used, or nothing names a workflow.
    """
    from batchrun import Request

    workflow = defaults.workflow if workflow is None else workflow
    if workflow is None:
        raise UsageError(
            "No workflow given.",
            'Add -w "Account Research". To list the workflows: batchrun workflows',
        )
    parameters = {} if options.params is None else read_parameters(options.params)
    for text in options.param or []:
        name, parameter = parse_parameter(text)
        parameters[name] = parameter
        if isinstance(parameter, str) and _BROKEN_JSON.fullmatch(parameter.strip()):
            print_text(
                f"Note:      --param {name} is sent as text, because it is not valid JSON. "
                'PowerShell and cmd remove quotes: write \\" for each, or use --params FILE.json',
                err=True,
            )
    return Request(
        file,
        workflow,
        options.sheet,
        options.company_column,
        options.contact_column,
        parameters,
        dict(_column_of(text) for text in options.param_column or []),
        header_row=options.header_row,
        no_header=options.no_header,
        no_company=options.no_company,
        no_contact=options.no_contact,
        visible_only=options.visible_only,
        encoding=options.encoding,
        delimiter=options.delimiter,
        quoting=options.quoting,
        lenient_ids=options.lenient_ids,
        ask=ask_if_somebody_is_here(),
        reuse=reuse,
    ).over(defaults)


def _column_of(text: str) -> tuple[str, str]:
    """A parameter's name and the column it comes from."""
    name, equals, column = text.partition("=")
    if not (equals and name.strip() and column):
        raise UsageError(
            f"--param-column {text} has no column.", "Write it as --param-column focus=Focus."
        )
    return name.strip(), column


_BROKEN_JSON = re.compile(r"'?[{\[].*|.*[}\]]'?", re.DOTALL)
"""Text that was meant as an object or a list."""


def parse_parameter(text: str) -> tuple[str, JSON]:
    """Read ``name=value``: JSON where the value is JSON, else text.

    Raises:
        UsageError: There is no ``=`` or no name before it.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(
            f"The parameter {text} has no value.", "Write it as --param depth=comprehensive."
        )
    try:
        return name.strip(), json.loads(value, parse_constant=_refuse_constant)
    except ValueError:
        return name.strip(), value


def read_parameters(path: Path) -> dict[str, JSON]:
    """Read parameters for all rows from a JSON file that holds one object.

    Raises:
        UsageError: It can't be read, or is not an object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as error:
        raise UsageError(
            f"The parameter file {path} can't be read: {error.strerror}.",
            "Check the name given with --params.",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"The parameter file {path} is not JSON: {error}.",
            'Write it as {"depth": "comprehensive"}.',
        ) from error
    if not isinstance(found, dict):
        raise UsageError(
            f"The parameter file {path} does not hold an object.",
            'Write it as {"depth": "comprehensive"}.',
        )
    return found


def _refuse_constant(name: str) -> JSON:
    raise ValueError(name)  # NaN and Infinity are words, not JSON


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the fields of each of its groups as options of their own, in their place.

    A group is a parameter whose type is a dataclass; its fields are annotated as parameters of a
    command are, and have defaults.
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
    # What typer reads of a command: its signature, and its annotations.
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
