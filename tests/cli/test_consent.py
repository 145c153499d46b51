"""A folder full of a stranger's files: what needs a person's answer, and what is refused."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import batchrun as batchrun_library
from batchrun.errors import BatchrunError, ExitCode, UsageError
from batchrun.sandbox.model import SandboxSettings, Scope
from batchrun.sandbox.server import running
from batchrun.settings.consent import Consent, agree, has_agreed, is_known_service, punycode
from batchrun.settings.credentials import find_credentials
from batchrun.settings.loading import load_settings
from batchrun.settings.profiles import stored_profiles
from tests.cli.conftest import SPEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.commands import CommandLine

KEY = "key-of-the-victim-1111"
THEIRS = "key-of-a-stranger-2222"
RUN = ("run", "accounts.csv", "-w", "account research", "--yes")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def at_terminal(batchrun: CommandLine, *, answer: bool) -> list[str]:
    """Somebody who answers each question so; the questions."""
    questions: list[str] = []

    def agreed(question: str) -> bool:
        questions.append(question)
        return answer

    batchrun.monkeypatch.setattr(sys, "stdin", Terminal())
    batchrun.monkeypatch.setattr("batchrun.cli.prompts.confirm", agreed)
    return questions


@pytest.fixture
def prepared(batchrun: CommandLine, accounts: Path) -> Iterator[str]:
    """A journal with a batch that a stranger has begun, and a service that takes both keys."""
    keys = dict.fromkeys((KEY, THEIRS), frozenset(Scope))
    with running(SandboxSettings(rate_per_minute=None, keys=keys), speed=SPEED) as url:
        batchrun.connect(url, key=THEIRS)
        batchrun.monkeypatch.setenv("XDG_CONFIG_HOME", str(batchrun.folder / "theirs"))
        assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
        batchrun.change_batches("unconfirmed = 0")
        batchrun.monkeypatch.setenv("XDG_CONFIG_HOME", str(batchrun.folder.parent / "mine"))
        batchrun.monkeypatch.setattr("batchrun.settings.consent._agreed_now", set())
        batchrun.connect(url, key=KEY)
        yield url


def test_a_batch_of_an_unknown_key_asks_before_this_key_pays(
    batchrun: CommandLine, prepared: str
) -> None:
    for command in (("resume",), ("resume", "--all"), ("resume", "--limit", "1"), RUN):
        ended = batchrun(*command)
        assert ended.exit_code == ExitCode.UNUSABLE
        assert "a key that this machine has never used" in ended.stderr.replace("\n", " ")
        assert "Nothing was triggered" in ended.stderr
    status = json.loads(batchrun("status", "--json").stdout)
    assert status["outcomes"]["completed"] <= 2


def test_consent_is_asked_once(batchrun: CommandLine, prepared: str) -> None:
    at_terminal(batchrun, answer=False)
    refused = batchrun("resume")
    assert refused.exit_code == ExitCode.COMPLETED
    assert "Nothing was triggered" in refused.stdout + refused.stderr
    questions = at_terminal(batchrun, answer=True)
    assert batchrun("resume", "--limit", "1").exit_code in set(ExitCode) - {ExitCode.UNUSABLE}
    asked = len(questions)
    assert asked == 1
    assert "Account Research" in questions[-1]
    batchrun("resume")
    assert len(questions) == asked


def test_a_journal_cannot_choose_an_output_in_another_folder(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "documents" / "budget.xlsx"
    elsewhere.parent.mkdir()
    assert batchrun(*RUN, "--limit", "1", "-o", str(elsewhere)).exit_code == ExitCode.PAUSED
    known = (tmp_path / "home" / "batchrun" / "agreed.json").read_text(encoding="utf-8")
    assert str(elsewhere) in known
    (tmp_path / "home" / "batchrun" / "agreed.json").unlink()
    batchrun.monkeypatch.setattr("batchrun.settings.consent._agreed_now", set())
    before = elsewhere.read_bytes()
    for command in (("resume",), ("retry", "--outcome", "in-doubt", "--yes")):
        ended = batchrun(*command)
        assert ended.exit_code == ExitCode.UNUSABLE
        assert "never" in ended.stderr
    assert elsewhere.read_bytes() == before
    (tmp_path / "home" / "batchrun" / "agreed.json").write_text(known, encoding="utf-8")
    assert batchrun("resume").exit_code == ExitCode.INCOMPLETE  # it is this machine's own


def test_python_pays_for_a_strange_batch_only_if_told_that_it_is_trusted(
    batchrun: CommandLine, prepared: str, accounts: Path
) -> None:
    refused: tuple[Callable[[], object], ...] = (
        batchrun_library.resume,
        batchrun_library.retry,
        lambda: batchrun_library.run(accounts, "Account Research"),
    )
    for work in refused:
        with pytest.raises(UsageError, match="a key that this machine has never used") as error:
            work()
        assert "trusted=True" in error.value.hint
    assert batchrun_library.status().left.to_trigger > 0
    assert not batchrun_library.resume(trusted=True).summary.unfinished
    batchrun_library.resume()  # it is known now


@pytest.mark.parametrize("existing", [True, False])
def test_a_journal_names_no_target_elsewhere_before_anything_was_written(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path, existing: bool
) -> None:
    """`output` is empty until the first workbook is written; `target` is where it will go."""
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    elsewhere = tmp_path / "documents" / "budget.xlsx"
    elsewhere.parent.mkdir()
    if existing:
        elsewhere.write_bytes(b"mine")
    with closing(sqlite3.connect(tmp_path / "journal" / "journal.db")) as database:
        database.execute(
            "UPDATE batches SET output = NULL, unconfirmed = 0, target = ?", [str(elsewhere)]
        )
        database.commit()
    for command in (("resume",), ("resume", "--all"), RUN):
        ended = batchrun(*command)
        assert ended.exit_code == ExitCode.UNUSABLE
        assert str(elsewhere) in ended.stderr.replace("\n", "")
    assert elsewhere.exists() is existing
    assert batchrun("resume", "-o", "mine.xlsx").exit_code == ExitCode.INCOMPLETE


def test_a_journal_replaces_no_file_in_the_current_folder_unasked(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    mine = batchrun.folder / "budget.xlsx"
    mine.write_bytes(b"mine")
    with closing(sqlite3.connect(tmp_path / "journal" / "journal.db")) as database:
        database.execute("UPDATE batches SET output = ?, target = NULL", [str(mine)])
        database.commit()
    assert batchrun("resume").exit_code == ExitCode.UNUSABLE
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize("command", [("workflows",), ("check", "accounts.csv", "-w", "x"), RUN])
def test_an_unknown_address_is_confirmed_once_and_shown_in_ascii(
    batchrun: CommandLine, accounts: Path, command: tuple[str, ...]
) -> None:
    batchrun.monkeypatch.setenv("BATCHRUN_BASE_URL", "https://api.pipelinegenerаtion.ai/v1")  # noqa: RUF001
    batchrun.monkeypatch.setenv("PGAI_API_KEY", KEY)
    questions = at_terminal(batchrun, answer=False)
    ended = batchrun(*command)
    assert "Nothing was sent." in ended.stdout + ended.stderr
    assert "https://api.xn--pipelinegenertion-" in questions[0]


def test_without_a_terminal_an_address_from_the_environment_is_shown(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGAI_API_KEY", KEY)
    ended = batchrun("workflows", "--base-url", "https://127.0.0.2:9/v1")
    assert "https://127.0.0.2:9/v1, which is not an address of PG:AI" in ended.stderr


def test_a_key_is_not_sent_to_an_address_that_only_a_file_names(
    batchrun: CommandLine, tmp_path: Path
) -> None:
    own = tmp_path / "home" / "batchrun" / "batchrun.toml"
    own.parent.mkdir(parents=True)
    own.write_text('base_url = "https://evil.example/v1"\n', encoding="utf-8")
    batchrun.monkeypatch.setenv("PGAI_API_KEY", KEY)
    with pytest.raises(UsageError, match="nobody has agreed"):
        find_credentials(load_settings())
    agree(Consent.ADDRESS, "https://evil.example/v1")
    assert has_agreed(Consent.ADDRESS, "https://evil.example/v1")
    assert find_credentials(load_settings()).base_url == "https://evil.example/v1"


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://api.pipelinegeneration.ai/v1", True),
        ("https://API.getpg.ai/v1", True),
        ("https://api.getpg.ai:443/v1", True),
        ("https://api.getpg.ai:8443/v1", False),
        ("http://api.getpg.ai/v1", False),
        ("https://api.getpg.ai.evil.example/v1", False),
        ("https://evil.example/api.getpg.ai", False),
        ("https://getpg.ai/v1", False),
    ],
)
def test_only_the_services_own_addresses_are_known(url: str, known: bool) -> None:
    assert is_known_service(url) is known


def test_an_address_is_shown_with_what_only_looks_alike() -> None:
    assert punycode("https://аpi.getpg.ai/v1/") == "https://xn--pi-6kc.getpg.ai/v1"  # noqa: RUF001


def test_login_without_a_terminal_ignores_an_address_from_a_file(
    batchrun: CommandLine, tmp_path: Path
) -> None:
    (batchrun.folder / ".env").write_text("BATCHRUN_BASE_URL=https://evil.example/v1\n", "utf-8")
    batchrun.monkeypatch.setattr(sys, "stdin", io.StringIO(KEY + "\n"))
    ended = batchrun("login", "--no-check", "--in-file")
    assert ended.exit_code == ExitCode.COMPLETED
    assert stored_profiles().named("default").base_url == "https://api.pipelinegeneration.ai/v1"
    assert "ignored BATCHRUN_BASE_URL" in ended.stderr


def test_an_empty_id_is_no_batch(batchrun: CommandLine, sandbox: str, accounts: Path) -> None:
    """Such as `forget "$BATCH"` in a script where BATCH is not set."""
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    for command, *options in (
        *(("forget", "--yes"), ("resume",), ("retry", "--yes"), ("status",)),
        ("export", "-o", "x.csv"),
    ):
        for batch_id in ("", " ", "\t", "\u2003"):
            ended = batchrun(command, batch_id, *options)
            assert ended.exit_code == ExitCode.UNUSABLE, (command, batch_id)
            assert " is empty." in ended.stderr, (command, batch_id)
    assert json.loads(batchrun("status", "--json").stdout)["outcomes"]["pending"] == 1


def test_forget_needs_more_than_one_letter_of_an_id(
    batchrun: CommandLine, sandbox: str, accounts: Path
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    for given in ("1", "0", "%", "*", "_"):
        assert batchrun("forget", given, "--yes").exit_code == ExitCode.UNUSABLE, given
        with pytest.raises(BatchrunError):
            batchrun_library.forget(given)
    with pytest.raises(BatchrunError):
        batchrun_library.forget("")
    batch_id = json.loads(batchrun("status", "--json").stdout)["batch"]
    assert batchrun("forget", batch_id[:12], "--yes").exit_code == ExitCode.COMPLETED


@pytest.mark.parametrize(
    "arguments",
    [
        ("workflows", "--profile", ""),
        ("workflows", "--base-url", " "),
        ("batches", "--journal", ""),
        ("logout", "--profile", ""),
        ("login", "--profile", ""),
    ],
)
def test_an_empty_value_is_an_error_and_not_the_default(
    batchrun: CommandLine, sandbox: str, arguments: tuple[str, ...]
) -> None:
    ended = batchrun(*arguments)
    assert ended.exit_code == ExitCode.UNUSABLE


def test_a_strangers_batch_id_never_appears_in_a_printed_command(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path
) -> None:
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    with closing(sqlite3.connect(tmp_path / "journal" / "journal.db")) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("UPDATE batches SET id = 'x; touch owned'")
        database.commit()
    for command in (("status",), ("batches",), ("resume",), ("resume", "--all")):
        ended = batchrun(*command)
        assert ended.exit_code == ExitCode.UNUSABLE
        assert "touch" not in ended.stdout + ended.stderr


def test_columns_stored_in_a_journal_create_no_file_elsewhere(
    batchrun: CommandLine, sandbox: str, accounts: Path, tmp_path: Path
) -> None:
    """Such as ~/.bash_login: a shell would run what stands in a column's name."""
    theirs = tmp_path / "theirs.json"
    assert batchrun(*RUN, "--limit", "1").exit_code == ExitCode.PAUSED
    with closing(sqlite3.connect(tmp_path / "journal" / "journal.db")) as database:
        kept = {"columns": ["$(touch owned)"], "layout": str(theirs)}
        database.execute("UPDATE batches SET form = ?", [json.dumps(kept)])
        database.commit()
    assert batchrun("resume").exit_code == ExitCode.INCOMPLETE
    assert not theirs.exists()


@pytest.mark.parametrize("command", ["status", "batches", "resume", "doctor", "config"])
@pytest.mark.parametrize(
    "location", ["host=db password=geheim", "a:geheim@db/x", "jdbc:postgresql://a:geheim@db/x"]
)
def test_no_command_shows_the_password_of_an_odd_journal(
    batchrun: CommandLine, command: str, location: str
) -> None:
    ended = batchrun(command, "--journal", location)
    assert "geheim" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
