from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchrun import workbook
from batchrun.errors import OutputError
from batchrun.workbook.target import atomic_file, check_target, refused_by_windows
from tests.workbook.batches import batch_of, sheet

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def hold_open(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a file behave as one that Excel holds open: nothing can take its place."""
    held: set[Path] = set()
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if Path(target) in held:
            raise PermissionError(13, "The process cannot access the file")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    return held.add


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out.xlsx"
    target.write_text("before", encoding="utf-8")

    def write() -> None:
        with atomic_file(target) as place:
            place.temporary.write_text("half", encoding="utf-8")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()

    assert target.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("there_before", [True, False])
def test_a_file_that_somebody_saves_while_the_results_are_written_is_kept(
    tmp_path: Path, there_before: bool
) -> None:
    target = tmp_path / "out.xlsx"
    if there_before:
        target.write_text("before", encoding="utf-8")

    with atomic_file(target) as place:
        place.temporary.write_text("results", encoding="utf-8")
        target.write_text("with notes", encoding="utf-8")

    assert target.read_text(encoding="utf-8") == "with notes"
    assert place.final.read_text(encoding="utf-8") == "results"
    with pytest.raises(OutputError, match="changed"), atomic_file(target, beside=False):
        target.write_text("with more notes", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "with more notes"


def test_a_full_disk_leaves_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    target = tmp_path / "out.xlsx"

    with pytest.raises(OutputError, match="No space left") as raised, atomic_file(target):
        raise OSError(28, "No space left on device")

    assert "batchrun export" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("out.results.xlsx", "out.results (2).xlsx"),
        ("out.results (2).xlsx", "out.results (3).xlsx"),
        ("out (9).csv", "out (10).csv"),
        ("Plan (2026).xlsx", "Plan (2026) (2).xlsx"),
    ],
)
def test_a_second_file_with_the_same_name_gets_the_next_number(
    tmp_path: Path, hold_open: Callable[[Path], None], name: str, beside: str
) -> None:
    target = tmp_path / name
    target.write_text("edited", encoding="utf-8")

    assert workbook.free_target(target, lambda _: False) == tmp_path / beside
    hold_open(target)
    assert workbook.write(batch_of({"a": 1}), target) == tmp_path / beside


def test_a_workbook_that_excel_holds_open_goes_beside_it(
    tmp_path: Path, hold_open: Callable[[Path], None]
) -> None:
    target = tmp_path / "accounts.results.xlsx"
    target.write_text("open in Excel", encoding="utf-8")
    hold_open(target)

    written = workbook.write(batch_of({"a": 1}), target)

    assert written == tmp_path / "accounts.results (2).xlsx"
    assert sheet(written)[1][-1] == 1
    assert target.read_text(encoding="utf-8") == "open in Excel"


def test_what_a_cell_cant_hold_is_whole_in_a_file_beside_the_workbook(tmp_path: Path) -> None:
    long = "x" * 40_000

    written = workbook.write(batch_of({"text": long, "bell": "a\x07b"}), tmp_path / "out.xlsx")

    text, bell = sheet(written)[1][-2:]
    assert len(text) == 32_767
    assert text.endswith(" … [not whole: cut, 40,000 characters; see out.whole.jsonl]")
    assert "\N{REPLACEMENT CHARACTER}" in bell
    assert "out.whole.jsonl" in bell
    assert long in (tmp_path / "out.whole.jsonl").read_text(encoding="utf-8")


def test_there_is_no_such_file_when_everything_fits(tmp_path: Path) -> None:
    workbook.write(batch_of({"text": "short"}), tmp_path / "out.xlsx")

    assert [path.name for path in tmp_path.iterdir()] == ["out.xlsx"]


def test_the_list_itself_is_never_the_output(tmp_path: Path) -> None:
    source = tmp_path / "accounts.xlsx"
    source.write_bytes(b"list")

    with pytest.raises(OutputError, match="the list itself"):
        check_target(source, source)


@pytest.mark.parametrize(
    ("name", "words"), [("out.pdf", "ending"), ("nowhere/out.xlsx", "no folder")]
)
def test_an_output_that_cant_be_is_refused_before_anything_is_spent(
    tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(OutputError, match=words):
        check_target(tmp_path / name, None)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("CON.xlsx", "device"),
        (r"C:\Lists\nul.results.xlsx", "device"),
        ("com1.csv", "device"),
        ("LPT¹.jsonl", "device"),
        ("con .xlsx", "device"),
        ("report:today.xlsx", "':'"),
        ("what?.xlsx", "'?'"),
        ("out.xlsx.", "dot or space"),
        ("out.xlsx ", "dot or space"),
    ],
)
def test_names_that_windows_does_not_take_are_refused_there(
    path: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert why in refused_by_windows(path)
    monkeypatch.setattr("batchrun.workbook.target.sys.platform", "win32")
    with pytest.raises(OutputError):
        check_target(Path(path), None)


@pytest.mark.parametrize(
    "path", [r"C:\Lists\console.xlsx", r"\\nas\team\Größe (2).csv", "com.xlsx", "nullable.jsonl"]
)
def test_names_that_windows_takes_are_not_refused(path: str) -> None:
    assert refused_by_windows(path) == ""


def test_a_name_as_long_as_the_disk_takes_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("ü" * 120 + ".jsonl")  # 246 bytes of 255
    check_target(target, None)
    with atomic_file(target) as place:
        place.temporary.write_text("{}", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_path_that_is_too_long_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"path of \d+ characters is too long"):
        check_target(tmp_path / ("x" * 300 + ".xlsx"), None)


def test_a_path_beyond_what_windows_takes_is_said_to_be_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows itself only says that there is no such file."""

    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "The system cannot find the path specified")

    monkeypatch.setattr("batchrun.workbook.target.sys.platform", "win32")
    monkeypatch.setattr("batchrun.workbook.target.tempfile.mkstemp", missing)
    target = tmp_path / ("x" * 250 + ".xlsx")
    with pytest.raises(OutputError, match="too long"):
        check_target(target, None)


def test_a_folder_that_takes_no_file_is_found_out_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows' rights (ACLs) are in no mode: only trying tells."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr("batchrun.workbook.target.tempfile.mkstemp", refuse)
    with pytest.raises(OutputError, match="read-only"):
        check_target(tmp_path / "out.xlsx", None)


def test_looking_whether_results_can_go_somewhere_leaves_nothing(tmp_path: Path) -> None:
    check_target(tmp_path / "out.xlsx", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("note", ["~$out.xlsx", ".~lock.out.xlsx#"])
def test_a_workbook_that_is_open_on_any_system_is_not_replaced(tmp_path: Path, note: str) -> None:
    """Excel and LibreOffice would save over a file that was replaced under them."""
    target, lock = tmp_path / "out.xlsx", tmp_path / note
    for path in (target, lock):
        path.write_text("before")
    for beside, name in ((True, "out (2).xlsx"), (False, "out.xlsx")):
        with atomic_file(target, beside=beside) as place:
            place.temporary.write_text("after")
        assert place.final.name == name
        assert place.final.read_text() == "after"


def test_a_note_about_a_file_that_is_gone_does_not_rename_the_results(tmp_path: Path) -> None:
    (tmp_path / ".~lock.out.xlsx#").touch()
    with atomic_file(tmp_path / "out.xlsx") as place:
        place.temporary.write_text("after")
    assert place.final.name == "out.xlsx"


def test_a_target_that_is_held_whatever_its_number_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "The process cannot access the file")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="batchrun export"), atomic_file(tmp_path / "o.csv") as it:
        it.temporary.write_text("x", encoding="utf-8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_workbook_has_the_permissions_of_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with atomic_file(tmp_path / "out.xlsx") as place:
            place.temporary.write_bytes(b"results")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.xlsx").stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_workbook_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "out.xlsx"
    target.touch()
    target.chmod(0o640)
    with atomic_file(target) as place:
        place.temporary.write_bytes(b"results")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
