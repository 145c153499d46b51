"""The day's quota: spent, waited for across midnight, begun anew."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import batchrun
from batchrun.engine import Ending
from batchrun.errors import ExitCode
from batchrun.sandbox import (
    SandboxClock,
    SandboxService,
    SandboxSettings,
    create_app,
    running_app,
)
from tests.engine.test_engine import WORKFLOW, accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchrun.settings import Settings

SPEED = 2_000.0
TEN_AT_NIGHT = datetime(2026, 11, 24, 22, tzinfo=UTC).timestamp()


class AtRestUntilAsked:
    """Seconds since the second call; the first one makes the clock, the second is its first use."""

    def __init__(self) -> None:
        self._calls = 0
        self._began = 0.0

    def __call__(self) -> float:
        self._calls += 1
        if self._calls <= 2:
            self._began = time.monotonic()
        return time.monotonic() - self._began if self._calls > 2 else 0.0


@contextmanager
def service_at_night(daily: int) -> Iterator[tuple[str, SandboxService]]:
    """A service whose day ends two hours after the first request, which are over in 3.6 seconds."""
    settings = SandboxSettings(rate_per_minute=100_000, daily=daily)
    service = SandboxService(settings, started_at=TEN_AT_NIGHT)
    with running_app(
        create_app(service, SandboxClock(SPEED, TEN_AT_NIGHT, AtRestUntilAsked()))
    ) as url:
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
    with service_at_night(daily=9) as (url, service):
        settings = settings_for(url, tmp_path, wait=True, max_in_flight=2)
        report = batchrun.run(accounts(6), WORKFLOW, settings=settings)
    assert report.exit_code is ExitCode.COMPLETED
    assert len(service.log) == 6
    days = {datetime.fromtimestamp(trigger.at, UTC).day for trigger in service.log}
    assert days == {24, 25}


def test_a_batch_that_does_not_wait_says_when_the_quota_opens_again(tmp_path: Path) -> None:
    with service_at_night(daily=9) as (url, service):
        report = batchrun.run(
            accounts(6), WORKFLOW, settings=settings_for(url, tmp_path, max_in_flight=2)
        )
    assert report.ending is Ending.QUOTA
    assert report.exit_code is ExitCode.PAUSED
    assert report.resume_at is not None
    assert f"{report.resume_at:%Y-%m-%d %H:%M} UTC" in report.summary.note
    assert 0 < len(service.log) < 6
