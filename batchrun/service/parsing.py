"""Parse the service's answers, in every shape that the vendor's pages show. Pure."""

from __future__ import annotations

import html
import json
import math
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from batchrun.model import JSON, Cause, Execution, ExecutionStatus, Workflow
from batchrun.text import one_line, unique_members

if TYPE_CHECKING:
    from collections.abc import Mapping


REASON_CHARACTERS = 300
"""Maximum length of a reason."""

_ID_CHARACTERS = 200
_EXCERPT_CHARACTERS = 20_000  # enough for an error message or a page's title
_MAX_CREDITS = 1e15  # anything larger is not a plausible number of credits, or overflows a float
_FIRST_MILLISECONDS = 1e11  # as Unix seconds this would be the year 5138
MAX_DEPTH = 100
"""Maximum nesting of a result that Python's parser refused; anything deeper is kept as text."""
_MAX_INTEGER_DIGITS = 4_000  # Python's own limit is 4,300

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.?)*+"?|[\[\]{}]', re.DOTALL)

_LIST_KEYS = ("data", "items", "workflows")
_WORD_KEYS = ("error", "message", "detail", "errors", "code", "type")
_UNIX_TIME = re.compile(r"\d{9,14}(?:\.\d+)?", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{0,2000})</title", re.IGNORECASE)


class UnusableAnswerError(ValueError):
    """An answer that can't be used; the message says why, in plain words."""


def read_json(body: bytes, *, lenient: bool = False) -> JSON:
    """Parse a body as JSON.

    NaN and infinities become text. JSON doesn't allow them but some services send them, and a
    paid result must not be refused because of one number.

    Args:
        body: The bytes.
        lenient: Keep as much of a result as possible instead of refusing it. Integers longer than
            Python reads, and anything nested deeper than `MAX_DEPTH`, become text. Bytes that are
            not UTF-8 become "�". A name that occurs twice in an object becomes "name (2)".

    Raises:
        UnusableAnswerError: The body is not JSON.
    """
    load = partial(json.loads, parse_constant=str, parse_float=_number)
    document: JSON
    with suppress(ValueError, RecursionError):
        document = load(body, object_pairs_hook=unique_members)
        return document
    if lenient:
        with suppress(ValueError, RecursionError):
            text = _with_limited_depth(body.decode("utf-8-sig", "replace"))
            document = load(text, parse_int=_integer, object_pairs_hook=_object_with_all)
            return document
    raise UnusableAnswerError("the answer is not JSON")


def _object_with_all(members: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    times: Counter[str] = Counter()
    for name, value in members:
        free = name
        while free in found:
            times[name] += 1
            free = f"{name} ({times[name] + 1})"
        found[free] = value
    return found


def _with_limited_depth(text: str) -> str:
    """Replace JSON objects and lists nested deeper than `MAX_DEPTH` by their own text."""
    kept, depth, copied, deep_from = [], 0, 0, 0
    for token in _STRING_OR_BRACKET.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
                if depth == MAX_DEPTH + 1:
                    deep_from = token.start()
            case "]" | "}":
                if depth == MAX_DEPTH + 1:
                    kept += [text[copied:deep_from], json.dumps(text[deep_from : token.end()])]
                    copied = token.end()
                depth -= 1
    return "".join([*kept, text[copied:]])


def read_workflows(document: JSON, page: int = 1) -> tuple[tuple[Workflow, ...], str]:
    """Return the workflows of a bare or wrapped list, and the query for the next page.

    The query is such as ``"page=2"``; ``""`` after the last page. ``page`` is the number of this
    one, if the answer doesn't say.

    Raises:
        UnusableAnswerError: There is no list, or no entry is a workflow.
    """
    entries, query = document, ""
    if isinstance(document, dict):
        inner = document.get("data")
        holder = inner if isinstance(inner, dict) else document
        entries = next((holder[k] for k in _LIST_KEYS if isinstance(holder.get(k), list)), None)
        query = _next_page(holder, page) or _next_page(document, page)
    if not isinstance(entries, list):
        raise UnusableAnswerError("the answer holds no list of workflows")
    by_id = {found.id: found for entry in entries if (found := _workflow(entry)) is not None}
    if entries and not by_id:
        raise UnusableAnswerError("the answer lists things that are not workflows")
    return tuple(by_id.values()), query


# Names are compared without underscores, in lower case: nextPage is next_page.
_PAGING = frozenset({"pagination", "paging", "meta", "pageinfo", "links"})
_NEXT = re.compile("next_?(page_?token|page|cursor)?(?:_?url)?", re.IGNORECASE)
"""Fields that name the next page. What follows "next" is the query parameter that requests it."""

_PREFERRED = ("page", "cursor", "pagetoken", "")
"""What follows "next", in the order in which fields are tried if an answer has several."""


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _next_page(document: dict[str, JSON], page: int) -> str:
    """Return the query for the next page, or ``""`` if there is none.

    The vendor's pages show ``pagination`` and ``nextPage`` without their values, so this accepts
    numbers, cursors, addresses, flags, and totals. From an address, only the query is used: the key
    goes to no other host.
    """
    places = [document]
    for place in places:  # the list grows: {"meta": {"pagination": {...}}}
        places += [v for k, v in place.items() if _plain(k) in _PAGING and isinstance(v, dict)]
    for place in places:
        found = [(match[1] or "", place[k]) for k in place if (match := _NEXT.fullmatch(k))]
        for name, value in sorted(found, key=lambda each: _PREFERRED.index(_plain(each[0]))):
            parameter = (name.lower() if name.isupper() else name) or "cursor"
            if query := _query(value, parameter[0].lower() + parameter[1:]):
                return query
    for place in places:
        fields = {_plain(name): value for name, value in place.items()}
        number = _whole(fields, "page", "currentpage")
        number = page if number is None else number
        pages = _whole(fields, "pages", "totalpages", "pagecount")
        size = _whole(fields, "limit", "perpage", "pagesize")
        total = _whole(fields, "total", "totalcount", "totalitems")
        skipped = _whole(fields, "offset", "skip")
        if size and total and skipped is not None:
            name = "offset" if "offset" in fields else "skip"
            return f"{name}={skipped + size}" if skipped + size < total else ""
        if pages is None and size and total:
            pages = -(-total // size)
        flags = (fields.get(k) for k in ("hasmore", "hasnextpage", "hasnext"))
        more = next((flag for flag in flags if isinstance(flag, bool)), None)
        if more or (more is None and pages is not None and number < pages):
            return f"page={number + 1}"
    return ""


_SAFE_IN_QUERY = "%/?:@!$&'()*+,;="


def _query(value: JSON, parameter: str) -> str:
    """The query for a next page given as a number, cursor, address, or object that holds one."""
    match value:
        case bool():
            return ""
        case int() if value > 0:
            return urlencode({"page": value})
        case str() if "?" in value or "://" in value or value.startswith("/"):
            query = value.partition("?")[2].partition("#")[0]
            return quote(query, _SAFE_IN_QUERY, errors="replace")
        case str() if value.strip():
            parameter = "page" if value.isdecimal() else parameter
            return urlencode({parameter: value}, errors="replace")
        case dict():
            inner = ("href", "url", "page", "cursor")
            return next((query for k in inner if (query := _query(value.get(k), k))), "")
        case _:
            return ""


def _whole(place: dict[str, JSON], *names: str) -> int | None:
    """The first whole number in these fields."""
    return next((n for name in names if type(n := place.get(name)) is int), None)


def read_credits(document: JSON) -> dict[str, float]:
    """Return the credits left, by name, without any values that are not numbers.

    Raises:
        UnusableAnswerError: The answer has no credits.
    """
    stated = _unwrapped(document).get("credit_remaining")
    credits_left = {
        tidy(name): float(number)
        for name, number in (stated.items() if isinstance(stated, dict) else ())
        if isinstance(number, int | float)
        and not isinstance(number, bool)
        and abs(number) < _MAX_CREDITS
    }
    if not credits_left:
        raise UnusableAnswerError("the answer tells of no credits")
    return credits_left


def read_accepted(document: JSON, sent: Mapping[str, JSON]) -> Execution:
    """Return the execution from the answer to a trigger with this body.

    Raises:
        UnusableAnswerError: The answer has no execution ID, has one that can't be put into a URL,
            or is about another workflow, company or contact.
    """
    fields = _unwrapped(document)
    execution_id = _id(fields, "execution_id", "id")
    if execution_id is None:
        raise UnusableAnswerError("the answer has no execution id")
    if not is_usable_id(execution_id):
        raise UnusableAnswerError("the answer has an execution id of an unusable shape")
    _require_subject(fields, sent)
    return _execution(execution_id, fields)


def read_polled(document: JSON, asked_id: str, sent: Mapping[str, JSON]) -> Execution:
    """Return the polled execution, which a trigger with the body ``sent`` began.

    Raises:
        UnusableAnswerError: The answer has no status, or is about another execution, workflow,
            company or contact.
    """
    fields = _unwrapped(document)
    if "status" not in fields:
        raise UnusableAnswerError("the answer has no status")
    if not _names(fields, asked_id, "execution_id" if "execution_id" in fields else "id"):
        raise UnusableAnswerError("the answer is about another execution")
    _require_subject(fields, sent)
    return _execution(asked_id, fields)


def _require_subject(fields: dict[str, JSON], sent: Mapping[str, JSON]) -> None:
    """Refuse an answer that names another subject than the trigger did.

    A UUID and an ID of another kind can't be compared: a service may have both for one thing.
    """
    for subject in ("workflow", "company", "contact"):
        name = f"{subject}_id"
        asked, found = str(sent.get(name, "")), _id(fields, name) or ""
        comparable = bool(_UUID.fullmatch(asked)) == bool(_UUID.fullmatch(found))
        if asked and comparable and not _names(fields, asked, name):
            raise UnusableAnswerError(f"the answer is about another {subject}")


def _names(fields: dict[str, JSON], expected: str, name: str) -> bool:
    """Whether a field has the expected ID or is missing. The case of a UUID doesn't matter."""
    if fields.get(name) is None:
        return True
    found = (_id(fields, name) or "").strip()
    if _UUID.fullmatch(expected):
        return found.lower() == expected.lower()
    return found == expected


def is_usable_id(execution_id: str) -> bool:
    """Whether an ID can be polled: one path segment, printable, and of reasonable length."""
    return (
        0 < len(execution_id) <= _ID_CHARACTERS
        and execution_id.isprintable()
        and execution_id == execution_id.strip()
        and execution_id not in {".", ".."}
    )


def read_time(value: JSON) -> datetime | None:
    """Return a timestamp as an aware UTC time, or ``None`` if it isn't one.

    Accepts ISO 8601 with ``Z``, an offset, or neither (then UTC), and Unix time in seconds or
    milliseconds. Times before 1970 are refused: they are some language's zero value.
    """
    if isinstance(value, str) and _UNIX_TIME.fullmatch(value):
        value = float(value)
    try:
        match value:
            case bool():
                return None
            case int() | float():
                seconds = value / 1000 if value >= _FIRST_MILLISECONDS else value
                return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
            case str():
                moment = datetime.fromisoformat(value.strip())
                aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                return aware.astimezone(UTC) if aware.year >= 1970 else None
            case _:
                return None
    except (ValueError, OverflowError, OSError):
        return None


def explain(status: int, body: bytes) -> str:
    """Explain an error answer in one line, in the service's own words if it gives any."""
    excerpt = body[:_EXCERPT_CHARACTERS]
    try:
        words = _words(read_json(excerpt))
    except UnusableAnswerError:
        words = excerpt.decode("utf-8-sig", "replace").strip()
        if words.startswith("<"):
            title = _TITLE.search(words)
            words = f"HTML page: {html.unescape(title[1])}" if title else "HTML page"
    if not words:
        known = status in HTTPStatus.__members__.values()
        words = HTTPStatus(status).phrase if known else "no explanation"
    return tidy(f"HTTP {status}: {words}")


def tidy(text: str) -> str:
    """Return the text on one line, shortened and without control characters."""
    return one_line(text, REASON_CHARACTERS, length=len)


def _number(digits: str) -> float | str:
    """Parse a number; return its digits if a float can't hold it."""
    number = float(digits)
    return number if math.isfinite(number) else digits


def _integer(digits: str) -> int | str:
    """Parse a whole number; return its digits if Python refuses to read that many."""
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else digits


def _workflow(entry: JSON) -> Workflow | None:
    if not isinstance(entry, dict):
        return None
    workflow_id = _id(entry, "id", "workflow_id")
    if workflow_id is None or not is_usable_id(workflow_id):
        return None
    name, description, status = entry.get("name"), entry.get("description"), entry.get("status")
    return Workflow(
        id=workflow_id,
        name=_encodable(name) if isinstance(name, str) and name.strip() else workflow_id,
        description=_encodable(description) if isinstance(description, str) else "",
        status=status.strip().lower() if isinstance(status, str) else "active",
    )


def _encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which UTF-8 can't encode."""
    return text.encode(errors="replace").decode()


def _unwrapped(document: JSON) -> dict[str, JSON]:
    """The execution's fields, unwrapped from ``{"data": {...}}`` if necessary."""
    if not isinstance(document, dict):
        raise UnusableAnswerError("the answer is not a JSON object")
    inner = document.get("data")
    wrapped = isinstance(inner, dict) and not document.keys() & {"execution_id", "id", "status"}
    return inner if wrapped and isinstance(inner, dict) else document


def _id(fields: dict[str, JSON], *names: str) -> str | None:
    """Return the first of these fields that holds text or a whole number, as text."""
    for name in names:
        match fields.get(name):
            case str() as text:
                return text
            case int() as number if not isinstance(number, bool):
                return str(number)
    return None


def _execution(execution_id: str, fields: dict[str, JSON]) -> Execution:
    status, message = _status(fields)
    return Execution(
        id=execution_id,
        status=status,
        created_at=read_time(fields.get("created_at")),
        started_at=read_time(fields.get("started_at")),
        completed_at=read_time(fields.get("completed_at")),
        result=next((fields[n] for n in _RESULT_KEYS if fields.get(n) is not None), None),
        message=message,
        cause=cause_of(message) if status is ExecutionStatus.FAILED else None,
    )


_TEMPORARY = re.compile(
    r"tim(?:ed?|ing) ?-?out|temporar|unavailable|overload|too many|rate limit|try again|busy"
    r"|HTTP 5\d\d|connection",
    re.IGNORECASE,
)
_NOTHING_PUBLISHED = re.compile(
    r"\bno (?:\w+ ){0,3}(?:information|data|news|results?|sources?)\b.{0,20}\bfound\b",
    re.IGNORECASE,
)
_INCOMPLETE_RECORD = re.compile(
    r"\bno\b.{0,40}\b(?:found|information|domain|website|data|record|match|results?)\b"
    r"|not found|missing|\bhas no\b|unknown company|could not be (?:found|identified)",
    re.IGNORECASE,
)


@lru_cache(maxsize=1_000)
def cause_of(message: str) -> Cause | None:
    """Return why an execution failed. The API gives no code, so the words have to tell."""
    if _TEMPORARY.search(message):
        return Cause.TEMPORARY
    if _NOTHING_PUBLISHED.search(message):
        return Cause.NOTHING_PUBLISHED
    return Cause.INCOMPLETE_RECORD if _INCOMPLETE_RECORD.search(message) else None


_RESULT_KEYS = ("result", "results", "outputs", "output")
"""The API says ``result``. A paid result under another usual name must not be lost."""


_STATUSES = {
    synonym: status
    for status, synonyms in {
        ExecutionStatus.QUEUED: "queued pending waiting scheduled created accepted submitted new",
        ExecutionStatus.RUNNING: "running inprogress processing started executing active",
        ExecutionStatus.COMPLETED: "completed complete succeeded success successful done finished",
        ExecutionStatus.FAILED: (
            "failed failure fail error errored cancelled canceled timeout timedout aborted "
            "terminated expired rejected crashed killed"
        ),
    }.items()
    for synonym in synonyms.split()
}
"""Statuses by their lower-case letters: the four of the API, and words that other services use
for the same."""


def _status(fields: dict[str, JSON]) -> tuple[ExecutionStatus, str]:
    """Return the status, and a message if it is failed or unknown.

    An execution with an unknown status has ended if it has an end time. It then counts as failed,
    never as completed; its result, if any, is kept along with the service's status.
    """
    stated = fields.get("status")
    word = stated.strip() if isinstance(stated, str) else json.dumps(stated)
    status = _STATUSES.get(re.sub("[^a-z]", "", word.lower()), ExecutionStatus.UNKNOWN)
    completed = status is ExecutionStatus.COMPLETED
    if completed and word.lower() != "completed" and _words(fields.get("error")):
        status = ExecutionStatus.FAILED  # "done" can mean either
    if status is ExecutionStatus.UNKNOWN and read_time(fields.get("completed_at")) is None:
        return status, tidy(f"unknown status {stated!r}")
    if status in {ExecutionStatus.UNKNOWN, ExecutionStatus.FAILED}:
        result = fields.get("result")
        if isinstance(result, dict):
            result = result.get("error") or result.get("message")
        sources = (fields.get("error"), fields.get("message"), result)
        reason = next((words for source in sources if (words := _words(source))), "")
        if word.lower() == "failed":
            return ExecutionStatus.FAILED, tidy(reason or "the service gives no reason")
        return ExecutionStatus.FAILED, tidy(f"{word}: {reason}" if reason else word)
    return status, ""


def _words(value: JSON) -> str:
    """The text of an error of any known shape; ``""`` if there is none."""
    match value:
        case str():
            return value.strip()
        case dict():
            return next((words for k in _WORD_KEYS if (words := _words(value.get(k)))), "")
        case list():
            return "; ".join(words for entry in value if (words := _words(entry)))
        case _:
            return ""


def is_html(body: bytes) -> bool:
    """Whether a body is HTML, so a gateway, firewall, or login page answered, not the service."""
    return body[:_EXCERPT_CHARACTERS].decode("utf-8-sig", "replace").lstrip().startswith("<")


# Numbers from here on are points in time, not spans: 1e9 s is September 2001 as Unix time, and 31
# years as a span.
_FIRST_MOMENT = 1e9

# "60", and the first window of "60, 10000" or "60;w=60".
_COUNT = re.compile(r"\s*(-?\d{1,15})\s*(?:[,;].*)?", re.DOTALL | re.ASCII)
_NUMBER = re.compile(r"\s*(-?\d{1,17}(?:\.\d*)?)\s*(?:[,;].*)?", re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """The key's quota from an answer's headers; ``None`` for anything missing or unusable."""

    limit: int | None = None  # requests allowed per window
    remaining: int | None = None  # requests left in the window
    reset_seconds: float | None = None  # from the answer until the next window begins
    retry_after_seconds: float | None = None  # from the answer until the next request


_MAX_PER_MINUTE = 600
"""A higher limit is per day: this is ten times the standard plan's limit per minute."""


def read_quota(headers: Mapping[str, str], now: float) -> QuotaReading | None:
    """Read X-RateLimit-Limit, -Remaining, and -Reset, and Retry-After; all names in lower case.

    Absolute times are measured against the answer's own ``Date``, if it has one: the local clock
    may be wrong, and a sandbox runs in compressed time. Without one, ``now`` is used (local time,
    Unix seconds). Returns ``None`` if no header is usable.
    """
    sent_at = http_date(headers.get("date", ""))  # cached: equal for all answers of one second
    reference = now if sent_at is None else sent_at
    limit = _count(headers.get("x-ratelimit-limit", ""))
    reset_at = headers.get("x-ratelimit-reset", "")
    reset = _span(reset_at, reference)
    is_moment = reset != _span(reset_at, reference + 1)
    if sent_at is None and is_moment and limit is not None and limit <= _MAX_PER_MINUTE:
        # The local clock may be hours off: don't mistake a one-minute window for a day's.
        reset = min(reset or 0.0, 60.0)
    reading = QuotaReading(
        limit=limit,
        remaining=_count(headers.get("x-ratelimit-remaining", "")),
        reset_seconds=reset,
        retry_after_seconds=_span(headers.get("retry-after", ""), reference),
    )
    return None if reading == QuotaReading() else reading


def _count(text: str) -> int | None:
    matched = _COUNT.fullmatch(text)
    return max(0, int(matched[1])) if matched else None


def _span(text: str, reference: float) -> float | None:
    """Seconds from the reference to a span, Unix time, or HTTP date; never negative."""
    if not text:
        return None
    matched = _NUMBER.fullmatch(text)
    if matched is None:
        moment = http_date(text)
        return None if moment is None else max(0.0, moment - reference)
    number = float(matched[1])
    if number >= _FIRST_MILLISECONDS:
        number /= 1000
    if number >= _FIRST_MOMENT:
        number -= reference
    return max(0.0, number)


@lru_cache(maxsize=16)
def http_date(text: str) -> float | None:
    """Parse a ``Date`` header, as Unix seconds; ``None`` for any other text."""
    try:
        seconds = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError, IndexError):
        return None
    return seconds if math.isfinite(seconds) else None
