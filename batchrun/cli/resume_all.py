"""`resume --all`: continue every unfinished batch, for a scheduler."""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, assert_never

import typer

from batchrun.cli.errors import HiddenMessages, report_batch_error
from batchrun.cli.messages import BatchExit
from batchrun.cli.output import begin_log_block, print_text
from batchrun.errors import (
    BatchrunError,
    ExitCode,
    HeldError,
    JournalError,
    JournalWriteError,
    KeyRefusedError,
    ServiceError,
    StoppedError,
    TakenOverError,
)
from batchrun.model import Outcome
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchrun.batch.history import BatchStatus
    from batchrun.engine.engine import Ending
    from batchrun.model import BatchSummary, InDoubt
    from batchrun.settings.files import Configuration
    from batchrun.settings.model import Settings

    Configured: TypeAlias = tuple[Configuration, Settings]
    Account: TypeAlias = tuple[str, str | None]
    """Address of the service, and profile or ``None``."""
    Scope: TypeAlias = Account | str
    """The batches to stop: those of an account, those at an address, or all."""

_BY_WEIGHT = (
    ExitCode.COMPLETED,
    ExitCode.PAUSED,
    ExitCode.INCOMPLETE,
    ExitCode.UNUSABLE,
    ExitCode.KEY_REFUSED,
    ExitCode.UNEXPECTED,
)
"""From least to most serious: a problem that needs a person outweighs one that needs time."""

_REPORTED_FOR = timedelta(days=1)
"""How long after its last change a batch that waits for confirmation makes the exit code 3."""

_ALL = "all batches"


def resume_all(
    settings: Settings,
    configured: Callable[[BatchSummary], Configured],
    resume_batch: Callable[..., None],
    in_doubt: InDoubt | None,
    *,
    to_stderr: bool,
) -> None:
    """Continue each unfinished batch, and end with the most serious exit code.

    A spent quota or a refused key also stops the other batches with the same key, an unreachable
    service those at the same service, and Ctrl-C all. A batch held by another process is skipped,
    and so is a practice batch if the settings name no practice service. Jobs that nobody has
    confirmed are not sent, nor those that another batch has sent since; of a batch with such jobs,
    none in doubt is sent again.
    """
    from batchrun import batches
    from batchrun.engine.engine import Ending
    from batchrun.settings.credentials import account_of, for_batch
    from batchrun.settings.location import shown

    # A missing default journal counts as no batches. As a named one, it is an error.
    named = settings.model_copy(update={"journal": settings.journal})
    left = batches(unfinished=True, settings=named)[::-1]  # oldest first
    if not left:
        begin_log_block("resume --all", err=to_stderr)
        place = shown(settings.journal)
        print_text(f"Nothing left to do in the journal {place}.", err=to_stderr, whole=[place])
    codes: list[ExitCode] = [ExitCode.COMPLETED]
    stopped: dict[Scope, str] = {}
    waiting = defaultdict[str, list[str]](list)
    for summary in left:
        batch_id = summary.batch_id
        why, before, only = _held_back(summary, settings, in_doubt)
        if why:
            rest = before is not None and before.left.to_trigger > 0
            what = f"batch {batch_id} ({summary.source.name}): {why}"
            label = "Rest not sent" if rest else "Not resumed"
            print_text(f"{label}: {what}: batchrun resume {batch_id}", err=to_stderr)
            changed = datetime.now(UTC) - summary.updated_at
            if rest and (summary.confirmed or changed < _REPORTED_FOR):
                codes.append(ExitCode.INCOMPLETE)
            runs = before and (before.left.running or summary.counts[Outcome.TIMED_OUT])
            if not (runs or only):
                continue  # else their results are collected
        try:
            found = configured(summary)
            account = account_of(for_batch(found[1], summary))
        except Exception as error:  # a problem with one list's file must not stop the others
            codes.append(report_batch_error(error, batch_id, sys.argv[1:], HiddenMessages())[0])
            continue
        scopes: tuple[Scope, ...] = (_ALL, account[0], account)
        same = next((stopped[scope] for scope in scopes if scope in stopped), None)
        if same is not None:
            waiting[same].append(batch_id)
            codes.append(ExitCode.PAUSED)
            continue
        begin_log_block(f"Batch {batch_id}", err=to_stderr, always=True)
        code, ended = _resumed(partial(resume_batch, before, found, only=only), batch_id)
        if isinstance(ended, ServiceError | JournalWriteError) or ended is Ending.UNREACHABLE:
            code = ExitCode.INCOMPLETE  # it may fail the next night, too
        codes.append(code)
        stopped |= _stopped_by(ended, account, batch_id)
    for same, batch_ids in waiting.items():
        print_text(f"Not resumed now: {', '.join(batch_ids)}{same}", err=True)
    raise typer.Exit(max(codes, key=_BY_WEIGHT.index))


def _held_back(
    summary: BatchSummary, settings: Settings, in_doubt: InDoubt | None
) -> tuple[str, BatchStatus | None, list[int] | None]:
    """Return why jobs of a batch are not sent (``""`` if all are), its state, and which are.

    The last is ``None`` if all are sent, also those in doubt if ``in_doubt`` says so.
    """
    from batchrun import status
    from batchrun.batch.history import jobs_to_send
    from batchrun.cli.messages import sent_elsewhere_words
    from batchrun.settings.credentials import address_of
    from batchrun.settings.location import is_loopback

    if summary.practice and not is_loopback(address_of(settings)):
        return f"it ran in the sandbox at {summary.base_url}. To continue it", None, []
    now = status(summary.batch_id, settings=settings)
    if now.to_confirm:
        jobs = plural(now.to_confirm, "job")
        why = f"nobody has confirmed the rest ({jobs}). {summary.note}".strip()
        return f"{why} To run the rest", now, []
    to_send = jobs_to_send(now, None, in_doubt, settings)
    others = list(filter(None, to_send.values()))
    if not others:
        return "", now, None
    why = sent_elsewhere_words(len(others), len(to_send), summary, others)
    return f"{why} To run the rest", now, [job for job, sent in to_send.items() if not sent]


def _resumed(resume: Callable[[], None], batch_id: str) -> tuple[ExitCode, Ending | BatchrunError]:
    """Continue a batch; return its exit code and why it ended."""
    from batchrun.engine.engine import Ending

    unseen, typed = HiddenMessages(), sys.argv[1:]
    try:
        with unseen.listening():
            resume()
    except BatchExit as ended:
        return ExitCode(ended.exit_code), Ending.INTERRUPTED if ended.stopped else ended.ending
    except (KeyboardInterrupt, typer.Abort):  # between two batches
        return report_batch_error(StoppedError("Stopped."), batch_id, typed, unseen)
    except Exception as error:  # one batch must not stop the others
        return report_batch_error(error, batch_id, typed, unseen)
    return ExitCode.COMPLETED, Ending.FINISHED


def _stopped_by(why: Ending | BatchrunError, account: Account, batch_id: str) -> dict[Scope, str]:
    """Return the other batches that a batch's ending stops, with the reason; ``{}`` for none."""
    from batchrun.engine.engine import Ending

    match why:
        case Ending.INTERRUPTED | StoppedError():
            return {_ALL: ""}
        case HeldError() | TakenOverError():
            return {}
        case JournalError() if why.exit_code is ExitCode.PAUSED:  # all batches use it
            return {_ALL: ""}
        case Ending.QUOTA | KeyRefusedError():
            return {account: f" (the same key as {batch_id})"}
        case Ending.UNREACHABLE | ServiceError():
            return {account[0]: f" (the same service as {batch_id})"}
        case (
            Ending.FINISHED
            | Ending.LIMIT
            | Ending.FAILURES
            | Ending.SELECTION_DONE
            | Ending.DETACHED
            | BatchrunError()
        ):
            return {}
        case _:
            assert_never(why)
