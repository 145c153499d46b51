"""A session with the service: one key, one client, one quota, and the journal."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from batchrun.advice import Advice, resume_with
from batchrun.engine.clock import Clock
from batchrun.engine.forecast import Forecast
from batchrun.engine.quota import Quota
from batchrun.engine.run_times import REMEMBERED, RunTimes
from batchrun.engine.share import QuotaShare
from batchrun.errors import UsageError
from batchrun.journal import Journal
from batchrun.service.answers import Credits
from batchrun.service.client import Client
from batchrun.settings.credentials import find_credentials, for_batch
from batchrun.settings.location import checked_base_url, is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from batchrun.estimate import Estimate, EstimateRates
    from batchrun.model import BatchSummary, Workflow
    from batchrun.plan import Plan
    from batchrun.settings.model import Settings

MAX_SLOT_WAIT_SECONDS = 60.0
"""The longest wait to request the list of workflows, whatever other processes are sending."""
CREDITS_SECONDS = 10.0
"""The longest wait for the answer about credits, in seconds of the user's time."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a batch that nobody has confirmed, such as the jobs after a pilot.

    Attributes:
        summary: The batch.
        to_trigger: How many jobs would be triggered now.
        estimate: What they are expected to cost.
        credits: The credits left; ``None`` if not known.
        elsewhere: How many of these jobs another batch has paid for.
    """

    summary: BatchSummary
    to_trigger: int
    estimate: Estimate
    credits: Credits | None = None
    elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """The resources for work on a batch.

    The profile is ``None`` if the key is not a stored one.
    """

    settings: Settings
    key: str = field(repr=False)
    client: Client
    quota: Quota
    share: QuotaShare
    clock: Clock
    journal: Journal
    profile: str | None = None

    async def workflows(self) -> tuple[Workflow, ...]:
        """Fetch the workflows that the key can see; each page is a request of the quota."""
        workflows: list[Workflow] = []
        await self._spend_slot()
        async for page in self.client.workflow_pages():
            self.quota.answered(page.quota, self.clock.now())
            workflows += page.workflows
            if page.more:
                await self._spend_slot()
        return tuple(workflows)

    async def _spend_slot(self) -> None:
        await self.share.ask()
        await self._spend(min(self.share.delay(self.clock.now()), MAX_SLOT_WAIT_SECONDS))

    async def credits(self) -> Credits | None:
        """Fetch the credits left; ``None`` if the quota has no request to spare now.

        The question costs a request of the quota. It never waits long, and if it fails, the
        credits are unknown.
        """
        await self.share.ask()
        now = self.clock.now()
        wait = self.quota.delay(now)
        if not self.share.use_spare():  # a spare slot saves the user a wait
            wait = max(wait, self.share.delay(now))
        if wait > CREDITS_SECONDS * self.clock.speed or self.quota.left_today(now) < 1:
            return None
        await self._spend(wait)
        answer = Credits()
        with suppress(TimeoutError):
            async with asyncio.timeout(CREDITS_SECONDS):
                answer = await self.client.credits()
        self.quota.answered(answer.quota, self.clock.now())
        return answer

    async def _spend(self, wait_seconds: float) -> None:
        """Wait, then count a request against the quota."""
        await self.clock.sleep(wait_seconds)
        self.share.take()
        await self.share.count()
        self.quota.take(self.clock.now())

    def forecast(self, workflow_id: str) -> Forecast:
        """Return when executions of a workflow should end, based on the journal's batches."""
        base_url = self.settings.base_url
        seconds = self.journal.run_seconds(workflow_id, base_url, limit=REMEMBERED)
        return Forecast(RunTimes(seconds))

    def with_known_results(
        self, plan: Plan, reuse: timedelta | None, earlier: BatchSummary | None
    ) -> Plan:
        """Add what other batches know about the plan's jobs, and reuse results up to an age.

        If an ``earlier`` batch of the list is unfinished, the plan is returned unchanged.

        Raises:
            UsageError: ``reuse`` is given, but the batch has already started.
        """
        if earlier is None or not earlier.unfinished:
            known = self.journal.known_jobs(plan, self.settings.base_url)
            return plan.with_known_results(known, datetime.now(UTC), reuse)
        if reuse is None:
            return plan
        raise UsageError(
            f"Batch {earlier.batch_id} of this list isn't finished, and only a new batch can reuse "
            "earlier results. Nothing was triggered.",
            Advice(
                "Resuming it triggers the rest, and you pay for that. ",
                "In a scheduled job, run batchrun resume --all before this command. ",
            )
            + resume_with(earlier.batch_id),
        )

    def rates(self, workflow_id: str) -> EstimateRates:
        """Return the current rates for estimates of a workflow's batch."""
        seconds = self.forecast(workflow_id).seconds_per_execution
        rates = self.quota.rates(seconds, self.clock.now())
        return replace(rates, daily=self.settings.daily or rates.daily)

    def estimate(self, batch: BatchSummary, to_trigger: int) -> Estimate:
        """Estimate the jobs to trigger and those that are running already."""
        running = self.journal.remaining(batch.batch_id).running
        return self.rates(batch.workflow.id).of(to_trigger, running)

    async def rest(self, batch: BatchSummary, jobs: Collection[int] | int) -> Rest:
        """Return what it costs to trigger some jobs of a batch; costs a request itself.

        ``jobs`` are their numbers, or how many of the jobs to trigger next.
        """
        number = jobs if isinstance(jobs, int) else len(jobs)
        elsewhere = sum(map(bool, self.journal.sent_elsewhere(batch, jobs).values()))
        return Rest(batch, number, self.estimate(batch, number), await self.credits(), elsewhere)

    def quota_opens_at(self) -> datetime:
        """Return when the quota allows requests again (UTC, rounded up to a minute)."""
        now = self.clock.now()
        spent = self.quota.left_today(now) < 2  # a trigger and its poll
        seconds = self.quota.seconds_to_next_day(now) if spent else self.quota.delay(now)
        moment = datetime.now(UTC) + timedelta(seconds=seconds / self.clock.speed)
        begun = moment.replace(second=0, microsecond=0)
        return begun if begun == moment else begun + timedelta(minutes=1)


async def cost_of(batch: BatchSummary, jobs: Collection[int] | int, settings: Settings) -> Rest:
    """Return what it costs to trigger some jobs of a batch, as `Session.rest` does."""
    async with open_session(for_batch(settings, batch), few_requests=True) as session:
        return await session.rest(batch, jobs)


@asynccontextmanager
async def open_session(
    settings: Settings, journal: Journal | None = None, *, few_requests: bool = False
) -> AsyncIterator[Session]:
    """Open a client, perhaps only to fetch the list of workflows, and the journal if not given."""
    credentials = find_credentials(settings)
    key, base_url = credentials.key, checked_base_url(credentials.base_url)
    if settings.speed != 1 and not is_loopback(base_url):
        raise UsageError(
            "BATCHRUN_SPEED other than 1 is for a sandbox on this machine.",
            "Unset it to talk to the real service.",
        )
    settings = settings.model_copy(update={"base_url": base_url})
    clock, quota = Clock(settings.speed), Quota(settings.rate)
    timeout = settings.timeout_seconds
    async with Client(key, base_url, timeout_seconds=timeout, few_requests=few_requests) as client:
        with nullcontext(journal) if journal else Journal(settings.journal) as opened:
            share = QuotaShare(quota, opened.ledger(key), clock, settings.daily)
            yield Session(settings, key, client, quota, share, clock, opened, credentials.profile)
