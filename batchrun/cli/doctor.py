"""`batchrun doctor`: whether all is well, and what support would ask for."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace

import typer

from batchrun.cli.options import AsJson, BaseUrl, JournalAt, ProfileName
from batchrun.cli.spelling import spelled
from batchrun.cli.telling import tell, tell_as_it_is

TEXT_BEGINS = len("warning  Quota     ")


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(doctor)


def doctor(
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    as_json: AsJson = False,
) -> None:
    """Look at key, service, clock, quota, journal and terminal.

    Spends one request.
    """
    from batchrun.diagnosis import Verdict, examine, exit_code_of
    from batchrun.diagnosis.machine import terminal_of_process

    options = {"profile": profile, "base_url": base_url, "journal": journal}
    examined = asyncio.run(examine(terminal_of_process(), **options))
    found = [replace(one, text=spelled(one.text), advice=spelled(one.advice)) for one in examined]
    code = exit_code_of(found)
    if as_json:
        findings = [
            {name: value for name, value in asdict(one).items() if name != "exit_code"}
            for one in found
        ]
        tell_as_it_is(
            json.dumps({"findings": findings, "exit_code": int(code)}, ensure_ascii=False)
        )
        raise typer.Exit(code)
    for one in found:
        tell(f"{one.verdict:8} {one.name:9} {one.text}", hanging=TEXT_BEGINS)
        if one.advice:
            tell(f"{'':{TEXT_BEGINS}}-> {one.advice}", hanging=TEXT_BEGINS + len("-> "))
    faults = sum(one.verdict is Verdict.FAULT for one in found)
    warnings = sum(one.verdict is Verdict.WARNING for one in found)
    tell(
        f"\nFaults: {faults}, warnings: {warnings}. "
        "Support may be sent all of this: it holds no key and no password."
    )
    raise typer.Exit(code)
