"""A `batchrun.toml`: what it may say, and how it is told what it may not."""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import UsageError
from batchrun.settings.files import (
    ONLY_OPTIONS,
    find_configuration,
    known_names,
    read_configuration,
    save_options,
    user_file,
)
from batchrun.settings.loading import load_settings
from batchrun.settings.location import DEFAULT_BASE_URL
from batchrun.settings.model import Settings
from tests.docs.checks import COMMANDS, options_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def beside(desk: Path, text: str) -> Path:
    (desk / "batchrun.toml").write_text(text, encoding="utf-8")
    return desk / "accounts.csv"


def own(text: str) -> Path:
    path = user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refused(desk: Path, text: str) -> UsageError:
    with pytest.raises(UsageError) as error:
        find_configuration(beside(desk, text))
    assert str(desk / "batchrun.toml") in error.value.what
    return error.value


def test_the_file_beside_the_list_wins_entry_by_entry(desk: Path) -> None:
    own('workflow = "A"\nwait = true\nrate = 30\n[parameters]\ndepth = "brief"\ntone = "dry"\n')
    files = find_configuration(
        beside(desk, 'workflow = "B"\nwait = false\n[parameters]\ndepth = "deep"\n')
    )
    assert files.defaults.workflow == "B"
    assert files.defaults.parameters == {"depth": "deep", "tone": "dry"}
    settings = load_settings(files)
    assert (settings.rate, settings.wait) == (30, False)


def test_everything_typed_wins_over_files(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own("rate = 30\ndaily = 500\nmax_in_flight = 3\npatience_seconds = 60\n")
    monkeypatch.setenv("BATCHRUN_DAILY", "600")
    monkeypatch.setenv("BATCHRUN_MAX_IN_FLIGHT", "4")
    settings = load_settings(rate="40/min")
    assert (settings.rate, settings.daily) == (40, 600)
    assert (settings.max_in_flight, settings.patience_seconds) == (4, 60)


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_variables_of_other_programs_are_not_ours(
    place: str, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as API_KEY: it would be sent to the service."""
    foreign = {"API_KEY": "not-ours", "BASE_URL": "https://else.example", "RATE": "7", "WAIT": "1"}
    if place == ".env":
        lines = [f"{name}={value}\n" for name, value in foreign.items()]
        (desk / ".env").write_text("".join(lines), encoding="utf-8")
    for name, value in foreign.items() if place == "environment" else ():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.model_fields_set.isdisjoint({"api_key", "base_url", "rate", "wait"})
    assert settings.base_url == DEFAULT_BASE_URL


@pytest.mark.parametrize(
    "line",
    [
        'base_url = "https://evil.example/v1"',
        'journal = "/tmp/else.db"',
        'log_file = "/tmp/else.log"',
        "speed = 60",
        "largest_file_mb = 1000000",
        "most_cells = 1000000000",
        "timeout_seconds = 100000",
        'profile = "the client who pays"',
        "patience_seconds = 1",
        "drain_seconds = 0",
        "longest_pause_seconds = 1000000",
    ],
)
def test_a_file_that_may_have_come_with_the_list_can_not_say(desk: Path, line: str) -> None:
    error = refused(desk, line)
    assert "may have come with it" in error.what
    assert str(user_file()) in error.hint
    assert read_configuration(own(line)).settings  # the user's own may


ELSEWHERE = ["../x.csv", "/tmp/x.csv", "a/b.csv", "C:\\x.csv", "a\\b.csv", "..", "x.csv:stream.csv"]
UNPRINTABLE = ["x\0.csv", "\x1b[2Jx.csv", "a\nb.csv", "\u202efdp.csv"]


@pytest.mark.parametrize("name", ELSEWHERE + UNPRINTABLE)
def test_a_file_beside_a_list_names_no_output_elsewhere(desk: Path, name: str) -> None:
    error = refused(desk, f"output = {json.dumps(name)}")
    assert "must be a plain file name" in error.what


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (".csv", "accounts.results.csv"),
        ("{list} done.xlsx", "accounts done.xlsx"),
        ("out.jsonl", "out.jsonl"),
    ],
)
def test_an_output_is_a_name_or_an_ending(desk: Path, said: str, name: str) -> None:
    source = beside(desk, f'output = "{said}"')
    assert find_configuration(source).defaults.output_of(source) == desk / name


def test_a_list_tightens_its_readers_own_limits_and_lifts_none(desk: Path) -> None:
    own("daily = 500\nstop_after_failures = 5\n")
    for beside_list, in_force in (("9000", 500), ("100", 100)):
        files = find_configuration(beside(desk, f"daily = {beside_list}\n"))
        assert load_settings(files).daily == in_force
    for beside_list in ("1000", "0"):
        files = find_configuration(beside(desk, f"stop_after_failures = {beside_list}\n"))
        assert load_settings(files).stop_after_failures == 5
        assert files.holder("stop_after_failures") == user_file()


@pytest.mark.parametrize(("beside_list", "in_force"), [("1000", 10), ("0", 10), ("3", 3)])
def test_a_list_lifts_no_default_limit(desk: Path, beside_list: str, in_force: int) -> None:
    files = find_configuration(beside(desk, f"stop_after_failures = {beside_list}\n"))
    assert load_settings(files).stop_after_failures == in_force


def test_a_name_with_a_tilde_is_nobodys_home(desk: Path) -> None:
    """Such as the lock file that Excel leaves beside a list."""
    source = beside(desk, 'output = ".csv"').with_name("~$accounts.xlsx")
    found = find_configuration(source).defaults
    assert found.output_of(source) == desk / "~$accounts.results.csv"


@pytest.mark.parametrize(
    ("usual", "given"),
    [
        ("no_header = true", "header_row = 4"),
        ("header_row = 4", "no_header = true"),
        ('company_column = "Account"', "no_company = true"),
        ("no_contact = true", 'contact_column = "Contact"'),
    ],
)
def test_an_option_replaces_the_usual_option_that_it_excludes(
    desk: Path, usual: str, given: str
) -> None:
    own(usual)
    source = beside(desk, given)
    found = find_configuration(source)
    assert [f"{name} = {json.dumps(value)}" for name, value in found.options.items()] == [given]
    beside(desk, usual)
    save_options(source, tomllib.loads(given))
    assert (desk / "batchrun.toml").read_text(encoding="utf-8") == f"{given}\n"


def test_an_option_that_says_no_replaces_no_other(desk: Path) -> None:
    own("header_row = 4")
    assert find_configuration(beside(desk, "no_header = false")).defaults.header_row == 4


@pytest.mark.parametrize("name", ["api_key", "PGAI_API_KEY", "pgai_api_key"])
def test_a_key_belongs_into_no_file(desk: Path, name: str) -> None:
    line = f'{name} = "sk-secret-0123456789"'
    assert "batchrun login" in refused(desk, line).hint
    with pytest.raises(UsageError) as error:
        read_configuration(own(line))
    assert "sk-secret" not in str(error.value)


def test_an_unknown_key_gets_the_closest_one(desk: Path) -> None:
    error = refused(desk, 'worklfow = "x"')
    assert "there is no entry worklfow" in error.what
    assert error.hint == "Did you mean workflow?"
    assert "company_column" in refused(desk, "zzz = 1").hint


def test_a_file_beside_a_list_is_offered_only_what_it_may_hold(desk: Path) -> None:
    assert refused(desk, "journl = 1").hint.startswith("It can contain: workflow, ")
    assert "journal" not in refused(desk, "journl = 1").hint
    with pytest.raises(UsageError, match="Did you mean journal"):
        read_configuration(own("journl = 1"))


def test_a_text_without_quotes_is_told_where_they_go(desk: Path) -> None:
    error = refused(desk, 'columns = ["summary"]\nworkflow = Account Research\n')
    assert "line 2" in error.what
    assert error.hint == 'Text needs quotes: workflow = "…"'
    assert "sk-secret" not in str(refused(desk, "api_key = sk-secret-0123456789"))


@pytest.mark.parametrize("name", ["yes", "again", "limit", "notify", "command"])
def test_no_file_decides_about_money_or_runs_a_command(desk: Path, name: str) -> None:
    assert "there is no entry" in refused(desk, f"{name} = true").what


def test_an_option_that_no_file_can_set_is_said_to_be_one(desk: Path) -> None:
    hint = refused(desk, "dry_run = true").hint
    assert hint == "Take it out: --dry-run works only on the command line."
    lists = ("check", "run", "resume", "export")
    options = {option for name in lists for option in options_of(COMMANDS[name])}
    names = {each[2:].replace("-", "_") for each in options if each.startswith("--")}
    assert names - {"help", "param", "params", "param_column"} - {*known_names()} == ONLY_OPTIONS


@pytest.mark.parametrize(
    ("line", "said", "wanted"),
    [
        ('daily = "many"', "daily is not a whole number", "of at least 1"),
        ("daily = true", "daily is not a whole number", ""),
        ("daily = 0", "daily is less than 1", ""),
        ("rate = true", "rate is not a number", "120/min"),
        ('rate = "fast"', "rate", "unlimited"),
        ('wait = "yes"', "wait is neither true nor false", ""),
        ("workflow = 3", "workflow is not a text", '"Account Research"'),
        ("columns = 3", "columns is not a list", '["summary"'),
        ('columns = "summary"', "columns is not a list", '["summary"'),
        ("reuse = 30", "reuse is not a text", '"30d"'),
        ("rename = 3", "rename is not a table", '"Fit"'),
        ("[rename]\nfit = 1", "rename.fit is not a text", "table"),
        ("header_row = 0", "header_row is less than 1", ""),
        ("[parameters]\nscore = nan", "parameters", "table"),
    ],
)
def test_a_wrong_type_is_named_with_file_and_key(
    desk: Path, line: str, said: str, wanted: str
) -> None:
    error = refused(desk, line)
    assert said in error.what
    assert wanted in error.hint


@pytest.mark.parametrize(
    "content",
    [
        b"x =",
        b"\xff\xfe",
        b"columns = " + b"[" * 10_000,
        b"# " + b"x" * 1_100_000,
        b"[parameters" + b".a" * 5_000 + b"]",
        b"header_row = " + b"9" * 5_000,
    ],
    ids=["half a line", "no UTF-8", "too deep", "too large", "nested by dots", "5,000 digits"],
)
def test_what_is_no_configuration_is_one_plain_error(desk: Path, content: bytes) -> None:
    (desk / "batchrun.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"batchrun\.toml"):
        find_configuration(desk / "accounts.csv")


def test_a_name_can_not_move_the_cursor(desk: Path) -> None:
    assert "\x1b" not in str(refused(desk, '"\\u001b[2J" = 1'))


def test_times_and_dates_are_sent_as_text(desk: Path) -> None:
    source = beside(desk, "[parameters]\nsince = 2026-11-24\nat = [12:30:00]\n")
    assert find_configuration(source).defaults.parameters == {
        "since": "2026-11-24",
        "at": ["12:30:00"],
    }


def test_a_folder_of_that_name_is_no_file(desk: Path) -> None:
    (desk / "batchrun.toml").mkdir()
    assert find_configuration(desk / "accounts.csv").files == ()


def test_options_are_not_saved_to_a_pipe_that_nobody_reads(desk: Path) -> None:
    os.mkfifo(desk / "batchrun.toml")
    with pytest.raises(UsageError, match="not a file"):
        save_options(desk / "accounts.csv", {"wait": True})


def test_a_list_in_the_users_own_folder_has_the_users_rights(desk: Path) -> None:
    path = own('journal = "/tmp/else.db"')
    assert [file.path for file in find_configuration(path.parent / "a.csv").files] == [path]


def test_the_reference_names_every_key() -> None:
    from tests.docs.pages import DOCS

    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    page = page[page.index("## batchrun.toml") :]
    assert [name for name in known_names() if f"`{name}`" not in page] == []
