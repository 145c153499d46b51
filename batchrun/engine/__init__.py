"""Trigger and poll: a batch's jobs over one quota, with a forecast of when executions end."""

from batchrun.engine.clock import Clock
from batchrun.engine.engine import Ending, Engine, Limits, Progress
from batchrun.engine.forecast import Forecast, TimedForecast
from batchrun.engine.quota import DEFAULT_RATE, Quota

__all__ = [
    "DEFAULT_RATE",
    "Clock",
    "Ending",
    "Engine",
    "Forecast",
    "Limits",
    "Progress",
    "Quota",
    "TimedForecast",
]
