"""The journal: durable state of batches, rows, jobs, results, and the requests spent."""

from batchrun.journal.jobs import BatchJobs, Job
from batchrun.journal.journal import Journal, Remaining
from batchrun.journal.lease import Holder
from batchrun.journal.ledger import QuotaLedger

__all__ = ["BatchJobs", "Holder", "Job", "Journal", "QuotaLedger", "Remaining"]
