"""The texts of the code, with `…` for what is put into them."""

from __future__ import annotations

import ast
import functools
import re
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


def texts_of(code: str) -> Iterator[str]:
    """Every text in a piece of code, such as `There is no file ….`."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield shape(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = (
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )
            yield shape("".join(parts))


def shape(text: str) -> str:
    """A text without what differs when it is quoted: line breaks, escapes, two holes for one."""
    return re.sub(r"\\([*|_<>])", r"\1", " ".join(re.sub("…+", "…", text).split()))


@functools.cache
def messages() -> str:
    """Every text of the library, one after another."""
    paths = sorted((ROOT / "batchrun").rglob("*.py"))
    return "\n".join(text for path in paths for text in texts_of(path.read_text(encoding="utf-8")))
