"""The types of the public API, held still: mypy checks this file, nothing runs it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

import pandas as pd

import batchrun
from batchrun import (
    BatchStatus,
    BatchSummary,
    Control,
    Crm,
    Form,
    InDoubt,
    Outcome,
    Plan,
    Progress,
    Report,
    Request,
    Rerun,
    Settings,
)
from batchrun.model import ResultRow, Workflow

if TYPE_CHECKING:
    from collections.abc import Sequence

frame = pd.DataFrame({"Company ID": ["a1b2c3d4-e5f6-7890-abcd-ef1234567890"]})
settings = batchrun.load_settings(rate=120)
assert_type(settings, Settings)


def on_progress(progress: Progress) -> None:
    assert_type(progress.in_flight, int)


def confirm(plan: Plan, earlier: BatchSummary | None) -> bool:
    return earlier is None and plan.duplicates == 0


def decide(rows: Sequence[ResultRow]) -> InDoubt:
    return InDoubt.DROP if rows else InDoubt.HOLD


assert_type(batchrun.workflows(settings=settings), list[Workflow])
assert_type(batchrun.check(frame, "Account Research", parameters={"depth": [1, None]}), Plan)
assert_type(batchrun.check(Request("accounts.xlsx", "Account Research")), Plan)
report = batchrun.run(
    Path("accounts.xlsx"),
    "Account Research",
    output="out.xlsx",
    limit=5,
    again=True,
    form=Form(columns=["summary"], rename={"summary": "Summary"}, crm=Crm.HUBSPOT),
    confirm=confirm,
    on_progress=on_progress,
    control=Control(),
    settings=settings,
    sheet="Export",
    parameter_columns={"focus": "Focus"},
)
assert_type(report, Report)
assert_type(report.frame(), pd.DataFrame)
assert_type(report.pilot().left.to_trigger, int)
assert_type(batchrun.resume("1124", in_doubt="retry"), Report)
assert_type(batchrun.resume(in_doubt=decide), Report)
assert_type(batchrun.retry(outcomes={Outcome.FAILED}, in_doubt=decide), Report)
assert_type(batchrun.Rerun.batch_of("accounts.results.xlsx"), str | None)
assert_type(batchrun.Rerun.read("accounts.results.xlsx"), Rerun | None)
assert_type(
    batchrun.run_marked("accounts.results.xlsx", confirm=lambda marked: marked.rows < 9), Report
)
assert_type(batchrun.results(source=frame), pd.DataFrame)
assert_type(batchrun.export(None, "out.csv", form=Form(csv_plain=True)), Path)
assert_type(batchrun.batches(), list[BatchSummary])
assert_type(batchrun.status().left.running, int)
assert_type(batchrun.status("1124"), BatchStatus)
assert_type([status.working for status in batchrun.watch("1124")], list[bool])
assert_type(batchrun.batches(unfinished=True), list[BatchSummary])
batchrun.forget("1124", confirm=lambda found: found[0].rows < 9)
assert_type(batchrun.forget("1124", older_than=timedelta(days=90)), list[BatchSummary])


async def main() -> None:
    assert_type(await batchrun.aio.workflows(), list[Workflow])
    assert_type(await batchrun.aio.check(frame, "Account Research"), Plan)
    assert_type(await batchrun.aio.run(frame, "Account Research", lenient_ids=True), Report)
    assert_type(await batchrun.aio.resume(), Report)
    assert_type(await batchrun.aio.retry(), Report)


batchrun.run(frame, "Account Research", lenient_ids="yes")  # type: ignore[arg-type]
batchrun.run(frame, "Account Research", limmit=5)  # type: ignore[call-arg]
batchrun.resume(in_doubt="perhaps")  # type: ignore[arg-type]
