"""The day's quota: spent, waited for across midnight, available again."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import batchrun
from batchrun.engine.engine import Ending
from batchrun.errors import ExitCode
from batchrun.sandbox.model import SandboxService, SandboxSettings
from batchrun.sandbox.server import SandboxClock, create_app, running_app
from tests.engine.test_engine import WORKFLOW, accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchrun.settings.model import Settings

SPEED = 2_000.0
HALF_AN_HOUR_TO_MIDNIGHT = datetime(2026, 11, 24, 23, 30, tzinfo=UTC).timestamp()
DAILY = 9


class AtRestUntilSpent:
    """Seconds since the last of the day's requests came: however slow a machine, the day is spent
    before it ends.
    """

    def __init__(self, service: SandboxService) -> None:
        self._service = service
        self._last_came = 0.0

    def __call__(self) -> float:
        seen: Any = self._service.report(HALF_AN_HOUR_TO_MIDNIGHT)["requests"]
        if seen >= DAILY:
            return time.monotonic() - self._last_came
        self._last_came = time.monotonic()
        return 0.0


@contextmanager
def service_at_night() -> Iterator[tuple[str, SandboxService]]:
    """A service whose executions end at once; its day ends half an hour after it is spent."""
    settings = SandboxSettings(rate_per_minute=100_000, daily=DAILY, run_median_seconds=0)
    service = SandboxService(settings, started_at=HALF_AN_HOUR_TO_MIDNIGHT)
    clock = SandboxClock(SPEED, HALF_AN_HOUR_TO_MIDNIGHT, AtRestUntilSpent(service))
    with running_app(create_app(service, clock)) as url:
        yield url, service


def settings_for(url: str, folder: Path, **others: Any) -> Settings:
    return batchrun.load_settings(
        api_key="sandbox",
        base_url=url,
        journal=str(folder / "journal.db"),
        speed=SPEED,
        **others,
    )


def test_a_batch_that_waits_goes_on_after_midnight(tmp_path: Path) -> None:
    with service_at_night() as (url, service):
        settings = settings_for(url, tmp_path, wait=True, max_in_flight=2)
        report = batchrun.run(accounts(6), WORKFLOW, settings=settings)
    assert report.exit_code is ExitCode.COMPLETED
    assert len(service.log) == 6
    days = {datetime.fromtimestamp(trigger.at, UTC).day for trigger in service.log}
    assert days == {24, 25}


def test_a_batch_that_does_not_wait_says_when_the_quota_opens_again(tmp_path: Path) -> None:
    with service_at_night() as (url, service):
        report = batchrun.run(
            accounts(6), WORKFLOW, settings=settings_for(url, tmp_path, max_in_flight=2)
        )
    assert report.ending is Ending.QUOTA
    assert report.exit_code is ExitCode.PAUSED
    assert report.resume_at is not None
    assert (report.resume_at.second, report.resume_at.microsecond) == (0, 0)
    assert report.resume_at > datetime.now(UTC)
    assert f"{report.resume_at:%Y-%m-%d %H:%M} UTC" in report.summary.note
    assert 0 < len(service.log) < 6
