from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from batchrun.errors import InputError
from batchrun.tables.frames import from_frame
from tests.tables.files import UUID, cells, lines, load_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from batchrun.model import Cell


def test_a_frame_becomes_plain_python_cells() -> None:
    frame = pd.DataFrame(
        {
            "id": [uuid.UUID(UUID), None],
            "n": [1, 2],
            "x": [1.5, np.nan],
            "flag": [True, False],
            "when": [pd.Timestamp("2026-03-01 10:00"), pd.NaT],
            "long": [pd.Timedelta(hours=1), pd.NaT],
            "text": ["007", None],
            3: [Decimal("1.10"), np.int64(4)],
        },
        index=["a", "b"],
    )
    table = from_frame(frame)
    assert table.header == ("id", "n", "x", "flag", "when", "long", "text", "3")
    assert cells(table) == [
        [
            UUID,
            1,
            1.5,
            True,
            datetime.fromisoformat("2026-03-01T10:00"),
            timedelta(hours=1),
            "007",
            "1.10",
        ],
        [None, 2, None, False, None, None, None, 4],
    ]
    plain = {str, int, float, bool, datetime, timedelta, type(None)}
    assert {type(cell) for row in cells(table) for cell in row} <= plain
    assert lines(table) == [2, 3]
    assert table.source.name == "DataFrame"


def test_an_index_named_like_an_id_is_a_column() -> None:
    frame = pd.DataFrame({"Company ID": [UUID], "Name": ["Acme"]}).set_index("Company ID")
    assert from_frame(frame).header == ("Company ID", "Name")
    assert cells(from_frame(frame)) == [[UUID, "Acme"]]
    assert from_frame(frame.rename_axis("key")).header == ("Name",)
    frame.insert(0, "Company ID", "x")
    assert from_frame(frame).header == ("Company ID", "Company ID", "Name")


def test_names_of_several_levels_are_joined_as_those_of_several_lines_are() -> None:
    frame = pd.DataFrame([[UUID, 1]], columns=pd.MultiIndex.from_tuples([("a", "Id"), ("n", "")]))
    assert from_frame(frame).header == ("a / Id", "n")


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (np.datetime64("2024-01-01T10:30", "ns"), datetime.fromisoformat("2024-01-01T10:30")),
        (np.datetime64("2024-01-01T10:30", "us"), datetime.fromisoformat("2024-01-01T10:30")),
        (np.datetime64("2024-01-01", "D"), date(2024, 1, 1)),
        (np.datetime64("NaT", "ns"), None),
        (np.datetime64("20000-01-01", "s"), "20000-01-01 00:00:00"),
        (np.timedelta64(5_000, "ns"), timedelta(microseconds=5)),
        (np.timedelta64(5, "ns"), timedelta(0)),
        (np.timedelta64(90, "m"), timedelta(hours=1, minutes=30)),
        (np.timedelta64(2, "Y"), "2 years"),
    ],
    ids=repr,
)
def test_a_moment_of_numpy_among_other_cells_is_no_bare_number(value: object, taken: Cell) -> None:
    frame = pd.DataFrame({"id": [UUID, UUID], "when": pd.Series([value, "x"], dtype=object)})
    [[_, read], _] = cells(from_frame(frame))
    assert read == taken
    assert type(read) is type(taken)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.array(["20000-01-01"], dtype="datetime64[s]"), "20000-01-01 00:00:00"),
        (np.array([10**15], dtype="timedelta64[s]"), "11574074074 days 01:46:40"),
    ],
    ids=repr,
)
def test_a_moment_beyond_what_python_holds_becomes_its_text(
    values: npt.NDArray[np.generic], text: str
) -> None:
    assert cells(from_frame(pd.DataFrame({"when": values}))) == [[text]]


def test_who_writes_to_a_table_does_not_change_what_is_sent(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, f"ID,Name\n{UUID},Acme\n")
    for each in (table, from_frame(pd.DataFrame({"ID": [UUID], "Name": ["Acme"]}))):
        assert isinstance(each.cells, np.ndarray)
        with pytest.raises(ValueError, match="read-only"):
            each.cells[1, 0] = "Bay"
        assert cells(each) == [[UUID, "Acme"]]


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []})])
def test_an_empty_frame_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="mine"):
        from_frame(frame, "mine")
