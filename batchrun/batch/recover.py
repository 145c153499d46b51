"""Prepare a batch to continue: recover what a dead process left, and ask the user to decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from batchrun.advice import Action, Advice
from batchrun.errors import UsageError
from batchrun.model import InDoubt
from batchrun.settings.consent import (
    Consent,
    ConsentRequest,
    agree,
    has_agreed,
    require_agreed_address,
)
from batchrun.settings.credentials import find_credentials, profile_of
from batchrun.settings.location import is_loopback, service_of
from batchrun.settings.model import KEY_VARIABLE, Settings
from batchrun.text import quoted_command
from batchrun.workbook.marks import signature_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchrun.batch.pipeline import RunOptions
    from batchrun.journal import BatchJobs, Journal
    from batchrun.model import BatchSummary, Decide


def require_same_service(batch_id: str, own: str, given: str) -> None:
    """Raise `UsageError` unless a batch continues at the service where it was started."""
    if service_of(own) == service_of(given):
        return
    hint = Advice(
        "",
        "Leave out --base-url, BATCHRUN_BASE_URL and base_url in batchrun.toml to use that one.",
        Action.CHECK_ADDRESS,
    )
    if is_loopback(own):
        hint = Advice(
            "That was a sandbox on this machine", f": batchrun resume {batch_id} --sandbox"
        )
    raise UsageError(f"Batch {batch_id} belongs to {own}, not to {given}.", hint)


def require_same_key(earlier: BatchSummary, profile: str | None) -> None:
    """Raise `UsageError` if a list's batch was started with a profile, and now has another key."""
    if earlier.profile in {None, profile}:
        return
    payer = "the key in PGAI_API_KEY" if profile is None else f"profile {profile}"
    raise UsageError(
        f"Batch {earlier.batch_id} of this list was started with profile {earlier.profile} and "
        f"isn't finished, and now {payer} would pay for it. Nothing was triggered.",
        Advice(
            "",
            f"Resume with: batchrun resume {earlier.batch_id}. "
            "To trigger it all once more for this key, add --again.",
            Action.RESUME,
        ),
    )


def key_replaced_by(journal: Journal, batch: BatchSummary, key: str, profile: str | None) -> str:
    """Return the source of the key in use if another key started the batch, else ``""``.

    Another key is not an error: the user may have replaced a key by another one of the same
    workspace, for example with `login` to the same profile.
    """
    if journal.started_with_key_hash(batch.batch_id) in {"", journal.key_hash(key)}:
        return ""
    return "PGAI_API_KEY" if profile is None else f"profile {profile}"


def needed_consents(
    journal: Journal, batch: BatchSummary, key: str, output: Path | None
) -> Iterator[ConsentRequest]:
    """Yield what a person must agree to before a batch continues.

    The journal may have come from somebody else. A batch needs no consent if it was started with
    the key in use and this machine has written its results before.
    """
    key_hash = journal.started_with_key_hash(batch.batch_id)
    begun_with = key_hash or f"of batch {batch.batch_id}"
    if key_hash != journal.key_hash(key) and not has_agreed(Consent.KEY, begun_with):
        yield ConsentRequest(
            Consent.KEY,
            begun_with,
            f"Batch {batch.batch_id} was started with a key that this machine has never used.",
            f"Pay for its {batch.workflow.name} with your key?",
        )
    target = batch.target or batch.output
    if output is not None or target is None or has_agreed(Consent.OUTPUT, target):
        return
    folder, path = Path(target).absolute().parent.resolve(), batch.source.path
    known = [Path.cwd()] if path is None else [Path.cwd(), Path(path).absolute().parent]
    is_known = any(folder.is_relative_to(each.resolve()) for each in known)
    if not is_known or (Path(target).exists() and not _is_workbook_of(target, batch.batch_id)):
        yield ConsentRequest(
            Consent.OUTPUT,
            target,
            f"The journal says that the results of batch {batch.batch_id} go to "
            f"{Path(target).absolute()}, which this machine has never written.",
            "Write them there?",
        )


def _is_workbook_of(target: str, batch_id: str) -> bool:
    """Return whether a file has older results of this batch, and so may be replaced."""
    signature = signature_of(Path(target))
    return signature is not None and signature.batch_id == batch_id


def consent_refused(request: ConsentRequest, batch_id: str) -> UsageError:
    """Return the error for a missing consent if nobody can be asked."""
    other = ", choose a place with -o" if request.kind is Consent.OUTPUT else ""
    return UsageError(
        f"{request.what} Nothing was triggered.",
        f"If that is right, resume it once at a terminal{other}, or call "
        f"batchrun.resume with trusted=True: {quoted_command('batchrun', 'resume', batch_id)}",
    )


def require_consent(
    journal: Journal,
    batch: BatchSummary,
    key: str,
    output: Path | None,
    *,
    trusted: bool = False,
) -> None:
    """Raise `UsageError` unless a person has agreed to everything in `needed_consents`."""
    for request in needed_consents(journal, batch, key, output):
        if not trusted:
            raise consent_refused(request, batch.batch_id)
        agree(request.kind, request.value)


def require_key(journal: Journal, summary: BatchSummary, settings: Settings) -> None:
    """Raise `UsageError` unless the key in use is the batch's, and may be sent to its address."""
    credentials, stored = find_credentials(settings), profile_of(settings)
    if journal.started_with_key_hash(summary.batch_id) != journal.key_hash(credentials.key):
        raise UsageError(
            f"Batch {summary.batch_id} was started with another key than this worker has. "
            "Nothing was triggered.",
            Advice(
                "",
                f"Set that key in {KEY_VARIABLE}, or save it with batchrun login.",
                Action.LOG_IN,
            ),
        )
    # The journal may come from somebody else: it must not decide where the key is sent.
    if stored is None or service_of(stored.base_url) != service_of(credentials.base_url):
        require_agreed_address(settings, credentials.base_url)


async def prepare_batch(
    journal: Journal, jobs: BatchJobs, options: RunOptions
) -> frozenset[int] | None:
    """Recover a batch that this process holds, so that work on it can start.

    Returns:
        Numbers of the jobs that may be triggered; ``None`` for all pending ones. With ``retry`` or
        ``again``, the user has confirmed only those jobs, and those in ``only``.

    Raises:
        UsageError: A job in ``options.again`` has been sent again since the user decided.
    """
    await jobs.recover()
    whole = not options.retry and not options.again and options.only is None
    before = frozenset() if whole else jobs.pending_numbers()
    await jobs.again(options.again)
    if options.retry:
        await jobs.retry(options.retry)
    await jobs.repoll_timed_out()  # last: some of its jobs may be among those the user sends again
    await _settle_doubts(journal, jobs, options.decide)
    if whole:
        return None
    after = jobs.pending_numbers()
    return (after - before) | after.intersection(options.only or ())


async def _settle_doubts(journal: Journal, jobs: BatchJobs, decide: str | Decide) -> None:
    undecided = journal.undecided(jobs.batch_id)
    if not undecided:
        return
    match decide(undecided) if callable(decide) else InDoubt(decide):
        case InDoubt.HOLD:
            pass
        case InDoubt.RETRY:
            await jobs.retry_doubts()
        case InDoubt.DROP:
            await jobs.drop_doubts()
        case never:
            assert_never(never)
