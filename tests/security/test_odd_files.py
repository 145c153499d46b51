"""Files that are none, names that are no text, folders that are gone: an error, never a wait."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from io import StringIO
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import accounts, batchrun, beginning, beginnings, place, sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import CommandLine

__all__ = ["accounts", "batchrun", "beginning", "beginnings", "place", "sandbox"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have other files")

RUN = ("-w", "Account Research", "--yes")


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/full"])
def test_a_list_that_is_a_device_is_refused_at_once(batchrun: CommandLine, device: str) -> None:
    (batchrun.folder / "list.csv").symlink_to(device)
    ended = batchrun("run", "list.csv", *RUN)
    assert ended.exit_code == 2
    assert "list.csv is not a file" in ended.stderr


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("path", ["x" * 400, "/".join(["x" * 200] * 30)], ids=["name", "folders"])
@pytest.mark.parametrize(
    "words",
    [
        ("run", "PATH", *RUN),
        ("status", "--journal", "PATH"),
        ("run", "accounts.csv", *RUN, "--log-file", "PATH"),
        ("run", "accounts.csv", *RUN, "-o", "PATH.csv"),
        ("run", "accounts.csv", *RUN, "--params", "PATH"),
    ],
)
def test_a_path_longer_than_the_system_allows_is_one_plain_error(
    batchrun: CommandLine, accounts: Path, words: tuple[str, ...], path: str
) -> None:
    ended = batchrun(*(word.replace("PATH", path) for word in words))
    assert ended.exit_code == 2
    assert "unexpectedly" not in ended.stderr


@pytest.mark.usefixtures("sandbox")
def test_a_pipe_longer_than_a_list_may_be_is_refused(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHRUN_LARGEST_FILE_MB", "1")
    reading, writing = os.pipe()

    def write_without_end() -> None:
        with suppress(BrokenPipeError):
            while True:
                os.write(writing, b"x," * 500_000)

    writer = Thread(target=write_without_end)
    writer.start()
    ended = batchrun("check", f"/dev/fd/{reading}", "-w", "Account Research")
    os.close(reading)
    writer.join()
    os.close(writing)
    assert ended.exit_code == 2
    assert "more than 1" in ended.stderr


@pytest.mark.usefixtures("sandbox")
def test_a_pipe_where_the_results_go_is_not_waited_for(
    batchrun: CommandLine, accounts: Path
) -> None:
    os.mkfifo(batchrun.folder / "accounts.results.xlsx")
    ended = batchrun("run", accounts.name, *RUN)
    assert ended.exit_code == 3
    assert "accounts.results (2).xlsx" in ended.stdout


def test_the_demo_s_list_replaces_a_pipe_of_its_name(batchrun: CommandLine) -> None:
    path = batchrun.folder / "batchrun-demo.csv"
    os.mkfifo(path)
    assert batchrun("demo").exit_code in {0, 3}
    assert path.is_file()


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("where", ["list", "output", "folder"])
def test_a_name_that_is_no_text_is_refused_before_anything_is_sent(
    batchrun: CommandLine, accounts: Path, where: str
) -> None:
    odd = "li\udcffst"  # as Python reads bytes that are not UTF-8
    source = accounts
    if where == "list":
        source = accounts.rename(accounts.with_name(f"{odd}.csv"))
    elif where == "folder":
        (batchrun.folder / odd).mkdir()
        source = accounts.rename(batchrun.folder / odd / "list.csv")
    target = ["-o", str(batchrun.folder / (f"{odd}.csv" if where == "output" else "out.csv"))]
    ended = batchrun("run", str(source), *RUN, *target)
    assert ended.exit_code == 2
    assert "not all of it is UTF-8" in ended.stderr


@pytest.mark.parametrize("command", [("config",), ("batches",), ("check", "accounts.csv")])
def test_a_configuration_that_can_not_be_looked_for_is_named(
    batchrun: CommandLine, accounts: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    assert accounts.exists()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(batchrun.folder / ("n" * 300)))
    ended = batchrun(*command)
    assert ended.exit_code == 2
    assert "batchrun.toml can't be read: File name too long" in ended.stderr


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"addresses": 5}', "[]", '"x"', "null", '{"keys": {"a": []}}', "\0"]
)
def test_a_damaged_memory_of_what_was_agreed_to_agrees_to_nothing(
    batchrun: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    folder = tmp_path / "home" / "batchrun"
    folder.mkdir(parents=True)
    (folder / "agreed.json").write_text(text, encoding="utf-8")
    (folder / "batchrun.toml").write_text('base_url = "https://x.example/v1"\n', encoding="utf-8")
    monkeypatch.setenv("PGAI_API_KEY", "a-key-of-somebody")
    ended = batchrun("workflows")
    assert ended.exit_code == 2
    assert "nobody has agreed to it" in ended.stderr


@pytest.mark.parametrize(
    "command", [("config",), ("batches",), ("check", "accounts.csv", *RUN[:2]), ("demo",)]
)
def test_a_folder_that_is_gone_is_named(batchrun: CommandLine, command: tuple[str, ...]) -> None:
    shutil.rmtree(batchrun.folder)
    ended = batchrun(*command)
    assert ended.exit_code == 2
    assert "unexpectedly" not in ended.stderr


@pytest.mark.parametrize("command", ["workflows", "doctor"])
@pytest.mark.parametrize(
    "proxy", ["http://u:pass-word@h:99999999", "http://u:pass-word@[::1", "x:y"]
)
def test_a_proxy_that_is_no_address_is_named_without_its_password(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str, proxy: str
) -> None:
    monkeypatch.setenv("PGAI_API_KEY", "a-key-of-somebody")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    ended = batchrun(command)
    assert ended.exit_code == 2
    assert (
        "proxy or certificate file set in the environment can't be used"
        in ended.stdout + ended.stderr
    )
    assert "pass-word" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("host", ["xn--a", "xn--", "☃.example", "a\u00b7.example"])
@pytest.mark.parametrize("command", ["workflows", "login", "doctor"])
def test_a_host_that_no_network_has_is_named(
    batchrun: CommandLine, monkeypatch: pytest.MonkeyPatch, host: str, command: str
) -> None:
    monkeypatch.setenv("PGAI_API_KEY", "a-key-of-somebody")
    monkeypatch.setenv("BATCHRUN_BASE_URL", f"https://{host}/v1")
    monkeypatch.setattr("sys.stdin", StringIO("a-key-of-somebody\n"))
    ended = batchrun(command)
    assert ended.exit_code in {2, 4}
    assert "unexpectedly" not in ended.stderr
