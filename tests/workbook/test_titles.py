"""Titles and number formats that people read, made from the keys of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.workbook.columns import ColumnSurvey
from batchrun.workbook.form import Form
from batchrun.workbook.layout import layout_of
from batchrun.workbook.titles import number_as_shown, number_format, titles_of
from tests.workbook.batches import batch, row

if TYPE_CHECKING:
    from batchrun.model import JSON


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
        ("iOSUsers", "iOS users"),
        ("B2BRevenue", "B2B revenue"),
        ("ARRGrowthYoY", "ARR growth YoY"),
        ("SaaSSpend", "SaaS spend"),
        ("ABTestResult", "AB test result"),
        ("r&d_spend", "R&D spend"),
        ("_id", "ID"),
        ("__typename", "Typename"),
        ("Fit_Score__c", "Fit score"),
        ("2023_revenue", "2023 revenue"),
        ("24h_change", "24h change"),
        ("änderungUSD", "Änderung (USD)"),
        ("größeInKm", "Größe in (km)"),
        ("évaluationGlobale", "Évaluation globale"),
        ("usd", "USD"),
        ("amount.usd", "Amount (USD)"),
        ("last_funding.round.amount.value_usd", "Round amount (USD)"),
        ("revenue_usd_millions", "Revenue (USD millions)"),
        ("revenue_usd_m", "Revenue (USD millions)"),
        ("revenueMUSD", "Revenue (USD millions)"),
        ("price_aed", "Price (AED)"),
        ("duration_ms", "Duration (ms)"),
        ("response_time_sec", "Response time (s)"),
        ("sec_filing", "SEC filing"),
        ("energy_kwh", "Energy (kWh)"),
        ("contacts.0.name", "Contacts 0 name"),
        ("usd_raised", "USD raised"),
        ("try_again", "Try again"),
        ("fit.score", "Fit score"),
        ("fit.reason", "Fit reason"),
        ("outputs.score", "Score"),
        ("a.b.c.d.e.headcount", "Headcount"),
        ("company.employees", "Company employees"),
        ("employees", "Employees"),
        ("नाम", "नाम"),
    ],
)
def test_a_key_becomes_a_title(path: str, title: str) -> None:
    keys = tuple(path.split("."))

    assert titles_of([keys], ())[keys] == title


def test_titles_alike_get_the_shortest_part_that_tells_them_apart() -> None:
    paths = [("a", "score"), ("b", "score"), ("other",)]

    assert list(titles_of(paths, ["Other"]).values()) == ["A score", "B score", "Other (2)"]


@pytest.mark.parametrize("chosen", [None, ("company.industry", "outputs.fit")])
@pytest.mark.parametrize(
    ("header", "titles"),
    [
        (("Company ID",), ["Company industry", "Outputs fit"]),
        (("Company ID", "Industry"), ["Company industry", "Outputs fit"]),
        (
            ("Company ID", "Company industry", "Outputs fit"),
            ["Company industry (2)", "Outputs fit (2)"],
        ),
    ],
)
def test_a_title_depends_neither_on_the_list_nor_on_the_chosen_columns(
    header: tuple[str, ...], titles: list[str], chosen: tuple[str, ...] | None
) -> None:
    result: JSON = {
        "company": {"industry": "Software"},
        "outputs": {"fit": 5},
        "products": {"fit": 7},
    }
    results = batch([row(0, result, cells=("x",) * len(header))], header)

    found = [column.title for column in layout_of(results, Form(columns=chosen)).results]

    others = [] if chosen else ["Products fit"]
    assert found == [*titles, *others]


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("amount_usd", 1_000, '"$"#,##0'),
        ("amount_chf", 10.5, '"CHF "#,##0.00'),
        ("growth_pct", 12.5, '#,##0.0"%"'),
        ("growth", 0.125, "#,##0.0%"),
        ("founded_year", 1999, "0"),
        ("postal_code", 70173, "0"),
        ("employees", 12_000, "#,##0"),
        ("naics", 541_511, "0"),
        ("revenue_usd_millions", 12.5, '"$"#,##0.00"M"'),
        ("revenue_bn_eur", 3, '"€"#,##0"B"'),
        ("price_aed", 3, '"AED "#,##0'),
        ("margin_pct", 0.274, "#,##0.0%"),
        ("win_probability", 0.61, "#,##0%"),
        ("share", 1, "#,##0"),
        ("growth_pct", 1, '#,##0"%"'),
        ("growth", 1.25, "#,##0.00"),
        ("fit_score", 0.75, "#,##0.00"),
        ("founded", 1999.0, "0"),
        ("date", 20240131, "0"),
        ("phone", 4_971_112_345, "0"),
        ("fax", 4_971_112_345, "0"),
        ("p_value", 0.000012, ""),
        ("p_value", 1e-300, ""),
        ("usd_amount", 1_000, "#,##0"),
    ],
)
def test_numbers_are_shown_by_their_unit(key: str, value: float, code: str) -> None:
    survey = ColumnSurvey()
    survey.see(value)

    assert number_format((key,), survey) == code


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (0.274, "#,##0.0%", "27.4%"),
        (-0.5, "#,##0%", "-50%"),
        (1_234.5, '"$"#,##0.00"M"', "$1,234.50M"),
        (12, '#,##0"%"', "12%"),
        (10**20, "#,##0", "100,000,000,000,000,000,000"),
    ],
)
def test_a_number_is_said_as_a_spreadsheet_shows_it(value: float, code: str, shown: str) -> None:
    assert number_as_shown(value, code) == shown
