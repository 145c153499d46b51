"""A list that is too large for memory is read as any other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import InputError
from batchrun.estimate import EstimateRates
from batchrun.list_rows import duplicates
from batchrun.model import Role, Workflow, is_stored
from batchrun.plan import Parameters, make_plan
from batchrun.tables import frames
from batchrun.tables.files import load
from batchrun.tables.roles import find_roles
from batchrun.tables.store import StoredCells
from tests.corpus.cases import FILES
from tests.tables.files import OTHER_UUID, UUID, cells, lines, load_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from batchrun.model import Cell, Table

LISTS = sorted(path for path in FILES.iterdir() if path.suffix in {".csv", ".txt", ".tsv"})
BOOKS = sorted(FILES.glob("merged-*.xlsx")) + sorted(FILES.glob("report-*.xlsx"))


def read(path: Path) -> Table | str:
    expected = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
    try:
        return load(path, **expected.get("options", {}))
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("paths", [LISTS, BOOKS], ids=["texts", "workbooks"])
def test_a_list_on_disk_is_the_same_as_in_memory(
    monkeypatch: pytest.MonkeyPatch, paths: list[Path]
) -> None:
    assert len(paths) > 10
    for path in paths:
        monkeypatch.setattr(frames, "MAX_HELD_CELLS", 10**6)
        held = read(path)
        monkeypatch.setattr(frames, "MAX_HELD_CELLS", -1)
        stored = read(path)
        if isinstance(held, str) or isinstance(stored, str):
            assert held == stored, path
            continue
        assert is_stored(stored.cells)
        assert cells(stored) == cells(held), path
        assert lines(stored) == lines(held), path
        assert stored.source == held.source, path
        assert stored.row(0) == held.row(0)
        assert [list(column) for column in stored.cells] == [list(column) for column in held.cells]
        assert roles(stored) == roles(held)


def roles(table: Table) -> object:
    try:
        return find_roles(table)
    except InputError as error:
        return str(error)


def test_a_wider_row_later_on_widens_a_list_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_HELD_CELLS", -1)
    rows = [f"{UUID},x"] * 2_500 + [f"{OTHER_UUID},y,more"] + [f"{UUID},z"] * 1_200
    table = load_bytes(tmp_path, "\n".join(["Company ID,Name", *rows, ""]))
    assert table.header == ("Company ID", "Name", "")
    assert table.row(2_500).cells == (OTHER_UUID, "y", "more")
    assert [row.cells[2] for row in table.rows()].count("more") == 1
    assert len(table) == 3_701


def test_duplicates_are_named_without_reading_the_other_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_HELD_CELLS", -1)
    rows = [f"{UUID},Baker,x", f"{OTHER_UUID},Lindt,x", f'{UUID},"Hafen\nZoll",x']
    table = load_bytes(tmp_path, "\n".join(["Company ID,Target,Note", *rows, ""]))
    read, one_cell = set[int](), StoredCells.cell

    def cell(cells: StoredCells, column: int, row: int) -> Cell:
        read.add(column)
        return one_cell(cells, column, row)

    monkeypatch.setattr(StoredCells, "cell", cell)
    rates = EstimateRates(60, 45)
    plan = make_plan(table, Workflow("wf_1", "R"), {Role.COMPANY: 0}, Parameters(), rates)
    read.clear()
    assert [*duplicates(plan)] == [(4, "Hafen Zoll", 2, "Baker")]
    assert read == {1}


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Full:
        def close(self) -> None:
            pass

        def seek(self, at: int) -> None:
            del at

        def write(self, content: bytes) -> None:
            del content
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(frames, "MAX_HELD_CELLS", -1)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(InputError, match=r"list\.csv is too large .*No space left") as caught:
        load_bytes(tmp_path, f"Company ID\n{UUID}\n", "list.csv")
    assert "temporary files" in caught.value.hint
