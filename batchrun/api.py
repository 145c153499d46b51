"""batchrun for programs: the functions of `batchrun.aio` as plain ones.

They work in a notebook too, where an event loop runs already. The first Ctrl-C stops a batch
gently, the second at once; `KeyboardInterrupt` is raised when that is done.
"""

from __future__ import annotations

from batchrun import aio
from batchrun.blocking import blocking, stoppable

__all__ = ["check", "resume", "retry", "run", "run_marked", "workflows"]

check = blocking(aio.check)
resume = stoppable(aio.resume)
retry = stoppable(aio.retry)
run = stoppable(aio.run)
run_marked = stoppable(aio.run_marked)
workflows = blocking(aio.workflows)
