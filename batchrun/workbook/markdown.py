"""Show Markdown in a result's text as formatted runs (bold, italic) without markup.

A text counts as Markdown only if it has block structure (headings, lists, tables, fenced code) or
paired emphasis. Any other text stays unchanged. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from batchrun.workbook.cells import is_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

MAX_CHARACTERS = 100_000
"""A longer text is not parsed, which would take seconds. A cell holds a third of it."""

_MAX_SIGNS = {"[": 300, "!": 2_000, "`": 500, "*": 2_000, "_": 2_000, "~": 1_000, "<": 500,
               "&": 1_000, "\\": 2_000, "|": 4_000, ">": 1_000}  # fmt: skip
"""The most of each sign in a text that is parsed. Markdown searches for the partner of each sign,
so a text of nothing else takes quadratic time; real reports stay far below these numbers."""

_MAY_BE_MARKDOWN = re.compile(
    r"\*[^\s*]|\*\*|(?<!\w)_|~~|\]\("
    r"|^ {0,3}(?:#{1,6}[ \t]|```|~~~|>|[-*+][ \t]|\d{1,9}[.)][ \t])"
    r"|^[ \t|:-]{0,200}-[ \t|:-]{0,200}$|^={3,} *$",
    re.MULTILINE,
)
_LINE_END = re.compile(r"\r\n?|\n")
_BARE_ADDRESS = re.compile(r"""://[^\s<>"'`|\[\]()]*[^\s<>"'`|\[\]()*_~.,;:!?\\]""")
"""The rest of an address, after ``https``."""

Style: TypeAlias = frozenset[str]
"""Any of ``bold``, ``italic`` and ``strike``."""

PLAIN: Style = frozenset()
_BOLD: Style = frozenset({"bold"})
_STYLES = {"strong": "bold", "em": "italic", "s": "strike"}


class Run(NamedTuple):
    """Consecutive text in one style."""

    text: str
    style: Style = PLAIN


class RichText(NamedTuple):
    """A text without markup."""

    runs: tuple[Run, ...]  # the runs; none is empty
    text: str
    link: str = ""  # the address, if the whole text is one link; otherwise ""

    @classmethod
    def of(cls, runs: Iterable[Run], link: str = "") -> RichText:
        """Build from runs: drop empty ones and merge neighbors of the same style."""
        merged: list[Run] = []
        parts: list[str] = []
        style: Style | None = None
        for run in runs:
            if not run.text:
                continue
            if run.style != style and parts:
                merged.append(Run("".join(parts), style or PLAIN))
                parts = []
            style = run.style
            parts.append(run.text)
        if parts:
            merged.append(Run("".join(parts), style or PLAIN))
        return cls(tuple(merged), "".join([run.text for run in merged]), link)

    def __str__(self) -> str:
        return self.text


def rich_text(text: str) -> RichText | None:
    """Render a Markdown text; ``None`` for any other text, which is shown unchanged."""
    if _is_plain(text):
        return None
    if len(text) > MAX_CHARACTERS or "\x00" in text or not _MAY_BE_MARKDOWN.search(text):
        return None
    try:
        return simple_rich_text(text)
    except UnsureError:
        if any(text.count(sign) > most for sign, most in _MAX_SIGNS.items()):
            return None
        return parsed_rich_text(text)


def parsed_rich_text(text: str) -> RichText | None:
    """Do the same as `rich_text` with a full Markdown parser, for any text."""
    tokens = _parser().parse(text)
    if not _is_markdown(tokens):
        return None
    link = _only_link(tokens)
    if link:
        return link
    rich = RichText.of(_Writer(_LINE_END.split(text)).write(tokens))
    return rich if rich.runs else None


_ITEM = re.compile(r"(?P<level>#{1,6}) |(?P<bullet>[-*+]) |(?P<number>\d{1,9})(?P<dot>[.)]) ")
"""The start of a heading or list item."""
_BEGINS_TEXT = re.compile(
    r"(?!\d{1,9}[.)](?:\s|\Z))(?:[^\W_]|\*\*?[^\W_]|[^\s\x00-\x7f]|[\"'($%@/.,;?])"
)
"""The start of a line that must belong to a paragraph; others may start another block."""
_WORDS = r"[^\W_](?:[^*_\[\]\\<`|~&]*(?:[^\W_]|[.!?%)]))?"
_INLINE = re.compile(
    rf"(?<![^ (])(?P<mark>\*\*?)(?P<strong>{_WORDS})(?P=mark)(?![^ .,;:)])"
    rf"|(?<!!)\[(?P<text>{_WORDS})\]"
    r"\((?P<address>https?://[a-z0-9]+(?:[.-][a-z0-9]+)*(?:/[A-Za-z0-9./_=?#:+,~@-]*)?)\)"
)
_UNSURE = re.compile(r"[*\[\]\\`<|]|~~|&[#\w]|(?<!\w)_|_(?!\w)")
"""Possible markup outside the matches of `_INLINE`."""


class UnsureError(Exception):
    """Raised if a text may have markup that `simple_rich_text` does not handle."""


def simple_rich_text(text: str) -> RichText | None:  # noqa: C901, PLR0912  # one case a kind
    """Do the same as `rich_text`, several times as fast, for simple texts.

    Those have only headings, flat lists, paragraphs, emphasis, and links. Most results are that
    simple, and a workbook has one in each row.

    Raises:
        UnsureError: The text may contain anything else.
    """
    if "\t" in text or "\r" in text:
        raise UnsureError
    runs: list[Run] = []
    items = highest = markup = last_line = 0
    before_it = kind = marker = ""
    blank = False
    for number, line in enumerate(text.split("\n")):
        if not line:
            blank = True
            continue
        before_it, last_line = kind, number
        apart, style = "\n" if runs else "", PLAIN
        found = _ITEM.match(line)
        if found is None:
            kind, content = "line", line
            if before_it == "item" and not blank:
                raise UnsureError  # it continues the item
            if blank and before_it != "heading":
                apart *= 2
        elif found["level"]:
            kind, content, style = "heading", line[found.end() :], _BOLD
            highest = max(highest, found.end() - 1)
            apart *= 2
            if content[-1:] == "#":
                raise UnsureError  # it may close the heading
        else:
            kind, content = "item", line[found.end() :]
            sign = found["bullet"] or found["dot"]
            continues = before_it == "item" and sign == marker
            if before_it == "item" and not continues:
                raise UnsureError
            if before_it == "line" and not blank and not found["bullet"]:
                raise UnsureError  # it may not interrupt a paragraph
            marker = sign
            items += 1
            apart += "• " if found["bullet"] else found[0]
        if not _BEGINS_TEXT.match(content) or content[-1].isspace():
            raise UnsureError
        if apart:
            runs.append(Run(apart))
        markup += _add_inline(runs, content, style)
        blank = False
    if markup or items > 1 or highest > 1 or (highest and last_line):
        return RichText.of(runs)
    return None


def _add_inline(runs: list[Run], content: str, style: Style) -> int:
    """Add the runs of a line; return how many of them are markup."""
    end = count = 0
    if "*" in content or "[" in content:
        for found in _INLINE.finditer(content):
            if found.start() > end:
                before = content[end : found.start()]
                if _UNSURE.search(before):
                    raise UnsureError
                runs.append(Run(before, style))
            end, count = found.end(), count + 1
            if found["mark"]:
                runs.append(Run(found["strong"], style | _MARKS[found["mark"]]))
            else:
                address = _address_after(found["text"], found["address"])
                runs.append(Run(found["text"] + address, style))
    if end < len(content):
        if _UNSURE.search(content, end):
            raise UnsureError
        runs.append(Run(content[end:], style))
    return count


_MARKS = {"**": _BOLD, "*": frozenset({"italic"})}


def _is_plain(text: str) -> bool:
    """Whether a text has no Markdown signs: a fast check that most texts pass."""
    if "\n" in text or "*" in text or "#" in text or "](" in text or "~~" in text:
        return False
    return "_" not in text or " " not in text


def without_markup(text: str) -> str:
    """Return a Markdown text without its markup; any other text unchanged."""
    rich = rich_text(text)
    return text if rich is None else str(rich)


_HEADING = re.compile(r"\A#+ .*\n+(?=\S)")


def without_heading(text: str) -> str:
    """Return a Markdown text without its markup and without a heading at the start."""
    return without_markup(_HEADING.sub("", text))


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # slow to import, and rarely needed

    parser = MarkdownIt("commonmark")
    parser.enable(["table", "strikethrough"])
    # Lines indented by four spaces are more often plain text than Markdown code.
    parser.disable(["code", "reference", "html_block"])
    parser.inline.ruler.at("emphasis", _emphasis)
    parser.inline.ruler.before("escape", "address", _address)
    parser.parse("a")  # rules are compiled at first use, which is not thread-safe
    return parser


def _address(state: StateInline, silent: bool) -> bool:
    """Keep the signs of an address in a text, such as ``https://x.example/_a_``."""
    found = _BARE_ADDRESS.match(state.src, state.pos)
    if silent or found is None or not state.pending.endswith(("http", "https")):
        return False
    state.pending += found[0]
    state.pos = found.end()
    return True


def _emphasis(state: StateInline, silent: bool) -> bool:
    """Apply markdown-it's emphasis rule, except within words and formulas such as ``2*3*4``."""
    from markdown_it.rules_inline.state_inline import Delimiter

    marker = state.src[state.pos]
    if silent or marker not in {"*", "_"}:
        return False
    whole_words = state.scanDelims(state.pos, False)  # markdown-it's own signature
    scanned = state.scanDelims(state.pos, marker == "*")
    end = state.pos + scanned.length
    neighbors = state.src[max(state.pos - 1, 0) : state.pos] + state.src[end : end + 1]
    if scanned.length < 2 or any(sign.isdigit() for sign in neighbors):
        scanned = whole_words
    elif marker == "*" and state.pos and unicodedata.category(neighbors[0]) in {"Po", "Pe"}:
        scanned = scanned._replace(can_close=True)  # **Label:**text
    if marker == "_" and re.match(r"[.(/]\w", state.src[end:]):  # __init__.py
        scanned = whole_words._replace(can_close=False)
    for _ in range(scanned.length):
        token = state.push("text", "", 0)
        token.content = marker
        state.delimiters.append(
            Delimiter(
                marker=ord(marker),
                length=scanned.length,
                token=len(state.tokens) - 1,
                end=-1,
                open=scanned.can_open,
                close=scanned.can_close,
            )
        )
    state.pos += scanned.length
    return True


def _is_markdown(tokens: Sequence[Token]) -> bool:
    """Whether there is block structure or paired emphasis."""
    items = quoted_lines = 0
    lines = max((token.map[1] for token in tokens if token.map), default=0)
    for token in tokens:
        match token.type:
            case "heading_open" if token.markup in {"=", "-"}:  # over a line of "===" or "---"
                if token.markup == "=" and token.map and lines > token.map[1]:
                    return True
            case "heading_open" if token.markup != "#" or lines > 1:  # "# of employees"
                return True
            case "fence" | "table_open":
                return True
            case "list_item_open":
                items += 1
            case "blockquote_open" if token.map:
                quoted_lines = max(quoted_lines, token.map[1] - token.map[0])
            case "inline" if _has_emphasis(token.children or ()):
                return True
            case _:
                pass
    return items > 1 or quoted_lines > 1


def _has_emphasis(tokens: Sequence[Token]) -> bool:
    """Whether text is emphasized or linked; underscores around one word may belong to its name."""
    for position, token in enumerate(tokens):
        match token.type:
            case "link_open" | "image" if token.markup != "autolink":
                return True
            case "strong_open" | "em_open" | "s_open" if not token.markup.startswith("_"):
                return True
            case "strong_open" | "em_open":
                closing = token.type.replace("open", "close")
                for inner in tokens[position + 1 :]:
                    if inner.type == closing:
                        break
                    if " " in inner.content:
                        return True
            case _:
                pass
    return False


def _only_link(tokens: Sequence[Token]) -> RichText | None:
    """Return the link's text if the whole text is one link."""
    if len(tokens) != 3 or tokens[1].type != "inline":
        return None
    inline = tokens[1].children or []
    if not inline or inline[0].type != "link_open" or inline[-1].type != "link_close":
        return None
    if sum(token.type == "link_open" for token in inline) > 1:
        return None
    address = str(inline[0].attrs.get("href", ""))
    rich = RichText.of(_inline_runs(inline[1:-1], PLAIN), address)
    return rich if rich.runs and is_address(address) else None


_TASKS = {"[ ] ": "☐", "[x] ": "☑", "[X] ": "☑"}


@dataclass(slots=True)
class _Writer:
    """Writes tokens as runs, block by block.

    Attributes:
        lines: The lines of the text.
    """

    lines: Sequence[str]
    runs: list[Run] = field(default_factory=list)
    lists: list[int | None] = field(default_factory=list)
    mark: str = ""
    end_line: int = 0
    after_heading: bool = False
    cells: int = 0

    def write(self, tokens: Sequence[Token]) -> list[Run]:
        """Return the runs of all tokens of a text."""
        style = PLAIN
        for token in tokens:
            match token.type:
                case "bullet_list_open" | "ordered_list_open":
                    self.lists.append(None)
                case "bullet_list_close" | "ordered_list_close":
                    self.lists.pop()
                case "list_item_open":
                    self.mark = f"{token.info}{token.markup} " if token.info else "• "
                case "heading_open" | "thead_open":
                    style = _BOLD
                case "heading_close" | "thead_close":
                    style = PLAIN
                    self.after_heading = True
                case _:
                    pass
            self._write_token(token, style)
        return self.runs

    def _write_token(self, token: Token, style: Style) -> None:
        """Write the text that a token adds."""
        match token.type:
            case "heading_open":
                self._begin_block(token, blank_before=True)
            case "paragraph_open":
                self._begin_block(token)
            case "tr_open":
                self._begin_block(token)
                self.cells = 0
            case "tr_close" if not style:
                self._write_cells_beyond(self.end_line - 1)
            case "th_open" | "td_open":
                self.runs += [Run(" | ", style)] * (self.cells > 0)
                self.cells += 1
            case "fence":
                self._begin_block(token)
                indent = "\n" + "   " * len(self.lists)
                self.runs.append(Run(token.content.rstrip("\n").replace("\n", indent)))
            case "inline":
                self._write_inline(token, style)
            case _:
                pass

    def _begin_block(self, token: Token, *, blank_before: bool = False) -> None:
        """Start a new line, after an empty one if it separates paragraphs or sections."""
        begin, end = token.map or (self.end_line, self.end_line)
        if self.runs:
            apart = begin > self.end_line and not self.lists and not self.after_heading
            self.runs.append(Run("\n\n" if apart or blank_before else "\n"))
        self.end_line, self.after_heading = end, False
        if self.lists:
            depth = len(self.lists)
            self.runs.append(Run("   " * (depth - 1) + self.mark if self.mark else "   " * depth))
            self.mark = ""

    def _write_cells_beyond(self, line: int) -> None:
        """Write the cells of a table's row beyond those of its header, which the parser drops."""
        from markdown_it.rules_block.table import escapedSplit

        cells = escapedSplit(self.lines[line].lstrip(" \t>").removeprefix("|").rstrip())
        for cell in cells[self.cells : len(cells) - (not cells[-1])]:
            self.runs.append(Run(" | "))
            self.runs += _inline_runs(_parser().parseInline(cell.strip())[0].children or (), PLAIN)

    def _write_inline(self, token: Token, style: Style) -> None:
        first = token.children[0] if token.children else token
        begins_item = self.runs and self.runs[-1].text.endswith(("• ", ". ", ") "))
        if begins_item and first.content[:4] in _TASKS:
            number = self.runs.pop().text.removesuffix("• ")
            self.runs.append(Run(f"{number}{_TASKS[first.content[:4]]} "))
            first.content = first.content[4:]
        indent = "\n" + "   " * len(self.lists)
        for run in _inline_runs(token.children or (), style):
            self.runs.append(Run(run.text.replace("\n", indent), run.style))


_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "s": "strike", "del": "strike",
    "br": "", "u": "", "p": "", "span": "", "sub": "", "sup": "", "mark": "", "small": "",
}  # fmt: skip
"""HTML tags common in Markdown, with their style; any other tag stays as text."""
_TAG = re.compile(rf"<(?P<end>/)?(?P<name>{'|'.join(_TAGS)})\s*/?>", re.IGNORECASE)


def _inline_runs(tokens: Sequence[Token], style: Style) -> Iterator[Run]:
    """Yield the runs of a line; a link becomes its text, then the address."""
    opened: list[str] = []
    links: list[tuple[str, list[str]]] = []
    for token in tokens:
        tag = _TAG.fullmatch(token.content) if token.type == "html_inline" else None
        name = _TAGS[tag["name"].lower()] if tag else _STYLES.get(token.type.rpartition("_")[0])
        text = ""
        if name and (tag["end"] if tag else token.nesting < 0):
            opened = [each for each in opened if each != name]
        elif name:
            opened.append(name)
        elif token.type == "link_open":
            links.append((str(token.attrs.get("href", "")), []))
        elif token.type == "link_close":
            address, texts = links.pop()
            text = _address_after("".join(texts), address)
        elif token.type == "image":
            text = token.content + _address_after(token.content, str(token.attrs.get("src", "")))
        elif tag or token.type in {"softbreak", "hardbreak"}:
            text = "\n" if tag is None or tag["name"].lower() == "br" else ""
        else:
            text = token.content
        if text:
            for _, texts in links:
                texts.append(text)
            yield Run(text, style | frozenset(opened))


def _address_after(text: str, address: str) -> str:
    """Return the address in parentheses to put after a link's text, unless they are the same."""
    if not address or text.strip() in {address, address.removeprefix("mailto:")}:
        return ""
    return f" ({address})" if text.strip() else address
