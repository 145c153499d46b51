"""The sandbox: an imitation of the PG:AI service, to try and test without a key or costs.

::

    model.py      what the service would answer; pure: every method is given the virtual time
    ├── body.py       reading a trigger's body as strictly as the service might
    ├── quota.py      the key's windows of a minute and a day
    └── results.py    run times, failures and results, drawn from the seed and the body
    app.py        the model over HTTP (Starlette), and the virtual clock
    server.py     the app on a socket: `serve` for people, `running` for programs
    demo_list.py  an invented CRM export to run against it

The contract is in ``openapi.yaml`` beside this file.
"""

from batchrun.sandbox.app import SandboxClock, create_app
from batchrun.sandbox.demo_list import DEMO_HEADER, demo_rows, write_demo_list
from batchrun.sandbox.model import (
    DEFAULT_KEYS,
    WORKFLOWS,
    Answer,
    LoggedTrigger,
    SandboxService,
    SandboxSettings,
    Scope,
)
from batchrun.sandbox.results import RunTimeKind
from batchrun.sandbox.server import practice, running, running_app, serve

__all__ = [
    "DEFAULT_KEYS",
    "DEMO_HEADER",
    "WORKFLOWS",
    "Answer",
    "LoggedTrigger",
    "RunTimeKind",
    "SandboxClock",
    "SandboxService",
    "SandboxSettings",
    "Scope",
    "create_app",
    "demo_rows",
    "practice",
    "running",
    "running_app",
    "serve",
    "write_demo_list",
]
