"""`resume --all`: continue every unfinished batch, for a scheduler."""

from __future__ import annotations

import sys
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
    KeyRefusedError,
    ServiceError,
    StoppedError,
    TakenOverError,
    UsageError,
)
from batchrun.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchrun.engine import Ending
    from batchrun.model import BatchSummary
    from batchrun.settings import Configuration, Settings

    Configured: TypeAlias = tuple[Configuration, Settings]
    Account: TypeAlias = tuple[str, str | None]
    """Address of the service, and profile or ``None``."""
    Scope: TypeAlias = Account | str
    """The batches to stop: those of an account, those at an address, or all."""

_BY_WEIGHT = (
    ExitCode.COMPLETED,
    ExitCode.INCOMPLETE,
    ExitCode.PAUSED,
    ExitCode.UNUSABLE,
    ExitCode.KEY_REFUSED,
    ExitCode.UNEXPECTED,
)
"""From least to most serious: a problem that needs a person outweighs one that needs time."""


_ALL = "all batches"


def resume_all(
    settings: Settings,
    for_one: Mapping[str, object],
    configured: Callable[[BatchSummary], Configured],
    continue_batch_of: Callable[[BatchSummary, Configured], None],
    *,
    to_stderr: bool,
) -> None:
    """Continue each unfinished batch, and end with the most serious exit code.

    A spent quota or a refused key also stops the other batches with the same key, an unreachable
    service those at the same service, and Ctrl-C all. A batch held by another process is skipped,
    and so is one with jobs that nobody has confirmed.

    Raises:
        UsageError: An option in ``for_one`` was given.
    """
    from batchrun import batches, status
    from batchrun.settings.location import shown

    useless = [name for name, value in for_one.items() if value is not None]
    if useless:
        raise UsageError(
            f"--all continues every batch, and {', '.join(useless)} is for one.", "Leave it out."
        )
    left = batches(unfinished=True, settings=settings)[::-1]  # oldest first
    if not left:
        place = shown(settings.journal)
        print_text(f"Nothing left to do in the journal {place}.", err=to_stderr, whole=[place])
    one_by_one = _Round(configured, continue_batch_of, to_stderr=to_stderr)
    for summary in left:
        if jobs := status(summary.batch_id, settings=settings).to_confirm:
            print_text(
                f"Not resumed: batch {summary.batch_id} ({summary.source.name}): nobody has "
                f"confirmed its other {plural(jobs, 'job')}. "
                f"To run the rest: batchrun resume {summary.batch_id}",
                err=to_stderr,
            )
        else:
            one_by_one.take(summary)
    for why, waiting in one_by_one.waiting.items():
        print_text(f"Not resumed now: {', '.join(waiting)}{why}", err=True)
    raise typer.Exit(max(one_by_one.codes, key=_BY_WEIGHT.index))


class _Round:
    """One pass through the batches."""

    def __init__(
        self,
        configured: Callable[[BatchSummary], Configured],
        continue_batch_of: Callable[[BatchSummary, Configured], None],
        *,
        to_stderr: bool,
    ) -> None:
        self._to_stderr = to_stderr
        self._configured = configured
        self._continue_batch_of = continue_batch_of
        self._stopped: dict[Scope, str] = {}
        self.codes = [ExitCode.COMPLETED]
        self.waiting: dict[str, list[str]] = {}

    def take(self, summary: BatchSummary) -> None:
        """Continue a batch, unless an earlier batch's ending also stops this one."""
        from batchrun.settings import account_of, for_batch

        try:
            found = self._configured(summary)
            account = account_of(for_batch(found[1], summary))
        except Exception as error:  # a problem with one list's file must not stop the others
            self.codes.append(
                report_batch_error(error, summary.batch_id, sys.argv[1:], HiddenMessages())[0]
            )
            return
        scopes: tuple[Scope, ...] = (_ALL, account[0], account)
        why = next((self._stopped[scope] for scope in scopes if scope in self._stopped), None)
        if why is not None:
            self.waiting.setdefault(why, []).append(summary.batch_id)
            self.codes.append(ExitCode.PAUSED)
            return
        code, why_ended = self._continue(summary, found)
        self.codes.append(code)
        self._stopped |= _stopped_by(why_ended, account, summary.batch_id)

    def _continue(
        self, summary: BatchSummary, found: Configured
    ) -> tuple[ExitCode, Ending | BatchrunError]:
        """Continue a batch; return its exit code and why it ended."""
        from batchrun.engine import Ending

        unseen, typed = HiddenMessages(), sys.argv[1:]
        begin_log_block(f"Batch {summary.batch_id}", err=self._to_stderr, always=True)
        try:
            with unseen.listening():
                self._continue_batch_of(summary, found)
        except BatchExit as ended:
            return ExitCode(ended.exit_code), (
                Ending.INTERRUPTED if ended.stopped else ended.ending
            )
        except (KeyboardInterrupt, typer.Abort):  # between two batches
            return report_batch_error(StoppedError("Stopped."), summary.batch_id, typed, unseen)
        except Exception as error:  # one batch must not stop the others
            return report_batch_error(error, summary.batch_id, typed, unseen)
        return ExitCode.COMPLETED, Ending.FINISHED


def _stopped_by(why: Ending | BatchrunError, account: Account, batch_id: str) -> dict[Scope, str]:
    """Return the other batches that a batch's ending stops, with the reason; ``{}`` for none."""
    from batchrun.engine import Ending

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
