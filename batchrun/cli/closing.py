"""How a batch ended: the last lines on the screen, and what others are told of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import typer

from batchrun.cli.columns import unknown_to_results
from batchrun.cli.costs import opens_words
from batchrun.cli.notice import Notice
from batchrun.cli.spelling import spelled
from batchrun.cli.stopping import SANDBOX_GONE
from batchrun.cli.telling import Whole, tell, tell_all, tell_as_it_is
from batchrun.errors import BatchrunError, ExitCode
from batchrun.model import Outcome

if TYPE_CHECKING:
    from batchrun.report import Report
    from batchrun.settings import Settings

IN_SANDBOX = " --sandbox"
"""The option by which a later command finds the batches of the sandbox."""


class BatchExit(typer.Exit):
    """The end of the command as its batch ended.

    Args:
        report: How the batch ended.
        stopped: Whether somebody has stopped it.

    Attributes:
        ending: Why the batch ended.
        stopped: Whether somebody has stopped it.
    """

    def __init__(self, report: Report, *, stopped: bool) -> None:
        super().__init__(report.exit_code)
        self.ending = report.ending
        self.stopped = stopped


def end(
    report: Report,
    settings: Settings,
    where: str,
    *,
    as_json: bool,
    quiet: bool,
    sandbox: bool,
    stopped: bool,
) -> NoReturn:
    """Tell how a batch ended, and end the command so; the workbook's path is the last line.

    Args:
        report: How it ended.
        settings: Which journal it is in.
        where: The option by which a later command finds that; ``""`` for none.
        as_json: One JSON document instead of lines.
        quiet: Nothing but the workbook's path.
        sandbox: Whether the service was imitated, and is gone now.
        stopped: Whether somebody has stopped it.

    Raises:
        BatchExit: Always.
    """
    from batchrun.cli import wording

    if as_json:
        resume_at = None if report.resume_at is None else report.resume_at.isoformat()
        ending = {"exit_code": int(report.exit_code), "resume_at": resume_at}
        tell_as_it_is(json.dumps(wording.summary_json(report.summary) | ending))
        raise BatchExit(report, stopped=stopped)
    if not quiet:
        tell_all(["", *_lines(report, settings, where, sandbox=sandbox)])
    if report.output is not None:
        tell_as_it_is(str(report.output)) if quiet else tell(Whole(f"Workbook:  {report.output}"))
    raise BatchExit(report, stopped=stopped)


def _lines(report: Report, settings: Settings, where: str, *, sandbox: bool) -> list[str]:
    from batchrun import status
    from batchrun.cli import wording

    summary, running = report.summary, 0
    if summary.unfinished:
        running = status(summary.batch_id, settings=settings).left.running_rows
    lines = [
        f"Batch:     {summary.batch_id}",
        f"Rows:      {wording.counts(summary, running)}",
        *wording.effort_lines(report, running),
    ]
    if summary.note:
        lines.append(f"Note:      {summary.note}")
    lines += unknown_to_results(summary.batch_id, None, settings)
    if report.resume_at is not None:
        lines.append(f"Opens:     {opens_words(report.resume_at, datetime.now(UTC))}")
    if why := why_beside(report):
        lines.append(f"Note:      {why}")
    if sandbox and summary.unfinished:
        lines.append(f"Go on:     {SANDBOX_GONE}")
    elif summary.unfinished:
        lines.append(Whole(f"Go on:     batchrun resume {summary.batch_id}{where}"))
    elif summary.counts[Outcome.IN_DOUBT] and not sandbox:
        lines.append(
            Whole(f"Settle:    batchrun resume {summary.batch_id} --in-doubt retry|drop{where}")
        )
    if where:
        lines.append(Whole(f"See it:    batchrun status {summary.batch_id}{where}"))
    return lines


def why_beside(report: Report) -> str:
    """Why the workbook has a number in its name; ``""`` where it has none."""
    if report.held_open is not None:
        return (
            f"{report.held_open.name} is open in another program, so the results are in "
            "another file beside it."
        )
    path = report.output
    numbered = None if path is None else re.fullmatch(r"(.+) \(\d+\)", path.stem)
    if path is None or numbered is None:
        return ""
    usual = path.with_stem(numbered[1])
    return f"{usual.name} was there before and is left as it is." if usual.exists() else ""


def named_journal(settings: Settings, typed: str | None, *, sandbox: bool = False) -> str:
    """The option by which a later command finds this journal; ``""`` where it needs none.

    Args:
        settings: Which journal.
        typed: What --journal says; ``None`` for nothing.
        sandbox: Whether --sandbox is given.
    """
    from batchrun.settings.location import shown

    if typed is None:
        return IN_SANDBOX if sandbox else ""
    place = shown(settings.journal)  # without a server's password
    quoted = subprocess.list2cmdline([place]) if os.name == "nt" else shlex.quote(place)
    return f" --journal {quoted}"


def notice_of(report: Report) -> Notice:
    """What others are told of a batch that ended or paused."""
    from batchrun.cli import wording

    summary, code = report.summary, report.exit_code
    note = f"; {summary.note}" if summary.note else ""
    return Notice(
        summary.batch_id,
        _word(code),
        int(code),
        f"{summary.source.name}: rows {wording.counts(summary)}{note}",
        "" if report.output is None else str(report.output),
    )


def notice_of_error(batch_id: str, error: BatchrunError) -> Notice:
    """What others are told of a batch that something broke off."""
    code = error.exit_code
    return Notice(
        batch_id, _word(code), int(code), f"batch {batch_id}: {spelled(error.marked_what)}"
    )


def _word(code: ExitCode) -> str:
    return code.name.lower().replace("_", " ")
