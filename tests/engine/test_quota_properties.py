"""Whatever happens, the quota overruns no window and loses no token for ever."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batchrun.engine.quota import WINDOW_SECONDS, Quota
from batchrun.estimate import DAY_SECONDS
from batchrun.service.parsing import QuotaReading

SPANS = st.one_of(
    st.none(), st.floats(0, 130), st.floats(0, 1e12), st.sampled_from([0.0, 60.0, 86_400.0])
)
READINGS = st.one_of(
    st.none(),
    st.builds(
        QuotaReading,
        limit=st.one_of(st.none(), st.integers(0, 1_000), st.just(10**15)),
        remaining=st.one_of(st.none(), st.just(0), st.integers(0, 1_000), st.just(10**15)),
        reset_seconds=SPANS,
        retry_after_seconds=SPANS,
    ),
)


class QuotaMachine(RuleBasedStateMachine):
    """Requests, answers, refusals and cancellations, in any order."""

    @initialize(rate=st.one_of(st.none(), st.integers(1, 200), st.just(math.inf)))
    def open(self, rate: float | None) -> None:
        self.quota = Quota(rate)
        self.now = 0.0
        self.sent: list[float] = []
        self.on_the_wire: list[float] = []

    @rule(seconds=st.one_of(st.floats(0, 3), st.floats(0, 100), st.floats(0, 90_000)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(requests=st.integers(1, 300))
    def send(self, requests: int) -> None:
        """Send as fast as the quota lets, and give up where it makes one wait for long."""
        for _ in range(requests):
            delay = self.quota.delay(self.now)
            if delay > 2 * WINDOW_SECONDS:
                return
            self.now += delay
            if self.quota.delay(self.now) > 0:  # the last bit of a float
                self.now += 1e-6
            self.quota.take(self.now)
            self.sent.append(self.now)
            self.on_the_wire.append(self.now)
            window = [at for at in self.sent if at > self.now - WINDOW_SECONDS]
            assert len(window) <= max(self.quota.rate, 1)

    @precondition(lambda self: self.on_the_wire)
    @rule(reading=READINGS)
    def answer(self, reading: QuotaReading | None) -> None:
        self.on_the_wire.pop()
        self.quota.answered(reading, self.now)
        self.quota.accepted(self.now)

    @precondition(lambda self: self.on_the_wire)
    @rule(reading=READINGS)
    def refuse(self, reading: QuotaReading | None) -> None:
        self.on_the_wire.pop()
        self.quota.answered(None if reading is None else replace(reading, limit=None), self.now)
        self.quota.refused(reading, self.now)

    @precondition(lambda self: self.on_the_wire)
    @rule()
    def cancel(self) -> None:
        """What was taken isn't sent after all."""
        taken_at = self.on_the_wire.pop()
        self.sent.remove(taken_at)
        self.quota.give_back(taken_at, self.now)

    @precondition(lambda self: math.isfinite(self.quota.rate) and not self.quota.delay(self.now))
    @rule()
    def take_and_give_back(self) -> None:
        """A token that is given back at once is there for the next."""
        left = self.quota.window_left(self.now), self.quota.left_today(self.now)
        self.quota.take(self.now)
        self.quota.give_back(self.now, self.now)
        assert (self.quota.window_left(self.now), self.quota.left_today(self.now)) == left
        assert self.quota.delay(self.now) <= 1e-6

    @invariant()
    def the_next_request_leaves_in_the_end(self) -> None:
        """Each wait is at most a day, and after a few of them a request may leave."""
        if not hasattr(self, "quota"):
            return
        delay = self.quota.delay(self.now)
        assert 0 <= delay <= DAY_SECONDS + WINDOW_SECONDS

    def teardown(self) -> None:
        if not hasattr(self, "quota"):
            return
        for _ in range(10):
            delay = self.quota.delay(self.now)
            if delay == 0:
                return
            self.now += delay + 1e-6
        raise AssertionError(f"no request may leave, ever: {delay} s more")


QuotaMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=40)
TestQuota = QuotaMachine.TestCase
