"""What a block of XML can't hold, by comparing all its bytes at once.

Each answer is either a certain no, or a maybe that a proper search has to look into. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]


class Glance:
    """A look at a block of a sheet's XML."""

    def __init__(self, block: bytes) -> None:
        import numpy as np

        self._block = block
        self._bytes = np.frombuffer(block, dtype=np.uint8)

    def may_hold(self, wanted: bytes) -> bool:
        """Whether a text of two or four bytes may be in the block."""
        import numpy as np

        size = len(wanted)
        kind = np.dtype(f"<u{size}")
        number = int.from_bytes(wanted, "little")
        for offset in range(size):
            count = (len(self._block) - offset) // size
            if count > 0:
                words = np.frombuffer(self._block, dtype=kind, count=count, offset=offset)
                if (words == number).any():
                    return True
        return False

    def text_begins_blank(self) -> bool:
        """Whether white space may follow a tag."""
        return bool(((self._bytes[:-1] == ord(">")) & (self._bytes[1:] <= ord(" "))).any())

    def may_name_far_cell(self, digits: int) -> bool:
        """Whether a value in quotes may be a cell beyond column Z, or a row of so many digits.

        Small letters, which calamine takes too but nobody writes, are a maybe where the attribute's
        name may be ``r``.
        """
        characters = self._bytes
        if len(characters) < digits + 3:
            return True
        quotes = (characters == ord('"')) | (characters == ord("'"))
        letters = (characters - ord("A")) < 26  # wraps around below A
        first = quotes[:-1] & letters[1:]  # a quote, and a letter behind it
        if (first[:-1] & letters[2:]).any():
            return True
        small = quotes[2:-1] & ((characters[3:] - ord("a")) < 26)
        two_before, before = characters[:-3], characters[1:-2]
        named_r = (before == ord("=")) & ((two_before == ord("r")) | (two_before <= ord(" ")))
        if (small & (named_r | (before <= ord(" ")))).any():
            return True
        runs = _runs((characters - ord("0")) < 10, digits)
        behind_letter = first[: len(runs) - 2] & runs[2:]
        behind_quote = quotes[: len(runs) - 1] & runs[1:]
        return bool(behind_letter.any() or behind_quote.any())


def _runs(marks: Mask, length: int) -> Mask:
    """Where so many marks (4 to 8) in succession begin."""
    pairs = marks[:-1] & marks[1:]
    fours = pairs[:-2] & pairs[2:]
    return fours[: len(fours) - (length - 4)] & fours[length - 4 :]
