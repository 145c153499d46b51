"""The pilot: results a person can read, next to the question about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.model import Outcome, ResultRow, Row
from batchrun.workbook.readable import Names, pilot_results

if TYPE_CHECKING:
    from batchrun.model import JSON

NAMES = Names(["Name"], {}, [])
SUMMARY = "## Acme\n\n**Growing** in [Europe](https://example.com)"


def results(*found: dict[str, JSON]) -> list[ResultRow]:
    return [
        ResultRow(
            Row(line, ("Acme",)), Outcome.COMPLETED, company_id=f"id {line}", result=dict(result)
        )
        for line, result in enumerate(found, 2)
    ]


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (
            [{"report_id": "1", "summary": SUMMARY}, {"report_id": "2", "summary": "Flat"}],
            [("Summary", "Growing in Europe (https://example.com)")],
        ),
        ([{"same": "x", "differs": "1"}, {"same": "x", "differs": "2"}], [("Differs", "1")]),
        ([{"only": "same"}, {"only": "same"}], [("Only", "same")]),
        ([{"empty": "", "full": "1"}, {"empty": "", "full": "2"}], [("Full", "1")]),
    ],
    ids=["no identifiers and no markup", "no constants", "a constant alone", "filled"],
)
def test_a_pilot_shows_the_fields_that_differ(
    found: list[dict[str, JSON]], shown: list[tuple[str, str]]
) -> None:
    [(name, _, fields), _] = pilot_results(results(*found), ["Name"], NAMES, briefly=True)
    assert name == "Acme, line 2"
    assert fields == shown


def test_a_pilot_says_that_a_time_is_in_utc() -> None:
    found: dict[str, JSON] = {"at": "2026-11-24T10:00:00+02:00"}

    [(_, _, fields)] = pilot_results(results(found), ["Name"], NAMES)

    assert fields == [("At", "2026-11-24 08:00:00 UTC")]
