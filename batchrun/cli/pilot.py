"""The first results, so that a person can judge them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from statistics import mean, median
from typing import TYPE_CHECKING

from batchrun.cli.messages import clock_after, rest_words, spent, spent_words
from batchrun.cli.output import wrapped
from batchrun.model import Outcome
from batchrun.text import columns_of, duration, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from batchrun.batch.report import Pilot, Report
    from batchrun.model import ResultRow
    from batchrun.service import Credits

ROWS_SHOWN = 5
FIELDS_SHOWN = 4
LINES_PER_FIELD = 4
NAME_WIDTH = 18
TEXT_LENGTH = 40
"""A field with texts longer than this on average is what a person wants to read."""

_MARKUP = (
    (re.compile(r"```\w*"), ""),
    (re.compile(r"<[/a-zA-Z][^<>]*>"), " "),
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"^\s{0,3}(#{1,6}|>)\s+", re.MULTILINE), ""),
    (re.compile(r"^\s*([-*_]\s*){3,}$", re.MULTILINE), ""),
    (re.compile(r"^(\s*)[*+]\s+", re.MULTILINE), r"\1- "),
    (re.compile(r"(\*\*|__|`|~~)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?![\w*])"), r"\2"),
)
_IDENTIFIER = re.compile(
    r"[a-z]{2,8}_[a-z0-9]{3,}|\S*[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\S*"
    r"|\d{4}-\d\d-\d\d([T ][\d:.]+Z?)?|https?://\S+|[^\s@]+@\S+|(?=\S*\d)[a-z0-9]{15,18}",
    re.IGNORECASE,
)


def without_markup(text: str) -> str:
    """A text without Markdown and HTML tags; empty lines are left out."""
    for pattern, plain in _MARKUP:
        text = pattern.sub(plain, text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(filter(None, lines))


def pilot_lines(
    report: Report,
    pilot: Pilot,
    before: Credits | None,
    width: int,
    now: datetime,
    *,
    speed: float = 1.0,
    mark: str = "…",
) -> list[str]:
    """A pilot's results, then what they cost and what the rest will cost.

    Args:
        report: How the pilot ended.
        pilot: Its rows and results.
        before: The credits before it.
        width: Columns of the terminal.
        now: The present moment, aware.
        speed: Seconds of the service that pass in one, for a sandbox.
        mark: What shows that a text was cut.
    """
    jobs = len(report.sent)
    outcomes = Counter(row.outcome for row in pilot.rows)
    counted = ", ".join(f"{outcomes[one]:,} {one}" for one in Outcome if outcomes[one])
    lines = ["", *_results(pilot, width, mark)]
    lines.append(f"Pilot:     {plural(jobs, 'job')}; rows: {counted}")
    gone = spent(before, report.credits)
    cost = [f"{plural(report.requests, 'request')} ({report.requests / jobs:.1f} a job)"]
    seconds = [row.seconds for row in pilot.rows if row.seconds is not None]
    if seconds:
        cost.append(f"{duration(median(seconds) / speed)} an execution")
    cost.append(spent_words(gone, jobs))
    lines.append(f"It cost:   {', '.join(filter(None, cost))}")
    if report.rest is not None:
        rest = [
            f"{plural(report.to_trigger, 'job')}: about {plural(report.rest.requests, 'request')}",
            duration(report.rest.seconds / speed),
            f"done at {clock_after(report.rest.seconds, now, speed)}",
            rest_words(gone, jobs, report.to_trigger, report.credits),
        ]
        lines.append(f"The rest:  {', '.join(filter(None, rest))}")
    return lines


def with_its_rest(pilot: Report, rest: Report) -> Report:
    """The report of a command that ran a pilot and then its rest: what both took and cost."""
    estimate = replace(
        rest.estimate,
        requests=pilot.estimate.requests + rest.estimate.requests,
        seconds=pilot.estimate.seconds + rest.estimate.seconds,
    )
    return replace(
        rest,
        estimate=estimate,
        requests=pilot.requests + rest.requests,
        seconds=pilot.seconds + rest.seconds,
        quota_seconds=pilot.quota_seconds + rest.quota_seconds,
    )


def _results(pilot: Pilot, width: int, mark: str) -> list[str]:
    """The first rows one under the other, each with the fields that say most."""
    fields = telling_fields(pilot)
    names = _short_names([pilot.titles[at] for at in fields])
    lines = []
    jobs = {
        (row.execution_id, row.company_id, row.contact_id): (row, values)
        for row, values in zip(reversed(pilot.rows), reversed(pilot.values), strict=True)
    }
    shown = sorted(jobs.values(), key=lambda found: found[0].row.line)[:ROWS_SHOWN]
    for row, values in shown:
        title = ", ".join(filter(None, (f"Line {row.row.line:,}", _label(row))))
        lines.append(one_line(f"{title}: {row.outcome}", width, mark))
        if row.message:  # why there is no result
            lines += _field("reason", row.message, width, mark)
        for name, at in zip(names, fields, strict=True):
            if values[at] is not None and (text := without_markup(str(values[at]))):
                lines += _field(name, text, width, mark)
        lines.append("")
    hidden = len(pilot.rows) - len(shown)
    if hidden > 0:
        lines += [f"… and {plural(hidden, 'more row')} in the workbook", ""]
    return lines


def telling_fields(pilot: Pilot) -> list[int]:
    """Positions of two to four result columns that differ from row to row, texts first.

    Identifiers and dates tell nobody whether a result is good. If nothing else came, they are
    shown too.
    """
    texts = {
        at: [
            without_markup(str(values[at]))
            for values in pilot.values
            if values[at] not in (None, "")
        ]
        for at in range(len(pilot.titles))
    }
    of_list = {cell for row in pilot.rows for cell in (row.company_id, row.contact_id)}
    filled = {at: found for at, found in texts.items() if found and not set(found) <= of_list}
    varying = {at: found for at, found in filled.items() if len(set(found)) > 1}
    if len(pilot.rows) == 1 or not varying:
        varying = filled
    readable = {
        at: found
        for at, found in varying.items()
        if not all(_IDENTIFIER.fullmatch(text) for text in found)
    }
    chosen = readable or varying
    long = sorted(
        (at for at in chosen if mean(map(len, chosen[at])) > TEXT_LENGTH),
        key=lambda at: -len(chosen[at]),
    )
    short = sorted((at for at in chosen if at not in long), key=lambda at: -len(chosen[at]))
    half = FIELDS_SHOWN // 2
    first = [*long[:half], *short[:half]]
    rest = [at for at in (*long, *short) if at not in first]
    return sorted([*first, *rest[: FIELDS_SHOWN - len(first)]])


def _short_names(titles: Sequence[str]) -> list[str]:
    """Titles without the path to them, where that leaves no two alike: ``fit_score``."""
    short = [title.rpartition(".")[2] for title in titles]
    return [
        name if short.count(name) == 1 else title for name, title in zip(short, titles, strict=True)
    ]


def _label(row: ResultRow) -> str:
    """What names a row of the list: its first text that is no identifier."""
    ids = {(row.company_id or "").casefold(), (row.contact_id or "").casefold()}
    for cell in row.row.cells:
        if isinstance(cell, str) and (text := cell.strip()):
            if text.casefold() in ids or _IDENTIFIER.fullmatch(text) or not re.search(r"\w", text):
                continue
            if re.search(r"[^\W\d]", text):
                return text[:50]
    return ""


def _field(name: str, text: str, width: int, mark: str) -> list[str]:
    """A name and its text, wrapped beside it; a long text is cut after some lines."""
    label = "  " + one_line(name, NAME_WIDTH, mark)
    label += " " * (NAME_WIDTH + 4 - columns_of(label))
    room = max(width - len(label), 20)
    lines = [
        line
        for paragraph in text.split("\n")
        for line in wrapped(one_line(paragraph, room * LINES_PER_FIELD, mark), room, 0).split("\n")
    ]
    if len(lines) > LINES_PER_FIELD:
        last = one_line(lines[LINES_PER_FIELD - 1], room - 2, mark).removesuffix(mark)
        lines = [*lines[: LINES_PER_FIELD - 1], f"{last} {mark}"]
    return [(label if not at else " " * len(label)) + line for at, line in enumerate(lines)]
