"""Titles and number formats that people read, made from the keys of results."""

from __future__ import annotations

import pytest

from batchrun.workbook.columns import ColumnSurvey
from batchrun.workbook.titles import number_format, titles_of


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("company.last_funding.amount_usd", "Last funding (USD)"),
        ("arr_eur", "ARR (EUR)"),
        ("revenueUSD", "Revenue (USD)"),
        ("winProbabilityPct", "Win probability (%)"),
        ("employeeCount", "Employee count"),
        ("CEOName", "CEO name"),
        ("HTTPStatus", "HTTP status"),
        ("linkedin_url", "LinkedIn URL"),
        ("q1_2026_revenue", "Q1 2026 revenue"),
        ("naïve_score", "Naïve score"),
        ("größe_eur", "Größe (EUR)"),
        ("会社", "会社"),
        ("Already a title", "Already a title"),
        ("2026-05-01", "2026-05-01"),
        ("id", "ID"),
    ],
)
def test_a_key_becomes_a_title(path: str, title: str) -> None:
    keys = tuple(path.split("."))

    assert titles_of([keys], ())[keys] == title


def test_titles_alike_get_the_shortest_part_that_tells_them_apart() -> None:
    paths = [("a", "score"), ("b", "score"), ("other",)]

    assert list(titles_of(paths, ["Other"]).values()) == ["A score", "B score", "Other (2)"]


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("amount_usd", 1_000, '"$"#,##0'),
        ("amount_chf", 10.5, '"CHF "#,##0.00'),
        ("growth_pct", 12.5, '#,##0.0"%"'),
        ("growth", 0.125, "#,##0.000"),
        ("founded_year", 1999, "0"),
        ("postal_code", 70173, "0"),
        ("employees", 12_000, "#,##0"),
    ],
)
def test_numbers_are_shown_by_their_unit(key: str, value: float, code: str) -> None:
    survey = ColumnSurvey()
    survey.see(value)

    assert number_format((key,), survey) == code
