"""The journal: durable state of batches, rows, jobs, results, and the requests spent."""

from batchrun.journal.jobs import BatchJobs, Job
from batchrun.journal.journal import Journal, Remaining, remaining
from batchrun.journal.lease import Hold, Holder
from batchrun.journal.ledger import QuotaLedger, Reservation

__all__ = [
    "BatchJobs",
    "Hold",
    "Holder",
    "Job",
    "Journal",
    "QuotaLedger",
    "Remaining",
    "Reservation",
    "remaining",
]
