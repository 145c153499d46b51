"""Commands about the service: `workflows`, and the service imitated: `sandbox`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from batchrun.cli.options import AsJson, BaseUrl, ProfileName, settings_from
from batchrun.errors import UsageError
from batchrun.words import visible

if TYPE_CHECKING:
    from batchrun.sandbox import Faults

DEFAULT_PORT = 8020
RunTimes: TypeAlias = Literal["lognormal", "bimodal", "uniform", "short", "none"]


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command()(workflows)
    app.command()(sandbox)


def workflows(
    profile: ProfileName = None, base_url: BaseUrl = None, as_json: AsJson = False
) -> None:
    """List the workflows that can be run."""
    import batchrun

    found = batchrun.workflows(settings=settings_from(profile=profile, base_url=base_url))
    if as_json:
        fields = ("id", "name", "description", "status")
        typer.echo(json.dumps([{name: getattr(one, name) for name in fields} for one in found]))
        return
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        inactive = "" if one.status == "active" else f"  [{one.status}]"
        typer.echo(visible(f"{one.name:{width}}  {one.id}{inactive}  {one.description}".rstrip()))


def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = DEFAULT_PORT,
    rate: Annotated[int, typer.Option(min=0, help="Requests a minute; 0 for no limit.")] = 60,
    daily: Annotated[int, typer.Option(min=0, help="Requests a day; 0 for no limit.")] = 10_000,
    slots: Annotated[int, typer.Option(min=0, help="Executions at once; 0 for no limit.")] = 0,
    speed: Annotated[float, typer.Option(min=0.001, help="Seconds that pass in one.")] = 1.0,
    run_times: Annotated[RunTimes, typer.Option(help="How run times are spread.")] = "lognormal",
    fail: Annotated[float, typer.Option(min=0, max=1, help="Share of executions that fail.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Same seed, same run times and results.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=SHARE",
            help="Let a share of the requests go wrong: reset, error, throttle, garbage or slow, "
            "such as --fault reset=0.05. Repeatable.",
        ),
    ] = None,
    slow_seconds: Annotated[float, typer.Option(min=0, help="How late slow answers are.")] = 60.0,
    wrapped_list: Annotated[
        bool, typer.Option("--wrapped-list", help="List workflows inside an object.")
    ] = False,
    object_errors: Annotated[
        bool, typer.Option("--object-errors", help="Tell errors as objects.")
    ] = False,
    silent_quota: Annotated[
        bool, typer.Option("--silent-quota", help="Tell nothing of the quota in headers.")
    ] = False,
) -> None:
    """Serve an imitation of PG:AI on this machine, to try things without a key or cost."""
    from batchrun.sandbox import RunTimeKind, SandboxSettings, serve

    settings = SandboxSettings(
        rate_per_minute=rate or None,
        daily=daily or None,
        slots=slots or None,
        run_times=RunTimeKind(run_times),
        fail=fail,
        seed=seed,
        faults=replace(
            _shares(fault or []),
            slow_seconds=slow_seconds,
            wrapped_list=wrapped_list,
            object_errors=object_errors,
            silent_quota=silent_quota,
        ),
    )

    def announce(url: str) -> None:
        typer.echo(f"Sandbox at {url}, key: sandbox. Stop it with Ctrl-C. To use it:")
        typer.echo(
            f"  export BATCHRUN_BASE_URL={url} PGAI_API_KEY=sandbox BATCHRUN_SPEED={speed:g}"
        )

    serve(settings, port=port, speed=speed, on_ready=announce)


def _shares(words: list[str]) -> Faults:
    from batchrun.sandbox import FaultKind, Faults

    shares: dict[str, Any] = {}
    try:
        for word in words:
            kind, _, share = word.partition("=")
            shares[FaultKind(kind.strip())] = float(share)
        return Faults(**shares)
    except ValueError:
        raise UsageError(
            f"--fault {' '.join(words)} can't be used.",
            f"Kinds: {', '.join(FaultKind)}; shares from 0 to 1, together at most 1, such as "
            "--fault reset=0.05 --fault slow=0.1.",
        ) from None
