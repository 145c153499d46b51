from __future__ import annotations

import runpy
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from batchrun.model import Role
from batchrun.tables.files import load
from batchrun.tables.ids import DamagedId, MissingId, ValidId, parse_id
from batchrun.tables.roles import find_roles
from tests.tables.files import cells

SAMPLES = Path(__file__).parents[2] / "sample_data"
NAMES = [
    "salesforce_accounts.csv",
    "salesforce_report.xlsx",
    "hubspot_contacts.xlsx",
    "duplicates_and_damage.csv",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_script_makes_the_samples_again(tmp_path: Path, name: str) -> None:
    script = runpy.run_path(str(SAMPLES / "make_samples.py"))
    script["make_samples"](tmp_path)
    made, kept = load(tmp_path / name), load(SAMPLES / name)
    assert made.header == kept.header
    assert cells(made) == cells(kept)


def test_the_salesforce_report_is_clean() -> None:
    table = load(SAMPLES / "salesforce_accounts.csv")
    roles = find_roles(table)
    assert roles == {Role.COMPANY: 0}
    assert all(isinstance(parse_id(cell), ValidId) for cell in table.cells[0])
    assert "01067" in table.cells[table.header.index("Billing Postal Code")]
    assert table.source.notices == ()


def test_the_hubspot_contacts_keep_their_types() -> None:
    table = load(SAMPLES / "hubspot_contacts.xlsx")
    assert find_roles(table) == {Role.COMPANY: 5, Role.CONTACT: 4}
    first = dict(zip(table.header, cells(table)[0], strict=True))
    assert isinstance(first["Record ID"], int)
    assert isinstance(first["Create Date"], datetime)
    assert isinstance(first["Subscribed"], bool)
    assert str(first["Employee Number"]).startswith("0")


def test_the_damaged_list_shows_each_kind_of_id() -> None:
    table = load(SAMPLES / "duplicates_and_damage.csv")
    parsed = [parse_id(cell) for cell in table.cells[0]]
    assert Counter(map(type, parsed)) == {ValidId: 18, DamagedId: 10, MissingId: 2}
    assert Counter(parsed).most_common(1)[0][1] == 7
    assert "cp1252" in table.source.notices[0]


def test_the_report_is_the_list_in_it() -> None:
    table = load(SAMPLES / "salesforce_report.xlsx")
    assert find_roles(table) == {Role.COMPANY: 0}
    assert len(table) == 15
    assert all(isinstance(parse_id(cell), ValidId) for cell in table.cells[0])
    assert len(load(SAMPLES / "salesforce_report.xlsx", visible_only=True)) == 14
