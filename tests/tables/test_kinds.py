"""Files that only look like lists, or only look like something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batchrun.errors import InputError
from batchrun.tables.files import load
from tests.tables.files import UUID, cells, load_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "a contact card"),
        (b"BEGIN:VCALENDAR\r\n", "a calendar"),
        (b"\x28\xb5\x2f\xfd\x00", "a Zstandard archive"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x00\x00\x1a\x00\x00\x10", "a Lotus 1-2-3 workbook"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["list.csv", "list.xls", "list.xlsx"])
def test_what_is_no_list_is_refused_by_name(
    tmp_path: Path, content: bytes, kind: str, name: str
) -> None:
    with pytest.raises(InputError) as refused:
        load_bytes(tmp_path, content, name)
    assert kind in str(refused.value)
    assert "as .xlsx or CSV" in str(refused.value)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a"])
def test_a_picture_is_not_to_be_saved_as_a_list(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="A picture has no cells"):
        load_bytes(tmp_path, content, "list.csv")


@pytest.mark.parametrize("content", [b"PK\x05\x06" + bytes(18), b"\x1f\x8b\x08\x00"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="Unpack it"):
        load_bytes(tmp_path, content, "list.csv")


def test_a_list_whose_first_column_is_called_id_is_no_sylk_file(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, f"ID;PName\n{UUID};Acme\n")
    assert table.header == ("ID", "PName")


@pytest.mark.parametrize("before", ["<b>Accounts</b>", "<br>", "<form action=x>", "<pre></pre>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_web_page_is_recognized_with_any_first_tag(
    tmp_path: Path, before: str, encoding: str
) -> None:
    page = f"{before}<table><tr><td>Company ID<tr><td>{UUID}</table>"
    assert cells(load_bytes(tmp_path, page.encode(encoding), "accounts.xls")) == [[UUID]]


@pytest.mark.parametrize("charset", ["iso-8859-1", "latin1", "windows-1252"])
def test_a_page_is_read_in_the_encoding_that_browsers_use(tmp_path: Path, charset: str) -> None:
    page = f"<html><meta charset={charset}><table><tr><td>Company ID<td>Name<tr><td>{UUID}<td>5 €"
    assert cells(load_bytes(tmp_path, page.encode("cp1252"), "page.html")) == [[UUID, "5 €"]]


def test_a_page_is_read_in_the_encoding_that_the_user_gives(tmp_path: Path) -> None:
    file = tmp_path / "page.xls"
    page = f"<html><table><tr><td>Company ID<td>Name<tr><td>{UUID}<td>Žižkov</table>"
    file.write_bytes(page.encode("iso8859-2"))
    assert cells(load(file, encoding="iso8859-2")) == [[UUID, "Žižkov"]]
    assert "if it is wrong, add --encoding" in load(file).source.notices[0]


def test_cdata_in_a_page_is_text_and_a_comment_is_not(tmp_path: Path) -> None:
    marked = "<![CDATA[a > b & <i>c</i> &amp;]]>"
    page = f"<html><table><tr><td>Company ID<td>Name<tr><td><![CDATA[{UUID}]]><!-- old --><td>"
    page += f"{marked}<!--[CDATA[old]]--> d</table>"
    assert cells(load_bytes(tmp_path, page, "page.html")) == [[UUID, "a > b & <i>c</i> &amp; d"]]
