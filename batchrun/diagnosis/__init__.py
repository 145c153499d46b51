"""What `batchrun doctor` finds: this machine, its configuration, the journal, the service."""

from batchrun.diagnosis.examination import examine
from batchrun.diagnosis.finding import Finding, Verdict, exit_code_of
from batchrun.diagnosis.machine import Terminal

__all__ = ["Finding", "Terminal", "Verdict", "examine", "exit_code_of"]
