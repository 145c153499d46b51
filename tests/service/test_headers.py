"""The quota read from headers, whatever the notation."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.service.parsing import QuotaReading, read_quota

NOW = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # the same moment
LATER = "Tue, 14 Nov 2023 22:13:50 GMT"


def test_all_headers_in_any_case() -> None:
    """Names are found in any case."""
    sent = {"x-ratelimit-limit": "60", "X-RATELIMIT-REMAINING": "12", "Retry-after": "5"}
    headers = httpx.Response(200, headers=sent).headers.items()

    assert read_quota(dict(headers), NOW) == QuotaReading(60, 12, None, 5.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000030", 30.0),
        ("1700000030000", 30.0),
        ("1700000030.5", 30.5),
        ("30", 30.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("1699999000", 0.0),
        (LATER, 30.0),
        ("30, 86400", 30.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1_000", None),
        ("٣٠", None),
        ("9" * 400, None),
    ],
)
@pytest.mark.parametrize("name", ["x-ratelimit-reset", "retry-after"])
def test_span_in_each_notation(name: str, text: str, seconds: float | None) -> None:
    """Unix seconds, milliseconds, seconds to go and HTTP dates come out as seconds to go."""
    reading = read_quota({name: text}, NOW) or QuotaReading()
    found = reading.reset_seconds if name == "x-ratelimit-reset" else reading.retry_after_seconds

    assert found == seconds


def test_date_of_the_answer_is_now() -> None:
    """A laptop whose clock is a year off reads the same."""
    headers = {"date": DATE, "x-ratelimit-reset": "1700000030", "retry-after": LATER}

    assert read_quota(headers, NOW - 31_536_000) == QuotaReading(None, None, 30.0, 30.0)


@pytest.mark.parametrize(
    ("text", "count"),
    [("60", 60), (" 60 ", 60), ("60, 10000", 60), ("60;w=60", 60), ("-1", 0), ("sixty", None)],
)
def test_counts(text: str, count: int | None) -> None:
    """A count is a whole number, the first of several."""
    reading = read_quota({"x-ratelimit-remaining": text}, NOW) or QuotaReading()

    assert reading.remaining == count


def test_nothing_usable_is_none() -> None:
    """Headers that tell nothing of a quota are no reading."""
    assert read_quota({"date": DATE, "x-ratelimit-limit": "?"}, NOW) is None


@given(st.dictionaries(
    st.sampled_from(
        ["date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
    ),
    st.text() | st.integers().map(str) | st.floats().map(str) | st.datetimes().map(str),
))  # fmt: skip
def test_no_header_breaks_the_reader(headers: dict[str, str]) -> None:
    """Whatever stands in the headers, a reading has no negative and no endless spans."""
    reading = read_quota(headers, NOW) or QuotaReading()
    for span in (reading.reset_seconds, reading.retry_after_seconds):
        assert span is None or 0 <= span < float("inf")


@pytest.mark.parametrize("hours_off", [-12, -2, -0.1, 0, 2, 12])
def test_a_wrong_clock_makes_no_day_of_a_minute(hours_off: float) -> None:
    """Without a ``Date``, a moment can only be measured by the local clock."""
    now = 1_795_000_000.0
    headers = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0"}
    headers["x-ratelimit-reset"] = str(int(now + 30))
    found = read_quota(headers, now + hours_off * 3600)
    assert found is not None
    assert found.reset_seconds is not None
    assert found.reset_seconds <= 60
    headers["x-ratelimit-reset"] = "3600"  # a span, whatever the clock says
    found = read_quota(headers, now)
    assert found is not None
    assert found.reset_seconds == 3600
