"""A sheet's XML without a parser: how its tags are spelled, and where it can be cut. Pure.

XML leaves a writer some freedom: either quote, white space in tags, a prefix before names. Programs
write one and the same spelling, on which the fast searches rely; the patterns here take any.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_ROW_BYTES = 32 * 1024**2
LONGEST_PREFIX = 64

PREFIX = rb"(?:[^\s<>/:=\"']+:)?"
OPENING = rb"<" + PREFIX
ATTRIBUTES = rb"((?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+)"
"""All of a tag behind its name; a value may hold an angle bracket."""

ASIDE = re.compile(rb"<!|<\?(?!xml\s)")
"""Comments, CDATA and instructions, in which what looks like a tag is none."""

_NAME_ENDS = {b" ", b">", b"/", b"\t", b"\r", b"\n"}
_PREFIXED_ROW_TAG = re.compile(OPENING + rb"row")
_ASIDE_OPENED = re.compile(rb"<!--|<!\[CDATA\[|<\?")
_LONGEST_OPENING = len(b"<![CDATA[")
_CLOSINGS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}


def whole_rows(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut between rows, so that no cell is torn apart; a row of absurd size is cut between tags.

    Raises:
        ValueError: A tag or a text is of absurd size.
    """
    pending: list[bytes] = []
    held = 0
    for chunk in chunks:
        cut = _last_row(chunk)
        if cut < 0 and held > LONGEST_ROW_BYTES:
            cut = chunk.rfind(b"<")
        if cut < 0:
            if held > 2 * LONGEST_ROW_BYTES:
                raise ValueError("no tag in so many bytes")
            held += len(chunk)
            pending.append(chunk)
            continue
        yield b"".join((*pending, chunk[:cut]))
        pending, held = [chunk[cut:]], len(chunk) - cut
    yield b"".join(pending)


def _last_row(chunk: bytes) -> int:
    """Where the last row opens, if not at the beginning; else -1."""
    end = len(chunk)
    if (at := _last_named(chunk, b"<row", end)) > 0:
        return at
    while (end := _last_named(chunk, b":row", end)) > 0:
        if at := prefixed_row(chunk, end):
            return at
    return -1


def _last_named(chunk: bytes, name: bytes, end: int) -> int:
    """Where this is last, and no longer name, such as rowBreaks; nor is it torn apart."""
    at = chunk.rfind(name, 0, end)
    while at >= 0 and chunk[at + len(name) : at + len(name) + 1] not in _NAME_ENDS:
        at = chunk.rfind(name, 0, at)
    return at


def prefixed_row(block: bytes, colon: int) -> int:
    """Where the tag begins whose name ends in ``:row`` here; 0 when it may be in a text."""
    start = block.rfind(b"<", max(0, colon - LONGEST_PREFIX), colon)
    return start if start > 0 and _PREFIXED_ROW_TAG.fullmatch(block, start, colon + 4) else 0


def without_asides(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out comments, instructions and the declaration; write CDATA as ordinary text."""
    rest, closing = b"", b""
    for chunk in chunks:
        text, at = rest + chunk, 0
        rest = b""
        written = []
        while at < len(text):
            if not closing:
                found = _ASIDE_OPENED.search(text, at)
                if found is None:  # an opening may be torn apart
                    torn = text.rfind(b"<", max(at, len(text) - _LONGEST_OPENING + 1))
                    cut = torn if torn >= 0 else len(text)
                    written.append(text[at:cut])
                    rest = text[cut:]
                    break
                written.append(text[at : found.start()])
                at, closing = found.end(), _CLOSINGS[found[0]]
            end = text.find(closing, at)
            cut = end if end >= 0 else max(at, len(text) - len(closing) + 1)
            if closing == b"]]>":
                written.append(_escaped(text[at:cut]))
            if end < 0:
                rest = text[cut:]
                break
            at, closing = end + len(closing), b""
        yield b"".join(written)
    if not closing:
        yield rest


def _escaped(text: bytes) -> bytes:
    return text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
