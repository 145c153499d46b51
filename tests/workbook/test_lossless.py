"""Whatever the service sends: it is in the workbook, or whole in the file beside it."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun import workbook
from batchrun.estimate import EstimateRates
from batchrun.journal import Journal
from batchrun.model import (
    JSON,
    Execution,
    ExecutionStatus,
    Role,
    Workflow,
)
from batchrun.plan import Parameters, make_plan
from batchrun.tables.frames import from_frame
from batchrun.workbook.cells import is_address
from batchrun.workbook.excel import write_excel
from batchrun.workbook.layout import layout_of
from batchrun.workbook.markdown import without_markup
from batchrun.workbook.sheets import short_address
from tests.journal.batches import working_on
from tests.workbook.batches import batch_of, company, sheet, sheet_names
from tests.workbook.ooxml import check_workbook

if TYPE_CHECKING:
    from batchrun.workbook.flatten import Flat
    from batchrun.workbook.layout import DetailTable, Layout, ResultColumn

texts = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(exclude_categories=()), max_size=5),  # halves of surrogate pairs too
    st.dates().map(str),
    st.datetimes().map(datetime.isoformat),
    st.times().map(time.isoformat),
    st.sampled_from(["=1+1", "_x0041_", "https://x.example/1", "#N/A", "TRUE", "1e5", "\r\n"]),
    st.integers(32_700, 32_800).map("x".__mul__),
)
keys = st.sampled_from(["a", "b", "a.b", "", " ", "seconds", "=k", "A", "ü"]) | st.text(max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)
results = st.lists(st.dictionaries(keys, values, max_size=5) | values, min_size=1, max_size=4)


@settings(max_examples=40)
@given(results)
def test_every_value_is_in_its_cell_or_in_the_file_beside(found: list[JSON]) -> None:
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "out.xlsx"
        workbook.write(batch_of(*found), target)
        check_workbook(target)
        whole = target.with_suffix(".whole.jsonl")
        if whole.exists():
            lines = whole.read_text(encoding="utf-8").splitlines()
            kept = [json.loads(line)["result"] for line in lines]
            assert list(map(spelled, kept)) == list(map(spelled, found))
        else:
            check_cells(target, found)


def check_cells(target: Path, found: list[JSON]) -> None:
    layout = layout_of(batch_of(*found), arranged=True)
    flats = [layout.flat(result) for result in found]
    first = len(layout.header) - len(layout.results) + 1
    assert {
        path for flat in flats for path, value in flat.values.items() if value not in {None, ""}
    } <= {column.path for column in layout.results}
    for cells, flat in zip(sheet(target)[1:], flats, strict=True):
        check_values(layout.results, cells[first:], flat)
    names = iter(sheet_names(target)[2:])  # after Overview and Results
    for table in layout.tables:
        for each, items in with_items(
            layout, table, [flat.items.get(table.path, []) for flat in flats]
        ):
            lines = sheet(target, next(names))[1:]
            for cells, item in zip(lines, items, strict=True):
                check_values(each.columns, cells[len(layout.leading) :], item)


def with_items(
    layout: Layout, table: DetailTable, lists: list[list[dict[str, JSON]]]
) -> list[tuple[DetailTable, list[Flat]]]:
    """A table of items, and those below it, with the items their sheets should hold."""
    flats = [layout.flat(dict(item)) for items in lists for item in items]
    found = [(table, flats)]
    for below in table.tables:
        found += with_items(layout, below, [flat.items.get(below.path, []) for flat in flats])
    return found


def check_values(columns: tuple[ResultColumn, ...], cells: list[Any], flat: Flat) -> None:
    for column, cell in zip(columns, cells, strict=True):
        value = flat.values.get(column.path)
        if value is None or value == "":
            assert cell == (0 if column.counts and column.path in flat.values else "")
        else:
            assert is_same(cell, value), (column.path, cell, value)


def is_same(cell: Any, value: JSON) -> bool:
    """Whether a cell, as calamine reads it, says this value."""
    match value:
        case bool():
            return cell is value
        case int() | float() if isinstance(cell, str):  # more than Excel has, or no number
            return cell == str(value)
        case str() if not isinstance(cell, str):  # a date or time
            if "T" not in value and " " not in value:
                return bool(cell.isoformat()[: len(value)] == value)
            if type(cell) is date:  # how calamine reads midnight
                cell = datetime.combine(cell, time())
            meant = datetime.fromisoformat(value).replace(tzinfo=None)
            return bool(abs((cell - meant).total_seconds()) < 0.002)
        case str():  # an address is short, and Markdown without markup
            shown = short_address(value) if is_address(value) else without_markup(value)
            return cell in {value, shown}
        case _:
            return bool(cell == value)


def spelled(value: JSON) -> str:
    """A value in a form in which NaN is itself, as it is in valid JSON: a word."""
    text = json.dumps(value, sort_keys=False)
    for word, name in (("NaN", '"nan"'), ("-Infinity", '"-inf"'), ("Infinity", '"inf"')):
        text = text.replace(word, name)
    return text


def test_the_workbook_is_the_same_for_any_order_of_completion(tmp_path: Path) -> None:
    """Through the journal, which is where the order of completion could leave a trace."""
    sent: list[JSON] = [
        {"n": 1, "a": {"x": 1}}, {"b": [{"p": 1}], "a": {"y": 2}}, {"a": {"x": 3}, "c": None},
        {"c": {"z": "2026-01-01"}}, {"d.e": 1, "d": {"e": 2}}, {"b": [{"q": 2}, {"p": 3}]},
    ]  # fmt: skip

    seen = set()
    for attempt in range(6):
        order = list(range(len(sent)))
        random.Random(attempt).shuffle(order)
        with Journal(str(tmp_path / f"{attempt}.db")) as journal:
            batch_id = journal.create(plan_of(len(sent)), "https://api.example.com/v1")
            asyncio.run(complete(journal, batch_id, sent, order))
            with journal.results(batch_id) as found:
                write_excel(found, tmp_path / f"{attempt}.xlsx")
        own = {"Run details"}  # each attempt is a batch of its own
        names = [name for name in sheet_names(tmp_path / f"{attempt}.xlsx") if name not in own]
        seen.add(str([sheet(tmp_path / f"{attempt}.xlsx", name) for name in names]))
    assert len(seen) == 1


def plan_of(rows: int) -> Any:
    listed = pd.DataFrame({"Company ID": [company(number) for number in range(rows)]})
    table = from_frame(listed, "accounts.csv")
    rates = EstimateRates(60, 45)
    return make_plan(table, Workflow("wf_1", "Research"), {Role.COMPANY: 0}, Parameters(), rates)


async def complete(
    journal: Journal, batch_id: str, sent: list[JSON], order: list[int], prefix: str = "exec"
) -> None:
    now = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    jobs = journal.jobs(batch_id, "key")
    pending = {job.number: job for job in jobs.pending()}
    with working_on(journal, batch_id):
        for number in order:
            name = f"{prefix}_{number}"
            job = pending[number]
            assert await jobs.begin_trigger(job)
            queued = Execution(name, ExecutionStatus.QUEUED, created_at=now)
            await jobs.accept(job, queued, now)
            done = Execution(name, ExecutionStatus.COMPLETED, now, now, now, result=sent[number])
            await jobs.finish(job, done, now)
