"""batchrun from Python, as its user: scripts, notebooks and async programs."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import openpyxl
import pandas as pd
import pytest

import batchrun
from batchrun import Control, Form, Outcome, Request
from batchrun.aio import Reading
from batchrun.engine.engine import Ending
from batchrun.errors import InputError, JournalError, NotConfirmedError, UsageError
from tests.engine.faults import SPEED, Fault, FaultySandbox, faulty_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from batchrun import BatchSummary, InDoubt, Plan, Progress, Report, Settings
    from batchrun.model import ResultRow

WORKFLOW = "Account Research"
MAYBE = Fault(500, accepted=True)


@pytest.fixture
def service() -> Iterator[tuple[str, FaultySandbox]]:
    with faulty_sandbox() as running:
        yield running


@pytest.fixture
def settings(service: tuple[str, FaultySandbox], tmp_path: Path) -> Settings:
    return settings_for(service[0], tmp_path)


def settings_for(url: str, folder: Path, **others: Any) -> Settings:
    return batchrun.load_settings(
        api_key="sandbox",
        base_url=url,
        journal=str(folder / "journal.db"),
        speed=SPEED,
        **others,
    )


def accounts(rows: int = 3) -> pd.DataFrame:
    """A list as one has it in a notebook: an index of its own, and columns with dtypes."""
    ids = [f"a1b2c3d4-e5f6-7890-abcd-ef12345678{number:02}" for number in range(rows)]
    frame = pd.DataFrame(
        {
            "Company ID": pd.Series(ids, dtype="string"),
            "Seats": pd.Series([*range(rows - 1), None], dtype="Int64"),
            "Tier": pd.Categorical(["gold", "silver"] * (rows // 2) + ["gold"] * (rows % 2)),
            "Closes": pd.date_range("2026-11-24", periods=rows, tz="Europe/Berlin"),
        }
    )
    return frame.set_index(pd.Index([f"A{rows - number}" for number in range(rows)], name="key"))


# from DataFrame to DataFrame


def test_a_frame_comes_back_with_its_own_index_and_dtypes_and_the_results_beside(
    settings: Settings,
) -> None:
    given = accounts()
    found = batchrun.run(given, WORKFLOW, settings=settings).frame()
    pd.testing.assert_frame_equal(found[list(given.columns)], given)
    assert list(found["batchrun status"]) == ["completed"] * 3
    assert found["outputs.insights_count"].dtype == "int64"
    assert pd.api.types.is_datetime64_any_dtype(found["finished (UTC)"])
    assert (found["seconds"] > 0).all()


def test_columns_of_two_levels_stay_so(settings: Settings) -> None:
    given = accounts(2)[["Company ID"]]
    given.columns = pd.MultiIndex.from_tuples([("Company", "ID")], names=["group", "column"])
    found = batchrun.run(given, WORKFLOW, settings=settings).frame()
    pd.testing.assert_frame_equal(found[[("Company", "ID")]], given)
    assert list(found["batchrun status", ""]) == ["completed"] * 2


def test_results_of_an_earlier_day_go_beside_the_frame_they_are_of(settings: Settings) -> None:
    given = accounts()
    batchrun.run(given, WORKFLOW, settings=settings)
    found = batchrun.results(settings=settings, source=given, form=Form(columns=["summary"]))
    assert list(found.index) == ["A3", "A2", "A1"]
    assert list(found.columns[-2:]) == ["seconds", "summary"]
    with pytest.raises(InputError, match="row 0 differs"):
        batchrun.results(settings=settings, source=given.iloc[::-1])
    with pytest.raises(InputError, match="its columns differ"):
        batchrun.results(settings=settings, source=given[["Company ID"]])


def test_rows_without_a_result_have_none(settings: Settings) -> None:
    given = accounts(2)
    given.loc["A1", "Company ID"] = "nonsense"
    found = batchrun.run(given, WORKFLOW, settings=settings).frame()
    assert list(found["batchrun status"]) == ["completed", "invalid"]
    assert found["outputs.insights_count"].dtype == "Int64"
    assert found["summary"]["A1"] is None


# stopped, cancelled, interrupted: nothing is lost


def finish(settings: Settings, sandbox: FaultySandbox, rows: int) -> None:
    """Resume to the end; each row was triggered once."""
    report = batchrun.resume(settings=settings)
    assert report.summary.counts[Outcome.COMPLETED] == rows
    assert len(sandbox.bodies()) == rows


def after_the_first_answer(act: Callable[[], object]) -> Callable[[Progress], None]:
    """Act once, as soon as something has been triggered."""
    left = [act]

    def on_progress(progress: Progress) -> None:
        if progress.in_flight and left:
            left.pop()()

    return on_progress


def test_another_thread_stops_a_batch_gently(
    settings: Settings, service: tuple[str, FaultySandbox]
) -> None:
    control = Control()

    def stop() -> None:
        thread = Thread(target=control.stop)
        thread.start()
        thread.join()

    report = batchrun.run(
        accounts(40),
        WORKFLOW,
        settings=settings,
        control=control,
        on_progress=after_the_first_answer(stop),
    )
    assert report.ending is Ending.INTERRUPTED
    assert control.batch_id == report.summary.batch_id
    control.stop()  # too late, and no error
    finish(settings, service[1], 40)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("notebook", [False, True])
def test_ctrl_c_stops_gently_and_is_raised_when_that_is_done(
    service: tuple[str, FaultySandbox], tmp_path: Path, notebook: bool
) -> None:
    settings = settings_for(service[0], tmp_path, drain_seconds=1e6)

    def run() -> None:
        batchrun.run(
            accounts(40),
            WORKFLOW,
            output=tmp_path / "out.xlsx",
            settings=settings,
            on_progress=after_the_first_answer(interrupt),
        )

    async def cell() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as ipykernel has it in a cell
        run()

    with pytest.raises(KeyboardInterrupt, match="nothing is lost"):
        asyncio.run(cell()) if notebook else run()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (tmp_path / "out.xlsx").exists()
    status = batchrun.status(settings=settings)
    assert status.summary.note == "It was interrupted."
    assert not status.left.running  # what was in flight was collected
    finish(settings, service[1], 40)


@pytest.mark.parametrize("notebook", [False, True])
def test_a_second_ctrl_c_stops_at_once(settings: Settings, notebook: bool) -> None:
    def twice() -> None:
        interrupt()
        interrupt()

    def run() -> None:
        batchrun.run(
            accounts(40), WORKFLOW, settings=settings, on_progress=after_the_first_answer(twice)
        )

    async def cell() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run()

    with pytest.raises(KeyboardInterrupt, match="goes on"):
        asyncio.run(cell()) if notebook else run()
    report = batchrun.resume(settings=settings, in_doubt="drop")
    assert not report.summary.unfinished


def test_a_cancelled_task_leaves_a_journal_that_can_be_resumed(settings: Settings) -> None:
    async def cancelled() -> None:
        async with asyncio.TaskGroup() as group:

            async def work() -> None:
                await batchrun.aio.run(
                    accounts(40),
                    WORKFLOW,
                    settings=settings,
                    on_progress=after_the_first_answer(lambda: task.cancel("by the test")),
                )

            task = group.create_task(work())

    asyncio.run(cancelled())
    left = batchrun.status(settings=settings)
    assert left.summary.unfinished
    assert left.holder is None
    report = batchrun.resume(settings=settings, in_doubt="drop")
    assert not report.summary.unfinished


# in a notebook, and in async programs


def test_every_plain_function_works_where_a_loop_is_running(settings: Settings) -> None:
    async def cell() -> Report:
        assert batchrun.workflows(settings=settings)
        assert batchrun.check(accounts(), WORKFLOW, settings=settings).bodies
        batchrun.run(accounts(), WORKFLOW, limit=1, settings=settings)
        report = batchrun.resume(settings=settings)
        assert list(report.frame(accounts()).index) == ["A3", "A2", "A1"]
        return report

    assert asyncio.run(cell()).summary.counts[Outcome.COMPLETED] == 3


def test_two_batches_at_once_in_one_loop(settings: Settings) -> None:
    async def both() -> list[Report]:
        lists = (accounts(3), accounts(5))
        return await asyncio.gather(
            *(batchrun.aio.run(each, WORKFLOW, settings=settings) for each in lists)
        )

    assert [len(report.frame()) for report in asyncio.run(both())] == [3, 5]


def test_a_whole_request_says_what_the_keywords_say(settings: Settings) -> None:
    keywords = batchrun.check(
        accounts(), WORKFLOW, settings=settings, parameters={"depth": 2}, lenient_ids=True
    )
    request = Request(accounts(), WORKFLOW, parameters={"depth": 2}, lenient_ids=True)
    assert list(batchrun.check(request, settings=settings).bodies) == list(keywords.bodies)
    assert batchrun.check(request, settings=settings, parameters={}).bodies != keywords.bodies
    with pytest.raises(UsageError, match="No workflow"):
        batchrun.check(accounts(), settings=settings)
    with pytest.raises(TypeError, match="shet"):
        batchrun.check("accounts.xlsx", WORKFLOW, shet="Export")  # type: ignore[call-arg]


def test_the_keywords_are_those_of_a_request() -> None:
    of_request = {field.name for field in fields(Request)} - {"source", "workflow"}
    assert set(Reading.__annotations__) == of_request


# what came before


def test_a_run_that_is_not_confirmed_triggers_nothing(
    settings: Settings, service: tuple[str, FaultySandbox]
) -> None:
    asked: list[int] = []

    def confirm(plan: Plan, earlier: BatchSummary | None) -> bool:
        assert earlier is None
        asked.append(len(plan.bodies))
        return False

    with pytest.raises(NotConfirmedError):
        batchrun.run(accounts(), WORKFLOW, settings=settings, confirm=confirm)
    assert asked == [3]
    assert service[1].bodies() == []


def test_marked_rows_of_a_workbook_are_sent_again_and_no_others(
    settings: Settings, service: tuple[str, FaultySandbox], tmp_path: Path
) -> None:
    path = tmp_path / "out.xlsx"
    batchrun.run(accounts(), WORKFLOW, output=path, settings=settings)
    with pytest.raises(UsageError, match="holds results") as refused:
        batchrun.run(path, WORKFLOW, settings=settings)
    assert "batchrun.run_marked" in refused.value.hint
    book = openpyxl.load_workbook(path)
    column = [cell.value for cell in book["Results"][1]].index("run again") + 1
    book["Results"].cell(3, column, "x")
    book.save(path)

    with pytest.raises(NotConfirmedError):
        batchrun.run_marked(path, settings=settings, confirm=lambda marked: marked.rows != 1)
    marked = batchrun.Rerun.read(path, settings=settings)
    assert marked is not None
    assert (marked.rows, batchrun.Rerun.batch_of(path)) == (1, marked.summary.batch_id)
    report = batchrun.run_marked(marked, settings=settings)

    assert report.output == tmp_path / "out (2).xlsx"
    bodies = service[1].bodies()
    assert len(bodies) == 4
    assert accounts()["Company ID"].iloc[1] in bodies[3]
    with pytest.raises(UsageError, match="sent since it was written"):
        batchrun.run_marked(path, settings=settings)
    with pytest.raises(InputError, match="There is no file"):
        batchrun.run_marked(tmp_path / "other.xlsx", settings=settings)


@pytest.mark.parametrize("title", ["Account Name", "Target"])
def test_marked_rows_have_the_names_of_the_list(
    settings: Settings, service: tuple[str, FaultySandbox], tmp_path: Path, title: str
) -> None:
    path = tmp_path / "out.xlsx"
    frame = accounts()[["Company ID"]].assign(**{title: ["Acme", "Beta", "Zeta"]})
    batchrun.run(frame, WORKFLOW, output=path, settings=settings)
    book = openpyxl.load_workbook(path)
    column = [cell.value for cell in book["Results"][1]].index("run again") + 1
    book["Results"].cell(3, column, "x")
    book.save(path)
    marked = batchrun.Rerun.read(path, settings=settings)
    assert marked is not None
    assert marked.lines == (("Results", 3, "Beta"),)


def test_the_journal_is_read_without_the_service(
    settings: Settings, service: tuple[str, FaultySandbox], tmp_path: Path
) -> None:
    service[1].meet(MAYBE)
    report = batchrun.run(accounts(), WORKFLOW, settings=settings)
    elsewhere = batchrun.load_settings(journal=settings.journal, base_url="http://127.0.0.1:9")
    assert [one.batch_id for one in batchrun.batches(settings=elsewhere)] == [
        report.summary.batch_id
    ]
    status = batchrun.status(settings=elsewhere)
    assert [row.row.line for row in status.in_doubt] == [2]
    assert status.something_to_do
    path = tmp_path / "out.csv"
    form = Form(columns=["summary"], rename={"summary": "In short"}, csv_plain=True)
    assert batchrun.export(None, str(path), elsewhere, form) == path
    assert path.read_text(encoding="utf-8").splitlines()[0].endswith("seconds,In short")


def test_who_decides_about_doubts_is_shown_their_rows(
    settings: Settings, service: tuple[str, FaultySandbox]
) -> None:
    service[1].meet(MAYBE)
    batchrun.run(accounts(), WORKFLOW, settings=settings)
    shown: list[ResultRow] = []

    def decide(rows: Sequence[ResultRow]) -> InDoubt:
        shown.extend(rows)
        return batchrun.InDoubt.RETRY

    report = batchrun.resume(settings=settings, in_doubt=decide)
    assert [row.outcome for row in shown] == [Outcome.IN_DOUBT]
    assert report.summary.counts[Outcome.COMPLETED] == 3
    assert len(service[1].bodies()) == 4


def test_batches_are_forgotten_by_name_and_by_age(settings: Settings) -> None:
    first = batchrun.run(accounts(1), WORKFLOW, settings=settings).summary.batch_id
    second = batchrun.run(accounts(2), WORKFLOW, settings=settings).summary.batch_id
    assert batchrun.forget(older_than=timedelta(days=1), settings=settings) == []
    assert [one.batch_id for one in batchrun.forget(first, settings=settings)] == [first]
    assert [one.batch_id for one in batchrun.batches(settings=settings)] == [second]
    with pytest.raises(UsageError, match="No batch"):
        batchrun.forget(settings=settings)
    with pytest.raises(NotConfirmedError):
        batchrun.forget(second, settings=settings, confirm=lambda found: len(found) > 1)
    assert [one.batch_id for one in batchrun.batches(settings=settings)] == [second]


def test_a_pilot_shows_the_columns_that_were_chosen(settings: Settings) -> None:
    form = batchrun.Form(
        columns=["outputs.fit_score", "sumary"], rename={"outputs.fit_score": "Fit"}
    )
    report = batchrun.run(accounts(3), WORKFLOW, settings=settings, limit=1, form=form)
    assert report.pilot().titles == ("Fit", "sumary")
    [unknown] = batchrun.unknown_columns(settings=settings)
    assert (unknown.name, unknown.close) == ("sumary", "summary")


def test_a_pilot_shows_what_it_brought_and_what_it_cost(settings: Settings) -> None:
    report = batchrun.run(accounts(5), WORKFLOW, settings=settings, limit=2, with_credits=True)
    pilot = report.pilot()
    assert [row.outcome for row in pilot.rows] == [Outcome.COMPLETED] * 2
    summaries = [values[pilot.titles.index("summary")] for values in pilot.values]
    assert summaries == list(report.frame()["summary"].iloc[:2])
    assert pilot.left.to_trigger == 3
    assert report.credits is not None
    unfinished = batchrun.batches(unfinished=True, settings=settings)
    assert [one.batch_id for one in unfinished] == [report.summary.batch_id]
    assert len(report.pilot(1).rows) == 1


def test_a_batch_is_watched_until_nobody_works_on_it(settings: Settings) -> None:
    moments: list[bool] = []
    looks: list[Iterator[batchrun.BatchStatus]] = []

    def on_progress(progress: Progress) -> None:
        if not looks:
            looks.append(batchrun.watch(settings=settings, interval_seconds=0))
            moments.append(next(looks[0]).working)

    batchrun.run(accounts(), WORKFLOW, settings=settings, on_progress=on_progress)
    moments += [look.working for look in looks[0]]
    assert moments == [True, False]


def test_looking_makes_no_journal(tmp_path: Path) -> None:
    missing = batchrun.load_settings(journal=str(tmp_path / "journal.db"))
    for look in (batchrun.batches, batchrun.status, batchrun.results, batchrun.resume):
        with pytest.raises(JournalError, match="There is no journal"):
            look(settings=missing)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_remembers_how_its_results_are_written(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    form = Form(columns=("summary", "outputs.*"), rename={"summary": "Short"})
    batchrun.run(accounts(), WORKFLOW, output=path, limit=1, form=form, settings=settings)

    batchrun.resume(limit=1, settings=settings)
    titles = path.read_text(encoding="utf-8-sig").splitlines()[0]
    assert ",seconds,Short,outputs." in titles

    batchrun.resume(settings=settings, form=Form(columns=["summary"]))
    assert path.read_text(encoding="utf-8-sig").splitlines()[0].endswith("seconds,Short")


# how it looks


def test_values_are_short_and_readable(settings: Settings) -> None:
    told: list[Progress] = []
    plan = batchrun.check(accounts(), WORKFLOW, settings=settings)
    report = batchrun.run(accounts(), WORKFLOW, settings=settings, on_progress=told.append)
    batch_id = report.summary.batch_id
    assert repr(plan).startswith("<Plan List: DataFrame; Workflow: Account Research (wf_")
    assert repr(report) == (
        f"<Report finished: {batch_id}, Account Research on DataFrame, 3 rows (3 completed)>"
    )
    assert repr(report.summary) in f"<BatchSummary {report.summary.words}>"
    assert repr(told[-1]) == "<Progress 3 of 3 rows (3 completed), 0 running>"
    assert "by nobody now" in repr(batchrun.status(settings=settings))


def test_a_notebook_shows_tables_and_never_markup_of_a_list(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "<script>alert(1)<.csv"
    path.write_text(f"Company ID\n{accounts(1)['Company ID'].iloc[0]}\n", encoding="utf-8")
    plan = batchrun.check(path, WORKFLOW, settings=settings)
    report = batchrun.run(path, WORKFLOW, settings=settings)
    for value in (plan, report, report.summary, batchrun.status(settings=settings)):
        html = value._repr_html_()
        assert html.startswith("<table>")
        assert "&lt;script&gt;" in html
        assert "<script" not in html


def test_lists_of_objects_are_frames_of_their_own(settings: Settings) -> None:
    source = accounts(3)
    report = batchrun.run(source, WORKFLOW, settings=settings)
    insights = report.details("insights")
    assert set(insights.index) <= set(source.index)
    assert list(insights.loc[[insights.index[0]], "item"]) == list(
        range(1, len(insights.loc[[insights.index[0]]]) + 1)
    )
    joined = insights[["item"]].join(report.frame())
    assert len(joined) == len(insights)
    assert list(joined["Company ID"]) == [source["Company ID"].loc[at] for at in insights.index]
    with pytest.raises(batchrun.BatchrunError, match="Did you mean insights"):
        report.details("insigths")


def test_a_pilot_and_lists_are_tables_in_a_notebook(settings: Settings) -> None:
    report = batchrun.run(accounts(3), WORKFLOW, limit=2, settings=settings)
    for value in (
        report.pilot(),
        batchrun.batches(settings=settings),
        batchrun.workflows(settings=settings),
    ):
        html = value._repr_html_()  # type: ignore[union-attr]
        assert html.startswith("<table>")
    assert report.pilot()._repr_html_().count("<tr>") == 3


def test_progress_counts_rows_that_are_done(settings: Settings) -> None:
    seen: list[batchrun.Progress] = []
    batchrun.run(accounts(3), WORKFLOW, settings=settings, on_progress=seen.append)
    assert (seen[-1].done, seen[-1].total) == (3, 3)
    assert all(each.done <= each.total == 3 for each in seen)


def test_the_names_are_in_order_and_documented() -> None:
    assert batchrun.__all__ == sorted(batchrun.__all__)
    modules = {path.stem for path in Path(str(batchrun.__file__)).parent.glob("*.py")} - {"aio"}
    assert not modules & set(batchrun.__all__)  # a module would take the name when it is imported
    for name in batchrun.__all__:
        assert inspect.getdoc(getattr(batchrun, name)), name
    assert "parameters" in str(inspect.getdoc(batchrun.run))
    assert list(inspect.signature(batchrun.run).parameters)[:3] == ["source", "workflow", "output"]


def test_importing_batchrun_is_light() -> None:
    heavy = "{'pandas', 'httpx', 'sqlalchemy', 'openpyxl', 'pydantic', 'typer', 'asyncio'}"
    script = f"import batchrun, sys; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
