"""One odd value from the service never costs a batch: it is kept, in a form that can be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from batchrun.journal.schema import decode_result, decode_time, encode_result, encode_time
from batchrun.model import JSON, Execution, ExecutionStatus, Outcome, ResultRow, Row

from .batches import IDS, NOW, URL, accepted, plan_of, working_on

if TYPE_CHECKING:
    from batchrun.journal import Journal

LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        *((LAST, ""), (LAST, "half \ud83d")),
        *((datetime(1, 1, 1, tzinfo=UTC), "a NUL \x00"), (NOW - timedelta(days=1), "\ufffe")),
    ],
)
def test_an_execution_with_odd_times_and_words_ends(
    journal: Journal, ended: datetime, message: str
) -> None:
    batch_id = journal.create(plan_of(*IDS), URL)
    with working_on(journal, batch_id) as jobs:
        job = jobs.pending()[0]
        asyncio.run(jobs.begin_trigger(job))
        asyncio.run(jobs.accept(job, accepted(0), NOW))
        status = ExecutionStatus.FAILED
        odd = Execution("exec_0", status, NOW, NOW, ended, {"a": "\ud83d\x00"}, message)
        asyncio.run(jobs.finish(job, odd, NOW))
    with journal.results(batch_id) as found:
        row = next(iter(found.rows))
    assert row.outcome is Outcome.FAILED
    assert row.result == {"a": "\ud83d\x00"}


def nested(levels: int) -> JSON:
    value: JSON = "core"
    for level in range(levels):
        value = {"a": value} if level % 2 else [value, 1]
    return value


@pytest.mark.parametrize("levels", [10, 900, 5_000])
def test_a_result_of_any_depth_is_kept(levels: int) -> None:
    kept = decode_result(encode_result(nested(levels)))
    assert "core" in str(kept) if isinstance(kept, str) else kept == nested(levels)


@pytest.mark.parametrize("seconds", [encode_time(LAST), 1e300, -1e300, float("inf")])
def test_a_moment_that_no_calendar_has_is_none(seconds: float) -> None:
    assert decode_time(seconds) is None


def test_an_execution_that_ends_before_it_starts_has_no_run_time() -> None:
    row = ResultRow(Row(2, ()), Outcome.COMPLETED, started_at=NOW, finished_at=NOW)
    assert row.seconds == 0
    before = ResultRow(
        Row(2, ()), Outcome.COMPLETED, started_at=NOW, finished_at=NOW - timedelta(seconds=1)
    )
    assert before.seconds is None
