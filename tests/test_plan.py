"""Plan: rows become jobs, invalid rows or duplicates; nothing else."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from datetime import datetime
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from batchrun.cli.messages import hides_invalid_rows, plan_lines
from batchrun.errors import InputError
from batchrun.estimate import EstimateRates
from batchrun.model import Role, Table, TableSource, Workflow
from batchrun.plan import (
    Parameters,
    Plan,
    make_plan,
)
from batchrun.tables.frames import from_frame
from batchrun.tables.ids import parse_id

ACME = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
BETA = "b1b2c3d4-e5f6-7890-abcd-ef1234567890"
RESEARCH = Workflow("wf_abc123", "Account Research")
RATES = EstimateRates(requests_per_minute=60, seconds_per_execution=45)


def table_of(header: list[str], *rows: list[object]) -> Table:
    cells = np.array(rows, dtype=object).T
    return Table(TableSource("accounts.csv"), tuple(header), cells, np.arange(2, len(rows) + 2))


def plan_of(*ids: object, parameters: Parameters | None = None) -> Plan:
    table = table_of(["Company ID"], *[[value] for value in ids])
    return make_plan(table, RESEARCH, {Role.COMPANY: 0}, parameters or Parameters(), RATES)


def test_rows_with_the_same_body_share_one_job() -> None:
    plan = plan_of(ACME, BETA, ACME.upper(), f"{{{ACME}}}")
    assert [row.job for row in plan.rows] == [0, 1, 0, 0]
    assert plan.duplicates == 2
    assert [json.loads(body) for body in plan.bodies] == [
        {"workflow_id": "wf_abc123", "company_id": ACME},
        {"workflow_id": "wf_abc123", "company_id": BETA},
    ]


def test_a_plan_can_be_pickled() -> None:
    plan = plan_of(ACME, BETA, "x")
    copy = pickle.loads(pickle.dumps(plan))
    assert (list(copy.rows), list(copy.bodies)) == (list(plan.rows), list(plan.bodies))


def test_a_damaged_id_makes_its_row_invalid_and_the_others_go_on() -> None:
    plan = plan_of(ACME, "0015g00000XyZabAAB", "", BETA)
    assert [row.job for row in plan.rows] == [0, None, None, 1]
    assert [row.row.line for row in plan.invalid] == [3, 4]
    assert "Salesforce" in plan.invalid[0].reason
    assert plan.invalid[1].reason == "no company ID"


def test_ids_that_cannot_be_sent_are_read_as_often_as_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def readings(cell: str) -> int:
        reading = Mock(wraps=parse_id)
        monkeypatch.setattr("batchrun.plan.parse_id", reading)
        monkeypatch.setattr("batchrun.tables.roles.parse_id", reading)
        plan = plan_of(*[cell] * 500)
        assert plan_lines(plan)
        hides_invalid_rows(plan)
        return reading.call_count

    for cell in ("0015g00000XyZabAAB", ACME[:-6], ""):
        assert readings(cell) < readings(ACME) + 50  # the first rows are shown as examples


def test_invalid_rows_of_a_kind_have_one_reason_and_show_their_values() -> None:
    cut_off = "it has fewer than 32 letters and digits"
    plan = plan_of(ACME, "0015g00000XyZabAAB", "", ACME[:-3], "0015g00000QrStuAAC", ACME[:-9])
    found = [(reason, [row.shown for row in rows]) for reason, rows in plan.invalid_by_reason()]
    assert found == [
        (
            "company ID looks like a Salesforce ID (18 characters), not a PG:AI ID",
            ['"0015g00000XyZabAAB"', '"0015g00000QrStuAAC"'],
        ),
        (
            f"company ID is not a PG:AI ID: {cut_off}",
            [f'"{ACME[:-3]}", 29 letters and digits', f'"{ACME[:-9]}", 23 letters and digits'],
        ),
        ("no company ID", [""]),
    ]


def test_a_list_with_nothing_to_send_is_refused_and_says_where_the_ids_are() -> None:
    plan_of(ACME, "0015g00000XyZabAAB").require_jobs()
    with pytest.raises(InputError, match=r"\(2 rows\).*: 2 Salesforce") as caught:
        plan_of("0015g00000XyZabAAB", "0015g00000QrStuAAC").require_jobs()
    assert "Export the list from PG:AI" in caught.value.hint


def test_a_chosen_column_without_ids_is_answered_with_the_column_that_has_them() -> None:
    table = table_of(["Name", "PG ID"], ["Acme", ACME], ["Bay", BETA])
    with pytest.raises(InputError) as caught:
        make_plan(table, RESEARCH, {Role.COMPANY: 0}, Parameters(), RATES).require_jobs()
    assert caught.value.hint.endswith("PG ID: --company-column 2")


@pytest.mark.parametrize("cell", [f"id: {ACME}", ACME[:-3], ACME.replace("-", "_")])
def test_ids_that_only_need_mending_are_not_taken_for_those_of_a_crm(cell: str) -> None:
    plan = plan_of(cell)
    with pytest.raises(InputError) as caught:
        plan.require_jobs()
    assert [caught.value.hint] == plan.hints()
    assert "--details" in caught.value.hint
    assert "CRM" not in caught.value.hint


def test_a_row_whose_fields_are_shifted_is_not_sent() -> None:
    table = table_of(["Name", "Contact ID", "Company ID"], ["Acme", "", BETA], ["Bay", "", ACME])
    table = dataclasses.replace(table, misaligned=frozenset({2}))
    plan = make_plan(table, RESEARCH, {Role.COMPANY: 2}, Parameters(), RATES)
    assert [row.job for row in plan.rows] == [None, 0]
    assert "not as wide as the header" in plan.invalid[0].reason


def test_a_row_with_a_damaged_contact_is_not_sent_as_a_company_row() -> None:
    table = table_of(["Company ID", "Contact ID"], [ACME, "12345"], [ACME, ""])
    roles = {Role.COMPANY: 0, Role.CONTACT: 1}
    plan = make_plan(table, RESEARCH, roles, Parameters(), RATES)
    assert [row.job for row in plan.rows] == [None, 0]


def test_parameters_come_from_constants_and_columns() -> None:
    table = table_of(
        ["Company ID", "Focus", "Seats", "Since"],
        [ACME, "pricing", 12, datetime.fromisoformat("2026-03-12")],  # as Excel holds it
        [BETA, "", None, None],
    )
    parameters = Parameters(
        {"depth": "comprehensive", "focus": "all"},
        {
            "focus": 1,
            "seats": 2,
            "since": 3,
        },
    )
    plan = make_plan(table, RESEARCH, {Role.COMPANY: 0}, parameters, RATES)
    sent = [json.loads(body)["parameters"] for body in plan.bodies]
    assert sent == [
        {"depth": "comprehensive", "focus": "pricing", "seats": 12, "since": "2026-03-12T00:00:00"},
        {"depth": "comprehensive", "focus": "all"},
    ]


def test_a_number_json_cannot_carry_makes_the_row_invalid() -> None:
    table = table_of(["Company ID", "Score"], [ACME, math.nan])
    plan = make_plan(table, RESEARCH, {Role.COMPANY: 0}, Parameters({}, {"score": 1}), RATES)
    assert "score" in plan.invalid[0].reason


def test_the_estimate_counts_jobs_not_rows() -> None:
    assert plan_of(*[ACME] * 50, BETA).estimate.requests == 5
    assert RATES.of(0).seconds == 0


def test_a_day_quota_stretches_the_estimate_over_days() -> None:
    rates = EstimateRates(60, 45, daily=1_000, daily_left=1_000, seconds_to_next_day=3_600)
    assert rates.of(400).seconds < 3_600 < rates.of(600).seconds < 2 * 3_600
    assert 86_400 < rates.of(1_100).seconds < 2 * 86_400


def test_what_was_spent_today_already_puts_the_rest_off_until_midnight() -> None:
    rates = EstimateRates(60, 45, daily=1_000, daily_left=0, seconds_to_next_day=7_200)
    assert 7_200 < rates.of(10).seconds < 7_300


def test_executions_that_run_already_cost_their_polls_only() -> None:
    assert RATES.of(0, in_flight=10).requests == 11


def test_a_changed_cell_makes_another_batch() -> None:
    assert plan_of(ACME).fingerprint() == plan_of(ACME).fingerprint()
    assert plan_of(ACME).fingerprint() != plan_of(BETA).fingerprint()
    changed = plan_of(ACME, parameters=Parameters({"depth": "deep"}))
    assert plan_of(ACME).fingerprint() != changed.fingerprint()


def test_lenient_ids_make_another_batch() -> None:
    table = from_frame(pd.DataFrame({"Contact ID": ["f8g9h0i1-j2k3-4567-lmno-pq1234567890"]}))
    plans = [
        make_plan(
            table,
            Workflow("wf", "W"),
            {Role.CONTACT: 0},
            Parameters(),
            EstimateRates(60, 60),
            lenient_ids=lenient,
        )
        for lenient in (False, True)
    ]
    assert [len(plan.bodies) for plan in plans] == [0, 1]
    assert plans[0].fingerprint() != plans[1].fingerprint()


def test_jobs_are_numbered_in_the_order_of_their_first_rows() -> None:
    ids = [f"a1b2c3d4-e5f6-7890-abcd-{number:012x}" for number in range(500)]
    plan = plan_of(*ids[::-1], *ids, "no id")
    assert [row.job for row in plan.rows] == [*range(500), *reversed(range(500)), None]
    assert [json.loads(body)["company_id"] for body in plan.bodies] == ids[::-1]
    assert [row.body for row in plan.rows if row.job == 7] == [plan.bodies[7]] * 2
    assert list(plan.bodies[1:3]) == [plan.bodies[1], plan.bodies[2]]
    assert [row.row.line for row in plan.rows[-2:]] == [1001, 1002]


def test_half_a_character_in_a_parameter_is_sent_in_a_form_that_can_be_kept() -> None:
    table = table_of(["Company ID", "Note"], [ACME, "half \ud83d"])
    plan = make_plan(table, RESEARCH, {Role.COMPANY: 0}, Parameters({}, {"note": 1}), RATES)
    [body] = plan.bodies
    assert body.isascii()
    assert json.loads(body)["parameters"] == {"note": "half \ud83d"}


def test_a_list_without_a_valid_row_has_no_job() -> None:
    plan = plan_of("", "12345")
    assert (len(plan.bodies), plan.first_body, plan.duplicates) == (0, None, 0)
    assert len(plan.invalid) == 2


def test_a_contact_list_says_how_many_jobs_its_companies_are() -> None:
    table = table_of(["Company ID", "Contact ID"], [ACME, BETA], [ACME, ACME], [BETA, ACME])
    roles = {Role.COMPANY: 0, Role.CONTACT: 1}
    plan = make_plan(table, RESEARCH, roles, Parameters(), RATES)
    [hint] = plan.hints()
    assert hint.startswith(
        "You would pay for 3 jobs at 2 companies, because 2 contacts are sent, too; "
        "--no-contact pays for 2"
    )
    assert "judging by its name, the workflow is about companies" in hint
    alone = make_plan(table, RESEARCH, {Role.COMPANY: 0}, Parameters(), RATES)
    assert len(alone.bodies) == 2
    assert alone.hints() == []


def test_rows_without_the_kind_of_id_that_the_workflow_is_about_are_pointed_out() -> None:
    roles = {Role.COMPANY: 0, Role.CONTACT: 1}
    rows: list[list[object]] = [[ACME, BETA], [ACME, ""], [BETA, " "], ["", BETA], ["12", ""]]
    table = table_of(["Company ID", "Contact ID"], *rows)
    contacts = make_plan(table, Workflow("w", "Contact Research"), roles, Parameters(), RATES)
    [hint] = contacts.hints()
    assert hint == (
        "2 rows without a contact ID are sent with the company ID only (first: line 3), "
        "but judging by its name, the workflow is about contacts: "
        "make sure that this is what you want"
    )
    companies, _ = make_plan(table, RESEARCH, roles, Parameters(), RATES).hints()
    assert companies.startswith("1 row without a company ID is sent with the contact ID only")
    complete = table_of(["Company ID", "Contact ID"], [ACME, BETA], ["", "12"])
    assert not make_plan(complete, contacts.workflow, roles, Parameters(), RATES).hints()


def test_a_workflow_for_the_other_object_is_pointed_out() -> None:
    table = table_of(["ID"], [ACME])
    for workflow, role, words in (
        (RESEARCH, Role.CONTACT, "name, the workflow is about companies, but only contact"),
        (Workflow("w", "Score", "Scores a person"), Role.COMPANY, "description, the workflow is"),
    ):  # fmt: skip
        [hint] = make_plan(table, workflow, {role: 0}, Parameters(), RATES).hints()
        assert words in hint
    vague = Workflow("w", "Account and contact research")
    assert make_plan(table, vague, {Role.CONTACT: 0}, Parameters(), RATES).hints() == []
