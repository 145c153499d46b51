"""Files of the corpus of which `batchrun check` has to say more than how they are read.

A CRM's own IDs, lists of contacts for a company workflow, results of batchrun that are given back,
and numbers that are shown with leading zeros. Run from the repository:
``python -m tests.corpus.make_checks``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import openpyxl

from batchrun.workbook.layout import AGAIN, STATUS_COLUMNS
from tests.corpus.cases import A, B, C, Case
from tests.corpus.make_structure import D, book, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.corpus.cases import Rows

SALESFORCE = ("0015g00000XyZabAAB", "0015g00000XyZacAAB")


def crm_ids() -> Iterator[Case]:
    """IDs of a CRM under names that are also those of PG:AI's IDs."""
    for name, head, ids, kind, role in (
        ("salesforce-contact-id", "Contact ID", SALESFORCE, "2 Salesforce IDs", "contact"),
        ("salesforce-account-id", "Account ID", SALESFORCE, "", "company"),
        ("pipedrive-organization-id", "Organization - ID", ("1", "2"), "", "company"),
        ("hubspot-companies", "Associated Company IDs (Primary)", ("14829301754", "14829301755"),
         "", "company"),
    ):  # fmt: skip
        rows = [[head, "PG Company ID"], [ids[0], A], [ids[1], B]]
        unused = f"Column {head} is not used for {role} IDs: most of its cells are not PG:AI IDs"
        yield Case(
            f"ids-{name}.csv", text(*rows), rows, [2, 3],
            check=[*([f"{unused} ({kind})"] if kind else []), "company ID from column 'PG Company",
                   "2 to trigger"],
        )  # fmt: skip
    only = [["Account ID", "Name"], [SALESFORCE[0], "Acme"], [SALESFORCE[1], "Bay"]]
    yield Case(
        "ids-of-the-crm-alone.csv", text(*only), only, [2, 3],
        check=["no column holds PG:AI IDs. Other IDs are in: Account ID (column 1: 2 Salesforce",
               "add the CRM field that holds the PG:AI ID"],
    )  # fmt: skip
    report = [[*only[0], "City"], [*only[1], "Ulm"], [*only[2], "Bonn"]]
    lines = ["Accounts by owner", "", *(";".join(row) for row in report)]
    yield Case(
        "ids-of-the-crm-below-a-title.csv", "\n".join(lines).encode(), report, [4, 5],
        ["1 line above the header set aside"],
        check=["Other IDs are in: Account ID (column 1: 2 Salesforce IDs"],
    )  # fmt: skip
    dashes = "\u2010\u2011\u2012\u2013\u2014\u2212"
    for name, cells in (
        ("dashes", [A.replace("-", dash) for dash in dashes]),
        ("quotes", [f"\u201e{A}\u201c", f"\u2018{A}\u2019"]),
        ("spaces", [f"\u00a0{A}\u200b", f"{A}\u2009"]),
    ):
        column = [["Company ID"], *([cell] for cell in cells)]
        yield Case(
            f"ids-typographic-{name}.csv", text(*column), column, list(range(2, len(column) + 1)),
            check=["duplicate", "1 to trigger"],
        )  # fmt: skip


def contacts() -> Iterator[Case]:
    """Lists of contacts, each with its company, for a workflow that works on companies."""
    rows = [["Company ID", "Contact ID"], [A, B], [A, C], [B, D]]
    content = text(*rows)
    subject = "judging by its name, the workflow is about companies"
    for name, flags, said in (
        ("", [], f"3 contacts are sent, too; --no-contact pays for 2 ({subject})"),
        ("-companies-alone", ["--no-contact"], "No contact IDs are sent (--no-contact)"),
        ("-contacts-alone", ["--no-company"], "No company IDs are sent (--no-company)"),
    ):
        jobs = "2 to send, 1 duplicate" if "--no-contact" in flags else "3 to trigger"
        order = [jobs, said] if not flags else [said, jobs]
        yield Case(f"contacts-of-companies{name}.csv", content, rows, [2, 3, 4], flags=flags,
                   check=order)  # fmt: skip
    some = [*rows, ["", A]]
    yield Case(
        "contacts-some-without-a-company.csv", text(*some), some, [2, 3, 4, 5],
        check=["4 to trigger",
               "--no-contact pays for 2 and leaves out 1 row without"],
    )  # fmt: skip


def zeros() -> Iterator[Case]:
    """Numbers that are shown with leading zeros, sent as a parameter."""
    flags = ["--param-column", "zip=Zip", "--details"]
    for name, first, second, value, shown in (
        ("postal-codes", "00000", "00000", 1234, '"01234"'),
        ("two-lengths", "[<=99999]00000;00000-0000", "[<=99999]00000;00000-0000", 1234, '"01234"'),
        ("with-dashes", "000-000", "000-000", 1234, '"001-234"'),
        ("some-of-a-column", "00000", "0", 1234, "1234"),
        ("with-decimals", "0000.00", "0000.00", 12.5, "12.5"),
    ):
        rows: Rows = [["Company ID", "Zip"], [A, value], [B, 987]]
        lost = first != second or "." in first
        lines = ["Column B shows numbers with leading zeros"] if lost else []
        yield Case(
            f"zeros-{name}.xlsx", book(*rows, formats={"B2": first, "B3": second}), rows, [2, 3],
            lines, flags=flags, check=[*lines, f'"zip": {shown}'],
        )  # fmt: skip


DAY = "2026-05-01T10:00:0"
RESULTS: Rows = [
    ["Company ID", "Name", "Size", *STATUS_COLUMNS, AGAIN],
    [A, "Acme", "50", "completed", "", "exec_1", f"{DAY}1", f"{DAY}2", f"{DAY}3", "1", "x"],
    [B, "Bay", "", "failed", "archived", "exec_2", f"{DAY}1", f"{DAY}2", f"{DAY}3", "1", ""],
]


def without(title: str) -> Rows:
    """The results without a column."""
    at = RESULTS[0].index(title)
    return [[*row[:at], *row[at + 1 :]] for row in RESULTS]


def given_back() -> Iterator[Case]:
    """Results that another program saved, and lists with columns named like ours."""
    unknown = ["holds the results of a batch, which the journal", "does not know"]
    above = [["Checked by Anna"], *RESULTS]
    named = [[each.title().replace(" ", "") for each in RESULTS[0]], *RESULTS[1:]]
    for name, rows in (
        ("as-csv", RESULTS), ("with-a-line-above", above), ("with-other-names", named),
        ("without-a-status", without("batchrun status")),
        ("without-executions", without("execution id")),
        ("without-a-message", without("batchrun message")),
    ):  # fmt: skip
        said = ['its column "execution id" is missing'] if name == "without-executions" else unknown
        yield Case(f"results-{name}.csv", text(*rows), check=said, only_check=True)
    for name, title in (("by-pandas", "Sheet1"), ("in-a-renamed-sheet", "My copy")):
        workbook = openpyxl.load_workbook(io.BytesIO(book(*RESULTS)))
        workbook.worksheets[0].title = title
        stream = io.BytesIO()
        workbook.save(stream)
        yield Case(f"results-{name}.xlsx", stream.getvalue(), check=unknown, only_check=True)
    for name, own, cells in (
        ("run-again", ["run again"], ["yes"]),
        ("status", ["batchrun status"], ["completed"]),
        ("status-and-run-again", ["batchrun status", "run again"], ["completed", "x"]),
        ("execution-id", ["execution id"], ["exec_1"]),
    ):
        rows = [["Company ID", *own], [A, *cells], [B, *cells]]
        yield Case(f"own-column-{name}.csv", text(*rows), rows, [2, 3], check=["2 to trigger"])


def settled() -> Iterator[Case]:
    """Guesses that options settle; those of how a file is read have cases of their own."""
    ref = [["Ref", "Name"], [A, "Acme"], [B, "Bay"]]
    groups = [["Company", "", "Contact", ""], ["ID", "Name", "ID", "Name"], [A, "Acme", C, "Ann"]]
    odd = [["Company ID", "Name"], [A.replace("a", "x"), "Acme"]]
    for name, rows, flags, said in (
        ("by-name", ref, ["--company-column", "Ref"], "company ID from column 'Ref'"),
        ("as-contacts", ref, ["--contact-column", "ref"], "contact ID from column 'Ref'"),
        ("by-number", groups, ["--company-column", "1", "--contact-column", "3"],
         "company ID from column 'ID' (column 1), contact ID from column 'ID' (column 3)"),
        ("lenient", odd, ["--lenient-ids"], "1 PG:AI ID"),
    ):  # fmt: skip
        table = groups[1:] if rows is groups else rows
        yield Case(f"settled-{name}.csv", text(*rows), table, None, None, flags=flags,
                   check=[said, "to send)"])  # fmt: skip


if __name__ == "__main__":
    for make in (crm_ids, contacts, zeros, given_back, settled):
        for each in make():
            each.write()
