"""The README's lines for Windows mean the same to PowerShell and cmd as they do to a reader."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import ROOT, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALL = [
    ["py", "-m", "venv", ".venv"],
    [r".venv\Scripts\python", "-m", "pip", "install", "-q", "."],
]
LINES = [
    line
    for row in re.findall(r"^\| (?:Windows|any).*\|$", README, re.MULTILINE)
    for line in re.findall(r"`([^`]+)`", row)
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
    assert len(LINES) >= 4
    for line in LINES:
        assert powershell(line) == cmd(line) == [line.split()]


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md", "docs/how-to.md"])
def test_every_command_of_the_first_pages_means_the_same_in_each_shell(name: str) -> None:
    page = Page(ROOT / name)
    typed = [
        *page.code(),
        *(line for block in page.blocks("console") for line in block.splitlines()),
    ]
    commands = [line for line in typed if line.startswith("batchrun ")]
    assert commands
    for line in commands:
        assert powershell(line) == cmd(line) == [shlex.split(line)]


def parsed_by_grammar(text: str) -> list[list[str]]:
    """Commands as PowerShell's grammar has them, by a parser that others wrote."""
    language = pytest.importorskip("tree_sitter_powershell")
    tree_sitter = pytest.importorskip("tree_sitter")
    parser = tree_sitter.Parser(tree_sitter.Language(language.language()))
    root = parser.parse(text.encode()).root_node
    assert not root.has_error, text
    return [
        [
            re.sub("['\"]", "", word.text.decode())
            for word in (command.children[0], *command.children[-1].children)
            if word.type != "command_argument_sep"
        ]
        for command in nodes(root, "command")
    ]


def nodes(root: Any, kind: str) -> Iterator[Any]:
    if root.type == kind:
        yield root
    for child in root.children:
        yield from nodes(child, kind)


def parsed_by_powershell(text: str) -> list[list[str]]:
    """Commands as PowerShell's own parser has them."""
    program = shutil.which("pwsh") or shutil.which("powershell")
    if program is None:
        pytest.skip("no PowerShell here")
    script = (
        "$t = $null; $e = $null; $ast = [System.Management.Automation.Language.Parser]::"
        "ParseInput($env:LINES_OF_README, [ref]$t, [ref]$e); if ($e) { exit 1 }; "
        "$ast.FindAll({ $args[0] -is [System.Management.Automation.Language.CommandAst] }, $true) |"
        " ForEach-Object { ConvertTo-Json -Compress @($_.CommandElements | ForEach-Object "
        "{ if ($_.Value) { $_.Value } else { $_.Extent.Text } }) }"
    )
    ended = subprocess.run(
        [program, "-NoProfile", "-Command", script],
        env={**os.environ, "LINES_OF_README": text},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("parsed", [parsed_by_grammar, parsed_by_powershell])
def test_powershell_reads_the_readme_as_a_reader_does(
    parsed: Callable[[str], list[list[str]]],
) -> None:
    assert parsed(block("powershell")) == [*INSTALL, RUN]
    for line in LINES:
        assert parsed(f"{line}\n") == [line.split()]


@pytest.mark.parametrize("line", ["a && b", "run 'Account Research' | more", "echo $x", "echo (1)"])
def test_what_powershell_5_reads_otherwise_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        powershell(line)


@pytest.mark.parametrize("line", ["run -w 'Account Research'", "echo %PATH%", "a | b", "x ^ y"])
def test_what_cmd_reads_otherwise_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        cmd(line)
