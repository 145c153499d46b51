"""The pilot: results a person can read, next to the question about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.batch.report import Pilot
from batchrun.cli.pilot import telling_fields, without_markup
from batchrun.model import Outcome, ResultRow, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY = "Growing fast in Europe, hiring in sales, and moving its CRM to the cloud this year"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (
            "## Account Research\n\n**Bold** and _slanted_ `code`",
            "Account Research\nBold and slanted code",
        ),
        ("* one\n+ two\n- three", "- one\n- two\n- three"),
        ("See [the report](https://example.com/x).", "See the report."),
        ("<p>One</p><br/>two", "One two"),
        ("> quoted\n\n---\n\nrest", "quoted\nrest"),
        ("a_b_c and 2 * 3 * 4 < 5", "a_b_c and 2 * 3 * 4 < 5"),
        ("```json\n{}\n```", "{}"),
    ],
)
def test_markup_is_left_out(text: str, plain: str) -> None:
    assert without_markup(text) == plain


def pilot(titles: Sequence[str], *values: Sequence[str]) -> Pilot:
    rows = tuple(
        ResultRow(Row(line, ("Acme",)), Outcome.COMPLETED, company_id=f"id {line}")
        for line in range(2, 2 + len(values))
    )
    return Pilot(rows, tuple(titles), tuple(map(tuple, values)), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("titles", "values", "shown"),
    [
        (
            ["id", "summary", "score"],
            [["rpt_001", SUMMARY, "1"], ["rpt_002", f"{SUMMARY}!", "2"]],
            [1, 2],
        ),
        (["same", "differs"], [["x", "1"], ["x", "2"]], [1]),
        (["only"], [["same"], ["same"]], [0]),
        (["id"], [["rpt_001"], ["rpt_002"]], [0]),
        (list("abcdef"), [list("123456"), list("234567")], [0, 1, 2, 3]),
        (["empty", "full"], [["", "1"], ["", "2"]], [1]),
    ],
    ids=[
        "no identifiers",
        "no constants",
        "a constant alone",
        "an identifier alone",
        "four",
        "filled",
    ],
)
def test_a_pilot_shows_the_fields_that_differ(
    titles: list[str], values: list[list[str]], shown: list[int]
) -> None:
    assert telling_fields(pilot(titles, *values)) == shown
