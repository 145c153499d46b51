"""Results for people: titles, number formats, and names as in the workbook. Pure."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import count, islice
from typing import TYPE_CHECKING

from batchrun.model import Outcome
from batchrun.text import visible
from batchrun.workbook.cells import EXCEL, is_number
from batchrun.workbook.columns import TableSurvey, TemporalKind, moment_of, name_of, row_names
from batchrun.workbook.flatten import flatten
from batchrun.workbook.layout import taken_titles
from batchrun.workbook.markdown import without_heading
from batchrun.workbook.titles import number_as_shown, number_format, titles_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from batchrun.model import JSON, Cell, ResultRow, Role
    from batchrun.workbook.flatten import FlatValue, Path

PILOT_FIELDS = 8
TABLE_COLUMNS = 3


def cell_words(cell: Cell) -> str:
    """Return a cell on one line; control characters and direction marks are spelled out."""
    return "" if cell is None else visible(" ".join(str(cell).split()), kept="")


class Fields:
    """The fields of some results, titled and formatted like the workbook's columns.

    The results of the rows determine how numbers are formatted. Titles differ from the header's.
    """

    def __init__(self, rows: Sequence[ResultRow], header: Sequence[str]) -> None:
        self._survey = TableSurvey(EXCEL.columns, count())
        for row in rows:
            if row.result is not None:
                self._survey.see(flatten(row.result))
        titles = titles_of(self._survey.order(), taken_titles(header))
        self._titles = {path: visible(title, kept="") for path, title in titles.items()}

    def texts(self, row: ResultRow, paths: Iterable[Path] | None = None) -> dict[Path, str]:
        """Return a row's non-empty fields, or those at some paths, without the row's own IDs."""
        own, flat = {row.company_id, row.contact_id}, flatten(row.result)
        found: dict[Path, str] = {}
        for path in flat.values if paths is None else paths:
            value = flat.values.get(path)
            if path in self._titles and value not in own:
                items = flat.items.get(path)
                if text := self._text(path, value) if items is None else self._item_texts(items):
                    found[path] = text
        return found

    def readable(
        self, row: ResultRow, most: int | None = None, paths: Iterable[Path] | None = None
    ) -> list[tuple[str, str]]:
        """Return a row's titles and texts; addresses, IDs, and counts come last."""
        texts = sorted(self.texts(row, paths).items(), key=lambda one: _is_reference(one[0]))
        return [(self._titles[path], text) for path, text in islice(texts, most)]

    def main_fields(self) -> list[tuple[Path, str]]:
        """Return the fields worth a column, with their titles: most results have them."""
        columns = self._survey.columns
        often = [
            path
            for path in self._titles
            if columns[path].filled * 2 >= self._survey.lines
            and not _is_reference(path)
            and columns[path].moments is None
        ]
        numbers = [path for path in often if columns[path].kinds <= {int, float}]
        texts = [path for path in often if path not in numbers]
        ordered = [*numbers[:1], *texts, *numbers[1:]]
        return [(path, self._titles[path]) for path in ordered[:TABLE_COLUMNS]]

    def differing_fields(self, rows: Sequence[ResultRow]) -> list[Path]:
        """Return those fields of `main_fields` that differ between rows, or all if none does."""
        paths = [path for path, _ in self.main_fields()]
        texts = [self.texts(row, paths) for row in rows if row.result is not None]
        return [path for path in paths if len({each.get(path) for each in texts}) > 1] or paths

    def _text(self, path: Path, value: FlatValue) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, (int, float)):
            return number_as_shown(value, number_format(path, self._survey.columns[path]))
        if value is None:
            return ""
        moment = moment_of(value)
        if moment is not None:
            return f"{moment[1]} UTC" if moment[0] is TemporalKind.UTC else str(moment[1])
        return _plain(value)

    def _item_texts(self, items: Sequence[Mapping[str, JSON]]) -> str:
        """Format a list of objects, one per line."""
        lines = []
        for item in items:
            values = flatten(dict(item)).values.items()
            texts = (self._text_of_item(*each) for each in values if not _is_reference(each[0]))
            lines.append(" · ".join(filter(None, texts)))
        return "\n".join(lines)

    def _text_of_item(self, path: Path, value: FlatValue) -> str:
        if is_number(value):
            return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)
        return " ".join(self._text(path, value).split())


@lru_cache(512)  # while a batch runs, a screen shows the same rows each second
def _plain(text: str) -> str:
    return visible(without_heading(text).strip())


def _is_reference(path: Path) -> bool:
    """Whether a field only refers to something else, which nobody reads in a table."""
    return path[-1].lower().endswith(("id", "url", "count"))


class Names:
    """The names of a list's rows, as in its workbook: see `row_names`."""

    def __init__(
        self, header: Sequence[str], roles: Mapping[Role, int], first: Iterable[ResultRow]
    ) -> None:
        self._columns = row_names(header, roles, (row.row.cells for row in first))
        self.title = " ".join(cell_words(header[at]) for at in self._columns) or "Row"

    def of_row(self, row: ResultRow) -> str:
        """Return a row's name; ``""`` if it has none."""
        return cell_words(name_of(row.row.cells, self._columns))


def pilot_results(
    rows: Sequence[ResultRow],
    header: Sequence[str],
    names: Names,
    line_words: Callable[[int], str] = str,
    *,
    briefly: bool = False,
    most: int | None = PILOT_FIELDS,
) -> list[tuple[str, ResultRow, list[tuple[str, str]]]]:
    """Return the results of a pilot, one per execution: the row's name, the row, its fields.

    At most ``most`` fields; with ``briefly``, only the few that differ between rows.
    """
    seen: dict[object, ResultRow] = {}
    for row in rows:
        seen.setdefault(row.execution_id or row.row.line, row)
    own = list(seen.values())
    fields = Fields(own, header)
    called = [names.of_row(row) for row in own]
    paths = fields.differing_fields(own) if briefly else None
    often = Counter(called)
    found = []
    for name, row in zip(called, own, strict=True):
        if often[name] > 1 or not name:
            line = line_words(row.row.line)
            name = f"{name}, line {line}" if name else f"Line {line}"  # noqa: PLW2901
        completed = row.outcome is Outcome.COMPLETED
        found.append((name, row, fields.readable(row, most, paths) if completed else []))
    return found
