"""One odd value never costs the workbook: every row is there, whatever the service answers."""

from __future__ import annotations

import json
import tempfile
import time as clock
import zipfile
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batchrun import load_settings, run, workbook
from batchrun.journal.schema import decode_result, decode_time, encode_time
from batchrun.model import JSON, BatchResults, Outcome, Workflow
from batchrun.sandbox import SandboxSettings, running
from batchrun.workbook import excel
from batchrun.workbook.analysis import Analysis
from batchrun.workbook.layout import MORE, MORE_OF_LIST, Layout
from batchrun.workbook.overview import OverviewSheet, Page, RunDetailsSheet
from batchrun.workbook.source import ListFormats
from batchrun.workbook.table_sheets import AttentionSheet, ColumnsSheet, DetailSheets
from tests.workbook.batches import BEGAN, batch, batch_of, company, row, sheet, table
from tests.workbook.ooxml import check_workbook

FORMATS = ("xlsx", "csv", "jsonl", "parquet")


def nested(depth: int, kind: str) -> JSON:
    """A value nested as deep as this, of objects, lists, or lists of objects."""
    value: JSON = 1
    for _ in range(depth):
        match kind:
            case "objects":
                value = {"k": value}
            case "lists":
                value = [value]
            case _:
                value = [{"k": value, "n": 1}]
    return {"deep": value}


def rows_of(path: Path) -> int:
    """How many rows a file of results has."""
    match path.suffix:
        case ".xlsx":
            check_workbook(path)
            return len(sheet(path)) - 1
        case ".parquet":
            return int(pyarrow.parquet.read_table(path).num_rows)
        case ".jsonl":
            return len(path.read_text(encoding="utf-8").splitlines())
        case _:
            return path.read_text(encoding="utf-8-sig", errors="surrogatepass").count("completed")


MOMENTS = [
    datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1899, 12, 31, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_moment_out_of_range_is_written(tmp_path: Path, suffix: str, moment: datetime) -> None:
    odd = replace(row(0, {"at": moment.isoformat()}), started_at=moment, finished_at=moment)

    path = workbook.write(batch([odd, row(1, {"at": "x"})]), tmp_path / f"out.{suffix}")

    assert rows_of(path) == 2


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_the_journal_reads_any_moment_it_has_kept(moment: datetime) -> None:
    assert decode_time(encode_time(moment)) in {moment, None}


@pytest.mark.parametrize("seconds", [1e300, -1e300, 253402300800.0, float("nan"), float("inf")])
def test_a_moment_that_is_none_is_read_as_nothing(seconds: float) -> None:
    assert decode_time(seconds) is None


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", ["objects", "lists", "lists of objects"])
@pytest.mark.parametrize("depth", [60, 5_000])
def test_a_result_nested_deep_is_written(
    tmp_path: Path, suffix: str, kind: str, depth: int
) -> None:
    results = batch_of(nested(depth, kind), {"deep": 1})

    path = workbook.write(results, tmp_path / f"out.{suffix}")

    assert rows_of(path) == 2


def test_a_kept_result_that_python_cannot_parse_is_read_as_its_text() -> None:
    text = "[" * 100_000 + "]" * 100_000

    assert decode_result(zlib.compress(text.encode())) == text


def test_executions_that_end_before_they_start_are_written(tmp_path: Path) -> None:
    odd = [
        replace(
            row(number, {"a": 1}), started_at=BEGAN, finished_at=BEGAN - timedelta(hours=number)
        )
        for number in range(1, 4)
    ]

    assert rows_of(workbook.write(batch(odd), tmp_path / "out.xlsx")) == 3


@pytest.mark.parametrize("suffix", FORMATS)
def test_half_an_emoji_is_written(tmp_path: Path, suffix: str) -> None:
    half = "\ud83d"
    rows = [
        row(0, {half: half, "list": [half], "items": [{half: half}]}, cells=(half, "a")),
        row(1, None, Outcome.COMPLETED, message=half),
    ]

    path = workbook.write(batch(rows, (half, "Name")), tmp_path / f"out.{suffix}")

    assert rows_of(path) == 2


def test_a_list_of_too_many_columns_reaches_excels_own_number_of_columns(tmp_path: Path) -> None:
    header = tuple(f"c{number}" for number in range(17_000))
    cells = tuple(f"v{number}" for number in range(17_000))

    path = workbook.write(batch([row(0, {"a": 1}, cells=cells)], header), tmp_path / "out.xlsx")

    check_workbook(path)
    head, values = sheet(path)
    assert len(head) == 16_384
    assert head[-1] == MORE  # results, beside those of the list
    first = head.index(MORE_OF_LIST)
    assert values[:first] == list(cells[:first])
    assert cells[-1] in values[first]
    kept = json.loads(path.with_suffix(".whole.jsonl").read_text(encoding="utf-8"))
    assert list(kept["input"].values()) == list(cells)


@pytest.mark.parametrize("year", [1970, 1601, 2150])
def test_a_wrong_clock_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    now = workbook.write(batch_of({"a": 1}), tmp_path / "now.xlsx").read_bytes()
    wrong = clock.struct_time((year, 1, 1, 0, 0, 0, 0, 1, 0))
    monkeypatch.setattr(clock, "localtime", lambda *_: wrong)

    then = workbook.write(batch_of({"a": 1}), tmp_path / "then.xlsx").read_bytes()

    assert then == now


@pytest.mark.parametrize(
    "name", ["\x00", "\x1b[31m", "\ud83d", "a" * 40_000, "&L&P", "=1+1", "\ufffe"]
)
def test_any_name_of_a_workflow_is_written(tmp_path: Path, name: str) -> None:
    results = batch([row(0, {"a": 1})], workflow=Workflow("wf", name), note=name)

    assert rows_of(workbook.write(results, tmp_path / "out.xlsx")) == 1


def fail(*_: object, **__: object) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (AttentionSheet, "write"),
        (ColumnsSheet, "write"),
        (OverviewSheet, "write"),
        (Page, "bars"),
        (Analysis, "see"),
        (excel, "_describe"),
        (DetailSheets, "add"),
        (Layout, "values"),
        (Layout, "flat"),
        (RunDetailsSheet, "write"),
        (ListFormats, "decoded"),
        (excel, "layout_of"),
        (excel, "_write_rows"),
    ],
)
def test_a_part_that_fails_costs_no_more_than_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    rows = [row(0, {"a": 1, "list": [{"x": 1}]}), row(1, None, Outcome.FAILED, message="why")]
    monkeypatch.setattr(owner, name, fail)

    path = workbook.write(batch(rows), tmp_path / "out.xlsx")

    check_workbook(path)
    found = table(path)
    assert [each["Account Name"] for each in found] == ["Firm 0", "Firm 1"]
    assert [each["batchrun status"] for each in found] == ["completed", "failed"]


texts = st.text(st.characters(exclude_categories=()), max_size=8)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(10**20), 1e308, -0.0])
leaves = (
    st.none()
    | st.booleans()
    | numbers
    | texts
    | st.sampled_from(["9999-12-31", "=1", "0000-00-00"])
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
cells = (
    texts | numbers | st.booleans() | st.none() | st.datetimes() | st.dates() | st.times()
    | st.timedeltas()
)  # fmt: skip
formats = st.sampled_from(
    ["", "General", "0%", "@", "dd/mm/yyyy", '"€" #,##0', "[h]:mm", "???", "\\"]
)


def _is_huge(cell: object) -> bool:
    return isinstance(cell, (int, float)) and not abs(cell) < 10**9


@st.composite
def batches(draw: st.DrawFn) -> BatchResults:
    """Any list with any formats, and any results."""
    rows = []
    for number in range(draw(st.integers(1, 4))):
        own = (company(number), draw(cells))
        outcome = draw(st.sampled_from(Outcome))
        moments = [draw(st.none() | st.datetimes(timezones=st.just(UTC))) for _ in range(3)]
        made = row(number, draw(values), outcome, cells=own, message=draw(texts))
        rows.append(
            replace(
                made,
                execution_id=draw(st.none() | texts),
                triggered_at=moments[0],
                started_at=moments[1],
                finished_at=moments[2],
            )
        )
    codes = tuple(draw(st.lists(formats, max_size=3)))
    # calamine can't read such a number that a list shows as a duration
    assume("[h]:mm" not in codes or not any(_is_huge(each.row.cells[1]) for each in rows))
    kept = ListFormats({}, [(codes, len(rows))]).encoded()
    results = batch(rows, (draw(texts), draw(texts)), note=draw(texts))
    return replace(results, list_formats=kept)


@settings(max_examples=30)
@given(batches())
def test_whatever_the_service_answers_every_row_is_in_the_workbook(results: BatchResults) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = workbook.write(results, Path(folder) / "out.xlsx")
        check_workbook(path)
        found = sheet(path)
        assert len(found) == results.summary.rows + 1
        assert [each[0] for each in found[1:]] == [each.row.cells[0] for each in results.rows]
        assert [each[2] for each in found[1:]] == [each.outcome.words for each in results.rows]


def test_a_run_of_a_list_with_odd_styles_ends_with_a_workbook_of_every_row(tmp_path: Path) -> None:
    """From end to end: the list's empty cell has a style that its stylesheet lacks."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.append(["Company ID", "Name", "Deal"])
    for number in range(3):
        page.append([company(number), f"Firm {number}", 1000 * number])
        page.cell(number + 2, 3).number_format = ("0.00", '"€" #,##0', "General")[number]
    book.save(tmp_path / "whole.xlsx")
    with (
        zipfile.ZipFile(tmp_path / "whole.xlsx") as whole,
        zipfile.ZipFile(tmp_path / "list.xlsx", "w") as odd,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = content.replace(b"</row>", b'<c r="Z9" s="99"/></row>', 1)
                content = content.replace(b'r="Z9"', b'r="D1"')
            odd.writestr(name, content)
    with running(SandboxSettings(rate_per_minute=None), speed=600) as url:
        journal = str(tmp_path / "journal.db")
        used = load_settings(api_key="sandbox", base_url=url, speed=600, journal=journal)
        report = run(tmp_path / "list.xlsx", "Account Research", settings=used)

    assert report is not None
    assert report.output is not None
    assert [each["Name"] for each in table(report.output)] == ["Firm 0", "Firm 1", "Firm 2"]
    found = openpyxl.load_workbook(report.output)["Results"]
    codes = [found.cell(line, 3).number_format for line in (2, 3, 4)]
    assert codes == ["0.00", '"€" #,##0', "General"]
