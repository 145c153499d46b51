from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from batchrun.errors import InputError, UsageError
from batchrun.model import Role, Table
from batchrun.tables.files import load
from batchrun.tables.frames import from_frame
from batchrun.tables.roles import (
    ColumnQuestion,
    candidate_contents,
    find_roles,
    is_known_name,
    role_notices,
    swap_notice,
)
from tests.tables.files import OTHER_UUID, UUID, write_workbook

if TYPE_CHECKING:
    from pathlib import Path

SALESFORCE_ID = "0015g00000XyZabAAB"


def numbered(number: int) -> str:
    """One UUID of many."""
    return f"{UUID[:-4]}{number:04}"


def table(*columns: tuple[str, str]) -> Table:
    """A table of two equal rows from (column name, cell) pairs."""
    names = [name for name, _ in columns]
    return from_frame(pd.DataFrame([[cell for _, cell in columns]] * 2, columns=names), "list.csv")


@pytest.mark.parametrize(
    "name",
    ["Company ID", "company_id", "COMPANY-ID", " Company\u200b  Id ", "CompanyId", "Cömpany ID"],
)
def test_a_known_name_is_found_however_it_is_written(name: str) -> None:
    assert find_roles(table(("Name", "x"), (name, UUID))) == {Role.COMPANY: 1}


@pytest.mark.parametrize(
    "name", ["PG_Company_ID__c", "pg_companyid", "PGCompanyId", "PgAiCompanyUuid", "Company_Id__C"]
)
def test_names_of_fields_as_programs_see_them_are_known(name: str) -> None:
    assert find_roles(table(("Id", OTHER_UUID), (name, UUID))) == {Role.COMPANY: 1}


@pytest.mark.parametrize(
    "name",
    [
        "Account.PG_Company_ID__c", "Contact.Account.PG_Company_ID__c", "Account__r.Company_ID__c",
        "Account: PG Company ID", "Organization - Company ID", "2. Company ID", "Company GUID",
        "Company ID (required)", "Company ID (UUID)", "Account ID (18)", "Account ID [text]",
    ],
)  # fmt: skip
def test_the_object_of_a_field_and_remarks_do_not_change_its_name(name: str) -> None:
    roles = find_roles(table((name, UUID), ("PG Contact ID", OTHER_UUID)))
    assert roles == {Role.COMPANY: 0, Role.CONTACT: 1}


@pytest.mark.parametrize(
    "name", ["Parent Company ID", "Parent.PG_Company_ID__c", "Account.Parent.PG_Company_ID__c",
             "Company ID (parent)", "Former Company ID", "Company: Parent ID", "Company ID 2"]
)  # fmt: skip
def test_the_id_of_another_company_is_not_taken(name: str) -> None:
    assert find_roles(table((name, UUID), ("Contact ID", OTHER_UUID))) == {Role.CONTACT: 1}


@pytest.mark.parametrize(
    "name",
    [
        "Firma-ID", "ID de l'entreprise", "ID de la société", "ID de empresa", "ID da empresa",
        "ID azienda", "ID dell'azienda", "Företags-ID", "Virksomheds-id", "ID firmy", "Şirket ID",
        "ID společnosti", "ID компании", "会社ID", "公司 ID", "Bedrijfs-ID", "Unternehmens-ID",
    ],
)  # fmt: skip
def test_names_of_other_languages_are_known(name: str) -> None:
    assert find_roles(table(("Name", "x"), (name, UUID))) == {Role.COMPANY: 1}


def test_two_columns_with_the_same_ids_are_one() -> None:
    joined = [("Company ID", UUID), ("Name", "x"), ("Company ID", f" {UUID.upper()}")]
    assert find_roles(table(*joined)) == {Role.COMPANY: 0}
    with pytest.raises(InputError, match="2 columns that may hold the company IDs"):
        find_roles(table(*joined[:2], ("Company ID", OTHER_UUID)))


def test_lines_of_a_text_file_in_the_cells_of_a_workbook_are_named(tmp_path: Path) -> None:
    rows = [["Company ID;Name"], [f"{UUID};Acme"]]
    lines = load(write_workbook(tmp_path / "list.xlsx", {"S": rows}))
    with pytest.raises(InputError, match="Text to Columns"):
        find_roles(lines)


@pytest.mark.parametrize("rule", ["", f"{'-' * 36} ----------\n"], ids=["plain", "as SQL Server"])
def test_columns_that_are_lined_up_with_spaces_are_named(tmp_path: Path, rule: str) -> None:
    file = tmp_path / "list.txt"
    file.write_text(f"{'company_id':36} name\n{rule}{UUID} Acme\n{OTHER_UUID} Bolt\n")
    with pytest.raises(InputError, match=r"lined up with spaces.*Fixed width"):
        find_roles(load(file))


def test_both_roles_are_used() -> None:
    roles = find_roles(table(("Contact ID", UUID), ("Name", "x"), ("Account UUID", OTHER_UUID)))
    assert roles == {Role.CONTACT: 0, Role.COMPANY: 2}


def test_a_contact_column_alone_is_enough() -> None:
    assert find_roles(table(("Person ID", UUID))) == {Role.CONTACT: 0}


def test_a_weak_name_counts_when_its_cells_are_uuids() -> None:
    assert find_roles(table(("Account ID", UUID))) == {Role.COMPANY: 0}
    with pytest.raises(InputError, match=r"no column holds PG:AI IDs.*Account ID .*2 Salesforce"):
        find_roles(table(("Account ID", SALESFORCE_ID)))


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("Company ID", SALESFORCE_ID),
        ("Organization - ID", 3),
        ("Associated Company IDs (Primary)", 14829301754),
        ("Company ID", ""),
    ],
)
@pytest.mark.parametrize(
    "good", ["PG Company ID", "Organization - PG ID", "Account ID", "Account UUID"]
)
def test_the_content_of_a_column_decides_and_not_its_name(
    name: str, cell: object, good: str
) -> None:
    """A CRM's own ID under a name that we know does not keep a column of UUIDs from its role."""
    frame = pd.DataFrame([[cell, UUID, "x"]] * 3, columns=[name, good, "Name"])
    assert find_roles(from_frame(frame)) == {Role.COMPANY: 1}


def test_the_names_of_the_service_win_over_those_that_a_crm_uses_too() -> None:
    dynamics = table(("(Do Not Modify) Account", UUID), ("accountid", UUID), ("contactid", UUID),
                     ("PG Company ID", OTHER_UUID), ("PGAI Contact UUID", OTHER_UUID))  # fmt: skip
    assert find_roles(dynamics) == {Role.COMPANY: 3, Role.CONTACT: 4}


def test_a_column_that_is_named_like_ids_but_holds_none_is_reported() -> None:
    columns = table(("Contact ID", SALESFORCE_ID), ("PG Company ID", UUID))
    roles = find_roles(columns)
    assert roles == {Role.COMPANY: 1}
    [notice] = role_notices(columns, roles, ())
    assert notice.startswith("Column Contact ID is not used for contact IDs")
    assert "2 Salesforce IDs" in notice


def test_a_column_with_some_ids_is_not_left_out_without_asking() -> None:
    """The rows with a company ID would be sent without it."""
    ids = [UUID, SALESFORCE_ID, SALESFORCE_ID]
    columns = from_frame(pd.DataFrame({"Company ID": ids, "Contact ID": map(numbered, range(3))}))
    with pytest.raises(InputError, match=r"1 PG:AI ID, 2 Salesforce IDs") as caught:
        find_roles(columns)
    assert "--company-column 1" in caught.value.hint
    assert "--no-company" in caught.value.hint
    assert find_roles(columns, company_column="1") == {Role.COMPANY: 0, Role.CONTACT: 1}
    assert find_roles(columns, without=[Role.COMPANY]) == {Role.CONTACT: 1}


def test_a_role_that_is_not_wanted_is_not_looked_for() -> None:
    columns = table(("Company ID", UUID), ("Contact ID", OTHER_UUID))
    assert find_roles(columns, without=[Role.CONTACT]) == {Role.COMPANY: 0}
    assert find_roles(columns, without=[Role.COMPANY]) == {Role.CONTACT: 1}
    with pytest.raises(UsageError, match="leave no ID"):
        find_roles(columns, without=list(Role))
    with pytest.raises(UsageError, match="exclude each other"):
        find_roles(columns, company_column="Company ID", without=[Role.COMPANY])
    with pytest.raises(InputError, match="no column with PG:AI IDs is named like a contact ID"):
        find_roles(table(("Company ID", UUID)), without=[Role.COMPANY])


def test_two_lists_side_by_side_are_not_sent_as_one() -> None:
    columns = [("Company ID", UUID), ("Name", "x"), ("", ""), ("Contact ID", UUID), ("Name", "y")]
    with pytest.raises(InputError, match="two lists side by side"):
        find_roles(table(*columns))
    assert find_roles(table(*columns), without=[Role.CONTACT]) == {Role.COMPANY: 0}
    both = find_roles(table(*columns), company_column="Company ID", contact_column="Contact ID")
    assert both == {Role.COMPANY: 0, Role.CONTACT: 3}
    spaced = [("Company ID", UUID), ("", ""), ("Contact ID", UUID), ("", ""), ("Name", "y")]
    assert find_roles(table(*spaced)) == {Role.COMPANY: 0, Role.CONTACT: 2}


@pytest.mark.parametrize(
    "rows",
    [
        [["Company ID", "Name", "Contact ID", "Name"], [1, "a", 5, "x"], [2, "b", 6, "y"]],
        [["Company ID", "Firm", "Contact ID", "Who"], [1, "a", 5, "x"], [None, None, 6, "y"]],
        [["Contact ID", "Who", "Company ID", "Firm"], [5, "x", 1, "a"], [6, "y", None, ""]],
        [["Name", "Company ID", "Mail", "Contact ID"], ["a", 1, "x", 5], [None, None, "y", 6]],
    ],
)
def test_two_lists_that_touch_are_not_sent_as_one(rows: list[list[object]]) -> None:
    header, *cells = rows
    frame = pd.DataFrame(
        [[numbered(cell) if isinstance(cell, int) else cell for cell in row] for row in cells],
        columns=pd.Index(header),
    )
    lists = from_frame(frame)
    with pytest.raises(InputError, match="two lists side by side") as caught:
        find_roles(lists)
    assert "--no-contact" in caught.value.hint
    assert len(find_roles(lists, without=[Role.CONTACT])) == 1
    assert len(find_roles(lists, company_column="Company ID", contact_column="Contact ID")) == 2


@pytest.mark.parametrize(
    "rows",
    [
        [["Company ID", "Name", "Contact ID", "Name"], [1, "a", 5, "x"], [1, "a", 6, "y"]],
        [["Company ID", "Firm", "Contact ID", "Who"], [1, "a", 5, "x"], [None, None, 6, "y"],
         [2, "b", 7, "z"]],
        [["Company ID", "Contact ID"], [1, 5], [None, 6]],
    ],
)  # fmt: skip
def test_contacts_with_their_companies_are_one_list(rows: list[list[object]]) -> None:
    header, *cells = rows
    frame = pd.DataFrame(
        [[numbered(cell) if isinstance(cell, int) else cell for cell in row] for row in cells],
        columns=pd.Index(header),
    )
    assert len(find_roles(from_frame(frame))) == 2


@pytest.mark.parametrize("name", ["IDs / Company ID", "Company ID / Firma", "Key / PG Company ID"])
def test_a_name_joined_from_several_header_lines_counts_by_its_parts(name: str) -> None:
    assert find_roles(table((name, UUID), ("Name", "x"))) == {Role.COMPANY: 0}


@pytest.mark.parametrize(
    ("name", "cell"), [("Record ID", "14829301754"), ("Id", SALESFORCE_ID), ("Key", SALESFORCE_ID)]
)
def test_a_list_of_a_crms_own_ids_says_how_to_get_those_of_pg_ai(name: str, cell: str) -> None:
    with pytest.raises(InputError, match="Other IDs are in") as caught:
        find_roles(table((name, cell), ("Name", "x")))
    assert "Export the list from PG:AI" in caught.value.hint


@pytest.mark.parametrize("name", ["ID", "PG:AI ID", "PG.AI-ID", "PGAI Id", "PGAIID", "PG_ID__c"])
def test_a_name_that_does_not_say_whose_ids_is_known_and_asked_about(name: str) -> None:
    assert is_known_name(name)
    listed = table(("Name", "x"), (name, UUID))
    with pytest.raises(InputError, match="PG:AI IDs are in: "):
        find_roles(listed)
    assert find_roles(listed, ask=lambda _: (Role.CONTACT, 1)) == {Role.CONTACT: 1}


def test_where_another_line_may_be_the_header_no_notice_says_that_there_is_none() -> None:
    frame = from_frame(pd.DataFrame([["Bay", UUID]], columns=["Acme", ""]))
    listed = replace(frame, source=replace(frame.source, header_line=1))
    roles = find_roles(listed, company_column="2")
    assert len(role_notices(listed, roles, ())) == 1
    doubt = "Line 1 was taken as the header, though line 2 may be it"
    assert not role_notices(replace(listed, header_doubts=(doubt,)), roles, ())
    questions: list[ColumnQuestion] = []
    with pytest.raises(InputError):
        find_roles(replace(listed, header_doubts=(doubt,)), ask=questions.append)
    assert [question.doubts for question in questions] == [(doubt,)]


def test_a_header_that_may_be_a_row_is_said() -> None:
    frame = pd.DataFrame([["Bay", UUID]], columns=["Acme", "n/a"])
    source = replace(from_frame(frame).source, header_line=1)
    listed = replace(from_frame(frame), source=source)
    [notice] = role_notices(listed, find_roles(listed, company_column="2"), ())
    assert "add --no-header" in notice


def test_of_two_strong_names_the_one_with_uuids_wins() -> None:
    roles = find_roles(table(("Company ID", SALESFORCE_ID), ("Company UUID", UUID)))
    assert roles == {Role.COMPANY: 1}


@pytest.mark.parametrize("names", [("Company ID", "Company UUID"), ("Account ID", "AccountId")])
def test_a_tie_is_refused_with_the_candidates(names: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=r"{}.*{}".format(*names)) as caught:
        find_roles(table((names[0], UUID), (names[1], OTHER_UUID)))
    assert "--company-column" in caught.value.hint


def test_an_id_of_nobody_knows_what_is_not_guessed() -> None:
    with pytest.raises(
        InputError, match=r"PG:AI IDs are in: Id .* Its columns: Id, Name"
    ) as caught:
        find_roles(table(("Id", UUID), ("Name", "x")))
    assert caught.value.hint == (
        "Choose it by name or number, with --company-column 1 or --contact-column 1."
    )


def test_a_named_column_is_taken() -> None:
    roles = find_roles(
        table(("Id", UUID), ("Company ID", OTHER_UUID), ("Ref", UUID)), company_column="Ref"
    )
    assert roles == {Role.COMPANY: 2}


def test_a_named_column_needs_not_be_written_exactly() -> None:
    columns = table(("Partner_ID", UUID), ("partner id", UUID), ("Réf", UUID))
    assert find_roles(columns, company_column="partner id") == {Role.COMPANY: 1}
    assert find_roles(columns, contact_column="REF") == {Role.CONTACT: 2}


def test_a_named_column_leaves_the_other_role_to_be_found() -> None:
    roles = find_roles(table(("Ref", UUID), ("Contact ID", OTHER_UUID)), company_column="ref")
    assert roles == {Role.COMPANY: 0, Role.CONTACT: 1}


def test_a_column_named_like_another_role_is_taken_as_told() -> None:
    roles = find_roles(table(("Contact ID", UUID)), company_column="Contact ID")
    assert roles == {Role.COMPANY: 0}


def test_a_repeated_name_is_told_apart_by_number() -> None:
    columns = table(("Ref", UUID), ("Ref", OTHER_UUID))
    with pytest.raises(InputError, match="2 columns named 'Ref'") as caught:
        find_roles(columns, company_column="Ref")
    assert "--company-column 1 or 2" in caught.value.hint
    assert find_roles(columns, company_column="2") == {Role.COMPANY: 1}


def test_an_unknown_column_offers_close_names() -> None:
    with pytest.raises(InputError, match="no column 'Compny Ref'") as caught:
        find_roles(table(("Company Ref", UUID), ("Name", "x")), company_column="Compny Ref")
    assert caught.value.hint == "Did you mean Company Ref? See --company-column."


def test_one_column_can_not_have_both_roles() -> None:
    with pytest.raises(InputError, match="can't be both"):
        find_roles(table(("Ref", UUID)), company_column="Ref", contact_column="Ref")


def test_a_tie_is_put_to_the_user_with_samples() -> None:
    asked: list[ColumnQuestion] = []

    def answer(question: ColumnQuestion) -> tuple[Role, int]:
        asked.append(question)
        return Role.COMPANY, 1

    columns = table(("Company ID", UUID), ("Company UUID", OTHER_UUID))
    assert find_roles(columns, ask=answer) == {Role.COMPANY: 1}
    [question] = asked
    assert question.roles == (Role.COMPANY,)
    assert [each.samples for each in question.candidates] == [(UUID,), (OTHER_UUID,)]


def test_a_column_of_uuids_that_nobody_knows_is_asked_about() -> None:
    columns = table(("Ref", UUID), ("Name", "x"))
    assert find_roles(columns, ask=lambda _: (Role.CONTACT, 0)) == {Role.CONTACT: 0}
    with pytest.raises(InputError, match=f"PG:AI IDs are in: Ref .*such as {UUID}"):
        find_roles(columns, ask=lambda _: None)


def test_lenient_reading_finds_a_column_of_what_looks_like_ids() -> None:
    columns = table(("Account ID", UUID.replace("a", "x")), ("Name", "x"))
    assert find_roles(columns, lenient=True) == {Role.COMPANY: 0}


def test_what_a_column_holds_is_counted_by_kind() -> None:
    frame = pd.DataFrame({"Id": [UUID, UUID, SALESFORCE_ID, 14829301754, None, "#N/A"]})
    [contents] = candidate_contents(from_frame(frame), {Role.COMPANY: 0})
    assert contents.words == (
        "2 PG:AI IDs, 1 Salesforce ID, 1 HubSpot number, 1 formula error, 1 empty"
    )


def test_ids_under_both_roles_are_said() -> None:
    frame = pd.DataFrame({"Company ID": [UUID, OTHER_UUID], "Contact ID": [OTHER_UUID, None]})
    notice = swap_notice(from_frame(frame), {Role.COMPANY: 0, Role.CONTACT: 1})
    assert notice.startswith("2 rows have an ID that is in both Company ID and Contact ID")
    assert swap_notice(from_frame(frame), {Role.COMPANY: 0}) == ""
