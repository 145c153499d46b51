"""Result columns that were asked for by a name that no result has. Pure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from batchrun.workbook.flatten import dotted, flatten

if TYPE_CHECKING:
    from collections.abc import Collection

    from batchrun.model import BatchResults
    from batchrun.workbook.form import Form


@dataclass(frozen=True, slots=True)
class UnknownColumn:
    """A name in ``Form.columns`` or ``Form.rename`` that no result has.

    Attributes:
        name: As it was given.
        close: The name that results have and that may be meant; ``""`` where none is like it.
        of_list: Whether it is a column of the list, which are always there.
    """

    name: str
    close: str
    of_list: bool = False


def unknown_columns(results: BatchResults, form: Form) -> tuple[UnknownColumn, ...]:
    """The names asked for that no result has; none while there are no results.

    Rows are read until each name has been met, or to the end.
    """
    asked = dict.fromkeys([*(form.columns or ()), *form.rename])
    known: dict[str, None] = {}
    for row in results.rows:
        if not asked:
            break
        if row.result is None:
            continue
        names = map(dotted, flatten(row.result, form.shape.flat_depth).values)
        if fresh := [name for name in names if name not in known]:
            known |= dict.fromkeys(fresh)
            asked = {name: None for name in asked if not _met(name, fresh)}
    if not known:
        return ()
    return tuple(UnknownColumn(each, _close(each, known), each in results.header) for each in asked)


def _met(asked: str, names: Collection[str]) -> bool:
    return asked in names or any(fnmatchcase(name, asked) for name in names)


def _close(name: str, known: Collection[str]) -> str:
    if any(each.startswith(f"{name}.") for each in known):
        return f"{name}.*"  # the name of an object: its values are columns
    by_letters = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), by_letters, 1)
    return by_letters[close[0]] if close else ""
