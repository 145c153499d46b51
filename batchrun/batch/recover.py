"""What comes first when a batch goes on: what a dead process left, what the user decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from batchrun.errors import UsageError
from batchrun.model import InDoubt
from batchrun.settings import service_of
from batchrun.settings.location import is_loopback

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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
    if not journal.begun_with_another_key(batch.batch_id, key):
        return ""
    return "PGAI_API_KEY" if profile is None else f"profile {profile}"


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
