"""The options that say how results are written, through the command line."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batchrun.cli.options import ColumnOptions, form_from
from batchrun.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

COMPANY = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
WORKFLOW = ("-w", "Account Research", "--yes")


@pytest.mark.usefixtures("sandbox")
def test_the_wanted_columns_are_written_and_kept(batchrun: CommandLine, accounts: Path) -> None:
    wanted = ("--columns", "outputs.fit_score,summary", "--rename", "outputs.fit_score=Fit")

    batchrun("run", str(accounts), *WORKFLOW, *wanted, "--save-options")
    batchrun("export", "-o", "again.csv", "--csv-plain")

    head = next(openpyxl.load_workbook("accounts.results.xlsx")["Results"].values)
    assert head[-2:] == ("Fit", "Summary")
    with (batchrun.folder / "again.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    own = [title for title in head[:-2] if title != "run again"]
    assert rows[0] == [*own, "Fit", "summary"]  # key paths, which programs rely on
    assert rows[2][2] == "=1+1"


@pytest.mark.usefixtures("sandbox")
def test_a_csv_for_the_crm_lists_what_it_leaves_out(batchrun: CommandLine) -> None:
    lines = ["Company ID,Record ID", "a1b2c3d4-e5f6-7890-abcd-ef1234567890,12345", "broken,12346"]
    (batchrun.folder / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    batchrun("run", "list.csv", *WORKFLOW)

    ended = batchrun("export", "-o", "import.csv", "--crm", "HubSpot", "--columns", "summary")

    assert ended.exit_code == 0
    assert "Left out:  1 row not completed" in ended.stdout
    assert "Check:" not in ended.stdout
    other = batchrun("export", "-o", "import.csv", "--crm", "salesforce")
    assert "Its column Record ID has those of HubSpot: use --crm hubspot." in other.stderr
    assert (
        (batchrun.folder / "import.csv")
        .read_text(encoding="utf-8")
        .startswith("Record ID,Summary\n12345,")
    )


@pytest.mark.usefixtures("sandbox")
def test_a_workbook_that_was_refreshed_is_complete_at_the_end(
    batchrun: CommandLine, accounts: Path
) -> None:
    batchrun("run", str(accounts), *WORKFLOW, "--write-every", "0.05s")

    results = openpyxl.load_workbook("accounts.results.xlsx")["Results"]
    assert [cells[3] for cells in results.values][1:] == ["completed"] * 3 + ["can't be sent"]
    assert not list(batchrun.folder.glob("*(2)*"))


@pytest.mark.usefixtures("results")
def test_an_export_says_which_file_is_open(batchrun: CommandLine) -> None:
    batchrun("export", "-o", "out.csv")
    (batchrun.folder / ".~lock.out.csv#").touch()
    for _ in range(2):
        said = " ".join(batchrun("export", "-o", "out.csv").stderr.split())
        assert "out.csv is open in another program" in said
        assert "These results are in out (2).csv" in said


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-o", "x.csv", "--crm", "dynamics"), "'salesforce', 'hubspot'"),
        (("-o", "x.xlsx", "--crm", "hubspot"), ".csv"),
        (("-o", "x.csv", "--rename", "a"), "--rename outputs.fit_score=Fit"),
        (("-o", "x.csv", "--flat-depth", "0"), "--flat-depth"),
    ],
)
def test_an_unusable_option_is_refused_with_the_reason(
    batchrun: CommandLine, options: tuple[str, ...], words: str
) -> None:
    ended = batchrun("export", *options)

    assert ended.exit_code == 2
    assert words in ended.stderr
    assert not (batchrun.folder / options[1]).exists()


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--columns", "summary,outputs.fitscore"),
            "No result has outputs.fitscore. Did you mean outputs.fit_score?",
        ),
        (("--columns", "fit"), "No result has fit. Did you mean outputs.fit_score?"),
        (("--columns", "score"), "Did you mean outputs.fit_score?"),
        (("--rename", "Outputs.Fit_Score=Fit"), "Did you mean outputs.fit_score?"),
        (("--columns", "outputs"), "No result has outputs. Did you mean outputs.*?"),
        (("--columns", "out*ts.wether*"), "No result has out*ts.wether*."),
    ],
)
def test_an_unknown_result_column_gets_a_suggestion(
    batchrun: CommandLine, options: tuple[str, ...], words: str
) -> None:
    export = batchrun("export", "-o", "x.csv", *options)
    # A wanted column that stays empty is refused if it looks like one that exists.
    refused = options[0] == "--columns" and "Did you mean" in words
    assert export.exit_code == (ExitCode.UNUSABLE if refused else ExitCode.COMPLETED)
    assert words in " ".join(export.stderr.split())
    assert (batchrun.folder / "x.csv").exists() is not refused
    assert "Note" not in batchrun("export", "-o", "y.csv", "--columns", "summary,out*").stderr


@pytest.mark.usefixtures("sandbox")
def test_a_run_notes_unknown_result_columns_before_its_last_line(
    batchrun: CommandLine, accounts: Path
) -> None:
    ended = batchrun("run", str(accounts), *WORKFLOW, "--columns", "fit,out*ts.wether*")
    assert "\nNote:      No result has fit. Did you mean outputs.fit_score?\n" in ended.stdout
    assert "\nNote:      No result has out*ts.wether*.\n" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("Workbook:")


@pytest.mark.usefixtures("sandbox")
def test_before_the_first_result_no_column_is_reported_unknown(
    batchrun: CommandLine, accounts: Path
) -> None:
    accounts.write_text("Company ID\nbroken\n", encoding="utf-8")
    assert "Note" not in batchrun("run", str(accounts), *WORKFLOW, "--columns", "sumary").stdout


@pytest.mark.usefixtures("sandbox")
def test_a_column_of_the_list_is_noted_before_the_question(
    batchrun: CommandLine, accounts: Path
) -> None:
    ended = batchrun("run", str(accounts), "-w", "Account Research", "--rename", "Name=Firm")
    assert "Note:      Name is a column of the list and always kept unchanged" in ended.stdout
    assert "Can't ask for confirmation" in ended.stderr


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("30s", 30), ("1h", 3600), ("2 min", 120)]
)
def test_a_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert form_from(ColumnOptions(), write_every=text).write_every_seconds == seconds


@pytest.mark.parametrize("text", ["", "soon", "0m", "-5m", "5d", "5"])
def test_an_invalid_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--write-every"):
        form_from(ColumnOptions(), write_every=text)


def test_options_are_read_as_people_write_them() -> None:
    form = form_from(ColumnOptions(["summary, outputs.*", "people"], ["outputs.id= Report "], 3))

    assert form.columns == ("summary", "outputs.*", "people")
    assert form.rename == {"outputs.id": "Report"}
    assert form.flat_depth == 3


@pytest.mark.parametrize("rename", ["outputs.id", "outputs.id=", "=Report"])
def test_a_title_without_a_column_is_refused(rename: str) -> None:
    with pytest.raises(UsageError, match="has no title"):
        form_from(ColumnOptions(rename=[rename]))


FOREIGN = b"somebody's own"


@pytest.mark.usefixtures("sandbox")
def test_an_export_replaces_its_own_file_and_no_other(
    batchrun: CommandLine, accounts: Path
) -> None:
    batchrun("run", accounts.name, "-w", "account research", "--yes", "-o", "first.csv")
    for name, *options in (
        ("out.xlsx",),
        ("out.csv",),
        ("out.jsonl",),
        ("out.parquet",),
        ("invalid.csv", "--only", "invalid"),
        ("invalid.xlsx", "--only", "invalid"),
        ("first.csv",),
    ):
        export = ("export", "-o", name, *options)
        own, beside = batchrun.folder / name, batchrun.folder / name.replace(".", " (2).")
        assert f": {name}\n" in batchrun(*export).stdout
        assert f": {name}\n" in batchrun(*export).stdout  # its own file
        own.write_bytes(FOREIGN)
        ended = batchrun(*export)
        assert own.read_bytes() == FOREIGN
        assert f": {beside.name}\n" in ended.stdout
        assert f"{name} already existed, so it was kept." in ended.stderr


@pytest.mark.usefixtures("results")
def test_a_foreign_file_beside_the_workbook_is_kept(batchrun: CommandLine) -> None:
    foreign = batchrun.folder / "out.whole.jsonl"
    foreign.write_bytes(FOREIGN)
    assert "out (2).xlsx" in batchrun("export", "-o", "out.xlsx").stdout


@pytest.mark.usefixtures("sandbox")
def test_a_run_keeps_a_foreign_output(batchrun: CommandLine, accounts: Path) -> None:
    output = batchrun.folder / "out.csv"
    output.write_bytes(FOREIGN)
    run = ("run", accounts.name, "-w", "account research", "--yes", "-o", "out.csv")
    ended = batchrun(*run)
    assert output.read_bytes() == FOREIGN
    assert ended.stdout.splitlines()[-1].endswith("out (2).csv")


@pytest.mark.usefixtures("sandbox")
def test_rows_to_correct_are_sent_with_their_own_values(
    batchrun: CommandLine, accounts: Path
) -> None:
    accounts.write_text("Company ID,Phone\nnot-an-id,+49 221 4\nnot-another,'-\nthe-third,=x\n")
    run = ("-w", "account research", "--param-column", "phone=Phone")
    accounts.write_text(accounts.read_text() + f"{COMPANY},555\n")
    batchrun("run", accounts.name, *run, "--yes")
    fixed = batchrun.folder / "fixed.csv"
    batchrun("export", "-o", fixed.name, "--only", "invalid")
    text = fixed.read_text(encoding="utf-8-sig")
    assert "'+49 221 4" in text
    for at, word in enumerate(("not-an-id", "not-another", "the-third")):
        text = text.replace(word, f"{COMPANY[:-1]}{at}")
    fixed.write_text(text, encoding="utf-8")
    ended = batchrun("run", fixed.name, *run, "--yes", "-o", "out.jsonl")
    assert ended.exit_code == 0
    sent = [json.loads(line) for line in (batchrun.folder / "out.jsonl").read_text().splitlines()]
    assert [each["input"]["Phone"] for each in sent] == ["+49 221 4", "'-", "=x"]


def _edited(path: Path) -> bytes:
    """Add a column as a user would, and return the workbook's new content."""
    book = openpyxl.load_workbook(path)
    sheet = book["Results"]
    sheet.cell(1, sheet.max_column + 1, "My note")
    book.save(path)
    return path.read_bytes()


OWN_OUTPUT = ("-o", "accounts.results.xlsx")


@pytest.mark.parametrize(
    ("command", "practice"),
    [
        (("resume", "--yes"), False),
        (("run", "accounts.csv", *WORKFLOW), False),
        (("run", "accounts.csv", *WORKFLOW, *OWN_OUTPUT), True),
        (("export", *OWN_OUTPUT), True),
    ],
)
def test_a_workbook_that_was_edited_is_kept(
    batchrun: CommandLine,
    accounts: Path,
    request: pytest.FixtureRequest,
    command: tuple[str, ...],
    *,
    practice: bool,
) -> None:
    if not practice:
        request.getfixturevalue("sandbox")
    options = ("--sandbox",) if practice else ()
    batchrun("run", accounts.name, *WORKFLOW, "--limit", "1", *options)
    workbook = accounts.with_name("accounts.results.xlsx")
    edited = _edited(workbook)

    ended = batchrun(*command, *options)

    assert workbook.read_bytes() == edited
    assert workbook.with_stem("accounts.results (2)").exists()
    said = " ".join((ended.stdout + ended.stderr).split())
    assert "so it was kept. These results are in accounts.results (2).xlsx." in said


def test_why_the_workbook_has_a_number_is_said_once(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    run = ("run", accounts.name, "-w", "account research", "--yes")
    batchrun(*run)
    assert "so it was kept" in batchrun(*run, "--again", "--limit", "1").stdout
    resumed = batchrun("resume", "--yes")
    assert resumed.stdout.rstrip().endswith("accounts.results (2).xlsx")
    assert "so it was kept" not in resumed.stdout


def test_practice_results_are_replaced_with_a_note(batchrun: CommandLine, accounts: Path) -> None:
    run = ("run", accounts.name, "-w", "account research", "--yes", "--sandbox")
    batchrun(*run)
    ended = batchrun(*run, "--again", "--limit", "1")
    assert "accounts.results.xlsx contains practice results, which this run" in ended.stderr
    edited = _edited(accounts.with_name("accounts.results.xlsx"))
    batchrun(*run)
    batchrun(*run, "--again")
    assert accounts.with_name("accounts.results.xlsx").read_bytes() == edited
