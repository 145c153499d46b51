"""Which result columns, in which order, under which names; and what is kept for next month."""

from __future__ import annotations

import csv
from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow.parquet
import pytest

from batchrun import workbook
from batchrun.errors import OutputError
from batchrun.model import Outcome
from batchrun.workbook import Crm, Form
from batchrun.workbook.text import crms_of
from tests.workbook.batches import HEADER, STATUS, batch, batch_of, company, row, sheet, sheet_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchrun.model import JSON, Cell

    Write = Callable[..., Path]

RESULT: JSON = {
    "summary": "s",
    "outputs": {"id": "x", "score": 0.5, "deep": {"er": {"est": 1}}},
    "people": [{"name": "Ann"}],
}
FIRST = len(HEADER) + len(STATUS)


@pytest.mark.parametrize(
    ("shape", "columns"),
    [
        (
            Form(),
            ["Summary", "ID", "Score", "Est", "People"],
        ),
        (Form(columns=("outputs.score", "summary")), ["Score", "Summary"]),
        (Form(columns=("Score", "summary")), ["Score", "Summary"]),
        (
            Form(columns=("outputs.*", "summary")),
            ["ID", "Score", "Est", "Summary"],
        ),
        (Form(columns=("summary", "*", "summary")), [
            "Summary", "ID", "Score", "Est", "People",
        ]),
        (Form(columns=("never.seen", "summary")), ["Seen", "Summary"]),
        (Form(columns=("summary",), rename={"summary": "Account Name"}), ["Account Name (2)"]),
        (Form(columns=("summary",), rename={"Summary": "Report"}), ["Report"]),
        (Form(columns=("outputs.deep",), flat_depth=2), ["Deep"]),
        (Form(flat_depth=1), ["Summary", "Outputs", "People"]),
    ],
)  # fmt: skip
def test_the_columns_are_those_that_are_wanted(
    written: Write, shape: Form, columns: list[str]
) -> None:
    path = written(batch_of(RESULT), shape)

    assert sheet(path)[0][FIRST:] == columns
    assert ("People" in sheet_names(path)) == ("People" in columns)


SALESFORCE = "0015g00000XyZabAAB"


def test_a_csv_for_salesforce_has_record_ids_and_results_and_nothing_else(tmp_path: Path) -> None:
    header = ("Company ID", "Account ID", "Name")
    rows = [
        row(0, {"fit": 0.5, "note": "=1"}, cells=("x", SALESFORCE, "Acme")),
        row(1, None, Outcome.FAILED, cells=("y", "0015g00000XyZacAAB", "Beta")),
        row(2, {"fit": 0.5, "note": "=1"}, cells=("x", SALESFORCE, "Acme again")),
        row(3, {"fit": 1, "when": "2026-01-02T03:04:05Z"}, cells=("z", "0015g00000XyZad", "C")),
    ]

    form = Form(crm=Crm.SALESFORCE)
    path = workbook.write(batch(rows, header), tmp_path / "import.csv", form)

    assert path.read_bytes().isascii()
    assert list(csv.reader(path.read_text(encoding="utf-8").splitlines())) == [
        ["Account ID", "Fit", "Note", "When"],
        [SALESFORCE, "0.5", "=1", ""],
        ["0015g00000XyZad", "1", "", "2026-01-02T03:04:05+00:00"],
    ]


def test_a_csv_for_a_crm_overwrites_no_standard_field_and_repeats_nothing(tmp_path: Path) -> None:
    header = ("Company ID", "Account ID", "Industry")
    rows = [
        row(
            number,
            {
                "company_id": company(number),
                "contact_id": None,
                "company": {"industry": "Software", "city": f"Bonn {number}"},
                "country": "DE",
                "insights": [{"text": "a"}, {"text": "b"}],
                "insights_count": 2,
                "news": [{"text": "a"}],
                "news_count": 400,
                "vat_id": f"DE13669597{number}",
                "campaign": {"uuid": company(number + 9)},
                "employee_count": number,
                "report_id": f"r{number}",
                "summary": f"About {number}",
            },
            cells=(company(number), f"0015g00000XyZ{number:02}", "Transportation"),
        )
        for number in range(3)
    ]
    for chosen, titles in (
        (
            None,
            {
                "Account ID",
                "Company industry",
                "Company city",
                "Country (2)",
                "Summary",
                "Employee count",
                "News count",
                "VAT ID",
            },
        ),
        (("company.city", "report_id"), {"Account ID", "Company city", "Report ID"}),
    ):
        form = Form(crm=Crm.SALESFORCE, columns=chosen)
        path = workbook.write(batch(rows, header), tmp_path / "import.csv", form)
        assert set(path.read_text(encoding="utf-8").splitlines()[0].split(",")) == titles


@pytest.mark.parametrize("crm", Crm)
def test_a_new_title_overwrites_no_standard_field_of_a_crm_either(tmp_path: Path, crm: Crm) -> None:
    """An importer matches titles with fields whatever their case."""
    rename = {"industry": "Industry", "Summary": "DESCRIPTION", "id": "record id", "fit": "Fit A"}
    result: dict[str, JSON] = {"industry": "Software", "summary": "s", "id": "x", "fit": 1}
    record: Cell = 123456789 if crm is Crm.HUBSPOT else SALESFORCE
    rows = [row(0, result, cells=("x", record))]
    form = Form(crm=crm, columns=tuple(result), rename=rename)

    path = workbook.write(batch(rows, ("Company ID", "Record ID")), tmp_path / "import.csv", form)

    assert path.read_text(encoding="utf-8").startswith(
        "Record ID,Industry (2),DESCRIPTION (2),record id (2),Fit A\n"
    )


def test_a_csv_for_a_crm_numbers_only_titles_that_are_in_it_twice(tmp_path: Path) -> None:
    header = ("Company ID", "Account ID")
    rows = [row(0, {"company_id": "x", "account_id": "y"}, cells=("z", SALESFORCE))]
    form = Form(crm=Crm.SALESFORCE)

    path = workbook.write(batch(rows, header), tmp_path / "import.csv", form)

    assert path.read_text(encoding="utf-8").startswith("Account ID,Company ID,Account ID (2)\n")


@pytest.mark.parametrize(
    "title",
    ["Record ID", "hs_object_id", "Datensatz-ID", "ID d'enregistrement", "レコードID"],
)
def test_a_csv_for_hubspot_goes_by_record_id(tmp_path: Path, title: str) -> None:
    header = (title, "PG Company ID", "hubspot_owner_id", "erp_customer_id")
    rows = [row(0, {"fit": 1}, cells=(123456789, "x", 5000, 6000))]

    path = workbook.write(batch(rows, header), tmp_path / "import.csv", Form(crm=Crm.HUBSPOT))

    assert path.read_text(encoding="utf-8") == f"{title},Fit\n123456789,1\n"


@pytest.mark.parametrize(
    ("header", "own"),
    [
        (("PG Company ID", "SFDC-Kennung", "Branche"), "SFDC-Kennung"),
        (("PG Contact ID", "Account ID", "Contact ID"), "Contact ID"),
    ],
)
def test_the_first_column_for_a_crm_is_that_of_the_rows_own_ids(
    tmp_path: Path, header: tuple[str, ...], own: str
) -> None:
    def cells(number: int) -> list[Cell]:
        known = {own: f"0035g00000XyZ{number:02}", "Account ID": SALESFORCE}
        return [known.get(title, "Pharmaceuticals") for title in header]

    rows = [row(number, {"fit": number}, cells=cells(number)) for number in range(3)]
    form = Form(crm=Crm.SALESFORCE)

    path = workbook.write(batch(rows, header), tmp_path / "import.csv", form)

    first, *others = path.read_text(encoding="utf-8").splitlines()
    assert first == f"{own},Fit"
    assert others == [f"0035g00000XyZ{number:02},{number}" for number in range(3)]


@pytest.mark.parametrize(
    ("title", "values", "known"),
    [
        ("GSTIN", ("27AAPFU0939F1ZV", "29AAGCB7383J1Z4"), False),
        ("Kennung", ("0015g00000XyZ01", "0015g00000XyZ02"), True),
        ("Kennung", ("00Q5g00000XyZ01", "00Q5g00000XyZ02"), True),
        ("Kennung", ("0015g00000XyZ01", "0035g00000XyZ02"), False),
        ("Kennung", ("001300000012345", "001300000012346"), False),
        ("Kennung", ("a0B5g00000XyZ01", "a0B5g00000XyZ02"), False),
        ("Kennung", ("a0B5g00000XyZ01EAF", "0015g00000XyZabAAF"), True),
        ("Kennung", ("0015g00000XyZabAAB", "0015g00000XyZacAAB"), False),
        ("Account ID", ("a0B5g00000XyZ01", "0015g00000XyZabAAB"), True),
    ],
)
def test_a_column_whose_title_says_nothing_holds_record_ids_only_if_its_values_are_sure(
    tmp_path: Path, title: str, values: tuple[str, ...], known: bool
) -> None:
    rows = [row(at, {"fit": at}, cells=("x", value)) for at, value in enumerate(values)]
    results = batch(rows, ("Company ID", title))

    assert crms_of(results.header, rows) == [Crm.SALESFORCE] * known
    if known:
        path = workbook.write(results, tmp_path / "import.csv", Form(crm=Crm.SALESFORCE))
        assert path.read_text(encoding="utf-8").startswith(f"{title},Fit\n{values[0]},0\n")


@pytest.mark.parametrize("crm", Crm)
def test_a_list_without_record_ids_is_refused(tmp_path: Path, crm: Crm) -> None:
    with pytest.raises(OutputError, match="no column with"):
        workbook.write(batch_of({"a": 1}), tmp_path / "import.csv", Form(crm=crm))

    assert list(tmp_path.iterdir()) == []


def test_parquet_has_the_narrowest_type_that_holds_a_column(tmp_path: Path) -> None:
    sent: list[dict[str, JSON]] = [
        {"n": 1, "f": 0.5, "b": True, "s": "x", "d": "2026-01-02", "mixed": 1, "big": 2**70,
         "nf": 1, "l": [{"x": 1}], "t": "01:02:03", "dt": "2026-01-02T03:04:05Z", "none": None},
        {"n": None, "mixed": "x", "nf": 0.5, "l": []},
    ]  # fmt: skip

    path = workbook.write(batch_of(*sent), tmp_path / "out.parquet")

    table = pyarrow.parquet.read_table(path)
    types = {field.name: str(field.type) for field in table.schema}
    assert {name: types[name] for name in sent[0]} == {
        "n": "int64", "f": "double", "b": "bool", "s": "string", "d": "date32[day]",
        "mixed": "string", "big": "string", "nf": "double", "l": "int64", "t": "time64[us]",
        "dt": "timestamp[us]", "none": "string",
    }  # fmt: skip
    first, second = table.to_pylist()
    assert (first["big"], first["d"]) == (str(2**70), date(2026, 1, 2))
    assert first["dt"] == datetime(2026, 1, 2, 3, 4, 5)
    assert (second["mixed"], second["nf"], second["l"]) == ("x", 0.5, 0)


def test_parquet_holds_any_list(tmp_path: Path) -> None:
    rows = [row(0, {"Name": 1}, cells=("a", None, 5)), row(1, None, cells=("", "b", "x"))]

    path = workbook.write(batch(rows, ("Name", "Name", "")), tmp_path / "out.parquet")

    found = pyarrow.parquet.read_table(path).to_pylist()
    assert [list(each.values())[:3] for each in found] == [["a", None, "5"], ["", "b", "x"]]
