"""The settings of a command, with an embedded sandbox behind them when one is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from batchrun.cli.options import settings_from, with_play_journal
from batchrun.errors import UsageError

if TYPE_CHECKING:
    from batchrun.settings import Settings

SANDBOX_SPEED = 60.0

Sandbox: TypeAlias = Annotated[
    bool, typer.Option("--sandbox", help="Run against an imitation of the service; no key needed.")
]


@contextmanager
def settings_or_sandbox(use_sandbox: bool, **given: Any) -> Iterator[Settings]:
    """The settings; with an embedded sandbox behind them when one is wanted.

    Raises:
        UsageError: One of them can't be used, or names another service beside the sandbox.
    """
    with ExitStack() as stack:
        if use_sandbox:
            for name, option in (("base_url", "--base-url"), ("profile", "--profile")):
                if given.get(name):
                    raise UsageError(f"--sandbox and {option} exclude each other.", "Give one.")
            from batchrun.sandbox import SandboxSettings, running

            given["base_url"] = stack.enter_context(running(SandboxSettings(), speed=SANDBOX_SPEED))
            given |= {"api_key": "sandbox", "speed": SANDBOX_SPEED}
        settings = settings_from(**given)
        typed = given.get("journal")
        yield with_play_journal(settings, typed) if use_sandbox else settings
