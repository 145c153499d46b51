"""What a page of the docs can get wrong; each check returns its faults, none for a good page."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import typer

import batchrun
from batchrun.cli import app
from batchrun.errors import BatchrunError, ExitCode
from batchrun.settings.files import read_configuration
from batchrun.settings.model import Settings, variable_of
from tests.docs.messages import messages, shape
from tests.docs.pages import ROOT, Command, Page, options_in

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = dict(GROUP.commands)


def options_of(command: Any) -> set[str]:
    """Every spelling of a command's options."""
    spelled = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("-")
    }
    return spelled | {"--help", "-h"}


def sources(*folders: str) -> str:
    """All code of some folders."""
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return "".join(path.read_text(encoding="utf-8") for path in paths)


EVERY_OPTION = {option for command in (GROUP, *COMMANDS.values()) for option in options_of(command)}
EVERY_OPTION |= set(re.findall(r'"(--[a-z-]+)"', sources("benchmarks", "docs")))
EVERY_VARIABLE = {variable_of(name) for name in Settings.model_fields}
EVERY_VARIABLE |= set(re.findall(r'"((?:BATCHRUN|PGAI)_[A-Z_]+)"', sources("batchrun")))
EVERY_VARIABLE |= set(re.findall(r'"(BATCHRUN_TESTS_[A-Z_]+)"', sources("tests")))


def lost_files(page: Page) -> list[str]:
    """Links to files that aren't there."""
    inside = [urlsplit(link) for link in page.links() if not urlsplit(link).scheme]
    names = [unquote(link.path) for link in inside if link.path]
    return [name for name in names if not (page.path.parent / name).exists()]


def lost_anchors(page: Page) -> list[str]:
    """Links to headings that aren't there."""
    return [link for link in page.links() if _is_lost(page, link)]


def _is_lost(page: Page, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme or not parts.fragment:
        return False
    target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    return target.suffix == ".md" and parts.fragment not in Page(target).anchors()


def crippled_addresses(page: Page) -> list[str]:
    """Web addresses that can't be right. The network isn't asked: it is no part of ours."""
    outside = [urlsplit(link) for link in page.links() if urlsplit(link).scheme]
    return [each.geturl() for each in outside if each.scheme != "https" or "." not in each.netloc]


def wrong_commands(page: Page) -> list[str]:
    """Commands in blocks that the command line would not take: names, options or values."""
    return [fault for words in page.commands() for fault in _faults_of(words)]


def _faults_of(words: Command) -> Iterator[str]:
    name, *arguments = words or [""]
    shown = f"batchrun {' '.join(words)}"
    if not name or name.startswith("-"):
        unknown = set(options_in(words)) - options_of(GROUP)
        yield from (f"{shown}: no option {each}" for each in unknown)
    elif name not in COMMANDS:
        yield f"{shown}: no such command"
    else:
        try:
            COMMANDS[name].make_context(name, list(arguments))
        except typer.Exit:
            return  # --help
        except Exception as error:
            yield f"{shown}: {error}"


def wrong_mentions(page: Page) -> list[str]:
    """Commands in sentences that aren't there; values may be placeholders, such as BATCH."""
    wrong = []
    for words in page.mentioned_commands():
        name = words[0]
        command = GROUP if name.startswith("-") or name == "COMMAND" else COMMANDS.get(name)
        if command is None or not set(options_in(words)) <= options_of(command):
            wrong.append(" ".join(["batchrun", *words]))
    return wrong


def unknown_options(page: Page) -> list[str]:
    """Options in sentences that no command has."""
    written = {re.split(r"[ =]", code)[0] for code in page.code() if code.startswith("-")}
    options = {each for each in written if re.fullmatch(r"--[a-z][a-z-]*|-[a-z]", each)}
    return sorted(options - EVERY_OPTION)


def unknown_variables(page: Page) -> list[str]:
    """Variables that nothing reads."""
    named = set(re.findall(r"\b(?:BATCHRUN|PGAI)_[A-Z_]+\b", page.text))
    return sorted(named - EVERY_VARIABLE)


def unknown_names(page: Page) -> list[str]:
    """Names in the examples that the library doesn't have."""
    used = []
    for block in page.blocks("python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used += [node.attr] if node.value.id == "batchrun" else []
            if isinstance(node, ast.ImportFrom) and node.module == "batchrun":
                used += [alias.name for alias in node.names]
    return [name for name in used if not hasattr(batchrun, name)]


def wrong_configurations(page: Page) -> list[str]:
    """Examples of a `batchrun.toml` that would be refused beside a list."""
    return [fault for block in page.blocks("toml") for fault in _faults_of_configuration(block)]


def _faults_of_configuration(text: str) -> Iterator[str]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "batchrun.toml"
        path.write_text(text, encoding="utf-8")
        try:
            read_configuration(path, beside_list=True)
        except BatchrunError as error:
            yield error.what.removeprefix(f"{path}: ")


def unknown_exit_codes(page: Page) -> list[int]:
    """Exit codes in sentences that no command ends with."""
    written = [int(code) for code in re.findall(r"[Ee]xit\s+codes?\s+(\d+)", page.text)]
    return [code for code in written if code not in set(ExitCode)]


def exit_codes(page: Page) -> set[int]:
    """The exit codes that its table has."""
    return {int(row[0]) for row in page.rows() if re.fullmatch(r"\d+", row[0])}


def unknown_messages(page: Page) -> list[str]:
    """Messages it quotes that the code lacks."""
    known = messages()
    return [quoted for quoted in page.quoted_messages() if shape(quoted) not in known]


EVERY_CHECK = (
    lost_files,
    lost_anchors,
    crippled_addresses,
    wrong_commands,
    wrong_mentions,
    unknown_options,
    unknown_variables,
    unknown_names,
    wrong_configurations,
    unknown_exit_codes,
)
"""Those that hold for any page."""
