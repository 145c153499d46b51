"""Triggers and polls a batch's jobs within one quota, and forecasts when executions will end."""

from batchrun.engine.clock import Clock
from batchrun.engine.engine import Engine
from batchrun.engine.forecast import Forecast
from batchrun.engine.limits import UNREACHABLE_SECONDS, Ending, Limits
from batchrun.engine.progress import Effort, Progress
from batchrun.engine.quota import DEFAULT_RATE, Quota
from batchrun.engine.run_times import REMEMBERED, RunTimes
from batchrun.engine.share import QuotaShare

__all__ = [
    "DEFAULT_RATE",
    "REMEMBERED",
    "UNREACHABLE_SECONDS",
    "Clock",
    "Effort",
    "Ending",
    "Engine",
    "Forecast",
    "Limits",
    "Progress",
    "Quota",
    "QuotaShare",
    "RunTimes",
]
