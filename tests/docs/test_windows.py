"""The README's lines for Windows mean the same to PowerShell and cmd as they do to a reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
INSTALL = [
    ["py", "-m", "venv", ".venv"],
    [r".venv\Scripts\python", "-m", "pip", "install", "-q", "."],
]
RUN = [
    *(r".venv\Scripts\batchrun", "run", r"sample_data\salesforce_accounts.csv"),
    *("-w", "Account Research", "--sandbox", "--yes"),
]


def block(shell: str) -> str:
    found = re.search(rf"<!-- windows {shell} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def powershell(text: str) -> list[list[str]]:
    """Commands by the rules of about_Parsing: ``;`` and line ends, ``'`` and ``"``, backquotes."""
    commands: list[list[str]] = [[]]
    token = re.compile(
        r"(?P<end>[;\n]+)|[ \t]+"
        r"|(?P<word>(?:'(?:[^']|'')*'|\"(?:[^\"`$]|`.)*\"|[^\s;'\"`$&|<>(){}@#,])+)"
    )
    at = 0
    while at < len(text):
        found = token.match(text, at)
        assert found is not None, f"PowerShell acts on {text[at:]!r}"
        if found["end"]:
            commands.append([])
        elif word := found["word"]:
            assert commands[-1] or word[0] not in "'\"", "a quoted program is only a string"
            commands[-1].append(re.sub(r"['\"]", "", word))
        at = found.end()
    return [words for words in commands if words]


def cmd(text: str) -> list[list[str]]:
    """Commands by cmd's rules: ``&&`` outside ``"``, no other quote; then the C runtime's."""
    commands: list[list[str]] = [[]]
    token = re.compile(r"(?P<end>&&|&|\n)|[ \t]+|(?P<word>(?:\"[^\"%!\n]*\"|[^\s&|<>()^%!\"'])+)")
    at = 0
    while at < len(text):
        found = token.match(text, at)
        assert found is not None, f"cmd acts on {text[at:]!r}"
        if found["end"]:
            commands.append([])
        elif word := found["word"]:
            assert r"\"" not in word, "the runtime takes this quote literally"
            commands[-1].append(word.replace('"', ""))
        at = found.end()
    return [words for words in commands if words]


def test_the_blocks_for_windows_install_batchrun_and_run_a_list() -> None:
    assert powershell(block("powershell")) == [*INSTALL, RUN]
    assert cmd(block("cmd")) == [*INSTALL, RUN]


def test_the_lines_for_uv_and_pipx_mean_the_same_in_both_shells() -> None:
    lines = re.findall(
        r"^\| [^|]*(?:uv|pipx|installing|Windows) \| `([^`|]+)` \|$", README, re.MULTILINE
    )
    assert len(lines) >= 4
    for line in lines:
        assert powershell(line) == cmd(line) == [line.split()]


@pytest.mark.parametrize("line", ["a && b", "run 'Account Research' | more", "echo $x", "echo (1)"])
def test_what_powershell_5_reads_otherwise_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        powershell(line)


@pytest.mark.parametrize("line", ["run -w 'Account Research'", "echo %PATH%", "a | b", "x ^ y"])
def test_what_cmd_reads_otherwise_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        cmd(line)
