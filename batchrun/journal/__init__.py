"""The journal: durable state of batches, rows, jobs, results, and of the requests spent."""

from batchrun.journal.holder import Hold, Holder
from batchrun.journal.job import Job
from batchrun.journal.jobs import BatchJobs
from batchrun.journal.journal import Journal
from batchrun.journal.ledger import QuotaLedger, Turns
from batchrun.journal.standing import Standing, standing

__all__ = [
    "BatchJobs",
    "Hold",
    "Holder",
    "Job",
    "Journal",
    "QuotaLedger",
    "Standing",
    "Turns",
    "standing",
]
