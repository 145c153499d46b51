"""The list `batchrun demo` runs."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from batchrun.sandbox import write_demo_list

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def accounts(tmp_path: Path) -> list[dict[str, str]]:
    path = tmp_path / "accounts demo.csv"
    write_demo_list(path)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_company_stands_twice_and_one_id_is_damaged(accounts: list[dict[str, str]]) -> None:
    ids = Counter(each["Company ID"] for each in accounts)
    assert ids.total() == 40
    assert sorted(ids.values())[-2:] == [1, 2]
    assert [identifier for identifier in ids if not _is_uuid(identifier)] == ["0015g00000XyZabAAB"]


def test_postal_codes_keep_their_leading_zeros(accounts: list[dict[str, str]]) -> None:
    codes = [each["Postal code"] for each in accounts]
    assert all(len(code) == 5 and code.startswith("0") for code in codes)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
