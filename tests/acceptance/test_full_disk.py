"""A disk that fills up under a running batch, and one that can't be written at all."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from openpyxl import load_workbook

from batchrun.errors import ExitCode
from tests.acceptance.sandbox_process import (
    batchrun,
    clean_environment,
    sandbox_process,
    status_of,
)
from tests.acceptance.small_disk import on_small_disk
from tests.preloaded import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs mounts of Linux")

ROWS = 60
BATCHRUN = " ".join(f"'{word}'" for word in COMMAND)


def write_list(folder: Path) -> None:
    lines = [f"a1b2c3d4-e5f6-7890-abcd-ef12345600{number:02},{number}" for number in range(ROWS)]
    text = "\n".join(["Company ID,Number", *lines])
    (folder / "accounts.csv").write_text(text, encoding="utf-8")


def test_a_disk_that_fills_up_loses_nothing_and_triggers_nothing_twice(tmp_path: Path) -> None:
    write_list(tmp_path)
    disk, home = tmp_path / "disk", tmp_path / "home"
    home.mkdir()
    with sandbox_process("--rate", "0") as sandbox:
        homes = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data")}
        env = sandbox.environment(disk) | homes
        script = f"""
            {BATCHRUN} run accounts.csv -w 'Account Research' --yes >first.out 2>first.err
            echo "first $?"
            cp accounts.results.xlsx first.xlsx
            grow
            {BATCHRUN} resume >second.out 2>second.err
            echo "second $?"
            cp -r '{disk}' kept
        """
        ended = on_small_disk(script, disk, env, kibibytes=800)
        report = sandbox.report()
        kept = sandbox.environment(tmp_path / "kept") | homes
        status = status_of(kept, tmp_path)
        batchrun("export", "-o", "results.jsonl", env=kept, cwd=tmp_path)
    first_error = (tmp_path / "first.err").read_text(encoding="utf-8")
    assert f"first {ExitCode.PAUSED:d}" in ended.stdout, first_error
    assert "the disk is full" in first_error
    assert "batchrun resume" in first_error
    assert report["triggered_more_than_once"] == []
    outcomes = status["outcomes"]
    # What was in hand went to the home folder, so nothing is in doubt.
    assert outcomes["completed"] == ROWS == report["triggers_accepted"], ended
    assert f"second {ExitCode.COMPLETED:d}" in ended.stdout
    lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    for line in map(json.loads, lines):
        assert line["result"]["company_id"] == line["input"]["Company ID"]
    # The newest state has the workbook's own name.
    assert "The results so far are in" in first_error
    assert [each.name for each in tmp_path.glob("accounts.results*")] == ["accounts.results.xlsx"]
    before, after = (
        [row[2].value for row in load_workbook(path)["Results"].iter_rows(min_row=2)]
        for path in (tmp_path / "first.xlsx", tmp_path / "accounts.results.xlsx")
    )
    assert len(before) == len(after) == ROWS
    assert before.count("completed") < after.count("completed") == ROWS


def test_a_rescue_file_goes_where_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    keep = """
        import pathlib, sys
        from batchrun.journal.rescue import RescueFiles, Step
        from batchrun.journal.schema import JobState
        files = RescueFiles(map(pathlib.Path, sys.argv[1:]), "b")
        step = Step(0, (JobState.SENDING,), JobState.IN_FLIGHT, {"execution_id": "exec_0"})
        path = files.keep(step)
        assert list(files.steps()) == [step]
        assert files.found() == [path]
        print(path)
    """
    (tmp_path / "keep.py").write_text(textwrap.dedent(keep), encoding="utf-8")
    script = f"full; '{sys.executable}' keep.py '{disk}' '{tmp_path}'"
    ended = on_small_disk(script, disk, clean_environment(), kibibytes=64)
    assert ended.stdout.strip() == str(tmp_path / "batchrun-b.rescue.jsonl"), ended.stderr


def test_a_folder_that_cannot_be_written_is_said_so_before_anything_is_spent(
    tmp_path: Path,
) -> None:
    write_list(tmp_path)
    disk = tmp_path / "disk"
    with sandbox_process("--rate", "0") as sandbox:
        run = f"{BATCHRUN} run accounts.csv -w 'Account Research' --yes"
        script = f'read_only; {run}; echo "ended $?"'
        ended = on_small_disk(script, disk, sandbox.environment(disk), kibibytes=800)
        assert sandbox.report()["triggers_accepted"] == 0
    assert f"ended {ExitCode.UNUSABLE:d}" in ended.stdout
    assert "read-only" in ended.stderr
    assert "--journal" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 2
