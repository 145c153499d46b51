"""What would break on another system is found on this one, in the code itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "batchrun").rglob("*.py"))

ONE_SYSTEMS_OWN = frozenset({
    "_winapi", "curses", "fcntl", "grp", "msvcrt", "posix", "pty", "pwd", "readline", "resource",
    "syslog", "termios", "tty", "winreg", "winsound",
})  # fmt: skip
UNLIKE_EVERYWHERE = frozenset({"zoneinfo"})
"""Windows has no list of time zones; a package would have to bring one."""


def imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, list[ast.AST]]]:
    """Each import with the name of its module and the nodes around it."""

    def walk(node: ast.AST, around: list[ast.AST]) -> Iterator[tuple[ast.stmt, str, list[ast.AST]]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((child, alias.name.partition(".")[0], around) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
                yield child, child.module.partition(".")[0], around
            yield from walk(child, [*around, child])

    yield from walk(tree, [])


def test_no_module_of_one_system_alone_is_imported_unguarded() -> None:
    """In a function that has asked for the system; then mypy knows what is there, too."""
    found = []
    for module, tree in trees():
        for statement, name, around in imports(tree):
            functions = [ast.unparse(each) for each in around if isinstance(each, ast.FunctionDef)]
            guarded = functions and "sys.platform" in functions[-1]
            if name in UNLIKE_EVERYWHERE or (name in ONE_SYSTEMS_OWN and not guarded):
                found.append(f"{module}:{statement.lineno}: {name}")
    assert found == []


def test_text_files_and_pipes_are_opened_with_their_encoding() -> None:
    """Else Windows takes the code page."""
    found = []
    for module, tree in trees():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            given = {keyword.arg for keyword in call.keywords}
            if needs_encoding(call, given) and "encoding" not in given:
                found.append(f"{module}:{call.lineno}: {ast.unparse(call)}")
    assert found == []


def needs_encoding(call: ast.Call, given: set[str | None]) -> bool:
    """Whether a call opens text; the part of an archive is named by no constant."""
    match call.func:
        case ast.Attribute(attr="read_text" | "write_text"):
            return ast.unparse(call.func) != "found.read_text"  # of a distribution's files
        case ast.Attribute(attr="open", value=ast.Name(id="archive" | "target")):  # of a ZIP file
            return False
        case ast.Attribute(attr="open") if not all(
            isinstance(each, ast.Constant) for each in call.args
        ):
            return False
        case ast.Attribute(attr="open") | ast.Name(id="open"):
            return not any(
                isinstance(each, ast.Constant) and "b" in str(each.value) for each in call.args
            )
        case ast.Attribute(attr="run" | "Popen"):
            return bool(given & {"text", "universal_newlines"})
        case _:
            return False


def test_no_path_or_time_format_of_one_system_is_written_down() -> None:
    found = [
        f"{module}:{node.lineno}: {node.value}"
        for module, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.startswith(("/tmp", "/dev/", "/var/"))
        or re.search(r"%-[dHIjmMSy]", node.value)  # glibc's own
    ]
    assert found == []


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for module in MODULES:
        yield module.relative_to(ROOT), ast.parse(module.read_text(encoding="utf-8"))
