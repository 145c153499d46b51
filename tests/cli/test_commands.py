"""The commands: what a user sees, what the files then hold, how they end."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import openpyxl
import pytest

from batchrun import __version__
from batchrun.engine.clock import Clock
from batchrun.errors import ExitCode
from batchrun.journal import Journal
from batchrun.sandbox import SandboxSettings, running
from tests.cli.conftest import ACME, BETA, GAMMA
from tests.cli.test_bad_input import assert_refused, reported, triggers_accepted
from tests.journal.batches import plan_of

if TYPE_CHECKING:
    from tests.cli.commands import CommandLine

RUN = ("run", "accounts.csv", "-w", "account research", "--yes")


def test_the_version_is_shown(batchrun: CommandLine) -> None:
    assert batchrun("--version").stdout == f"batchrun {__version__}\n"


def test_workflows_are_listed_for_people_and_for_machines(
    batchrun: CommandLine, sandbox: str
) -> None:
    assert "Account Research" in batchrun("workflows").stdout
    listed = json.loads(batchrun("workflows", "--json").stdout)
    assert {"id", "name", "description", "status"} == set(listed[0])


def test_check_shows_the_plan_and_triggers_nothing(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    shown = batchrun("check", "accounts.csv", "-w", "account research", "--param", "depth=2")
    assert shown.exit_code == ExitCode.COMPLETED
    for words in (
        "4 (2 to send, 1 duplicate, 1 can't be sent)",
        "line 5",
        "2 to trigger",
        "depth: 2, every row",
    ):
        assert words in shown.stdout
    plan = json.loads(
        batchrun("check", "accounts.csv", "-w", "wf_account_research", "--json").stdout
    )
    assert plan["jobs"] == 2
    assert plan["first_body"] == {"workflow_id": "wf_account_research", "company_id": ACME}
    assert triggers_accepted(sandbox) == 0


def test_a_dry_run_shows_what_check_shows_and_triggers_nothing(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    checked = batchrun("check", *RUN[1:4], "--json")
    assert batchrun(*RUN, "--dry-run", "--json", "-o", "out.xlsx").stdout == checked.stdout
    assert "2 to trigger" in batchrun(*RUN, "--dry-run").stdout
    assert not (batchrun.folder / "out.xlsx").exists()
    assert triggers_accepted(sandbox) == 0


@pytest.mark.usefixtures("sandbox", "accounts")
def test_check_shows_what_is_left_of_a_batch_that_run_would_continue(
    batchrun: CommandLine,
) -> None:
    batchrun(*RUN, "--yes", "--limit", "1")
    for command in (("check", *RUN[1:4]), (*RUN, "--dry-run")):
        rest = batchrun(*command).stdout
        assert "1 to trigger; 1 of the batch's 2 were sent before" in rest
        assert "Resumes:   batch " in rest


def test_check_reads_a_list_from_standard_input(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    piped = SimpleNamespace(buffer=io.BytesIO(accounts.read_bytes()), isatty=lambda: False)
    batchrun.monkeypatch.setattr("sys.stdin", piped)
    shown = batchrun("check", "-", "-w", "account research")
    assert shown.exit_code == ExitCode.COMPLETED
    assert "4 (2 to send, 1 duplicate, 1 can't be sent)" in shown.stdout


def test_check_waits_for_no_second_request(
    batchrun: CommandLine, accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(_clock: Clock, seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(Clock, "sleep", sleep)
    with running(SandboxSettings(rate_per_minute=60)) as url:
        batchrun.connect(url, speed=1)
        ended = batchrun("check", "accounts.csv", "-w", "account research")
    assert "credits left" in ended.stdout  # that was the second request
    assert waited
    assert max(waited) == 0


def test_a_run_from_standard_input_is_refused(batchrun: CommandLine) -> None:
    refused = batchrun("run", "-", "-w", "account research", "--yes")
    assert_refused(refused, ExitCode.UNUSABLE, "standard input", "batchrun check -")


def test_a_run_writes_one_row_for_each_row_and_ends_with_the_workbooks_path(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun(*RUN)
    assert ended.exit_code == ExitCode.INCOMPLETE
    output = batchrun.folder / "accounts.results.xlsx"
    assert ended.stdout.rstrip().endswith(str(output))
    header, *rows = openpyxl.load_workbook(output)["Results"].iter_rows(values_only=True)
    assert header[:4] == ("Company ID", "Name", "Code", "batchrun status")
    assert [row[:4] for row in rows] == [
        (ACME, "Acme", "00123", "completed"),
        (BETA, "Beta", "=1+1", "completed"),
        (ACME.upper(), "Acme", None, "completed"),
        ("12345678901", "Gamma", None, "can't be sent"),
    ]
    assert triggers_accepted(sandbox) == 2


def test_a_pilot_is_not_triggered_again_by_resume(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    pilot = batchrun(*RUN, "--limit", "1")
    assert pilot.exit_code == ExitCode.PAUSED
    assert "batchrun resume" in pilot.stdout
    assert triggers_accepted(sandbox) == 1
    assert batchrun("resume").exit_code == ExitCode.INCOMPLETE
    assert triggers_accepted(sandbox) == 2


def test_the_same_list_continues_its_unfinished_batch(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--limit", "1")
    again = batchrun(*RUN)
    assert "Resumes:" in again.stdout
    assert triggers_accepted(sandbox) == 2
    assert len(json.loads(batchrun("batches", "--json").stdout)) == 1


def test_a_finished_list_is_run_again_only_with_again(
    batchrun: CommandLine, sandbox: str, results: Path
) -> None:
    refused = batchrun(*RUN)
    assert refused.exit_code == ExitCode.UNUSABLE
    assert "--again" in refused.stderr
    assert triggers_accepted(sandbox) == 0
    batchrun(*RUN, "--again")
    assert triggers_accepted(sandbox) == 2
    assert (batchrun.folder / "accounts.results (2).xlsx").exists()


def test_json_is_all_that_is_on_standard_output(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun(*RUN, "--json")
    summary = json.loads(ended.stdout)
    assert summary["exit_code"] == ended.exit_code == ExitCode.INCOMPLETE
    assert summary["rows"] == sum(summary["outcomes"].values()) == 4


@pytest.mark.parametrize("now", ["another format", "another column", "more rows"])
def test_an_export_has_the_formats_of_the_list_as_it_was_run(
    batchrun: CommandLine, sandbox: str, now: str
) -> None:
    def write_list(code: str, *before: str, more: int = 0) -> None:
        book = openpyxl.Workbook()
        sheet = book.worksheets[0]
        sheet.append([*before, "Company ID", "Deal"])
        for each in (ACME, BETA, *[GAMMA] * more):
            sheet.append([*before, each, 3000])
            sheet.cell(sheet.max_row, sheet.max_column).number_format = code
        book.save(batchrun.folder / "list.xlsx")

    write_list('"€" #,##0')
    batchrun("run", "list.xlsx", "-w", "Account Research", "--yes")
    match now:
        case "another format":
            write_list("0%")
        case "another column":
            write_list("0%", "Owner")
        case _:
            write_list("0%", more=3)
    batchrun("export", "-o", "out.xlsx")
    for name in ("list.results.xlsx", "out.xlsx"):
        sheet = openpyxl.load_workbook(batchrun.folder / name)["Results"]
        column = [cell.value for cell in sheet[1]].index("Deal") + 1
        codes = [sheet.cell(line, column).number_format for line in (2, 3)]
        assert codes == ['"€" #,##0'] * 2, name


def test_results_are_exported_as_csv_and_json_lines(batchrun: CommandLine, results: Path) -> None:
    batchrun("export", "-o", "out.csv")
    batchrun("export", "-o", "out.jsonl")
    with (batchrun.folder / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Code"] for row in rows] == ["00123", "'=1+1", "", ""]
    lines = (batchrun.folder / "out.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["line"] for entry in entries] == [2, 3, 4, 5]
    assert entries[0]["result"] == entries[2]["result"]


def test_status_shows_the_progress_of_a_batch(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--limit", "1")
    shown = batchrun("status").stdout
    assert "2 completed, 1 can't be sent, 1 pending" in shown
    assert "batchrun resume" in shown


@pytest.mark.parametrize("options", [(), ("--again",), ("--limit", "5"), ("--reuse", "30d")])
def test_a_list_without_a_valid_row_creates_no_batch(
    batchrun: CommandLine, sandbox: str, options: tuple[str, ...]
) -> None:
    (batchrun.folder / "bad.csv").write_text("Company ID\n12345678901\n", encoding="utf-8")
    ended = batchrun("run", "bad.csv", "-w", "account research", "--yes", *options)
    assert ended.exit_code == ExitCode.UNUSABLE
    assert "Nothing in bad.csv can be sent (1 row). Line 2: " in ended.stderr
    assert not (batchrun.folder / "bad.results.xlsx").exists()
    assert batchrun("batches").stdout.startswith("No batches yet.")


def test_the_demo_needs_nothing(batchrun: CommandLine) -> None:
    ended = batchrun("demo")
    assert ended.exit_code == ExitCode.INCOMPLETE  # its list has a damaged id
    assert (batchrun.folder / "batchrun-demo.results.xlsx").exists()


def test_a_key_from_a_dotenv_file_is_enough(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun.monkeypatch.delenv("PGAI_API_KEY")
    (batchrun.folder / ".env").write_text("PGAI_API_KEY=sandbox\n", encoding="utf-8")
    assert batchrun("workflows").exit_code == ExitCode.COMPLETED


def test_a_sandbox_run_can_be_resumed_and_retried(batchrun: CommandLine, accounts: Path) -> None:
    ended = batchrun(*RUN, "--sandbox", "--limit", "1")
    assert ended.exit_code == ExitCode.PAUSED
    command = re.search(r"^Resume:    batchrun (resume .*)$", ended.stdout, re.MULTILINE)
    assert command is not None
    assert f". Resume: batchrun {command[1]}\n" in batchrun("retry", "--sandbox").stderr
    resumed = batchrun(*command[1].split())
    assert "3 completed, 1 can't be sent" in resumed.stdout
    assert batchrun("resume", "--sandbox").stdout.startswith("Nothing left to do for acc")
    retried = batchrun("retry", "--sandbox", "--yes")
    assert_refused(retried, ExitCode.UNUSABLE, "no row that is failed or rejected")
    assert re.search(
        r"\. Correct: change the list, then: batchrun .*accounts.* --reuse 30d\n",
        retried.stderr,
    )


def test_practice_runs_a_finished_list_again_and_replaces_its_workbook(
    batchrun: CommandLine, accounts: Path
) -> None:
    for _ in range(2):
        ended = batchrun(*RUN, "--sandbox")
        assert ended.exit_code == ExitCode.INCOMPLETE
        assert "3 completed, 1 can't be sent" in ended.stdout
    assert [path.name for path in batchrun.folder.glob("*.xlsx")] == ["accounts.results.xlsx"]


def test_practice_remembers_earlier_runs(batchrun: CommandLine, accounts: Path) -> None:
    assert batchrun(*RUN, "--sandbox").exit_code == ExitCode.INCOMPLETE
    longer = batchrun.folder / "longer.csv"
    longer.write_text(accounts.read_text(encoding="utf-8") + f"{GAMMA},Gamma,\n", encoding="utf-8")
    checked = batchrun("check", "longer.csv", *RUN[2:4], "--sandbox", "--reuse", "1d")
    assert "1 to trigger" in checked.stdout
    assert "2" in checked.stdout.partition("reused")[0]


def test_the_demo_runs_each_time(batchrun: CommandLine) -> None:
    for _ in range(2):
        assert batchrun("demo").exit_code == ExitCode.INCOMPLETE


def test_practice_goes_on_in_a_sandbox_that_listens_elsewhere(
    batchrun: CommandLine, accounts: Path
) -> None:
    assert batchrun(*RUN, "--sandbox", "--limit", "1").exit_code == ExitCode.PAUSED
    ended = batchrun(*RUN, "--sandbox")  # the same list: its batch goes on
    assert "3 completed, 1 can't be sent" in ended.stdout
    assert len(batchrun("batches", "--sandbox", "--json").stdout.splitlines()) == 1


def test_executions_of_a_stopped_sandbox_are_completed_by_the_next(
    batchrun: CommandLine, accounts: Path
) -> None:
    with running(SandboxSettings(knows_earlier=True)) as url:
        found = httpx.get(f"{url}/workflows/executions/exec_gone", headers={"x-api-key": "sandbox"})
    assert found.json()["status"] == "completed"
    assert found.json()["result"]


def test_a_batch_that_was_paid_for_is_not_resumed_in_the_sandbox(
    batchrun: CommandLine, accounts: Path
) -> None:
    with Journal(str(batchrun.folder / "real.db")) as journal:
        journal.create(plan_of(ACME), "https://api.example.com/v1")
    refused = batchrun("resume", "--sandbox", "--journal", "real.db")
    assert_refused(refused, ExitCode.UNUSABLE, "did not run in the sandbox")


def test_the_sandbox_has_a_journal_of_its_own(
    batchrun: CommandLine, accounts: Path, tmp_path: Path
) -> None:
    own = tmp_path / "journal" / "journal.db"  # the one of the settings
    batchrun(*RUN, "--sandbox")
    assert own.with_name("sandbox.db").exists()
    assert not own.exists()


def test_reuse_pays_only_for_corrected_rows(
    batchrun: CommandLine, sandbox: str, accounts: Path, results: Path
) -> None:
    mended = accounts.read_text(encoding="utf-8").replace("12345678901", GAMMA)
    accounts.write_text(mended, encoding="utf-8")

    shown = batchrun("check", "accounts.csv", "-w", "account research")
    assert "3 to trigger" in shown.stdout
    assert "2 jobs have a result from an earlier batch" in shown.stdout
    assert "--reuse 30d" in shown.stdout
    ended = batchrun(*RUN, "--reuse", "30d")

    assert ended.exit_code == ExitCode.COMPLETED
    assert "2 results reused from earlier batches" in ended.stdout
    assert triggers_accepted(sandbox) == 1
    path = batchrun.folder / "accounts.results (2).xlsx"
    head, *rows = openpyxl.load_workbook(path)["Results"].iter_rows(values_only=True)
    messages = [row[head.index("batchrun message")] for row in rows]
    assert [("reused from batch" in str(each)) for each in messages] == [True, True, True, False]


def test_reuse_and_again_exclude_each_other(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun(*RUN, "--again", "--reuse", "30d")
    assert ended.exit_code == ExitCode.UNUSABLE
    assert "can't be combined" in ended.stderr


@pytest.mark.parametrize(
    ("option", "entry", "given", "hint"),
    [
        ("--reuse", "reuse", "30", "30d"),
        ("--reuse", "reuse", "soon", "30d"),
        ("--reuse", "reuse", "30m", "30d"),
        ("--write-every", "write_every", "5", "5m"),
        ("--write-every", "write_every", "1d", "5m"),
        ("--write-every", "write_every", "0s", "5m"),
    ],
)
def test_a_duration_that_is_refused_says_what_to_write(  # noqa: PLR0917 - one row each
    batchrun: CommandLine, accounts: Path, option: str, entry: str, given: str, hint: str
) -> None:
    typed = batchrun(*RUN, option, given)
    in_file = []
    for value in (f'"{given}"', *([given] if given.isdecimal() else [])):
        (batchrun.folder / "batchrun.toml").write_text(f"{entry} = {value}\n", encoding="utf-8")
        in_file.append(batchrun(*RUN))
    for ended in (typed, *in_file):
        assert ended.exit_code == ExitCode.UNUSABLE
        assert option in ended.stderr or entry in ended.stderr
        assert hint in ended.stderr


def test_a_sandbox_run_says_how_to_look_at_it_afterwards(
    batchrun: CommandLine, accounts: Path
) -> None:
    ended = batchrun(*RUN, "--sandbox")
    shown = re.search(r"^Status:    batchrun (status \S+ --sandbox)$", ended.stdout, re.MULTILINE)
    assert shown is not None
    assert "3 completed, 1 can't be sent" in batchrun(*shown[1].split()).stdout


@pytest.mark.parametrize("typed", [(), ("--journal", "play.db")], ids=["its own", "another"])
def test_all_commands_find_a_sandbox_batch_in_the_journal_it_was_run_with(
    batchrun: CommandLine, sandbox: str, accounts: Path, typed: tuple[str, ...]
) -> None:
    batchrun(*RUN)  # one that would have cost
    for variable in ("PGAI_API_KEY", "BATCHRUN_BASE_URL", "BATCHRUN_SPEED"):
        batchrun.monkeypatch.delenv(variable)
    (paid,) = json.loads(batchrun("batches", "--json").stdout)

    batchrun(*RUN, "--sandbox", *typed)
    there = typed or ("--sandbox",)
    (played,) = json.loads(batchrun("batches", *there, "--json").stdout)
    assert played["batch"] != paid["batch"]
    stands = json.loads(batchrun("status", *there, "--json").stdout)
    assert stands["batch"] == played["batch"]
    exported = batchrun("export", *there, "-o", "out.csv")
    assert played["batch"] in exported.stdout
    forgotten = batchrun("forget", "--older-than", "0h", "--yes", *there)
    assert f"{played['batch']}  " in forgotten.stdout
    assert "Forgotten: 1 batch" in forgotten.stdout
    assert [one["batch"] for one in json.loads(batchrun("batches", "--json").stdout)] == [
        paid["batch"]
    ]


def test_forget_in_the_sandbox_never_touches_another_journal(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun(*RUN, "--journal", "real.db")
    ended = batchrun("forget", "--sandbox", "--journal", "real.db", "--older-than", "0h", "--yes")
    assert_refused(ended, ExitCode.UNUSABLE, "--sandbox and --journal can't be combined.")
    assert len(json.loads(batchrun("batches", "--journal", "real.db", "--json").stdout)) == 1


@pytest.mark.parametrize("named", ["", ".", "/", "sandbox.db"])
def test_the_sandbox_journal_differs_from_the_usual_one(
    batchrun: CommandLine, accounts: Path, named: str
) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_JOURNAL", named)
    batchrun.monkeypatch.setenv("XDG_DATA_HOME", str(batchrun.folder))
    ended = batchrun(*RUN, "--sandbox")
    assert ended.exit_code == ExitCode.INCOMPLETE, ended.stderr
    played = json.loads(batchrun("batches", "--sandbox", "--json").stdout)
    assert sum(one["list_path"] == str(accounts) for one in played) == 1
    assert not Path("sandbox.db").exists()  # that would be among those that cost


def test_without_sandbox_batches_no_paid_run_is_suggested(batchrun: CommandLine) -> None:
    ended = batchrun("status", "--sandbox")
    assert "the first batchrun run --sandbox creates it" in ended.stderr


def test_the_last_lines_name_a_journal_that_a_later_command_would_not_find(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    ended = batchrun(*RUN, "--limit", "1", "--journal", "my own.db")
    shown = re.search(r"^Resume:    batchrun (resume .*)$", ended.stdout, re.MULTILINE)
    assert shown is not None
    assert batchrun(*shlex.split(shown[1])).exit_code == ExitCode.INCOMPLETE
    quiet = batchrun(*RUN, "--again")  # the usual journal goes without saying
    assert "--journal" not in quiet.stdout


def test_json_has_the_paths_of_list_and_workbook(
    batchrun: CommandLine, accounts: Path, results: Path
) -> None:
    (listed,) = json.loads(batchrun("batches", "--json").stdout)
    assert listed["list_path"] == str(accounts)
    assert listed["output"] == str(results)


def test_watching_and_json_exclude_each_other(batchrun: CommandLine) -> None:
    assert batchrun("status", "--watch", "--json").exit_code == ExitCode.UNUSABLE


def test_a_script_spends_no_request_on_credits(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    batchrun.monkeypatch.setenv(
        "BATCHRUN_RATE", "unlimited"
    )  # else it may be left out, as it should
    batchrun(*RUN)
    batchrun("check", "accounts.csv", "-w", "account research", "--json")
    assert reported(sandbox)["credits"] == 0
    shown = batchrun("check", "accounts.csv", "-w", "account research").stdout
    assert reported(sandbox)["credits"] == 1
    assert "Credits:   9,998 credits left" in shown
