"""However a sheet is laid out, an ID is sent only from its own row, and no row gets lost."""

from __future__ import annotations

import html
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import openpyxl
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from batchrun.errors import InputError
from batchrun.estimate import EstimateRates
from batchrun.model import Role, Workflow
from batchrun.plan import Parameters, make_plan
from batchrun.tables.files import load
from batchrun.tables.roles import find_roles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchrun.plan import Plan

NAMES = {
    Role.COMPANY: ("Company ID", "PG Company ID", "account uuid", "Firmen-ID"),
    Role.CONTACT: ("Contact ID", "person_id", "PG Contact ID", "Kontakt-ID", "Lead ID"),
}  # fmt: skip
UNKNOWN = ("Kennung", "Reference", "Nr.", "Key")
OTHERS = ("Name", "City", "Amount", "Owner", "Notes")
TITLES = ("Accounts by owner", "As of 2026-05-01", "Filtered by: mine", "Our contacts")
VALUES = ("Acme", "Ulm", "total", "pending", "12", "x@example.com", "2026-05-01", "ID", "Name", "")
BETWEEN = ("Total", "Subtotal", "Owner: Dana (2 records)", "Note: see below", "")


@dataclass(slots=True)
class Sheet:
    """A sheet, and what is true of its rows.

    Attributes:
        rows: The cells.
        merged: Merged ranges: first row, first column, last row, last column; from 1.
        truth: Line → the IDs of the rows that stand on it, for each table one entry.
        covered: Line → the IDs of a row that holds nothing but them, all merged from above; it is
            a row only where another table has cells beside it, and then the same job as above.
    """

    rows: list[list[str]] = field(default_factory=list)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    truth: dict[int, list[dict[Role, str]]] = field(default_factory=dict)
    covered: dict[int, dict[Role, str]] = field(default_factory=dict)

    def put(self, line: int, column: int, value: str) -> None:
        """Set a cell; the sheet grows as it must."""
        while len(self.rows) < line:
            self.rows.append([])
        row = self.rows[line - 1]
        row.extend([""] * (column - len(row)))
        row[column - 1] = value


class Ids:
    """Every ID is another one, so that it is known where it came from."""

    def __init__(self) -> None:
        self._last = 0xA1B2C3D4_E5F6_7890_ABCD_000000000000

    def next(self) -> str:
        self._last += 1
        return str(UUID(int=self._last))


def add_table(  # noqa: C901, PLR0912 - one choice after the other
    draw: Callable[..., Any], sheet: Sheet, ids: Ids, line: int, left: int
) -> tuple[int, int]:
    """Lay out a table; the first line and the first column behind it."""

    def choose(options: Sequence[Any]) -> Any:
        return draw(st.sampled_from(options))

    kinds: list[Role | None] = [None] * int(draw(st.integers(0, 3)))
    for role in choose(([Role.COMPANY], [Role.CONTACT], list(Role), list(Role))):
        kinds.insert(int(draw(st.integers(0, len(kinds)))), role)
    for _ in range(int(choose((0, 0, 0, 1, 2)))):
        sheet.put(line, left, str(choose(TITLES)))
        line += 1 + bool(draw(st.booleans()))
    unknown = bool(choose((False, False, False, True)))
    for column, kind in enumerate(kinds, start=left):
        names = OTHERS if kind is None else UNKNOWN if unknown else NAMES[kind]
        sheet.put(line, column, str(choose(names)))
    line += 1
    merge_from: dict[int, int] = {}
    for _ in range(int(draw(st.integers(1, 6)))):
        between = choose((None,) * 6 + BETWEEN)
        if between is not None:
            sheet.put(line, left, str(between))
            merge_from.clear()
            line += 1
        truth: dict[Role, str] = {}
        for column, kind in enumerate(kinds, start=left):
            if kind is None:
                sheet.put(line, column, str(choose(VALUES)))
                continue
            merged = column in merge_from and bool(choose((False, True)))
            if merged:
                sheet.put(line, column, "")
                truth[kind] = sheet.rows[merge_from[column] - 1][column - 1]
            elif choose((True, True, True, True, False)):
                sheet.put(line, column, ids.next())
                truth[kind] = sheet.rows[line - 1][column - 1]
                merge_from[column] = line
            else:
                sheet.put(line, column, str(choose(("", "n/a", "0015g00000XyZabAAB"))))
                merge_from.pop(column, None)
            if merged:
                top = merge_from[column]
                sheet.merged = [each for each in sheet.merged if each[:2] != (top, column)]
                sheet.merged.append((top, column, line, column))
        own = [sheet.rows[line - 1][column - 1] for column in range(left, left + len(kinds))]
        if truth and any(own):
            sheet.truth.setdefault(line, []).append(truth)
        elif truth:
            sheet.covered[line] = truth
        line += 1
    return line, left + len(kinds)


@st.composite
def laid_out(draw: st.DrawFn) -> Sheet:
    """A sheet of one table or two, below or beside each other."""
    sheet, ids = Sheet(), Ids()
    top, left = draw(st.integers(1, 3)), draw(st.sampled_from((1, 1, 1, 2)))
    below, beside = add_table(draw, sheet, ids, top, left)
    match draw(st.sampled_from(("one", "one", "below", "below", "beside"))):
        case "below":
            add_table(draw, sheet, ids, below + draw(st.integers(0, 2)), left)
        case "beside":
            add_table(draw, sheet, ids, top, beside + 1)
        case _:
            pass
    if draw(st.sampled_from((False, False, True))):  # a note beside the list
        column = max(map(len, sheet.rows)) + 1
        sheet.put(top, column, "A note")
        sheet.merged.append((top, column, top + draw(st.integers(1, 4)), column + 1))
    return sheet


def write_csv(sheet: Sheet, folder: Path) -> Path | None:
    if sheet.merged:
        return None
    width = max(map(len, sheet.rows))
    rows = [[*row, *([""] * (width - len(row)))] for row in sheet.rows]
    file = folder / "list.csv"
    file.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    return file


def write_xlsx(sheet: Sheet, folder: Path) -> Path:
    workbook = openpyxl.Workbook()
    for row in sheet.rows:
        workbook.worksheets[0].append([cell or None for cell in row])
    for top, left, bottom, right in sheet.merged:
        workbook.worksheets[0].merge_cells(None, top, left, bottom, right)
    file = folder / "list.xlsx"
    workbook.save(file)
    return file


def write_html(sheet: Sheet, folder: Path) -> Path:
    width = max(map(len, sheet.rows))
    corners = {each[:2]: each for each in sheet.merged}
    covered = {
        (line, column)
        for top, left, bottom, right in sheet.merged
        for line in range(top, bottom + 1)
        for column in range(left, right + 1)
        if (line, column) != (top, left)
    }
    text = ""
    for line, row in enumerate(sheet.rows, start=1):
        text += "<tr>"
        for column, cell in enumerate([*row, *([""] * (width - len(row)))], start=1):
            if (line, column) in covered:
                continue
            top, left, bottom, right = corners.get((line, column), (line, column, line, column))
            spans = f"rowspan={bottom - top + 1} colspan={right - left + 1}"
            text += f"<td {spans}>{html.escape(cell)}</td>"
        text += "</tr>\n"
    file = folder / "list.html"
    file.write_text(f"<table>{text}</table>", encoding="utf-8")
    return file


def is_id(cell: str) -> bool:
    return cell.startswith("a1b2c3d4-")


def plan_of(file: Path) -> Plan:
    table = load(file)
    roles = find_roles(table)
    workflow = Workflow("wf", "Research")
    rates = EstimateRates(requests_per_minute=60, seconds_per_execution=45)
    return make_plan(table, workflow, roles, Parameters(), rates)


def check(sheet: Sheet, file: Path) -> None:
    try:
        plan = plan_of(file)
    except InputError as error:
        event("refused")
        if not error.hint:
            raise
        return
    event("read")
    rows = {row.row.line: row for row in plan.rows}
    for line, truths in sheet.truth.items():
        if line not in rows:  # of a row without an ID of its own, such as a total, it is said
            notices = plan.table.source.notices
            assert not any(map(is_id, sheet.rows[line - 1])), f"line {line} is lost: {notices}"
            assert any(re.search(rf"lines? .*\b{line}\b|skipped", each) for each in notices)
            continue
        row = rows[line]
        if row.job is None:
            continue  # named among the invalid ones
        sent = {Role.COMPANY: row.company_id, Role.CONTACT: row.contact_id}
        used = {role: value for role, value in sent.items() if value is not None}
        may_be = [*truths, sheet.covered.get(line, {})]
        whole = [{role: truth[role] for role in plan.roles if role in truth} for truth in may_be]
        assert used in whole, f"line {line}: {used} and not {truths}"
    for line, row in rows.items():
        if line not in sheet.truth:
            is_known = row.job is None or line in sheet.covered
            assert is_known, f"line {line} is no row, and is sent"


EXAMPLES = int(os.environ.get("BATCHRUN_STRUCTURE_EXAMPLES", "60"))


@pytest.mark.timeout(max(300, EXAMPLES))
@given(laid_out(), st.sampled_from((write_csv, write_html, write_xlsx)))
@settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
def test_an_id_is_sent_from_its_own_row_and_no_row_is_lost(
    sheet: Sheet, write: Callable[[Sheet, Path], Path | None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = write(sheet, Path(folder)) or write_html(sheet, Path(folder))
        check(sheet, file)


C, D, E, F = (f"a1b2c3d4-0000-4000-8000-{number:012}" for number in range(4))
HEAD = "Name,Company ID,Contact ID"
SENT = {
    "labels-below-names.csv": (
        f"account,company_id,contact_id\n{HEAD}\nAcme,{C},{D}\nBay,{E},{F}\n",
        {2: None, 3: (C, D), 4: (E, F)},
    ),
    "names-below-labels.csv": (
        f"{HEAD}\nAccountName,PG_Company_ID__c,PG_Contact_ID__c\nAcme,{C},{D}\nBay,{E},{F}\n",
        {2: None, 3: (C, D), 4: (E, F)},
    ),
    "help-below-names.csv": (
        f"{HEAD}\nFill in,the Company ID,the PG contact ID\nBay,{E},{F}\n",
        {2: None, 3: (E, F)},
    ),
    "footer-first.html": (
        (
            f"<table><thead><tr><th>Name<th>Company ID<th>Contact ID</thead>"
            f"<tfoot><tr><td>Total<td>2<td></tfoot><tbody>"
            f"<tr><td>Acme<td>{C}<td>{D}<tr><td>Bay<td>{E}<td>{F}</tbody></table>"
        ),
        {2: (C, D), 3: (E, F)},
    ),
    "an-id-across-two-columns.html": (
        (
            f"<table><tr><th>Name<th>Company ID<th>Contact ID<tr><td>Acme<td>{C}<td>{D}"
            f"<tr><td colspan=2>{E}<td>{F}<tr><td>Bay<td>{C}<td>{F}</table>"
        ),
        {2: (C, D), 3: None, 4: (C, F)},
    ),
    "groups-across-all-columns.html": (
        (
            f"<table><tr><th>Name<th>Company ID<th>Contact ID<tr><td colspan=3>EMEA (1)"
            f"<tr><td>Acme<td>{C}<td>{D}<tr><td colspan=3>AMER (1)<tr><td>Bay<td>{E}<td>{F}</table>"
        ),
        {3: (C, D), 5: (E, F)},
    ),
    "ids-across-two-columns.html": (
        (
            f"<table><tr><th>Name<th colspan=2>Company ID<th>Contact ID"
            f"<tr><td>Acme<td colspan=2>{C}<td>{D}<tr><td>Bay<td colspan=2>{E}<td>{F}</table>"
        ),
        {2: (C, D), 3: (E, F)},
    ),
    "filters-below.csv": (
        f"{HEAD}\nAcme,{C},{D}\nBay,{E},{F}\n\nApplied filters:\nRegion is EMEA\nOwner is Ann\n",
        {2: (C, D), 3: (E, F)},
    ),
    "confidential.csv": (
        f"{HEAD}\nAcme,{C},{D}\nBay,{E},{F}\n\nConfidential - made by Ann\nEnd of report\n",
        {2: (C, D), 3: (E, F)},
    ),
    "totals-of-a-german-table.csv": (
        f"{HEAD},Amount\nAcme,{C},{D},1\nBay,{E},{F},2\nErgebnis,,,3\n",
        {2: (C, D), 3: (E, F)},
    ),
    "half-of-the-rows-are-shifted.csv": (
        f"Revenue,Company ID,Contact ID\n1,{C},{D}\n1,250,{E},{F}\n2,{E},{D}\n2,500,{C},{F}\n",
        {2: (C, D), 3: None, 4: (E, D), 5: None},
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_each_row_is_sent_with_its_own_ids_or_named(tmp_path: Path, name: str) -> None:
    text, expected = SENT[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    plan = plan_of(tmp_path / name)
    sent = {
        row.row.line: None if row.job is None else (row.company_id, row.contact_id)
        for row in plan.rows
    }
    assert sent == expected


def test_another_header_directly_below_an_empty_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"Company ID,Name\nContact ID,Company\n{C},Acme\n{D},Bay\n")
    with pytest.raises(InputError, match="second header"):
        load(tmp_path / "a.csv")
