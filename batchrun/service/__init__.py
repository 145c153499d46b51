"""The service's API: one client, and one answer type for each thing the caller can do next."""

from batchrun.service.answers import (
    Accepted,
    Credits,
    Doubtful,
    KeyRefused,
    NotSent,
    PollAnswer,
    Polled,
    Probe,
    Rejected,
    Throttled,
    TriggerAnswer,
    Unclear,
    Unknown,
    WorkflowList,
)
from batchrun.service.client import Client, choose_workflow
from batchrun.service.parsing import QuotaReading, read_quota

__all__ = [
    "Accepted",
    "Client",
    "Credits",
    "Doubtful",
    "KeyRefused",
    "NotSent",
    "PollAnswer",
    "Polled",
    "Probe",
    "QuotaReading",
    "Rejected",
    "Throttled",
    "TriggerAnswer",
    "Unclear",
    "Unknown",
    "WorkflowList",
    "choose_workflow",
    "read_quota",
]
