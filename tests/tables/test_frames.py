from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from batchrun.errors import InputError
from batchrun.tables import from_frame
from tests.tables.files import UUID, cells, lines


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


def test_the_given_frame_is_left_as_it_was() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    taken = from_frame(frame, "mine").frame
    taken.iloc[0, 0] = 99
    assert frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []})])
def test_an_empty_frame_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="mine"):
        from_frame(frame, "mine")
