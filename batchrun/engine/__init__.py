"""Triggers and polls a batch's jobs within one quota, and forecasts when executions will end."""

from batchrun.engine.clock import Clock
from batchrun.engine.engine import UNREACHABLE_SECONDS, Ending, Engine, Limits
from batchrun.engine.forecast import Forecast
from batchrun.engine.progress import Progress
from batchrun.engine.quota import Quota
from batchrun.engine.run_times import REMEMBERED, RunTimes
from batchrun.engine.share import QuotaShare

__all__ = [
    "REMEMBERED",
    "UNREACHABLE_SECONDS",
    "Clock",
    "Ending",
    "Engine",
    "Forecast",
    "Limits",
    "Progress",
    "Quota",
    "QuotaShare",
    "RunTimes",
]
