"""A session with the service: one key, one client, one quota, and the journal to remember it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batchrun.engine import (
    REMEMBERED,
    Clock,
    Forecast,
    Quota,
    QuotaShare,
    RunTimes,
)
from batchrun.errors import UsageError
from batchrun.estimate import EstimateRates
from batchrun.journal import Journal, remaining
from batchrun.service import Client, Credits
from batchrun.settings import find_access
from batchrun.settings.location import checked_base_url, is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from batchrun.estimate import Estimate
    from batchrun.model import BatchSummary, Workflow
    from batchrun.plan import Plan
    from batchrun.settings import Settings

LONGEST_TURN_SECONDS = 60.0
"""The list of workflows is asked for after so long, whatever other processes still send."""
CREDITS_SECONDS = 10.0
"""The longest wait for the answer about credits, in seconds."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a batch is worked on with.

    Attributes:
        settings: Address, rate and so on.
        key: The API key.
        client: The service.
        quota: The key's quota.
        share: What this process may spend of it.
        clock: The time.
        journal: The memory.
        profile: Whose stored key it is; ``None`` where it was not stored.
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
        """The workflows that the key may see; each page is a request, and updates the quota.

        Raises:
            BatchrunError: The key or the service can't be used.
        """
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
        await self._spend(min(self.share.delay(self.clock.now()), LONGEST_TURN_SECONDS))

    async def credits(self) -> Credits | None:
        """The credits left; ``None`` where the quota leaves no request for the question now.

        It is a request like any other, but nothing waits for it for long or fails by it.

        Raises:
            JournalError: The journal can't be read or written.
        """
        await self.share.ask()
        now = self.clock.now()
        wait = self.quota.delay(now)
        if not self.share.use_spare():  # nobody should wait a second for the credits
            wait = max(wait, self.share.delay(now))
        if wait > CREDITS_SECONDS or self.quota.left_today(now) < 1:
            return None
        await self._spend(wait)
        answer = Credits()
        with suppress(TimeoutError):
            async with asyncio.timeout(CREDITS_SECONDS):
                answer = await self.client.credits()
        self.quota.answered(answer.quota, self.clock.now())
        return answer

    async def _spend(self, wait_seconds: float) -> None:
        """Wait for a request's turn, and count it."""
        await self.clock.sleep(wait_seconds)
        self.share.take()
        await self.share.count()
        self.quota.take(self.clock.now())

    def forecast(self, workflow_id: str) -> Forecast:
        """When executions of a workflow end, by what the journal's earlier batches tell."""
        base_url = self.settings.base_url
        seconds = self.journal.run_seconds(workflow_id, base_url, limit=REMEMBERED)
        return Forecast(RunTimes(seconds))

    def knowing(self, plan: Plan, reuse: timedelta | None, earlier: BatchSummary | None) -> Plan:
        """The plan with what other batches made of its jobs.

        Args:
            plan: The plan.
            reuse: How old a result may be to be taken instead of sending the job.
            earlier: The batch of the same list, if there is one; where it goes on, the plan stays
                as it is.

        Raises:
            UsageError: Results are to be reused, and the batch has started without that.
        """
        if earlier is None or not earlier.unfinished:
            known = self.journal.known_jobs(plan, self.settings.base_url)
            return plan.knowing(known, datetime.now(UTC), reuse)
        if reuse is None:
            return plan
        raise UsageError(
            f"Batch {earlier.batch_id} of this list has begun and isn't finished: "
            f"--reuse comes too late for it, and nothing was triggered.",
            f"Go on with it: batchrun resume {earlier.batch_id}",
        )

    def rates(self, workflow_id: str) -> EstimateRates:
        """What the estimate of a workflow's batch is based on now."""
        return EstimateRates(
            requests_per_minute=self.quota.rate,
            seconds_per_execution=self.forecast(workflow_id).seconds_per_execution,
            daily=self.settings.daily or self.quota.daily,
            daily_left=self.quota.left_today(self.clock.now()),
            seconds_to_next_day=self.quota.seconds_to_next_day(self.clock.now()),
        )

    def estimate(self, batch: BatchSummary, to_trigger: int) -> Estimate:
        """Estimate the jobs to trigger and those that are running already.

        Raises:
            JournalError: The journal can't be read.
        """
        running = remaining(self.journal, batch.batch_id).running
        return self.rates(batch.workflow.id).of(to_trigger, running)

    def seconds_to_quota(self) -> float:
        """Seconds of the machine's clock until the quota lets a request leave again."""
        now = self.clock.now()
        spent = self.quota.left_today(now) < 2  # a trigger and its poll
        seconds = self.quota.seconds_to_next_day(now) if spent else self.quota.delay(now)
        return seconds / self.clock.speed


@asynccontextmanager
async def open_session(settings: Settings, *, few_requests: bool = False) -> AsyncIterator[Session]:
    """Open the journal and a client.

    Args:
        settings: Key, address, rate and so on.
        few_requests: Whether the list of workflows is all that is asked for.

    Raises:
        UsageError: There is no key, or the address can't be used.
        JournalError: The journal can't be opened.
    """
    access = find_access(settings)
    key, base_url = access.key, checked_base_url(access.base_url)
    if settings.speed != 1 and not is_loopback(base_url):
        raise UsageError(
            "BATCHRUN_SPEED other than 1 is for a sandbox on this machine.",
            "Unset it to talk to the real service.",
        )
    settings = settings.model_copy(update={"base_url": base_url})
    clock, quota = Clock(settings.speed), Quota(settings.rate)
    timeout = settings.timeout_seconds
    async with Client(key, base_url, timeout_seconds=timeout, few_requests=few_requests) as client:
        with Journal(settings.journal) as journal:
            share = QuotaShare(quota, journal.ledger(key), clock, settings.daily)
            yield Session(settings, key, client, quota, share, clock, journal, access.profile)
