"""The regular stretches of a text, read by pandas' C parser: bytes → columns, or no answer.

That parser gives columns with equal texts shared, in less time than the csv module gives rows
(measured per MB: proof 1.1 ms, parser 7.5 ms, csv module and columns of its rows 10.0 ms; to share
texts would come on top). But it forgives what has to be reported: it fills short rows and takes a
misplaced quote as it comes. So it is given only what was proven regular before: quotes that open
and close where a field does, and as many fields in each row. The proof looks at nothing but the
positions of quotes, delimiters and line ends, and is made in a thread, one stretch ahead of the
parser: neither holds the interpreter's lock for long.
"""

from __future__ import annotations

import codecs
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from batchrun.tables.frames import Columns

    Positions = npt.NDArray[np.int64]

QUOTE, LF, CR = b'"\n\r'


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole records from the beginning of a text, their quotes well-formed.

    Attributes:
        text: Their bytes; UTF-8.
        breaks: Line breaks within, those in quotes included.
        lines: How many lines below the first each record starts; empty unless ``width``.
        width: Fields of each record; 0 when not all have as many.
    """

    text: bytes
    breaks: int
    lines: Sequence[int]
    width: int


def regular_stretch(text: bytes, delimiter: str) -> Stretch | None:
    """The whole records a text begins with; ``None`` when a quote or a line end is in doubt.

    Args:
        text: UTF-8 that begins with a record; what follows its last whole record is left out.
        delimiter: Of its fields.
    """
    import numpy as np

    if len(delimiter) > 1 or not delimiter.isascii():
        return None
    characters = np.frombuffer(text, dtype=np.uint8)
    marked = characters == ord(delimiter)
    marked |= characters == LF
    marked |= characters == QUOTE
    marks = np.flatnonzero(marked)
    kinds = characters[marks]
    quotes = kinds == QUOTE
    # from an opening quote to its closing one; a byte keeps whether their number is odd
    quoted = (np.cumsum(quotes, dtype=np.uint8) & 1).view(bool)
    ends = np.flatnonzero((kinds == LF) & ~quoted)
    if not len(ends):
        return Stretch(b"", 0, range(0), 0)
    last = ends[-1] + 1
    marks, kinds, quotes, quoted = marks[:last], kinds[:last], quotes[:last], quoted[:last]
    whole = text[: int(marks[-1]) + 1]
    breaks = kinds == LF
    if whole.startswith(codecs.BOM_UTF8):
        return None
    if b"\r" in whole and _bare_cr(characters[: len(whole)], marks[breaks]):
        return None
    if quotes.any() and not _well_formed(characters, marks[quotes], ord(delimiter)):
        return None
    bare = kinds[~quoted & ~quotes]
    width = _width(bare)
    lines: Sequence[int] = range(len(ends))
    if np.count_nonzero(breaks) > len(ends):
        before = np.cumsum(breaks)[ends[:-1]]
        lines = [0, *before.tolist()]
    return Stretch(whole, int(np.count_nonzero(breaks)), lines if width else range(0), width)


class Stretches:
    """The regular stretches a text begins with, one after the other.

    Args:
        pieces: The text in UTF-8, cut anywhere.
        delimiter: Of its fields.
        longest: Bytes of a text that is still looked at, where no record ends; 0 for none.

    Attributes:
        pending: What was taken from the pieces and is in no stretch.
    """

    def __init__(self, pieces: Iterator[bytes], delimiter: str, longest: int) -> None:
        self.pending = b""
        self._pieces = pieces
        self._delimiter = delimiter
        self._longest = longest

    def __iter__(self) -> Iterator[Stretch]:
        for piece in self._pieces if self._longest else ():
            self.pending += piece
            stretch = regular_stretch(self.pending, self._delimiter)
            if stretch is None or len(self.pending) > self._longest:
                return
            self.pending = self.pending[len(stretch.text) :]
            yield stretch


def one_ahead(stretches: Stretches) -> Iterator[Stretch]:
    """Find each stretch while the one before is worked on."""
    found = iter(stretches)
    with ThreadPoolExecutor(max_workers=1) as thread:
        upcoming = thread.submit(next, found, None)
        while (stretch := upcoming.result()) is not None:
            upcoming = thread.submit(next, found, None)
            yield stretch


def _bare_cr(characters: npt.NDArray[np.uint8], breaks: Positions) -> bool:
    """Whether a CR is followed by anything but LF; the last character is a line break."""
    import numpy as np

    before = characters[breaks - 1]
    return bool(np.count_nonzero(before == CR) != np.count_nonzero(characters == CR))


def _well_formed(characters: npt.NDArray[np.uint8], quotes: Positions, delimiter: int) -> bool:
    """Whether quotes open where a field begins and close where one ends, or are doubled."""
    import numpy as np

    opening, closing = quotes[::2], quotes[1::2]
    before = characters[np.maximum(opening - 1, 0)]
    after = characters[closing + 1]  # a line break is the last character
    opens = (before == delimiter) | (before == LF) | (before == QUOTE) | (opening == 0)
    closes = (after == delimiter) | (after == LF) | (after == CR) | (after == QUOTE)
    return bool(opens.all() and closes.all())


def _width(marks: npt.NDArray[np.uint8]) -> int:
    """Fields of each record by the delimiters and line ends outside of quotes; 0 if they differ."""
    import numpy as np

    ends = marks == LF
    width = int(np.argmax(ends)) + 1
    if len(marks) % width or not ends[width - 1 :: width].all():
        return 0
    return width if np.count_nonzero(ends) * width == len(marks) else 0


def read_columns(stretch: Stretch, delimiter: str) -> Columns:
    """The columns of a stretch that has a width.

    Raises:
        ValueError: The parser found other fields than were proven.
    """
    import pandas as pd

    frame = pd.read_csv(
        io.BytesIO(stretch.text),
        engine="c",
        sep=delimiter,
        header=None,
        index_col=False,
        dtype=object,
        na_filter=False,
        keep_default_na=False,
        skip_blank_lines=False,
        low_memory=False,
    )
    if frame.shape != (len(stretch.lines), stretch.width):
        raise ValueError(f"{frame.shape} is not {len(stretch.lines)} by {stretch.width}")
    return tuple(frame[position].to_numpy() for position in range(stretch.width))
