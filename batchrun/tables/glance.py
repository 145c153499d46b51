"""What a block of XML can't hold, and how far its cells reach, by comparing all its bytes at once.

Each answer is either certain, or a maybe that a proper search has to look into. Whatever a sheet
says of a cell it says in an attribute, so most answers need no more than the bytes around each
equals sign. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Characters = npt.NDArray[np.uint8]
    Positions = npt.NDArray[np.intp]

BEFORE = len('<c r="')
"""Bytes from the beginning of a cell to its reference; positions here are of the first of them."""
MOST_DIGITS = 7
"""Digits of the last row of an Excel sheet."""


class Glance:
    """A look at a block of a sheet's XML."""

    def __init__(self, block: bytes) -> None:
        import numpy as np

        self._block = block
        self._bytes = np.frombuffer(block, dtype=np.uint8)
        # no attribute begins sooner: its name and that of its element are before the sign
        self._signs = np.flatnonzero(self._bytes[BEFORE - 2 :] == ord("="))
        self._names = self._at(self._signs, BEFORE - 3)
        """The last character of each attribute's name."""
        self._spaced = self._signs[self._names <= ord(" ")]
        """The equals signs that do not follow a name at once."""
        references = self._signs[self._names == ord("r")]
        quotes = self._at(references, BEFORE - 1)
        quoted = quotes == ord('"')
        self._unusual = self._may_be_spaced(b"r")
        """Whether a reference may be spelled in another way than ``r="``."""
        if not quoted.all():
            self._unusual = self._unusual or bool(_is_other_quote(quotes).any())
            references = references[quoted]  # the others are in a text
        self._references = references
        self._tags = self._at(references, 1)
        """Where the attribute is the first one, the last character of its element's name."""
        self._prefixed = self._bytes[:0]
        """The characters behind colons, as names that have a prefix begin."""
        if b":" in block:
            self._prefixed = self._at(np.flatnonzero(self._bytes == ord(":")), 1)

    def count(self, wanted: bytes) -> int:
        """How often a text of two bytes is in the block."""
        import numpy as np

        return sum(int(np.count_nonzero(found)) for found in self._found(wanted))

    def count_prefixed(self, letter: bytes) -> int:
        """How often this letter is behind a colon."""
        import numpy as np

        return int(np.count_nonzero(self._prefixed == letter[0]))

    def counts_between(self, wanted: bytes, bounds: Sequence[int]) -> list[int]:
        """How often a text of two bytes is before the first of these positions, and behind each."""
        import numpy as np

        places = [2 * np.flatnonzero(each) + at for at, each in enumerate(self._found(wanted))]
        upto = np.searchsorted(np.sort(np.concatenate(places)), [*bounds, len(self._block)])
        counts: list[int] = np.diff(upto, prepend=0).tolist()
        return counts

    def _found(self, wanted: bytes) -> Iterator[Mask]:
        """Whether a text of two bytes is at each even position, and then at each odd one."""
        number = int.from_bytes(wanted, "little")
        for offset in (0, 1):
            size = max(len(self._block) - offset, 0) // 2
            words = self._bytes[offset : offset + 2 * size].view("<u2")
            yield words == number

    def may_hold_name(self, end: bytes) -> bool:
        """Whether an attribute's name may end in these two characters."""
        named = self._signs[self._names == end[1]]
        found = (self._at(named, BEFORE - 4) == end[0]).any()
        return bool(found) or self._may_be_spaced(end[1:])

    def may_hold_type(self, first: bytes) -> bool:
        """Whether an attribute whose name ends in ``t`` may have a value that begins so."""
        named = self._signs[self._names == ord("t")]
        quotes, values = self._at(named, BEFORE - 1), self._at(named, BEFORE)
        found = (values == first[0]) | (quotes <= ord(" "))
        return bool(found.any()) or self._may_be_spaced(b"t")

    def may_hold_asides(self) -> bool:
        """Whether it may hold a comment, an instruction or CDATA."""
        return any(
            mark in self._block and self.count(b"<" + mark) > 0  # few texts hold the mark itself
            for mark in (b"!", b"?")
        )

    def text_begins_blank(self) -> bool:
        """Whether white space may follow a tag."""
        return bool(((self._bytes[:-1] == ord(">")) & (self._bytes[1:] <= ord(" "))).any())

    def cells_named(self) -> bool:
        """Whether each cell surely begins with its reference, as in ``<c r="A1"``."""
        import numpy as np

        cells = self._references[self._tags == ord("c")]
        opened = self._at(cells, 0) == ord("<")
        return self.count(b"<c") == np.count_nonzero(opened)

    def unnamed_rows(self) -> int:
        """No fewer than the rows that do not begin with their number, as in ``<row r="1"``."""
        import numpy as np

        numbered = self._references[self._tags == ord("w")]
        named = _is_digit(self._at(numbered, BEFORE))
        rows = self.count(b"<r") + self.count_prefixed(b"r")
        return max(0, rows - int(np.count_nonzero(named)))

    def extent(self) -> tuple[int, int] | None:
        """A row that no reference is below, and a column that none is right of.

        ``None`` where one may be written in another way than ``r="A1"``, with capital letters and
        up to seven digits.
        """
        if self._unusual or not len(self._block):
            return None
        references = self._references
        first = self._at(references, BEFORE)
        lettered = _is_letter(first)
        if not (lettered | _is_digit(first)).all():
            return None
        columns = self._columns(references[lettered], first[lettered])
        if columns is None:
            return None
        last_column, rows = columns
        last_row = self._last_row([references[~lettered], *rows])
        return None if last_row is None else (last_row, last_column)

    def _at(self, positions: Positions, offset: int) -> Characters:
        """The characters so far behind these positions; the last one where the block ends."""
        rest = self._bytes[min(offset, len(self._bytes) - 1) :]
        return rest.take(positions, mode="clip")

    def _may_be_spaced(self, end: bytes) -> bool:
        """Whether white space may be between a name that ends so and its equals sign."""
        before = self._at(self._spaced, BEFORE - 4)
        return bool(((before == end[0]) | (before <= ord(" "))).any())

    def _columns(self, cells: Positions, first: Characters) -> tuple[int, list[Positions]] | None:
        """The last column, and positions so many bytes before rows as a row's are before its own.

        ``None`` for small letters or too many of them.
        """
        import numpy as np

        rows: list[Positions] = []
        numbers = np.zeros(len(cells), dtype=np.int64)
        last, letters = 0, first
        for length in range(1, 4):
            numbers = numbers * 26 + (letters - np.uint8(ord("A") - 1))
            behind = self._at(cells, BEFORE + length)
            ended = _is_digit(behind)
            if ended.all():
                last = max(last, int(numbers.max(initial=0)))
                return last, [*rows, cells + length]
            last = max(last, int(numbers[ended].max(initial=0)))
            rows.append(cells[ended] + length)
            cells, numbers, letters = cells[~ended], numbers[~ended], behind[~ended]
            if not _is_letter(letters).all():
                return None
        return None

    def _last_row(self, rows: list[Positions]) -> int | None:
        """A row that none of these is below; ``None`` if one may have too many digits."""
        if not any(map(len, rows)):
            return 0
        for digits in range(5, MOST_DIGITS + 1):
            longest = [part[_is_digit(self._at(part, BEFORE + digits - 1))] for part in rows]
            longer = any(_is_digit(self._at(part, BEFORE + digits)).any() for part in longest)
            if not longer:
                leading = [int(self._at(part, BEFORE).max(initial=ord("0"))) for part in longest]
                return int((max(leading, default=ord("0")) - ord("0") + 1) * 10 ** (digits - 1))
        return None


def _is_other_quote(characters: Characters) -> Mask:
    found: Mask = (characters == ord("'")) | (characters <= ord(" "))
    return found


def _is_letter(characters: Characters) -> Mask:
    return (characters - ord("A")) < 26  # wraps around below A


def _is_digit(characters: Characters) -> Mask:
    return (characters - ord("0")) < 10
