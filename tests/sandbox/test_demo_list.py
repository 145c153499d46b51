"""The list `batchrun demo` runs."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

from batchrun.sandbox import DEMO_HEADER, demo_rows, write_demo_list

if TYPE_CHECKING:
    from pathlib import Path


def test_one_company_stands_twice_and_one_id_is_damaged() -> None:
    ids = Counter(row[0] for row in demo_rows())
    assert ids.total() == 40
    assert sorted(ids.values())[-2:] == [1, 2]
    assert [identifier for identifier in ids if not _is_uuid(identifier)] == ["0015g00000XyZabAAB"]


def test_postal_codes_keep_their_leading_zeros() -> None:
    codes = [row[DEMO_HEADER.index("Postal code")] for row in demo_rows()]
    assert all(len(code) == 5 and code.startswith("0") for code in codes)


def test_the_written_list_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "accounts demo.csv"
    write_demo_list(path)
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == DEMO_HEADER
    assert [tuple(row) for row in rows] == list(demo_rows())


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
