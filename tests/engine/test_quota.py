"""The quota: never more than a window holds, never idle for nothing."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from batchrun.engine.quota import MARGIN_SECONDS, WINDOW_SECONDS, Quota
from batchrun.service.parsing import QuotaReading


def send_all(quota: Quota, requests: int, start: float = 0.0) -> list[float]:
    """Send requests as soon as the quota lets them; the moments at which they left."""
    now, sent = start, []
    for _ in range(requests):
        now += quota.delay(now)
        quota.take(now)
        quota.answered(None, now)
        sent.append(now)
    return sent


def test_without_settings_or_headers_sixty_requests_leave_a_minute() -> None:
    sent = send_all(Quota(), 200)
    assert Quota().rate == 60
    assert 3 * 60 - 10 <= sent[-1] - sent[0] <= 3.4 * 60


@given(
    rate=st.integers(1, 600),
    lulls=st.lists(st.floats(0, 200), min_size=1, max_size=300),
)
def test_no_window_of_a_minute_ever_holds_more_than_the_rate(rate: int, lulls: list[float]) -> None:
    quota, now, sent = Quota(rate), 0.0, list[float]()
    for lull in lulls:
        now += lull if lull > 100 else 0.0
        now += quota.delay(now)
        quota.take(now)
        quota.answered(None, now)
        sent.append(now)
    for i, first in enumerate(sent):
        window = [at for at in sent[i:] if at < first + WINDOW_SECONDS]
        assert len(window) <= rate


@given(rate=st.integers(1, 600))
def test_a_token_is_never_lost(rate: int) -> None:
    """However many were sent, the next one is never more than a window away."""
    quota = Quota(rate)
    sent = send_all(quota, min(rate * 2, 200))
    assert quota.delay(sent[-1]) <= WINDOW_SECONDS + MARGIN_SECONDS


def test_the_headers_set_the_rate_unless_the_user_did() -> None:
    reading = QuotaReading(limit=120, remaining=119, reset_seconds=30)
    learning, told = Quota(), Quota(30)
    for quota in (learning, told):
        quota.take(0.0)
        quota.answered(reading, 0.0)
    assert learning.rate == 120
    assert told.rate == 30


def test_what_others_spent_of_the_key_is_waited_for_until_the_window_opens() -> None:
    quota = Quota()
    quota.take(0.0)
    quota.answered(QuotaReading(limit=60, remaining=0, reset_seconds=42), 0.0)
    assert quota.delay(0.0) == 42


def test_a_new_window_counts_although_the_old_one_seems_to_last_a_second_more() -> None:
    """`Date` has whole seconds: a window's end, measured by it, is up to a second late."""
    quota = Quota()
    quota.take(0.0)
    quota.answered(QuotaReading(limit=60, remaining=1, reset_seconds=0.9), 0.0)
    quota.take(0.5)
    quota.answered(QuotaReading(limit=60, remaining=59, reset_seconds=60), 0.5)
    assert quota.window_left(0.5) == 58
    quota.take(1.0)
    quota.take(2.0)
    assert quota.delay(3.0) == 0


def test_a_sliding_window_never_makes_one_wait_for_its_whole_length() -> None:
    """Its reset is always a minute away, and what is left grows again."""
    quota, now = Quota(), 0.0
    for _ in range(200):
        now += quota.delay(now)
        quota.take(now)
        quota.answered(QuotaReading(limit=60, remaining=5, reset_seconds=60), now)
    assert now < 205


def test_a_refusal_pauses_everybody_until_the_reset() -> None:
    quota = Quota()
    quota.take(0.0)
    quota.refused(QuotaReading(limit=60, remaining=0, reset_seconds=17), 0.0)
    assert quota.delay(0.0) == 17


def test_retry_after_wins_over_the_reset() -> None:
    quota = Quota()
    quota.take(0.0)
    quota.refused(QuotaReading(reset_seconds=17, retry_after_seconds=33), 0.0)
    assert quota.delay(0.0) == 33


def test_a_reset_that_has_passed_already_still_pauses() -> None:
    quota = Quota()
    quota.take(0.0)
    quota.refused(QuotaReading(reset_seconds=0.0), 0.0)
    assert quota.delay(0.0) == 5


def test_a_reset_far_away_describes_the_day_and_not_the_minute() -> None:
    quota = Quota()
    quota.take(0.0)
    quota.answered(QuotaReading(limit=10_000, remaining=3, reset_seconds=40_000), 0.0)
    assert quota.rate == 60
    assert quota.left_today(0.0) == 3


def test_when_todays_requests_are_spent_nothing_leaves() -> None:
    quota = Quota()
    quota.limit_today(2, spent=0, seconds_left=3_600, now=0.0)
    send_all(quota, 2)
    assert quota.delay(10.0) == 3_590


def test_at_midnight_the_days_budget_is_full_again() -> None:
    quota = Quota()
    quota.limit_today(2, spent=1, seconds_left=100, now=0.0)
    send_all(quota, 1)
    assert quota.delay(50.0) == 50
    assert quota.delay(100.0) == 0
    assert quota.left_today(100.0) == 2


def test_a_second_refusal_lowers_the_rate_and_a_quiet_time_restores_it() -> None:
    quota = Quota(100)
    for now in (0.0, 30.0):
        quota.take(now)
        quota.answered(None, now)
        quota.refused(QuotaReading(retry_after_seconds=10), now)
    assert quota.rate == 80
    quota.accepted(1_000.0)
    assert quota.rate == 100


def test_requests_that_are_refused_together_count_once() -> None:
    quota = Quota(100)
    for _ in range(5):
        quota.take(0.0)
    for _ in range(5):
        quota.answered(None, 1.0)
        quota.refused(QuotaReading(retry_after_seconds=10), 1.0)
    assert quota.rate == 100
    assert quota.delay(1.0) == 10


def test_without_a_limit_nothing_is_waited_for_until_the_service_says_one() -> None:
    quota = Quota(math.inf)
    assert send_all(quota, 5_000)[-1] == 0.0
    quota.take(0.0)
    quota.answered(QuotaReading(limit=600, remaining=599, reset_seconds=60), 0.0)
    assert quota.rate == 600


def test_without_a_limit_refusals_teach_one() -> None:
    quota = Quota(math.inf)
    for now in (0.0, 100.0):
        for _ in range(100):
            quota.take(now)
            quota.answered(None, now)
        quota.refused(None, now)
    assert quota.rate == 80


def test_a_token_that_was_not_used_is_given_back() -> None:
    quota = Quota(60)
    sent = send_all(quota, 60)
    due = sent[-1] + quota.delay(sent[-1])
    quota.take(due)
    quota.give_back(due, due)
    assert quota.delay(due) == 0


def test_refusals_that_have_nothing_to_do_with_the_rate_leave_a_quarter_of_it() -> None:
    quota = Quota(60)
    for number in range(100):
        quota.refused(None, number * 100.0)
    assert quota.rate == 15


def test_a_days_figures_are_no_minutes_even_when_the_day_is_nearly_over() -> None:
    quota = Quota()
    for reset, remaining in ((40_000.0, 5_000), (90.0, 4_000)):
        quota.take(0.0)
        quota.answered(QuotaReading(limit=10_000, remaining=remaining, reset_seconds=reset), 0.0)
    assert quota.rate == 60


def test_how_many_requests_a_day_has_is_known_once_somebody_said_it() -> None:
    """Else the time left would be computed with one request a day, once the day is spent."""
    quota = Quota()
    assert quota.daily is None
    quota.take(0.0)
    quota.answered(QuotaReading(limit=10_000, remaining=0, reset_seconds=7_200.0), 0.0)
    assert quota.daily == 10_000
    quota.limit_today(500, 20, 7_200.0, 0.0)
    assert quota.daily == 500
