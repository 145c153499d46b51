"""Addresses as they may be shown: each that is shown anywhere goes through here."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from batchrun.text import quoted_command, without_password, without_user


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://anna:geheim@host:8443/v1", "https://anna:***@host:8443/v1"),
        ("postgresql://anna@host/batchrun", "postgresql://anna@host/batchrun"),
        (
            "postgresql://host/batchrun?user=anna&password=geheim&sslmode=require",
            "postgresql://host/batchrun?user=anna&password=***&sslmode=require",
        ),
        ("postgresql://host/batchrun?password=ab#c", "postgresql://host/batchrun?password=***"),
        (r"C:\Users\anna@work\list: new.xlsx", r"C:\Users\anna@work\list: new.xlsx"),
        ("depth: a@b", "depth: a@b"),
    ],
)
def test_a_password_is_hidden_and_the_rest_stays(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://token@proxy:8080", "http://***@proxy:8080"),
        ("me:geheim@proxy:1", "***@proxy:1"),
        ("http://proxy:8080", "http://proxy:8080"),
    ],
)
def test_of_a_proxy_the_user_is_hidden_too(address: str, shown: str) -> None:
    assert without_user(address) == shown


WORDS = [
    "plain",
    "two words",
    "it's",
    'say "hi"',
    "$HOME",
    "`id`",
    "$(id)",
    "%PATH%",
    "a!b",
    "a;b|c&d>e<f",
    "(x)",
    "*?[a]{b,c}",
    "~/x",
    "=ls",
    "#x",
    "a\\b",
    "line\nbreak",
    "",
    "\u201cquoted\u201d",
    "C:\\Users\\Anna B\\",
]


@pytest.mark.skipif(os.name == "nt", reason="shells of POSIX")
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
@pytest.mark.parametrize("word", WORDS)
def test_a_printed_command_reaches_its_program_as_it_is(shell: str, word: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    command = quoted_command("printf", "%s", word)
    ended = subprocess.run([shell, "-c", command], capture_output=True, check=True)
    assert ended.stdout.decode() == word


@pytest.mark.parametrize("word", WORDS)
def test_a_command_printed_on_windows_is_safe_in_both_shells(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    shown = quoted_command("batchrun", "status", "--journal", word).split(" ", 3)[3]
    if any(each in word for each in '$`%!"\u201c\n'):
        assert shown == "VALUE"
    else:
        assert shown == word or (shown.startswith('"') and shown.endswith('"'))
        assert not shown.endswith('\\"') or shown.endswith('\\\\"')
