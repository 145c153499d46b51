"""The pages of the project, read as Markdown."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAMPLES = ROOT / "sample_data"
PLACES = (ROOT, DOCS, DOCS / "how-to", SAMPLES)

SHELLS = ("console", "powershell", "sh", "bash", "bat", "crontab")
PROMPT = re.compile(r"(\$|PS>|C:\\>) ")
PROGRAM = re.compile(r"(.*[/\\])?batchrun(\.exe)?$")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")

Word: TypeAlias = str
Command: TypeAlias = list[Word]


@dataclass(frozen=True, slots=True)
class Section:
    """What a section shows.

    Attributes:
        commands: What is typed after `batchrun`, command by command.
        configuration: The `batchrun.toml` that comes before the first of them.
    """

    commands: tuple[Command, ...] = ()
    configuration: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file.

    Args:
        path: Where it is.
    """

    path: Path

    @property
    def name(self) -> str:
        """Its path in the project."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        """What it holds."""
        return self.path.read_text(encoding="utf-8")

    def links(self) -> list[str]:
        """Where its links and pictures lead."""
        return [
            str(token.attrs[name])
            for token in self._inline()
            for name in ("href", "src")
            if name in token.attrs
        ]

    def anchors(self) -> set[str]:
        """The anchors its headings get on GitHub."""
        found: set[str] = set()
        for heading in self.headings():
            base = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            free = (f"{base}-{number}" if number else base for number in range(len(found) + 1))
            found.add(next(anchor for anchor in free if anchor not in found))
        return found

    def headings(self) -> list[str]:
        """The texts of its headings, without their marks."""
        tokens = self._tokens()
        return [
            "".join(child.content for child in after.children or ())
            for token, after in pairwise(tokens)
            if token.type == "heading_open"
        ]

    def paragraphs(self) -> list[str]:
        """The text of its paragraphs, cells and headings, without code."""
        return [
            "".join(
                child.content if child.type == "text" else " "
                for child in token.children or ()
                if child.type in {"text", "softbreak"}
            )
            for token in self._tokens()
            if token.type == "inline"
        ]

    def blocks(self, *languages: str) -> list[str]:
        """Its fenced blocks in one of these languages."""
        return [
            token.content
            for token in self._tokens()
            if token.type == "fence" and token.info.strip() in languages
        ]

    def code(self) -> list[str]:
        """Its code within sentences."""
        return [token.content for token in self._inline() if token.type == "code_inline"]

    def tables(self) -> list[list[list[str]]]:
        """Its tables: rows of cells as they are written, the header first."""
        tables: list[list[list[str]]] = []
        tokens = self._tokens()
        for token, after in pairwise(tokens):
            if token.type == "table_open":
                tables.append([])
            elif token.type == "tr_open":
                tables[-1].append([])
            elif token.type in {"th_open", "td_open"}:
                tables[-1][-1].append(after.content)
        return tables

    def rows(self) -> list[list[str]]:
        """The rows of all its tables."""
        return [row for table in self.tables() for row in table]

    def quoted_messages(self) -> list[str]:
        """What its tables of messages quote: the first cells under "it says"."""
        return [row[0] for head, *rows in self.tables() if head[0] == "it says" for row in rows]

    def sections(self) -> dict[str, Section]:
        """What its sections show, by the headings of the second level."""
        found: dict[str, Section] = {}
        title = ""
        for token, after in pairwise(self._tokens()):
            if token.type == "heading_open" and token.tag == "h2":
                title = after.content
            elif after.type == "fence":
                section = found.get(title, Section())
                if after.info.strip() in SHELLS:
                    commands = (*section.commands, *commands_in(after.content))
                    found[title] = replace(section, commands=commands)
                elif after.info.strip() == "toml" and not section.commands:
                    found[title] = replace(section, configuration=after.content)
        return found

    def commands(self) -> list[Command]:
        """What is typed after `batchrun` in its console blocks."""
        return [words for block in self.blocks(*SHELLS) for words in commands_in(block)]

    def mentioned_commands(self) -> list[Command]:
        """The same for code within sentences, where values may be placeholders."""
        return [
            code.split()[1:]
            for code in self.code()
            if code.startswith("batchrun ") and not code.startswith("batchrun =")
        ]

    def _tokens(self) -> list[Token]:
        return _tokens_of(self.path)

    def _inline(self) -> Iterator[Token]:
        for token in self._tokens():
            yield from token.children or ()


@cache
def _tokens_of(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def typed(block: str) -> list[str]:
    """The single commands of a console block: after the prompts, if it has any."""
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    prompted = [PROMPT.sub("", line, count=1) for line in lines if PROMPT.match(line)]
    return [
        command.strip()
        for line in prompted or lines
        for command in re.split(r"&&|\|\||;| \| ", line)
    ]


def commands_in(block: str) -> list[Command]:
    """What is typed after `batchrun` in a console block."""
    found = []
    for line in typed(block):
        words = shlex.split(line.removeprefix("nohup ").removesuffix(" &"), comments=True)
        if words and PROGRAM.match(words[0]):
            found.append(words[1:])
    return found


def options_in(words: Command) -> list[str]:
    """The options among the words of a command."""
    return [match[0] for word in words if (match := OPTION.match(word))]


PAGES = [Page(path) for place in PLACES for path in sorted(place.glob("*.md"))]
