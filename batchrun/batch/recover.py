"""What comes first when a batch goes on: what a dead process left, what the user decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from batchrun.errors import UsageError
from batchrun.model import InDoubt
from batchrun.settings import service_of
from batchrun.settings.consent import Consent, ConsentRequest, agree, has_agreed
from batchrun.settings.location import is_loopback
from batchrun.text import quoted_command
from batchrun.workbook.marks import signature_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from batchrun.journal import BatchJobs, Journal
    from batchrun.model import BatchSummary, Decide, Outcome, ResultRow


def hold_doubts(rows: Sequence[ResultRow]) -> InDoubt:
    """Decide nothing: what is in doubt stays so."""
    del rows
    return InDoubt.HOLD


def same_service(batch_id: str, own: str, given: str) -> None:
    """Check that a batch goes on at the service it was begun at.

    Args:
        batch_id: Which batch.
        own: The base URL it was begun at.
        given: The base URL that is set now.

    Raises:
        UsageError: They are two services.
    """
    if service_of(own) == service_of(given):
        return
    hint = "Leave --base-url, BATCHRUN_BASE_URL and base_url in batchrun.toml out to go on there."
    if is_loopback(own):
        hint = f"That was a sandbox on this machine: batchrun resume {batch_id} --sandbox"
    raise UsageError(f"Batch {batch_id} belongs to {own}, not to {given}.", hint)


def same_key(earlier: BatchSummary, profile: str | None) -> None:
    """Check that a list goes on with the key its batch was begun with.

    Args:
        earlier: Its batch, which is not finished.
        profile: Whose stored key is used now; ``None`` for one that is not stored.

    Raises:
        UsageError: It was begun with a profile, and now it would be another key.
    """
    if earlier.profile in {None, profile}:
        return
    payer = "the key in PGAI_API_KEY" if profile is None else f"profile {profile}"
    raise UsageError(
        f"Batch {earlier.batch_id} of this list was begun with profile {earlier.profile} and isn't "
        f"finished, and now {payer} would pay for it. Nothing was triggered.",
        f"Go on with: batchrun resume {earlier.batch_id}. "
        f"To trigger it all once more for this key, add --again.",
    )


def unlike_its_key(journal: Journal, batch: BatchSummary, key: str, profile: str | None) -> str:
    """Whose key goes on with a batch that was begun with another one; ``""`` where it is its own.

    A key may have been replaced by another one of the same workspace, by `login` under the name of
    its profile too, so nothing is refused.

    Args:
        journal: The journal.
        batch: Which batch.
        key: The key that would pay now.
        profile: Whose stored key that is; ``None`` for one that is not stored.
    """
    if journal.key_begun_with(batch.batch_id) in {"", journal.key_hash(key)}:
        return ""
    return "PGAI_API_KEY" if profile is None else f"profile {profile}"


def needed_consents(
    journal: Journal, batch: BatchSummary, key: str, output: Path | None
) -> Iterator[ConsentRequest]:
    """What a person must agree to before a batch goes on: its journal may be a stranger's.

    A batch that was begun with the key in use, and whose results this machine has written before,
    needs nothing.

    Args:
        journal: The journal.
        batch: Which batch.
        key: The key that would pay now.
        output: Where the user wants the results; ``None`` for where the journal says.
    """
    key_hash = journal.key_begun_with(batch.batch_id)
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
    """Whether a file holds this batch's results already, and may be replaced by newer ones."""
    signature = signature_of(Path(target))
    return signature is not None and signature.batch_id == batch_id


def consent_refused(request: ConsentRequest, batch_id: str) -> UsageError:
    """The error where nobody has agreed, and nobody can be asked."""
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
    """Check that a person has agreed to what a batch needs; see `needed_consents`.

    Args:
        journal: The journal.
        batch: Which batch.
        key: The key that would pay now.
        output: As in `needed_consents`.
        trusted: The caller agrees.

    Raises:
        UsageError: Nobody has.
    """
    for request in needed_consents(journal, batch, key, output):
        if not trusted:
            raise consent_refused(request, batch.batch_id)
        agree(request.kind, request.value)


async def prepare_batch(
    journal: Journal,
    jobs: BatchJobs,
    batch_id: str,
    retry: Collection[Outcome],
    decide: Decide,
    *,
    again: Mapping[int, int],
    only: Collection[int] | None,
) -> frozenset[int] | None:
    """Bring a batch that this process holds to where it can be worked on.

    Args:
        journal: The journal.
        jobs: The batch's jobs.
        batch_id: Which batch.
        retry: Outcomes whose jobs are to be sent again.
        decide: Asked about what is in doubt then, if anything is.
        again: Numbers of jobs to send again, whatever their outcome, and how
            often each had been when the user decided.
        only: Numbers of the jobs that may be triggered beside those; ``None`` for all, unless
            some are to be sent again: then nobody has confirmed any others.

    Returns:
        Numbers of the jobs that may be triggered; ``None`` for all that are pending.

    Raises:
        UsageError: One of those was sent again since.
    """
    await jobs.recover()
    if not retry and not again and only is None:
        await jobs.poll_on()
        await _settle_doubts(journal, jobs, batch_id, decide)
        return None
    before = jobs.pending_numbers()
    await jobs.again(again)
    if retry:
        await jobs.retry(retry)
    await jobs.poll_on()  # after what the user wants sent again, which may be the same jobs
    await _settle_doubts(journal, jobs, batch_id, decide)
    after = jobs.pending_numbers()
    return (after - before) | after.intersection(only or ())


async def _settle_doubts(journal: Journal, jobs: BatchJobs, batch_id: str, decide: Decide) -> None:
    undecided = journal.undecided(batch_id)
    if not undecided:
        return
    match decide(undecided):
        case InDoubt.HOLD:
            pass
        case InDoubt.RETRY:
            await jobs.retry_doubts()
        case InDoubt.DROP:
            await jobs.drop_doubts()
        case never:
            assert_never(never)
