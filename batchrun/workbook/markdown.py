"""Show Markdown in a result's text as formatted runs (bold, italic) without markup.

A text counts as Markdown only if it has block structure (headings, lists, tables, fenced code) or
paired emphasis. Any other text stays unchanged. Pure.
"""

from __future__ import annotations

import re
import unicodedata
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
_ITALIC: Style = frozenset({"italic"})


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
    def of(cls, runs: Iterable[tuple[str, Style]], link: str = "") -> RichText:
        """Build from runs: drop empty ones and merge neighbors of the same style."""
        texts: list[str] = []
        styles: list[Style] = []
        for text, style in runs:
            if text and styles and styles[-1] == style:
                texts[-1] += text
            elif text:
                texts.append(text)
                styles.append(style)
        return cls(tuple(map(Run, texts, styles)), "".join(texts), link)


def rich_text(text: str) -> RichText | None:
    """Render a Markdown text; ``None`` for any other text, which is shown unchanged."""
    if not ("\n" in text or "*" in text or "#" in text or "](" in text or "~~" in text) and (
        "_" not in text or " " not in text
    ):
        return None  # most texts are plain, and this is faster than the regular expression
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
    writer = _Writer(_LINE_END.split(text))
    for token in tokens:
        writer.write(token)
    rich = RichText.of(writer.runs)
    return rich if rich.runs else None


_ITEM = re.compile(r"(?P<level>#{1,6}) |(?P<bullet>[-*+]) |(?P<number>\d{1,9})(?P<dot>[.)]) ")
"""The start of a heading or list item."""
_BEGINS_TEXT = re.compile(
    r"(?!\d{1,9}[.)](?:\s|\Z))(?:[^\W_]|\*\*?[^\W_]|[^\s\x00-\x7f]|[\"'($%@/.,;?])"
)
"""The start of a line that must belong to a paragraph; others may start another block."""
_WORDS = r"[^\W_](?:[^*_\[\]\\<`|~&]*(?:[^\W_]|[.!?%)]))?"
_INLINE = re.compile(
    rf"\*(?<![^ (]\*)(?P<twice>\*?)(?P<strong>{_WORDS})\*(?P=twice)(?![^ .,;:)])"
    rf"|\[(?<!!\[)(?P<text>{_WORDS})\]"
    r"\((?P<address>https?://[a-z0-9]+(?:[.-][a-z0-9]+)*(?:/[A-Za-z0-9./_=?#:+,~@-]*)?)\)"
)
_UNSURE = re.compile(r"\*|\[|\]|\\|`|<|\||~~|&[#\w]|_(?!\w)|_(?<!\w_)")
"""Possible markup outside the matches of `_INLINE`. Each branch of both begins with a literal, so
that Python can skip to it: that is five times as fast."""


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
    runs: list[tuple[str, Style]] = []
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
            runs.append((apart, PLAIN))
        markup += _add_inline(runs, content, style)
        blank = False
    if markup or items > 1 or highest > 1 or (highest and last_line):
        return RichText.of(runs)
    return None


def _add_inline(runs: list[tuple[str, Style]], content: str, style: Style) -> int:
    """Add the runs of a line; return how many of them are markup."""
    end = count = 0
    if "*" in content or "[" in content:
        for found in _INLINE.finditer(content):
            if found.start() > end:
                before = content[end : found.start()]
                if _UNSURE.search(before):
                    raise UnsureError
                runs.append((before, style))
            end, count = found.end(), count + 1
            if found["strong"]:
                runs.append((found["strong"], style | (_BOLD if found["twice"] else _ITALIC)))
            else:
                address = _address_after(found["text"], found["address"])
                runs.append((found["text"] + address, style))
    if end < len(content):
        if _UNSURE.search(content, end):
            raise UnsureError
        runs.append((content[end:], style))
    return count


def without_markup(text: str) -> str:
    """Return a Markdown text without its markup; any other text unchanged."""
    rich = rich_text(text)
    return text if rich is None else rich.text


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
    lines = max((token.map[1] for token in tokens if token.map), default=0)
    for token in tokens:
        begin, end = token.map or (0, 0)
        match token.type:
            case "heading_open":  # not "# of employees", nor text over a line of "---"
                found = {"=": lines > end, "-": False, "#": lines > 1}.get(token.markup, True)
            case "blockquote_open":
                found = end - begin > 1
            case "inline":
                found = _has_emphasis(token.children or ())
            case kind:
                found = kind in {"fence", "table_open"}
        if found:
            return True
    return sum(token.type == "list_item_open" for token in tokens) > 1


def _has_emphasis(tokens: Sequence[Token]) -> bool:
    """Whether text is emphasized or linked; underscores around one word may belong to its name."""
    kinds = [token.type for token in tokens]
    for at, (kind, token) in enumerate(zip(kinds, tokens, strict=True)):
        if kind in {"link_open", "image"} and token.markup != "autolink":
            return True
        if kind in {"strong_open", "em_open", "s_open"}:
            inside = tokens[at : kinds.index(kind.replace("open", "close"), at)]
            if token.markup[0] != "_" or any(" " in each.content for each in inside):
                return True
    return False


def _only_link(tokens: Sequence[Token]) -> RichText | None:
    """Return the link's text if the whole text is one link."""
    inline = (tokens[1].children or []) if len(tokens) == 3 else []
    kinds = [token.type for token in inline]
    if kinds.count("link_open") != 1 or kinds[0] != "link_open" or kinds[-1] != "link_close":
        return None
    address = str(inline[0].attrs.get("href", ""))
    rich = RichText.of(_inline_runs(inline[1:-1], PLAIN), address)
    return rich if rich.runs and is_address(address) else None


_TASKS = {"[ ] ": "☐", "[x] ": "☑", "[X] ": "☑"}


class _Writer:
    """Writes the tokens of a text, which has these lines, as runs, block by block."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.runs: list[Run] = []
        self._lines = lines
        self._depth = self._cells = self._end_line = 0
        self._mark = ""
        self._style = PLAIN
        self._after_heading = False

    def write(self, token: Token) -> None:  # noqa: C901, PLR0912  # one case a kind
        """Write the text that a token adds."""
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                self._depth += 1
            case "bullet_list_close" | "ordered_list_close":
                self._depth -= 1
            case "list_item_open":
                self._mark = f"{token.info}{token.markup} " if token.info else "• "
            case "heading_open":
                self._style = _BOLD
                self._begin_block(token, blank_before=True)
            case "thead_open":
                self._style = _BOLD
            case "heading_close" | "thead_close":
                self._style, self._after_heading = PLAIN, True
            case "paragraph_open":
                self._begin_block(token)
            case "tr_open":
                self._begin_block(token)
                self._cells = 0
            case "tr_close" if not self._style:
                self._write_cells_beyond(self._lines[self._end_line - 1])
            case "th_open" | "td_open":
                self.runs += [Run(" | ", self._style)] * (self._cells > 0)
                self._cells += 1
            case "fence":
                self._begin_block(token)
                self.runs.append(Run(self._indented(token.content.rstrip("\n"))))
            case "inline":
                self._write_inline(token.children or ())
            case _:
                pass

    def _begin_block(self, token: Token, *, blank_before: bool = False) -> None:
        """Start a new line, after an empty one if it separates paragraphs or sections."""
        begin, end = token.map or (self._end_line, self._end_line)
        if self.runs:
            apart = begin > self._end_line and not self._depth and not self._after_heading
            self.runs.append(Run("\n\n" if apart or blank_before else "\n"))
        self._end_line, self._after_heading = end, False
        if self._depth:
            depth = self._depth - bool(self._mark)
            self.runs.append(Run("   " * depth + self._mark))
            self._mark = ""

    def _write_cells_beyond(self, line: str) -> None:
        """Write the cells of a table's row beyond those of its header, which the parser drops."""
        from markdown_it.rules_block.table import escapedSplit

        cells = escapedSplit(line.lstrip(" \t>").removeprefix("|").rstrip())
        for cell in cells[self._cells : len(cells) - (not cells[-1])]:
            self.runs.append(Run(" | "))
            self.runs += _inline_runs(_parser().parseInline(cell.strip())[0].children or (), PLAIN)

    def _write_inline(self, tokens: Sequence[Token]) -> None:
        begins_item = self.runs and self.runs[-1].text.endswith(("• ", ". ", ") "))
        if begins_item and tokens and (box := _TASKS.get(tokens[0].content[:4])):
            number = self.runs.pop().text.removesuffix("• ")
            self.runs.append(Run(f"{number}{box} "))
            tokens[0].content = tokens[0].content[4:]
        for run in _inline_runs(tokens, self._style):
            self.runs.append(Run(self._indented(run.text), run.style))

    def _indented(self, text: str) -> str:
        return text.replace("\n", "\n" + "   " * self._depth)


_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "s": "strike", "del": "strike",
    "br": "", "u": "", "p": "", "span": "", "sub": "", "sup": "", "mark": "", "small": "",
}  # fmt: skip
"""HTML tags common in Markdown, and the parser's names for emphasis, with their style; any other
tag stays as text."""
_TAG = re.compile(rf"<(?P<end>/)?(?P<name>{'|'.join(_TAGS)})\s*/?>", re.IGNORECASE)


def _inline_runs(tokens: Sequence[Token], style: Style) -> Iterator[Run]:
    """Yield the runs of a line; a link becomes its text, then the address."""
    opened: list[str] = []
    links: list[tuple[str, list[str]]] = []
    for token in tokens:
        tag = _TAG.fullmatch(token.content) if token.type == "html_inline" else None
        name = _TAGS[tag["name"].lower()] if tag else _TAGS.get(token.type.rpartition("_")[0])
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
