"""A number with the format of a date that can't be one stays a number."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun.tables.files import load
from batchrun.tables.xlsx import Parts, _odd_dates
from tests.tables.files import UUID

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "written",
    [
        "<v>-1.5</v>",
        "<v xml:space='preserve'>-1.5</v>",
        '<v xml:space="preserve">-1.5</v>',
        "<v><![CDATA[-1.5]]></v>",
        "<v><!-- -->-1.5</v>",
        "<f>1-2.5</f><v>-1.5</v>",
    ],
)
def test_a_negative_date_is_kept_as_a_number_however_it_is_written(
    tmp_path: Path, written: str
) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["Company ID", "Since", "Note"], [UUID, 1.5, "v -1"]):
        sheet.append(row)
    sheet["B2"].number_format = "yyyy-mm-dd"
    book.save(tmp_path / "plain.xlsx")
    _changed(tmp_path, "<v>1.5</v>", written)
    table = load(tmp_path / "list.xlsx")
    assert list(table.cells[1]) == [-1.5]
    assert any("1 cell holds a negative date" in notice for notice in table.source.notices)


@pytest.mark.parametrize("code", ["[h]:mm", "[mm]", "[ss].00", "[h]:mm:ss", "yyyy-mm-dd"])
@pytest.mark.parametrize("formula", ["", "<f>1+1</f>", '<f t="shared" si="0"/>'])
@pytest.mark.parametrize("number", ["2958466", "1764547200000", "1.7645472E12", "1e+300"])
def test_a_date_or_duration_too_large_to_be_shown_is_kept_as_a_number(
    tmp_path: Path, number: str, code: str, formula: str
) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["Company ID", "Time spent"], [UUID, 1.5], [UUID, 1.25]):
        sheet.append(row)
    for place in ("B2", "B3"):
        sheet[place].number_format = code
    book.save(tmp_path / "plain.xlsx")
    _changed(tmp_path, "<v>1.5</v>", f"{formula}<v>{number}</v>")
    table = load(tmp_path / "list.xlsx")
    assert table.cells[1][0] == float(number)
    assert not isinstance(table.cells[1][1], float)


@pytest.mark.parametrize("formats", [[164], [46], [46, 164] * 30])
def test_a_sheet_with_a_duration_is_not_parsed_for_long_numbers_elsewhere(
    formats: list[int],
) -> None:
    odd = _odd_dates(Parts(styles=[0, *formats], codes={164: "[h]:mm"}, dates=frozenset({1})))
    assert odd is not None
    for other in ("", ' s="0"') if len(formats) == 1 else ("",):
        assert not odd.search(f'<c r="B2"{other}><v>14829301754</v></c>'.encode())
    for style in range(1, len(formats) + 1):
        assert odd.search(f'<c r="B2" s="{style}"><v>14829301754</v></c>'.encode())


def test_a_link_is_counted_once_though_a_large_sheet_is_read_again_for_a_negative_date(
    tmp_path: Path,
) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Account", "Since"])
    sheet.append([f'=HYPERLINK("https://crm.example.com/{UUID}", "Acme")', 1])
    for number in range(8_000):  # the sheet is searched in parts of 256 KB
        sheet.append([number, 1])
    sheet.append([0, -1.5])
    sheet["B8003"].number_format = "yyyy-mm-dd"
    book.save(tmp_path / "plain.xlsx")
    _changed(tmp_path, "<v />", "<v>0</v>")  # as Excel writes it
    assert "1 link leads to an address with an ID" in load(tmp_path / "list.xlsx").source.links


def _changed(folder: Path, old: str, new: str) -> None:
    """Write ``plain.xlsx`` as ``list.xlsx`` with other XML."""
    with (
        zipfile.ZipFile(folder / "plain.xlsx") as plain,
        zipfile.ZipFile(folder / "list.xlsx", "w", zipfile.ZIP_DEFLATED) as changed,
    ):
        for part in plain.namelist():
            changed.writestr(part, plain.read(part).decode().replace(old, new))
