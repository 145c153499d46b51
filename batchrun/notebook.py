"""Display batches in Jupyter: a progress bar, and lists as tables."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

from batchrun.model import counted_outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from batchrun.engine.progress import Progress

T = TypeVar("T")
MAX_SHOWN = 50


class TableList(list[T]):
    """A list that a notebook shows as a table: column title → the cell of an item."""

    def __init__(self, items: Iterable[T], columns: Mapping[str, Callable[[T], object]]) -> None:
        super().__init__(items)
        self._columns = columns

    def _repr_html_(self) -> str:
        titles = "".join(f"<th>{escape(title)}</th>" for title in self._columns)
        lines = (
            "".join(f"<td>{escape(str(shown(item)))}</td>" for shown in self._columns.values())
            for item in self[:MAX_SHOWN]
        )
        rows = "".join(f"<tr>{line}</tr>" for line in lines)
        more = f"<caption>The first {MAX_SHOWN} of {len(self):,}</caption>"
        shortened = more if len(self) > MAX_SHOWN else ""
        return f"<table>{shortened}<thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>"


def in_jupyter() -> bool:
    """Return whether this is a Jupyter kernel, not IPython in a terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return any(each.__name__ == "ZMQInteractiveShell" for each in type(shell).__mro__)


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Show a progress bar until the block ends: a widget if ipywidgets is installed, else text."""
    bar: Any = None

    def show(progress: Progress) -> None:
        nonlocal bar
        if bar is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a missing ipywidgets is not a problem
                from tqdm.auto import tqdm

                bar = tqdm(total=progress.total, unit="row", leave=True)
        bar.n = progress.done
        bar.set_postfix_str(f"{counted_outcomes(progress.counts)}; {progress.in_flight:,} running")

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
