"""The sheets that are not tables: Overview, the first, and Run details, the last.

Each is a page with blocks of facts side by side.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from openpyxl.chart import BarChart, Reference
from openpyxl.chart.label import DataLabelList
from openpyxl.chart.marker import DataPoint
from openpyxl.drawing.text import CharacterProperties
from openpyxl.utils import get_column_letter

from batchrun import __version__
from batchrun.model import Outcome
from batchrun.text import as_json, one_line, plural
from batchrun.workbook.analysis import quantile
from batchrun.workbook.changes import CHANGED, NEW, SAME
from batchrun.workbook.layout import AGAIN, MEANINGS, utc_without_zone
from batchrun.workbook.reasons import OPEN_RUN, Step, list_name
from batchrun.workbook.rows import cell_xml
from batchrun.workbook.sheets import LETTERS_PER_WIDTH, print_on
from batchrun.workbook.styles import COLORS, NUMBER_FORMATS, color_outcomes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from batchrun.model import BatchSummary, Cell
    from batchrun.workbook.analysis import Analysis, Counted
    from batchrun.workbook.changes import Comparison
    from batchrun.workbook.excel import Content
    from batchrun.workbook.layout import Layout
    from batchrun.workbook.reasons import Commands
    from batchrun.workbook.sheets import Book, TableSheets
    from batchrun.workbook.table_sheets import AttentionSheet, ChangesSheet

_WIDTHS = (36, 12.5, 12.5, 12.5, 2, 32, 9, 11.5, 2, 32, 9, 11.5)
_LEFT, _MIDDLE, _RIGHT = 1, 6, 10
_OWNER, _OWNER_WIDTH = 3, sum(_WIDTHS[2:4])
_LARGE = 1e9
"""Numbers from here on are shown in millions."""
TOP_VALUES = 5
MAX_NUMBERS, MAX_CATEGORIES, MAX_LISTS = 6, 2, 2
MAX_CHANGED_FIELDS = 3
MAX_INCOMPLETE, MAX_REASONS = 10, 10

_ROW_POINTS = 15.0
"""All rows have the same height, which keeps blocks side by side aligned."""
_TITLE_POINTS = 26.0
_POINTS_PER_CM = 72 / 2.54
_CHART_COLOR = "1F5C8B"
_CHART_CM, _BARS_CM, _BAR_CM = 9.2, 1.5, 0.52
"""The size of a chart: its width, its height without bars, and the height of a bar."""
_USUAL_FORMATS = {**NUMBER_FORMATS, "int": "#,##0", "float": "#,##0.00"}


class OverviewSheet:
    """The first sheet. It is created before the others and written after them."""

    def __init__(self, book: Book) -> None:
        self._page = Page(book, "Overview", _WIDTHS)

    def write(
        self,
        content: Content,
        rows: TableSheets,
        attention: AttentionSheet | None,
        changes: ChangesSheet | None,
    ) -> None:
        """Write the whole sheet."""
        page, summary, analysis = self._page, content.results.summary, content.analysis
        notes = filter(None, (*_notes(content), content.part))
        top = page.title(f"{summary.workflow.name}: {summary.source.name}", *notes)
        best = Block(page, _LEFT, top)
        self._best(best, content, rows)
        left, middle, right = (Block(page, each, best.below) for each in (_LEFT, _MIDDLE, _RIGHT))
        self._outcomes(left, right, summary)
        if attention is not None:
            self._attention(left, content, attention)
        if content.comparison is not None:
            self._changes(left, content, content.comparison, changes)
        self._numbers(left, analysis)
        categories = [each for each in analysis.categories if each.is_category]
        self._categories(middle, right, categories[:MAX_CATEGORIES])
        self._completeness(right, content.layout)
        if content.comparison is not None:
            self._largest(middle, analysis, content.comparison, rows)
        lists = [each for each in analysis.lists if each.values and not each.full]
        for each in lists[:MAX_LISTS]:
            self._top(right if right.below < middle.below else middle, each)

    def close(self) -> None:
        """Write the cells, and list the parts of the workbook that could not be made."""
        left_out = self._page.book.left_out
        if left_out:
            block = Block(self._page, _LEFT, 60)
            block.section("Could not be shown", wide=4)
            for part in list(left_out)[:10]:
                block.fact(part)
        self._page.write()

    def _outcomes(self, block: Block, charts: Block, summary: BatchSummary) -> None:
        """Write the rows by outcome, with a chart."""
        block.section("Status", "Rows", f"% of {summary.rows:,}", wide=4)
        first = block.row
        found = [(outcome, number) for outcome, number in summary.counts.items() if number]
        for outcome, number in found:
            _share(block, outcome.words, number, of=summary.rows)
        if found:
            colors = {at: COLORS[outcome][2] for at, (outcome, _) in enumerate(found)}
            with self._page.book.optional("the chart of outcomes"):
                color_outcomes(self._page.sheet, f"A{first}:A{block.row - 1}")
                if len(found) > 1:
                    lines = first, block.row - 1
                    self._page.bars("Rows by status", lines, _LEFT, charts, colors)
        else:
            block.fact("The list has no rows.")
        for outcome, _ in found:
            if outcome in MEANINGS:
                block.fact(f"{outcome.words}: {MEANINGS[outcome]}", None, None, None, indent=1)

    def _changes(
        self, block: Block, content: Content, comparison: Comparison, changes: ChangesSheet | None
    ) -> None:
        """Write how many rows are new, changed, and the same, with links to the first of them.

        Without the sheet Changes, nothing has changed.
        """
        marks, fields = comparison.marks_counted, comparison.fields
        earlier = content.results.earlier
        if not marks or earlier is None:
            return
        several = len(earlier.batch_ids) > 1
        same_day = earlier.created_at.date() == content.results.summary.created_at.date()
        since = f"{earlier.created_at:{'%Y-%m-%d %H:%M UTC' if same_day else '%Y-%m-%d'}}"
        title = "Since the last results" if several else f"Since {since}"
        if changes is None:
            block.section(title, wide=4)
            block.fact(f"Nothing changed in {plural(marks.total(), 'row')}.")
            return
        block.section(title, "Rows", f"% of {marks.total():,}", wide=4)
        for mark in (NEW, CHANGED, SAME):
            where = changes.place(mark) if mark is not SAME and marks[mark] else ""
            _share(block, mark, marks[mark], of=marks.total(), location=where)
            if mark is CHANGED:
                for name, number in fields.most_common(MAX_CHANGED_FIELDS):
                    block.fact(name, number, indent=2)
                more = len(fields) - MAX_CHANGED_FIELDS
                _more(block, more, "field", location=where, indent=2)

    def _largest(
        self, block: Block, analysis: Analysis, comparison: Comparison, rows: TableSheets
    ) -> None:
        """Write the largest rises and falls of the main number."""
        if not comparison.largest or analysis.score is None:
            return
        block.section(f"{analysis.score.title}: rose or fell most", "Before", "Now")
        code = analysis.score.number_format
        for change in comparison.largest:
            name = change.name or f"row {rows.row_of(change.number)}"
            where = rows.place(change.number)
            block.fact(name, change.before, change.now, formats=(code,) * 2, location=where)
        _more(block, comparison.fields[analysis.score.title] - len(comparison.largest), "row")

    def _best(self, block: Block, content: Content, rows: TableSheets) -> None:
        """Write the best rows over the whole width, each with its owner and the reason."""
        analysis, layout, page = content.analysis, content.layout, self._page
        best, column = analysis.best(), analysis.score
        if not best or column is None:
            return
        code = column.number_format
        which = "Lowest" if analysis.ascending else "Highest"
        why = "" if analysis.why is None else analysis.why.title
        why_at = _OWNER if layout.owner is None else _MIDDLE
        heads = [f"{which} {column.title}", column.title, *("",) * (why_at - _OWNER), why]
        if layout.owner is not None:
            heads[_OWNER - 1] = layout.owner_title
        wide = len(_WIDTHS)
        block.section(*heads, wide=wide, left=range(2, wide))
        style = page.book.styles.fact(indent=1)
        for each in best:
            if layout.owner is not None:
                page.put(block.row, _OWNER, _shorter(each.owner, _OWNER_WIDTH), style)
            page.put(block.row, why_at, _shorter(each.why, sum(_WIDTHS[why_at - 1 :])), style)
            copies = analysis.copies[each.job]
            name = each.name or f"row {rows.row_of(each.number)}"
            name += f" (result of {copies} rows)" * (copies > 1)
            block.fact(name, each.value, formats=(code,), location=rows.place(each.number))
        if more := analysis.tied():
            block.fact(f"and {plural(more, 'other result')} with", best[-1].value, formats=(code,))

    def _numbers(self, block: Block, analysis: Analysis) -> None:
        numbers = [each for each in analysis.numbers if each.quantile(0.5) is not None]
        if not numbers:
            return
        block.section("Numbers", "Lowest", "Median", "Highest")
        for each in numbers[:MAX_NUMBERS]:
            code = each.column.number_format
            values = [each.quantile(share) for share in (0, 0.5, 1)]
            formats = [
                _in_millions(code) if value is not None and abs(value) >= _LARGE else code
                for value in values
            ]
            block.fact(each.column.title, *values, formats=formats)
        _more(block, len(numbers) - MAX_NUMBERS, "number")

    def _attention(self, block: Block, content: Content, attention: AttentionSheet) -> None:
        reasons = content.layout.reasons.ranked()
        shown = [(each.text, each.rows, attention.place(each)) for each in reasons[:MAX_REASONS]]
        rest = reasons[MAX_REASONS:]
        others = sum(reason.rows for reason in rest) + content.layout.reasons.others
        if others:
            shown.append(("other reasons", others, attention.place(rest[0]) if rest else ""))
        block.section("Needs attention", "", "", "Rows")
        for text, number, there in shown:
            block.fact(text, None, None, number, location=there)

    def _categories(self, block: Block, charts: Block, categories: Sequence[Counted]) -> None:
        """Write the columns of few values, the first with a chart."""
        for position, each in enumerate(categories):
            first = block.below + 1
            self._top(block, each)
            if not position:
                with self._page.book.optional("the chart of values"):
                    lines = first, first + min(TOP_VALUES, len(each.values)) - 1
                    title = f"Results by {each.column.title}"
                    self._page.bars(title, lines, _MIDDLE, charts)

    def _top(self, block: Block, counted: Counted) -> None:
        """Write the most frequent values of a column."""
        found, title = counted.top(TOP_VALUES), counted.column.title
        is_list = counted.column.counts or counted.column.survey.items
        width = _WIDTHS[block.column - 1]
        if is_list and any(_shorter(name, width) != name for name, _ in found):
            block.section(title, "", "Results")  # a name takes two columns
            for name, number in found:
                block.fact(name, None, number)
        else:
            block.section(title, "Results", f"% of {counted.results:,}")
            for name, number in found:
                _share(block, name, number, of=counted.results)
        _more(block, len(counted.values) - TOP_VALUES, "value")

    def _completeness(self, block: Block, layout: Layout) -> None:
        columns = [column for column in layout.results if not column.aside]
        if not columns or not layout.filled:
            return
        block.section("Results with a value", "Results", f"% of {layout.filled:,}")
        gaps = [column for column in columns if column.filled < layout.filled]
        gaps.sort(key=lambda column: column.filled)
        shown = [(column.title, column.filled) for column in gaps[:MAX_INCOMPLETE]]
        if more := gaps[MAX_INCOMPLETE:]:
            shown.append((f"{plural(len(more), 'other column')}, at least", more[0].filled))
        if whole := len(columns) - len(gaps):
            name = plural(whole, "other column") if gaps else "every column"
            shown.append((name, layout.filled))
        for name, number in shown:
            _share(block, name, number, of=layout.filled)


def _share(block: Block, name: str, number: int, *, of: int, location: str = "") -> None:
    """Write a number of rows and their share of all."""
    share = number / of
    code = "0.0%" if 0 < share < 0.01 or 0.99 < share < 1 else "0%"
    block.fact(name, number, share, formats=("#,##0", code), location=location)


def _more(block: Block, number: int, what: str, **more: Any) -> None:
    """End a section with how many more there are than it shows, if any."""
    if number > 0:
        block.fact(f"and {plural(number, f'other {what}')}", **more)


def _in_millions(code: str) -> str:
    """Return a number format in millions, for numbers too wide for a column."""
    return re.sub(r"(#,##0|(?<!#)0)(\.0+)?", '#,##0,,"M"', code, count=1)


def _notes(content: Content) -> tuple[str, ...]:
    summary, whole = content.results.summary, not content.part
    completed = summary.counts[Outcome.COMPLETED]
    day = f"{summary.created_at:%Y-%m-%d}"
    have = "has" if completed == 1 else "have"
    asked = f"Run on {day}. {completed:,} of {plural(summary.rows, 'row')} {have} a result."
    if open_rows := content.layout.attention:
        pending = summary.counts[Outcome.PENDING] if whole else 0
        waiting = f" ({pending:,} pending)" if pending else ""
        asked += f" Needs attention lists {plural(open_rows, 'row')}{waiting}."
    copies = summary.rows - summary.counts[Outcome.INVALID] - summary.jobs if whole else 0
    if copies > 0:
        repeat = "row repeats another and shares", "rows repeat another and share"
        once = "which counts once below, except under Status"
        asked += f" {plural(copies, *repeat)} its result, {once}."
    from_columns = {name: f"from {column}" for name, column in summary.parameter_columns.items()}
    given = [*summary.parameters.items(), *from_columns.items()]
    texts = (f"{name}: {each if isinstance(each, str) else as_json(each)}" for name, each in given)
    practice = f"Practice: {_INVENTED}." if content.layout.practice else ""
    aside = ", ".join(summary.source.set_aside)
    return (
        practice,
        asked,
        f"With {', '.join(texts)}" if given else "",
        f"Lines of the file that are not rows of the list: {aside}." if aside else "",
    )


_INVENTED = "these results are invented"


class RunDetailsSheet:
    """The last sheet, for operators: how the batch ran, what it used, and how to continue."""

    def __init__(self, book: Book) -> None:
        self._page = Page(book, "Run details", (48, 60))

    def write(self, content: Content) -> None:
        """Write the whole sheet."""
        summary, layout = content.results.summary, content.layout
        block, call = Block(self._page, 1, self._page.title("Run details")), content.commands
        steps = f"Next steps: {OPEN_RUN}" if call.on_page else "Next steps"
        for title, facts in (
            (steps, _next_steps(summary, layout.undecided, call)),
            ("What ran", _settings(content)),
            ("Time", _times(content)),
            ("Requests to PG:AI", _requests(summary)),
        ):
            block.section(title, wide=2)
            for name, value in facts:
                if value is not None:
                    block.fact(name, value)
        self._page.write()


def _next_steps(
    summary: BatchSummary, undecided: int, call: Commands
) -> Iterable[tuple[str, Cell]]:
    counts, batch_id = summary.counts, summary.batch_id
    yield "note", summary.note or None
    if summary.unfinished:
        yield "continue with", call(Step.RESUME, batch_id)
    if counts[Outcome.FAILED] or counts[Outcome.REJECTED]:
        yield "send failed and rejected rows again with", call(Step.RETRY, batch_id)
    if undecided:
        yield "settle rows in doubt with", call(Step.DECIDE, batch_id)
    if counts[Outcome.INVALID]:
        yield (
            "correct rows that can't be sent in the list, then",
            call.run_corrected(list_name(summary), summary),
        )
    if summary.rows > counts[Outcome.INVALID] + counts[Outcome.PENDING]:
        yield f'send the rows you mark under "{AGAIN}" with', call(Step.RUN_MARKED)
    yield "regenerate this file with", call(Step.DOWNLOAD, batch_id, "-o OUT.xlsx")


def _times(content: Content) -> Iterable[tuple[str, Cell]]:
    summary, layout = content.results.summary, content.layout
    yield "created (UTC)", utc_without_zone(summary.created_at)
    yield "last change (UTC)", utc_without_zone(summary.updated_at)
    if content.layout.practice:
        yield "durations", "left out: practice runs much faster than PG:AI"
        return
    yield "estimated", _rounded(summary.estimated_seconds)
    yield "took", _rounded(summary.worked_seconds)
    if summary.worked_seconds:
        yield (
            "part of it spent waiting for the quota",
            timedelta(seconds=round(summary.quota_seconds)),
        )
    yield "seconds per execution, median", quantile(layout.seconds, 0.5)
    yield "seconds per execution, 90th percentile", quantile(layout.seconds, 0.9)


def _rounded(seconds: float) -> timedelta | None:
    return timedelta(seconds=round(seconds)) if seconds else None


def _requests(summary: BatchSummary) -> Iterable[tuple[str, Cell]]:
    yield "estimated", summary.estimated_requests or None
    yield "made", summary.requests
    yield "rows with the result of an earlier batch", summary.reused or None
    yield "jobs, sent or reused (rows without their duplicates)", summary.jobs


def _settings(content: Content) -> Iterable[tuple[str, Cell]]:
    summary = content.results.summary
    if content.layout.practice:
        yield "practice", _INVENTED
    yield "batch", summary.batch_id
    yield "workflow", f"{summary.workflow.name} ({summary.workflow.id})"
    yield "list", summary.source.name
    yield "sheet of the list", summary.source.sheet
    if summary.parameters:
        yield "parameters", as_json(dict(summary.parameters))
    for name, column in summary.parameter_columns.items():
        yield f"parameter {name}", f"from column {column}"
    yield "written by", f"batchrun {__version__}"


def _shorter(text: str, width: float) -> str:
    """Shorten a text to one line of this width."""
    return one_line(text, int(width * LETTERS_PER_WIDTH))


class Page:
    """A sheet whose cells are set in any order and written at the end."""

    def __init__(self, book: Book, name: str, widths: Sequence[float]) -> None:
        self.book = book
        self.sheet, self._rows = book.sheet(name)
        self.widths = widths
        self._cells: defaultdict[int, dict[int, tuple[Cell, int, str]]] = defaultdict(dict)
        for position, width in enumerate(widths, 1):
            self.sheet.column_dimensions[get_column_letter(position)].width = width
        self.sheet.sheet_view.showGridLines = False
        print_on(self.sheet, high=1)

    def put(self, row: int, column: int, value: Cell, style: int, location: str = "") -> None:
        """Set a cell, counted from 1; it may link to a place in the workbook."""
        self._cells[row][column] = (value, style, location)

    def title(self, text: str, *notes: str) -> int:
        """Write the page's title and notes; return the row where the blocks begin."""
        self.put(1, 1, text, self.book.styles.title())
        for row, note in enumerate(notes, 2):
            self.put(row, 1, note, self.book.styles.note())
        return 3 + len(notes)

    def bars(
        self,
        title: str,
        lines: tuple[int, int],
        column: int,
        block: Block,
        colors: Mapping[int, str] | None = None,
    ) -> None:
        """Add a bar chart of the numbers next to a column of names, at the end of a block.

        ``lines`` are the first and last row; ``colors`` are of single bars, by their position.
        """
        first, last = lines
        names = [str(self._cells[row][column][0]) for row in range(first, last + 1)]
        numbers = [self._cells[row][column + 1][0] for row in range(first, last + 1)]
        chart: Any = BarChart()
        chart.title, chart.legend = self.book.fitter.plain(title), None
        chart.title.overlay = False
        letters: Any = CharacterProperties(
            sz=1200, b=True, solidFill=_CHART_COLOR
        )  # as in sections
        for paragraph in chart.title.tx.rich.p:
            paragraph.pPr.defRPr = paragraph.r[0].rPr = letters
        chart.width, chart.height = _CHART_CM, _BARS_CM + _BAR_CM * (last - first + 1)
        chart.type = "bar"
        chart.add_data(Reference(self.sheet, min_col=column + 1, min_row=first, max_row=last))
        chart.set_categories(Reference(self.sheet, min_col=column, min_row=first, max_row=last))
        chart.gapWidth = 40
        chart.series[0].graphicalProperties.solidFill = _CHART_COLOR
        for position, color in (colors or {}).items():
            point: Any = DataPoint(idx=position)
            point.graphicalProperties.solidFill = color
            chart.series[0].dPt.append(point)
        others = dict.fromkeys(
            ("showSerName", "showCatName", "showLegendKey", "showPercent"), False
        )
        chart.dataLabels = DataLabelList(showVal=True, **others)
        # openpyxl leaves this unset, which newer versions of Excel read as "no axis".
        chart.x_axis.delete, chart.y_axis.delete = False, True
        chart.y_axis.majorGridlines = None
        chart.x_axis.scaling.orientation = "maxMin"  # the first name on top
        chart.y_axis.crosses = "max"
        self.sheet.add_chart(chart, f"{get_column_letter(block.column)}{block.below}")
        block.row = block.below + math.ceil(chart.height * _POINTS_PER_CM / _ROW_POINTS)
        counts = ", ".join(f"{name}: {number}" for name, number in zip(names, numbers, strict=True))
        self.book.alternatives.append(self.book.fitter.plain(f"Bar chart. {title}: {counts}"))

    def write(self) -> None:
        """Write all cells."""
        for row in range(1, max(self._cells, default=0) + 1):
            cells = []
            for column, (value, style, location) in sorted(self._cells[row].items()):
                place = f"{get_column_letter(column)}{row}"
                cells.append(cell_xml(place, style, self.book.fitter.fit(value)))
                if location:
                    self._rows.link(place, location=location)
            self._rows.add(cells, _TITLE_POINTS if row == 1 else _ROW_POINTS)


class Block:
    """A column of sections on a page, one below the other, with an empty row between them."""

    def __init__(self, page: Page, column: int, row: int) -> None:
        self.page, self.column, self.row, self._top = page, column, row, row

    @property
    def below(self) -> int:
        """The row where the next section begins."""
        return self.row + (self.row > self._top)

    def section(self, *titles: str, wide: int = 0, left: Collection[int] = ()) -> None:
        """Write the header of a section, over at least ``wide`` columns.

        The first title and those at the positions in ``left`` are over texts, so left-aligned.
        """
        self.row = self.below
        for position in range(max(len(titles), wide)):
            text = titles[position] or None if position < len(titles) else None
            is_left = position in left
            style = self.page.book.styles.section(
                right=position > 0 and not is_left, indent=is_left
            )
            self.page.put(self.row, self.column + position, text, style)
        self.row += 1

    def fact(
        self,
        name: Cell,
        *values: Cell,
        formats: Sequence[str] = (),
        location: str = "",
        indent: int = 0,
    ) -> None:
        """Write a line of a section, with its name on one line.

        The name extends over the leading values that are ``None``.
        """
        page, styles = self.page, self.page.book.styles
        style = styles.fact(left=True, indent=indent, link=bool(location))
        free = next((at for at, value in enumerate(values) if value is not None), len(values))
        width = sum(page.widths[self.column - 1 : self.column + free])
        text = _shorter(name, width) if isinstance(name, str) else name
        page.put(self.row, self.column, text, style, location)
        for position, value in enumerate(values):
            if value is not None:
                code = formats[position] or "General" if position < len(formats) else None
                code = code or _USUAL_FORMATS.get(type(value).__name__, "General")
                page.put(self.row, self.column + 1 + position, value, styles.fact(code))
        self.row += 1
