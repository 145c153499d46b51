"""The sandbox: a local imitation of the PG:AI service. It needs no key and costs nothing.

::

    model.py      the service's answers; pure: every method takes the virtual time
    └── results.py    failures and results, derived from the seed and the body
    server.py     HTTP: `serve` blocks until Ctrl-C, `running` is a context manager
    demo_list.py  a fictional CRM export to run against it

The API contract is in ``openapi.yaml`` in this directory.
"""

from batchrun.sandbox.demo_list import write_demo_list
from batchrun.sandbox.model import DEFAULT_KEYS, RunTimeKind, SandboxSettings, Scope
from batchrun.sandbox.server import PRACTICE_SPEED, practice, running, serve

__all__ = [
    "DEFAULT_KEYS",
    "PRACTICE_SPEED",
    "RunTimeKind",
    "SandboxSettings",
    "Scope",
    "practice",
    "running",
    "serve",
    "write_demo_list",
]
