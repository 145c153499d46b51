"""What a batch costs, in the words of somebody who pays for it. Pure: values in, text out."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from batchrun.words import duration, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrun.estimate import Estimate
    from batchrun.plan import Plan
    from batchrun.service import Credits

CREDITS_NAMED = 5


def clock_words(moment: datetime, now: datetime) -> str:
    """A moment as a clock on the user's wall shows it: ``14:20``, ``Thu 10:40``, ``3 Dec 10:40``.

    Args:
        moment: Any aware moment.
        now: The present one.
    """
    local = moment.astimezone()
    days = (local.date() - now.astimezone().date()).days
    if not days:
        return f"{local:%H:%M}"
    return f"{local:%a %H:%M}" if 0 < days < 7 else f"{local.day} {local:%b %H:%M}"


def opens_words(moment: datetime, now: datetime) -> str:
    """When a spent quota opens, as a clock on the user's wall shows it.

    Args:
        moment: When it opens, aware.
        now: The present moment.
    """
    return "now" if moment <= now else f"{clock_words(moment, now)} by your clock"


def clock_after(seconds: float, now: datetime, speed: float = 1.0) -> str:
    """What the user's clock shows when so much time has passed.

    Args:
        seconds: How much, in the service's time.
        now: The present moment, aware.
        speed: How many of those seconds pass in one, for a sandbox.
    """
    # In UTC: a clock that is changed meanwhile is changed in the answer, too.
    try:
        return clock_words(now.astimezone(UTC) + timedelta(seconds=seconds / speed), now)
    except (OverflowError, ValueError, OSError):  # no calendar goes so far
        return "a day far away"


def estimate_words(estimate: Estimate, now: datetime | None = None, speed: float = 1.0) -> str:
    """What an estimate says, in one line.

    Args:
        estimate: The estimate.
        now: The present moment, aware; ``None`` to leave the clock out.
        speed: As in `clock_after`.
    """
    rate = (
        "no rate limit"
        if math.isinf(estimate.requests_per_minute)
        else f"{plural(round(estimate.requests_per_minute), 'request')} a minute"
    )
    words = f"about {plural(estimate.requests, 'request')}, {duration(estimate.seconds)} at {rate}"
    if now is not None and estimate.requests:
        words += f", done at {clock_after(estimate.seconds, now, speed)}"
    if math.isfinite(estimate.daily_left):
        left = max(estimate.daily_left, 0)
        enough = "enough" if estimate.requests <= left else "not enough for today"
        words += f"; day quota {enough} ({left:,.0f} left)"
    return words


def plan_costs(
    plan: Plan,
    now: datetime,
    jobs: int | None = None,
    running: int = 0,
    *,
    wait: bool = False,
    speed: float = 1.0,
) -> list[str]:
    """What a plan costs, as `check` and `run` show it.

    Args:
        plan: The plan.
        now: The present moment, aware.
        jobs: How many of its jobs would be triggered now; ``None`` for all.
        running: How many of its executions run already.
        wait: Whether a spent quota is waited for.
        speed: As in `clock_after`.
    """
    jobs = plan.to_trigger if jobs is None else jobs
    estimate = plan.rates.of(jobs, running)
    lines = [f"Cost:      {estimate_words(estimate, now, speed)}"]
    if words := pause_words(estimate, now, wait=wait):
        lines.append(f"           {words}")
    if words := credits_words(plan.credits, jobs):
        lines.append(f"Credits:   {words}")
    return lines


def pause_words(estimate: Estimate, now: datetime, *, wait: bool) -> str:
    """What becomes of a batch that today's quota doesn't hold; ``""`` where it does."""
    if not estimate.midnights:
        return ""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    midnight = datetime.combine(tomorrow, time(), UTC)
    what = f"the day's quota is spent {plural(estimate.midnights, 'time')}; "
    opens = f"it opens anew at midnight UTC ({clock_words(midnight, now)} here)"
    how = "and is waited for" if wait else "and batchrun resume goes on then, or --wait waits"
    return f"{what}{opens}, {how}"


def credits_words(credits_left: Credits | None, jobs: int = 0) -> str:
    """The credits left, in one line; ``""`` where nothing is known of them.

    Args:
        credits_left: What the service told.
        jobs: How many jobs are to be triggered.
    """
    if credits_left is None:
        return ""
    if credits_left.refused:
        return "not told to this key (it lacks the scope org_settings:read)"
    if credits_left.remaining is None:
        return ""
    words = f"{_amounts(credits_left.remaining)} left"
    if jobs:
        paid = "the job is" if jobs == 1 else f"each of the {jobs:,} jobs is"
        words += f"; {paid} paid for"
    return words


def spent(before: Credits | None, after: Credits | None) -> dict[str, float] | None:
    """What went from one to the other, by name; ``None`` where it can't be told.

    Whoever else spends meanwhile is in it, and who buys credits meanwhile hides it.
    """
    if before is None or after is None or before.remaining is None or after.remaining is None:
        return None
    both = before.remaining.keys() & after.remaining.keys()
    gone = {name: before.remaining[name] - after.remaining[name] for name in sorted(both)}
    return {name: number for name, number in gone.items() if number > 0}


def spent_words(gone: Mapping[str, float] | None, jobs: int) -> str:
    """What jobs cost in credits; ``""`` where it can't be told."""
    if gone is None or not jobs:
        return ""
    if not gone:
        return "no credits"
    each = {name: number / jobs for name, number in gone.items()}
    return f"{_amounts(gone)} ({_amounts(each, bare=True)} a job)"


def rest_words(
    gone: Mapping[str, float] | None, sent: int, rest: int, after: Credits | None
) -> str:
    """What the rest costs in credits if it goes on so; ``""`` where it can't be told.

    Args:
        gone: What the jobs sent cost.
        sent: How many those were.
        rest: How many are left.
        after: The credits left now.
    """
    if not gone or not sent or after is None or after.remaining is None:
        return ""
    wanted = {name: number / sent * rest for name, number in gone.items()}
    left = {name: after.remaining[name] for name in wanted}
    short = any(wanted[name] > left[name] for name in wanted)
    return (
        f"about {_amounts(wanted)}, {'and only ' if short else ''}{_amounts(left, bare=True)} left"
    )


def _amounts(amounts: Mapping[str, float], *, bare: bool = False) -> str:
    """Credits by name; the name is left out where there is one, or it says no more."""
    if len(amounts) == 1:
        number = next(iter(amounts.values()))
        if bare:
            return _amount(number)
        return f"{_amount(number)} {'credit' if number == 1 else 'credits'}"
    named = [f"{name} {_amount(number)}" for name, number in list(amounts.items())[:CREDITS_NAMED]]
    more = [f"and {len(amounts) - CREDITS_NAMED} more"] if len(amounts) > CREDITS_NAMED else []
    return ", ".join(named + more) + ("" if bare else " credits")


def _amount(number: float) -> str:
    return f"{number:,.2f}".rstrip("0").rstrip(".")
