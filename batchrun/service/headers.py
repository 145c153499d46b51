"""The quota as an answer's headers tell it. Pure."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from batchrun.service.answers import QuotaReading

if TYPE_CHECKING:
    from collections.abc import Mapping

# A number from here on is a moment, not a span: 1e9 s is September 2001 as Unix time and 31 years
# as a span. From 1e11 on it counts milliseconds (1e11 s would be the year 5138).
_FIRST_MOMENT = 1e9
_FIRST_MILLISECONDS = 1e11

# "60", and the first window of "60, 10000" or "60;w=60".
_COUNT = re.compile(r"\s*(-?\d{1,15})\s*(?:[,;].*)?", re.DOTALL | re.ASCII)
_NUMBER = re.compile(r"\s*(-?\d{1,17}(?:\.\d*)?)\s*(?:[,;].*)?", re.DOTALL | re.ASCII)


def read_quota(headers: Mapping[str, str], now: float) -> QuotaReading | None:
    """Read X-RateLimit-Limit, -Remaining and -Reset, and Retry-After.

    An absolute moment is measured against the answer's own ``Date``, where there is one: the
    laptop's clock may be wrong, and a sandbox lives in compressed time.

    Args:
        headers: The answer's headers, names in any case.
        now: The local time, in Unix seconds; used only without a ``Date``.

    Returns:
        What could be read, or ``None`` when no header says anything usable.
    """
    named = {name.lower(): value for name, value in headers.items()}
    sent_at = _http_date(named.get("date", ""))  # the same for all answers of a second
    reference = now if sent_at is None else sent_at
    retry_after = named.get("retry-after", "")
    reading = QuotaReading(
        limit=_count(named.get("x-ratelimit-limit", "")),
        remaining=_count(named.get("x-ratelimit-remaining", "")),
        reset_seconds=_span(named.get("x-ratelimit-reset", ""), reference),
        retry_after_seconds=_span(retry_after, reference),
    )
    return None if reading == QuotaReading() else reading


def read_date(headers: Mapping[str, str]) -> float | None:
    """When the service says it answered, in Unix seconds."""
    return _http_date({name.lower(): value for name, value in headers.items()}.get("date", ""))


def _count(text: str) -> int | None:
    matched = _COUNT.fullmatch(text)
    return max(0, int(matched[1])) if matched else None


def _span(text: str, reference: float) -> float | None:
    """Seconds from the reference: given as a span, a Unix time or an HTTP date; never negative."""
    if not text:
        return None
    matched = _NUMBER.fullmatch(text)
    if matched is None:
        moment = _http_date(text)
        return None if moment is None else max(0.0, moment - reference)
    number = float(matched[1])
    if number >= _FIRST_MILLISECONDS:
        number /= 1000
    if number >= _FIRST_MOMENT:
        number -= reference
    return max(0.0, number)


@lru_cache(maxsize=16)
def _http_date(text: str) -> float | None:
    try:
        seconds = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError, IndexError):
        return None
    return seconds if math.isfinite(seconds) else None
