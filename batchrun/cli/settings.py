"""Load the settings of a command: its options, files and the environment, or a sandbox's."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from batchrun.cli.options import refuse_together
from batchrun.cli.output import print_text
from batchrun.errors import BatchrunError, UsageError
from batchrun.text import quoted_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchrun.model import BatchSummary
    from batchrun.settings.files import Configuration
    from batchrun.settings.model import Settings


announced: set[str] = set()
"""Notices that this command has already printed."""


def settings_from(
    *,
    sandbox: bool = False,
    journal: str | None = None,
    rate: str | None = None,
    configuration: Configuration | None = None,
    **others: object,
) -> Settings:
    """Load the settings of a command; ``None`` stands for an option that was not given.

    The sandbox's batches are in a separate journal, unless --journal names one.

    Raises:
        UsageError: A setting can't be used.
    """
    from batchrun.settings.loading import load_settings

    settings = load_settings(configuration, journal=journal, rate=_rate(rate), **others)
    for notice in settings.notices:
        if notice not in announced:
            print_text(f"Note:      {notice}", err=True)
            announced.add(notice)
    if sandbox and journal is None:
        return settings.model_copy(update={"journal": sandbox_journal(settings)})
    _note_synchronised(settings)
    return settings


@contextmanager
def settings_or_sandbox(sandbox: bool, **given: Any) -> Iterator[Settings]:
    """Yield the settings of a command that uses the service, or a sandbox during the block.

    Raises:
        UsageError: An option can't be used, or names another service although ``sandbox`` is set.
    """
    options = {"--base-url": given.get("base_url"), "--profile": given.get("profile")}
    if sandbox:
        refuse_together({"--sandbox": sandbox, **options})
    settings = settings_from(sandbox=sandbox, **given)
    with sandbox_for(None, settings, wanted=sandbox) as chosen:
        yield chosen


@contextmanager
def sandbox_for(
    batch: BatchSummary | None, settings: Settings, *, wanted: bool
) -> Iterator[Settings]:
    """Yield the settings to start or continue a batch, in a sandbox if ``wanted``.

    Raises:
        UsageError: The batch did not run in a sandbox.
    """
    if not wanted:
        yield settings
        return
    from pydantic import SecretStr

    from batchrun.sandbox import server
    from batchrun.settings.location import is_loopback, is_practice

    how: dict[str, Any] = {"again": batch is not None and not batch.unfinished}
    if batch is not None and not is_practice(batch.base_url):
        if not is_loopback(batch.base_url):
            raise UsageError(
                f"Batch {batch.batch_id} did not run in the sandbox.", "Leave --sandbox out."
            )
        at = urlsplit(batch.base_url)
        how |= {"port": at.port or 0, "path": at.path}
    with server.practice(server.PRACTICE_SPEED, **how) as url:
        key, speed = SecretStr("sandbox"), server.PRACTICE_SPEED
        replaced = {"base_url": url, "api_key": key, "profile": None, "speed": speed}
        yield settings.model_copy(update=replaced)


def replaceable_results(settings: Settings, source: Path, *, sandbox: bool) -> Path | None:
    """Return the workbook of a list's last practice run, if the next run may replace it.

    Practice costs nothing, so its results may be replaced. A workbook that was changed since it was
    written, such as one with marked rows, is kept.
    """
    from batchrun import batches
    from batchrun.batch.export import is_as_written
    from batchrun.workbook import results_path

    if not sandbox:
        settings = settings.model_copy(update={"journal": sandbox_journal(settings)})
    path, wanted = journal_path(settings), str(source.absolute())
    known: list[BatchSummary] = []
    with suppress(BatchrunError):  # a broken practice journal must not stop other runs
        known = [] if path is not None and not path.exists() else batches(settings=settings)
    last = next((batch for batch in known if batch.source.path == wanted), None)
    if last is None or last.output is None or (sandbox and last.unfinished):
        return None
    if not sandbox and Path(last.output) != results_path(source.absolute()):
        return None  # the next run writes to the default path, which practice did not use
    written = Path(last.output)
    is_workbook = written.suffix.lower() == ".xlsx"
    return written if is_workbook and is_as_written(written, last.batch_id) else None


def sandbox_journal(settings: Settings) -> str:
    """Return the path of the sandbox's journal, beside the real one."""
    from batchrun.settings.location import SANDBOX_JOURNALS
    from batchrun.settings.model import default_journal

    path = journal_path(settings)
    if path is None or not path.name:
        path = default_journal()
    usual, other = SANDBOX_JOURNALS
    return str(path.with_name(usual if path.name.casefold() != usual else other))


def sandbox_hint(typed: Sequence[str] = ("batches",), named: Sequence[str] | None = None) -> str:
    """Return a hint to repeat a command for the sandbox's batches; ``""`` if there are none.

    With ``named``, one of these words must be the ID of such a batch, or a workbook of its results.
    """
    from batchrun import Rerun, batches

    with suppress(BatchrunError):  # a broken sandbox journal is not worth an error here
        settings = settings_from(sandbox=True)
        found = batches(settings=settings) if Path(settings.journal).exists() else []
        known = {batch.batch_id for batch in found}
        if known if named is None else known & {Rerun.batch_of(word) or word for word in named}:
            command = quoted_command("batchrun", *typed, "--sandbox")
            return f"For practice batches, add --sandbox: {command}"
    return ""


def journal_path(settings: Settings) -> Path | None:
    """Return the journal's path; ``None`` if it is on a database server."""
    from batchrun.settings.location import is_server

    return None if is_server(settings.journal) else Path(settings.journal).expanduser()


def _note_synchronised(settings: Settings) -> None:
    """Print a note if the journal is in a folder that a service copies to other machines."""
    if "journal" not in settings.model_fields_set:
        return
    path = journal_path(settings)
    if path is None:
        return
    from batchrun.settings.location import synchronised_by

    service = synchronised_by(path.absolute())
    if service is not None:
        print_text(
            f"Note: the journal {path} is in a folder of {service}, which may restore an older "
            "copy of it. Name one outside with --journal or BATCHRUN_JOURNAL.",
            err=True,
            whole=[str(path)],
        )


def _rate(text: str | None) -> object:
    from batchrun.settings.model import read_rate

    try:
        return read_rate(text)
    except ValueError:
        raise UsageError(
            f"--rate {text} is not a number of requests a minute.",
            "Write it as --rate 120, --rate 120/min or --rate unlimited.",
        ) from None


def configuration_of(batch: BatchSummary) -> Configuration:
    """Return the configuration for the list of a batch."""
    from batchrun.settings.files import find_configuration

    return find_configuration(None if batch.source.path is None else Path(batch.source.path))


def print_configuration(configuration: Configuration, settings: Settings) -> None:
    """Print which files are used: they may decide what is paid for."""
    for file in configuration.files:
        print_text(
            f"Using:     {file.path} ({', '.join(file.names)})", err=True, whole=[str(file.path)]
        )
    named = configuration.settings.get("profile")
    if named is not None and settings.profile != named:
        print_text(
            f"Note:      profile {named} of batchrun.toml is not used: "
            "the key comes from elsewhere (see: batchrun config)",
            err=True,
        )
