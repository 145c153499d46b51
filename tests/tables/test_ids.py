from __future__ import annotations

import uuid
from datetime import date, time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.tables.ids import DamagedId, MissingId, ValidId, parse_id
from tests.tables.files import OTHER_UUID, UUID

if TYPE_CHECKING:
    from batchrun.model import Cell


@pytest.mark.parametrize(
    "spelling",
    [
        UUID,
        UUID.upper(),
        f"{{{UUID}}}",
        f"urn:uuid:{UUID}",
        f"URN:UUID:{UUID.upper()}",
        UUID.replace("-", ""),
        f"  {UUID}\t\n",
        f"\xa0{UUID}\u200b",
        f"\ufeff{UUID}",
        f'"{UUID}"',
        f"'{UUID}",
        f"“{UUID}”",
        f'="{UUID}"',
        f' ="{UUID.upper()}" ',
        f'= "{UUID}"',
        f"=\xa0'{UUID}'",
        f"=“{UUID}”",
        f"= „{UUID.upper()}“ ",
        f"={UUID}",
        f" = {UUID.replace('-', '')}",
        f'="{{{UUID}}}"',
        f'= "urn:uuid:{UUID}"',
        f"=urn:uuid:{UUID}",
        f"https://app.example.com/companies/{UUID}",
        f"https://app.example.com/companies/{UUID.upper()}?tab=all#top",
        f"app.example.com/{UUID}/edit",
        f"({UUID})",
        f"[{UUID}]",
        f"<{UUID}>",
        f"{UUID};",
        f"\u202a{UUID}\u202c",
        UUID.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}),  # full-width
    ],
)
def test_every_spelling_of_a_uuid_is_the_same_id(spelling: str) -> None:
    assert parse_id(spelling) == ValidId(UUID)


@pytest.mark.parametrize("cell", [None, "", "   ", "\xa0\u200b", float("nan"), '""', '=""', "= “”"])
def test_an_empty_cell_is_missing(cell: Cell) -> None:
    assert parse_id(cell) == MissingId()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("0015g00000XyZab", "looks like a Salesforce ID"),
        ("0015g00000XyZabAAB", "looks like a Salesforce ID"),
        ("14829301754", "looks like a HubSpot record number"),
        (14829301754, "looks like a HubSpot record number"),
        ("1.23E+10", "Excel turned this into a number"),
        ("1,23457E+11", "Excel turned this into a number"),
        (1.2345e30, "Excel turned this into a number"),
        ("42", "is a number"),
        (4.5, "is a number"),
        (UUID[:-5], "fewer than 32 letters and digits"),
        (UUID + "0", "more than 32 letters and digits"),
        ("a1b2c3d4e5f6-7890-abcd-ef12-34567890", "hyphens are in the wrong places"),
        (UUID.replace("f6", "g6"), "is not one of 0-9"),
        (UUID.replace("-", "\u00b7", 1), "is not one of 0-9"),
        ("#N/A", "broken formula"),
        ("#REF!", "broken formula"),
        ("info@example.com", "e-mail address"),
        ("example.com", "domain name"),
        ("https://example.com/companies", "web address without an ID"),
        ("n/a", "is a placeholder for an empty cell"),
        ("NULL", "is a placeholder for an empty cell"),
        ("-", "is a placeholder for an empty cell"),
        (0, "is a placeholder for an empty cell"),
        ("00000000-0000-0000-0000-000000000000", "is a placeholder for an empty cell"),
        ("{00000000000000000000000000000000}", "is a placeholder for an empty cell"),
        (f"{UUID};{OTHER_UUID}", "holds several PG:AI IDs"),
        (f"https://example.com/{UUID}/{OTHER_UUID}", "holds several PG:AI IDs"),
        (f"Acme ({UUID})", "holds a PG:AI ID and other text"),
        (f"merged into {UUID} on 3/4/2026", "holds a PG:AI ID and other text"),
        (f"n/a (was {UUID})", "holds a PG:AI ID and other text"),
        (f"Acme A/S\n{UUID}", "holds a PG:AI ID and other text"),
        (f"see https://example.com/{UUID}", "holds a PG:AI ID and other text"),
        (f'=HYPERLINK("https://example.com/{UUID}";"Acme")', "holds a PG:AI ID and other text"),
        ("Acme Inc.", "is not a PG:AI ID"),
        (True, "yes/no value"),
        (date(2026, 3, 1), "is a date"),
        (time(9), "is a time"),
    ],
)
def test_damage_is_named_by_its_likely_cause(cell: Cell, words: str) -> None:
    parsed = parse_id(cell)
    assert isinstance(parsed, DamagedId)
    assert words in parsed.reason


def test_a_damaged_value_is_shown_on_one_line_and_not_whole() -> None:
    parsed = parse_id("first\nsecond " + "x" * 500)
    assert isinstance(parsed, DamagedId)
    assert parsed.shown == f'"first second {"x" * 26}…"'


@pytest.mark.parametrize(
    ("cell", "where"),
    [
        (UUID.replace("f6", "g6"), "'g' at position 12"),
        (UUID.replace("-", "\u00b7", 1), "(middle dot) at position 9"),
        (UUID[:-5], "27 letters and digits"),
    ],
)
def test_the_place_of_the_damage_is_shown_beside_the_value(cell: str, where: str) -> None:
    parsed = parse_id(cell)
    assert isinstance(parsed, DamagedId)
    assert parsed.shown.startswith(f'"{cell}"')
    assert where in parsed.shown


def test_values_damaged_in_the_same_way_have_the_same_reason() -> None:
    several = [["0015g00000XyZabAAB", "0015g00000QrStuAAC"], [UUID[:-5], UUID[:-9]], ["1", "2"]]
    for cells in several:
        assert len({getattr(parse_id(cell), "reason", None) for cell in cells}) == 1


@pytest.mark.parametrize("cell", ["=", "= ", "=A2", "='Sheet 1'!A2", f"=A2&{UUID}", "=-"])
def test_another_formula_is_quoted_as_it_is(cell: str) -> None:
    parsed = parse_id(cell)
    assert isinstance(parsed, DamagedId)
    assert parsed.shown.startswith(f'"{cell[:39].strip()}')


@given(st.uuids())
def test_any_uuid_is_read(value: uuid.UUID) -> None:
    assert parse_id(str(value)) == parse_id(value.hex.upper()) == ValidId(str(value))


@given(st.text() | st.floats() | st.integers() | st.datetimes() | st.timedeltas())
def test_any_cell_gets_an_answer(cell: Cell) -> None:
    """Whatever a cell holds, it is an ID, nothing, or damage with a reason; never an exception."""
    parsed = parse_id(cell)
    if isinstance(parsed, ValidId):
        assert str(uuid.UUID(parsed.value)) == parsed.value
    if isinstance(parsed, DamagedId):
        assert "\n" not in parsed.reason + parsed.shown


def test_lenient_reading_takes_what_merely_looks_like_a_uuid_as_it_is_written() -> None:
    """The service's own documentation shows a contact id that is not hexadecimal."""
    shown = "f8G9h0i1-j2k3-4567-lmno-pq1234567890"
    assert parse_id(f" {{{shown}}}", lenient=True) == ValidId(shown)
    strict = parse_id(shown)
    assert isinstance(strict, DamagedId)
    assert "is not one of 0-9 and a-f" in strict.reason
    assert isinstance(parse_id("0015g00000XyZabAAB", lenient=True), DamagedId)
