"""Several files are one list; Parquet files are lists too."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from openpyxl.packaging.custom import StringProperty
from pyarrow import parquet

from batchrun.errors import InputError
from batchrun.model import Role
from batchrun.tables import frames
from batchrun.tables.files import load
from batchrun.tables.roles import find_roles
from batchrun.tables.workbooks import OURS
from batchrun.workbook import Audience, Form, write
from tests.tables.files import OTHER_UUID, UUID, cells, lines, write_workbook
from tests.workbook.batches import batch_of

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "Company ID,Name"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two lists, and what is no list."""
    found = tmp_path / "exports"
    (found / "old").mkdir(parents=True)
    (found / "a.csv").write_text(f"{HEADER}\n{UUID},Acme\n", encoding="utf-8")
    write_workbook(found / "b.xlsx", {"S": [["Company ID", "Name"], [OTHER_UUID, "Bay"]]})
    for name in ("_SUCCESS", ".hidden.csv", "notes.md", "a.results.csv", "~$b.xlsx"):
        (found / name).write_text("x", encoding="utf-8")
    return found


@pytest.mark.parametrize("pattern", ["", "*.*", "[ab].*"])
@pytest.mark.parametrize("held", [-1, 10**6])
def test_the_files_of_a_folder_or_pattern_are_one_list(
    folder: Path, pattern: str, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_HELD_CELLS", held)
    if pattern == "*.*":
        (folder / "notes.md").unlink()
    table = load(folder / pattern)
    assert table.header == ("Company ID", "Name")
    assert cells(table) == [[UUID, "Acme"], [OTHER_UUID, "Bay"]]
    assert lines(table) == [2, 4]
    assert "2 files read as one list" in table.source.notices[0]
    assert "a.csv 1-2; b.xlsx 3-4" in table.source.notices[0]
    assert table.source.path is not None
    assert "*" not in table.source.path


@pytest.mark.parametrize("name", [".", "./", "../exports", "*"])
def test_the_current_folder_can_be_a_list(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "notes.md").unlink()
    monkeypatch.chdir(folder)
    table = load(name)
    assert cells(table) == [[UUID, "Acme"], [OTHER_UUID, "Bay"]]
    assert table.source.name
    assert table.source.path is not None
    assert table.source.path.startswith(str(folder.parent))


def test_a_file_with_other_columns_is_named(folder: Path) -> None:
    (folder / "c.csv").write_text(f"Company ID,City\n{UUID},Ulm\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"c\.csv has other columns than a\.csv \(missing: 'Name';"
    ):
        load(folder)
    (folder / "c.csv").write_text(f"Name,Company ID\nAcme,{UUID}\n", encoding="utf-8")
    with pytest.raises(InputError, match="the order of its columns"):
        load(folder)


def test_a_fault_in_one_file_is_said_with_its_name(folder: Path) -> None:
    (folder / "c.csv").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.csv is empty"):
        load(folder)


def test_a_folder_without_lists_is_refused(folder: Path) -> None:
    for path in (folder / "old", folder / "*.tsv"):
        with pytest.raises(InputError, match="contains no list"):
            load(path)


@pytest.mark.parametrize("name", ["0-export.csv", "0-export.xlsx", "c-export.parquet"])
@pytest.mark.parametrize("form", [Form(), Form(audience=Audience.PEOPLE)])
def test_results_are_never_read_as_lists(folder: Path, name: str, form: Form) -> None:
    before = load(folder)
    write(batch_of({"fit": 1}), folder / name, form)
    table = load(folder)
    assert cells(table) == cells(before)
    assert table.source.notices[:2] == (
        before.source.notices[0],
        f"Left out, because batchrun wrote them: {name}",
    )
    write(batch_of({"fit": 1}), folder / "old" / name, form)
    with pytest.raises(InputError, match="contains no list") as refused:
        load(folder / "old")
    assert f"batchrun wrote them: {name}" in refused.value.hint


def test_a_list_that_names_a_batch_in_its_properties_is_a_list(folder: Path) -> None:
    write_workbook(folder / "c.xlsx", {"S": [HEADER.split(","), [UUID, "Cay"]]})
    book: Any = openpyxl.load_workbook(folder / "c.xlsx")
    book.custom_doc_props.append(StringProperty(name=OURS, value="1129-a-7f3a"))
    book.save(folder / "c.xlsx")
    assert cells(load(folder))[-1] == [UUID, "Cay"]


def test_a_wide_row_of_one_file_is_no_other_column(folder: Path) -> None:
    (folder / "a.csv").write_text(f"{HEADER}\n{UUID},Acme,more\n", encoding="utf-8")
    table = load(folder)
    assert table.header == ("Company ID", "Name", "")
    assert cells(table) == [[UUID, "Acme", "more"], [OTHER_UUID, "Bay", None]]


def test_binary_ids_of_a_parquet_file_are_ids_even_if_they_are_text_too(tmp_path: Path) -> None:
    ids = [bytes.fromhex(UUID.replace("-", "")), b"abcdefgh12345678", None]
    table = pa.table({"Company ID": pa.array(ids, pa.binary(16)), "Name": ["A", "B", "C"]})
    parquet.write_table(table, tmp_path / "list.parquet")
    found = [row[0] for row in cells(load(tmp_path / "list.parquet"))]
    assert found == [each and each.hex() for each in ids]


def test_a_parquet_file_is_read_with_its_types(tmp_path: Path) -> None:
    moment = datetime(2026, 5, 1, 10, tzinfo=UTC)
    columns = {
        "Company ID": pa.array([UUID, OTHER_UUID]).dictionary_encode(),
        "Count": pa.array([1, None], pa.int16()),
        "Share": pa.array([0.5, float("nan")]),
        "Price": pa.array([Decimal("1.50"), Decimal("2.00")]),
        "Since": pa.array([date(2026, 5, 1), None]),
        "At": pa.array([moment, None], pa.timestamp("ns", "UTC")),
        "Tags": pa.array([["a", "ä"], None]),
        "Raw": pa.array([b"x", b"\xff"]),
        "": pa.array(["", "x"]),
    }
    parquet.write_table(pa.table(columns), tmp_path / "list.csv")
    table = load(tmp_path / "list.csv")
    assert table.header == tuple(columns)
    assert cells(table) == [
        [UUID, 1, 0.5, "1.50", date(2026, 5, 1), moment, '["a", "ä"]', "x", ""],
        [OTHER_UUID, None, None, "2.00", None, None, None, "ff", "x"],
    ]
    assert lines(table) == [2, 3]
    assert find_roles(table) == {Role.COMPANY: 0}
    assert table.source.format == "parquet"


def test_a_parquet_file_that_can_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "list.parquet"
    pd.DataFrame({"Company ID": [UUID]}).to_parquet(file)
    with pytest.raises(InputError, match="has no sheet 'S'"):
        load(file, sheet="S")
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"PAR1", whole[:40] + b"\0" * 40 + whole[80:]):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"damaged|can't be read"):
            load(file)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match="the library that reads it is not installed"):
        load(file)
