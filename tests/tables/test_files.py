from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from batchrun.errors import ExitCode, InputError
from batchrun.tables.files import load
from tests.tables.files import cells, load_bytes, write_workbook


def test_a_workbook_named_csv_is_read_as_a_workbook(tmp_path: Path) -> None:
    file = write_workbook(tmp_path / "a.csv", {"S": [["ID"], ["x"]]})
    assert load(file).source.format == "xlsx"


def test_text_named_xlsx_is_read_as_text(tmp_path: Path) -> None:
    table = load_bytes(tmp_path, "a,b\n1,2\n", "a.xlsx")
    assert table.source.format == "csv"
    assert cells(table) == [["1", "2"]]


OLE = bytes.fromhex("D0CF11E0A1B11AE1")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (OLE + b"Workbook", "a workbook that can't be read"),
        (OLE + "WordDocument".encode("utf-16-le"), "a Word document"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
        (b"%PDF-1.7", "a PDF"),
        (b"\xef\xbb\xbf\r\n<HTML><table>", "a web page"),
        (b'<!DOCTYPE html PUBLIC ""><html>', "a web page"),
        ("<html>".encode("utf-16"), "a web page"),
        (b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
         "an Excel 2003 XML"),
        (b'{"doc_id": "1", "url": "https://docs.google.com/x"}', "a shortcut to a Google"),
        (b"\x1f\x8b\x08", "a gzip"),
        (b"[InternetShortcut]\r\nURL=https://docs.google.com/x", "a shortcut to a web page"),
        (b'[{"company_id": "x"}]', "a JSON file"),
    ],
)  # fmt: skip
def test_a_known_kind_that_is_not_supported_is_named(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    with pytest.raises(InputError, match=kind) as caught:
        load_bytes(tmp_path, content, "list.xls")
    assert caught.value.hint.endswith(("as .xlsx or CSV.", "without one, then try again."))


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (["mimetype", "content.xml"], "an OpenDocument text"),
        (["Index/Document.iwa"], "Numbers"),
        (["word/document.xml"], "Word"),
        (["accounts.csv"], "a ZIP archive"),
    ],
)
def test_what_a_zip_archive_is_shows_in_its_parts(
    tmp_path: Path, parts: list[str], kind: str
) -> None:
    file = tmp_path / "list.xlsx"
    with zipfile.ZipFile(file, "w") as archive:
        for part in parts:
            archive.writestr(part, "")
    with pytest.raises(InputError, match=kind):
        load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no file .*gone\.csv") as caught:
        load(tmp_path / "gone.csv")
    assert caught.value.exit_code is ExitCode.UNUSABLE
    (tmp_path / "Q4 targets.xlsx").touch()
    with pytest.raises(InputError) as caught:
        load(tmp_path / "Q4 target.xlsx")
    assert caught.value.hint.startswith("Did you mean Q4 targets.xlsx? ")


def test_a_web_address_is_to_be_downloaded_first() -> None:
    with pytest.raises(InputError) as caught:
        load("https://example.com/list.csv")
    assert "download the list first" in caught.value.hint


def test_an_unreadable_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.csv"
    file.touch()

    def refuse(_: Path, mode: str) -> None:
        raise PermissionError(13, f"Permission denied ({mode})")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"can't be read: Permission denied \(rb\)"):
        load(file)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
def test_what_can_be_read_only_once_is_a_list_too(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [sys.executable, "-c", f"open({str(pipe)!r}, 'w').write('a,b\\n1,2\\n')"]
    ):
        assert cells(load(pipe)) == [["1", "2"]]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        load_bytes(tmp_path, b"")


def test_the_error_of_one_file_names_the_folder_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.csv").write_text("")
    with pytest.raises(InputError) as refused:
        load(tmp_path)
    assert refused.value.what.startswith(f"{tmp_path.name} is 2 files, read as one list. bad.csv")
    assert "give a pattern in quotes" in refused.value.hint
    (tmp_path / "good.csv").unlink()
    with pytest.raises(InputError) as alone:
        load(tmp_path)
    assert alone.value.what.startswith("bad.csv")


def test_a_text_file_has_no_sheets(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="has no sheet 'S'"):
        load(file, sheet="S")


def test_the_package_is_light_to_import() -> None:
    """`--help` must not wait for pandas."""
    program = (
        "import sys, batchrun.tables\n"
        "sys.exit(bool({'pandas', 'numpy', 'python_calamine'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
