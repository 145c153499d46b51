"""Commands for keys, settings and the service: `login`, `logout`, `config`, `doctor` and more."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from batchrun.cli.help import SERVICE, THE_LIST, add_command
from batchrun.cli.options import (
    AsJson,
    BaseUrl,
    ProfileName,
    Sandbox,
    ServiceOptions,
    refuse_together,
    settings_of,
    with_option_groups,
)
from batchrun.cli.output import (
    print_exact,
    print_lines,
    print_text,
    runnable_commands,
)
from batchrun.cli.prompts import ask, confirm_address
from batchrun.cli.settings import sandbox_hint, settings_from, settings_or_sandbox
from batchrun.errors import BatchrunError, NoBatchError, UsageError
from batchrun.text import columns_of, plural

Name = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Name of the key (its profile). [default: default]",
        rich_help_panel=SERVICE,
    ),
]


def add_config_commands(app: typer.Typer) -> None:
    """Add the commands for keys, settings and the service."""
    add = partial(add_command, app, panel="Set up and check")
    add(with_option_groups(doctor), "batchrun doctor", "batchrun doctor --profile north")
    add(
        login,
        "batchrun login",
        "batchrun login --profile north  # a second key",
        "pass show pgai | batchrun login  # from standard input",
    )
    add(logout, "batchrun logout", "batchrun logout --profile north")
    add(workflows, "batchrun workflows", "batchrun workflows --json  # for scripts")
    add(
        show_configuration,
        "batchrun config",
        "batchrun config accounts.xlsx  # with the batchrun.toml beside it",
        name="config",
    )
    add(
        sandbox,
        "batchrun sandbox --speed 60  # a minute passes in a second",
        "batchrun sandbox --fail 0.1  # a tenth of the jobs fail",
    )


def login(
    profile: Name = None,
    base_url: BaseUrl = None,
    no_check: Annotated[
        bool,
        typer.Option(
            "--no-check", help="Save the key without asking the service.", rich_help_panel=SERVICE
        ),
    ] = False,
    in_file: Annotated[
        bool,
        typer.Option(
            "--in-file",
            help="Save the key in a file even if there is a keyring.",
            rich_help_panel=SERVICE,
        ),
    ] = False,
) -> None:
    """Check your API key and save it.

    Type it when asked, or send it to standard input.
    """
    from batchrun.login import address_for, log_in
    from batchrun.settings.credentials import usual_profile
    from batchrun.settings.location import service_of
    from batchrun.settings.model import masked_end
    from batchrun.settings.profiles import checked_name, stored_profiles

    settings = settings_from(base_url=base_url)
    usual = settings.profile or usual_profile(settings)
    name = checked_name(usual if profile is None else profile)
    address = address_for(name, settings)
    earlier = stored_profiles().get(name)
    if earlier is None or service_of(earlier.base_url) != address:
        confirm_address(settings.model_copy(update={"base_url": address}), at_login=True)
    kept = asyncio.run(
        log_in(
            _key(address, profile or settings.profile),
            address,
            name,
            timeout_seconds=settings.timeout_seconds,
            check=not no_check,
            in_file=in_file,
        )
    )
    seen = "not checked"
    if kept.workflows is not None:
        seen = f"sees {plural(kept.workflows, 'workflow')}"
    print_text(f"Saved:     key {masked_end(kept.profile.end)} for {address}, {seen}")
    print_text(f"Name:      {name} (choose it with --profile)")
    place = f"the system's keyring, its password store ({kept.place})"
    if kept.why_a_file:
        place = f"{kept.place}, readable only by your account: {kept.why_a_file}"
    print_text(f"Kept in:   {place}", whole=[kept.place])
    if kept.not_deleted_reason:
        print_text(f"Note:      an earlier key stays in the keyring. {kept.not_deleted_reason}")
    if settings.api_key is not None:
        print_text("Note:      PGAI_API_KEY is set, and counts unless --profile is given")


def logout(
    profile: Name = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Delete the keys of all profiles.", rich_help_panel=SERVICE),
    ] = False,
) -> None:
    """Delete a saved API key."""
    from batchrun.settings.credentials import key_source, usual_profile
    from batchrun.settings.profiles import stored_profiles

    refuse_together({"--all": every, "--profile": profile})
    settings = settings_from()
    usual = settings.profile or usual_profile(settings)
    stored = stored_profiles().all()
    if profile is None and not stored:  # no advice to create the default profile
        every = True
    names = [*stored] if every else [usual if profile is None else profile]
    left = []
    for name in names:
        try:
            _delete(name)
        except UsageError as error:  # a locked keyring must not keep the other keys from deletion
            if not every:
                raise
            print_text(f"Left:      the key of profile {name}. {error.what} {error.hint}", err=True)
            left.append(name)
    if not names:
        print_text("No key is stored.")
    if settings.api_key is not None:
        print_text(f"Note:      {key_source(settings)} is still set")
    if left:
        raise UsageError(
            f"Not all keys are deleted: of {len(names)}, {', '.join(left)} "
            f"{'is' if len(left) == 1 else 'are'} left.",
            "Follow the advice for each, then run again: batchrun logout --all",
        )


def _delete(name: str) -> None:
    from batchrun.login import log_out
    from batchrun.settings.profiles import stored_profiles

    base_url = stored_profiles().named(name).base_url
    left = log_out(name)
    print_text(f"Deleted:   {'profile' if left else 'the key of profile'} {name} for {base_url}")
    if left:
        print_text(f"Note:      {left}")


def _key(address: str, profile: str | None) -> str:
    """Read the key: hidden input at a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        chosen = f", profile {profile}" if profile else ""
        typed = ask(f"Key for {address}{chosen} (not shown)", hidden=True)
    else:
        typed = sys.stdin.readline()
    if not typed.strip():
        raise UsageError(
            "No key was given. Nothing was saved.", "Type it, or pipe it in on one line."
        )
    return typed.strip()


def show_configuration(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Also read the batchrun.toml beside this list.",
            rich_help_panel=THE_LIST,
        ),
    ] = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Show every setting, its value, and where it comes from."""
    from batchrun.settings.credentials import shown_settings
    from batchrun.settings.files import find_configuration, user_file
    from batchrun.settings.model import masked_end
    from batchrun.settings.profiles import stored_profiles

    files = find_configuration(file)
    shown = shown_settings(settings_from(profile=profile, configuration=files), files)
    stored = stored_profiles()
    if as_json:
        document = {
            "settings": [asdict(one) for one in shown],
            "files": [str(each.path) for each in files.files],
            "profiles": [
                {"name": one.name, "base_url": one.base_url, "kept": one.kept, "end": one.end}
                for one in stored.all().values()
            ],
        }
        print_exact(json.dumps(document, ensure_ascii=False))
        return
    width = max(len(one.name) for one in shown)
    for one in shown:
        source = f"{one.origin} {one.where}".strip()
        print_text(f"{one.name:{width}}  {one.value or '-'}  ({source})", hanging=width + 2)
    print_text(
        "\nThe first that has a value wins: option, environment, batchrun.toml beside the list, "
        "batchrun.toml of the user, profile, .env (only the API key), default."
    )
    print_text(
        f"Files:     {', '.join(str(each.path) for each in files.files) or 'none'}"
        f" (the user's own is {user_file()})"
    )
    known = [
        f"{one.name} {masked_end(one.end)} for {one.base_url} ({one.kept})"
        for one in stored.all().values()
    ]
    print_text(f"Profiles:  {'; '.join(known) or 'none; save a key with: batchrun login'}")


TEXT_BEGINS = len("warning  Quota     ")


def doctor(*, service: ServiceOptions, as_json: AsJson = False) -> None:
    """Find out what is wrong: key, service, quota, journal, terminal.

    Run this first when something does not work. It costs one request.
    """
    from batchrun.doctor import Verdict, examine, exit_code_of

    options = settings_of(service)
    if service.sandbox:
        with settings_or_sandbox(**options) as settings:
            names = ("base_url", "api_key", "speed", "journal")
            found = asyncio.run(examine(**{name: getattr(settings, name) for name in names}))
    else:
        with suppress(UsageError):  # the check reports it
            confirm_address(settings_from(**options))
        found = asyncio.run(examine(**options | {"sandbox": None}))
    code = exit_code_of(found)
    if as_json:
        findings = [
            {name: value for name, value in asdict(one).items() if name != "exit_code"}
            for one in found
        ]
        print_exact(json.dumps({"findings": findings, "exit_code": int(code)}, ensure_ascii=False))
        raise typer.Exit(code)
    for one in found:
        print_text(f"{one.verdict:8} {one.name:9} {one.text}", hanging=TEXT_BEGINS)
        if one.advice:
            print_text(f"{'':{TEXT_BEGINS}}-> {one.advice}", hanging=TEXT_BEGINS + len("-> "))
    faults = sum(one.verdict is Verdict.FAULT for one in found)
    warnings = sum(one.verdict is Verdict.WARNING for one in found)
    print_text(
        f"\nFaults: {faults}, warnings: {warnings}. "
        "You can send all of this to support: it contains no key and no password."
    )
    if not service.sandbox and (practice := sandbox_hint(["doctor"])):
        print_text(practice)
    raise typer.Exit(code)


DEFAULT_PORT = 8020
RunTimes: TypeAlias = Literal["lognormal", "bimodal", "uniform", "short", "none"]


def workflows(
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    use_sandbox: Sandbox = False,
    as_json: AsJson = False,
) -> None:
    """List the workflows you can run."""
    import batchrun

    with settings_or_sandbox(use_sandbox, profile=profile, base_url=base_url) as settings:
        confirm_address(settings)
        found = batchrun.workflows(settings=settings)
    if as_json:
        fields = ("id", "name", "description", "status")
        print_exact(json.dumps([{name: getattr(one, name) for name in fields} for one in found]))
        return
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        inactive = "" if one.status == "active" else f"  [{one.status}]"
        shown = f"{one.name:{width}}  {one.id}{inactive}  {one.description}".rstrip()
        print_text(shown, hanging=width + 2)


def sandbox(
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 picks a free one.")
    ] = DEFAULT_PORT,
    rate: Annotated[
        int, typer.Option(metavar="N", min=0, help="Requests a minute; 0 for no limit.")
    ] = 60,
    daily: Annotated[
        int, typer.Option(metavar="N", min=0, help="Requests a day; 0 for no limit.")
    ] = 10_000,
    slots: Annotated[
        int, typer.Option(metavar="N", min=0, help="Jobs at once; 0 for no limit.")
    ] = 0,
    speed: Annotated[
        float,
        typer.Option(metavar="N", min=0.001, help="Speed of time; at 60 a minute takes a second."),
    ] = 1.0,
    run_times: Annotated[
        RunTimes,
        typer.Option(metavar="KIND", help="Run times: lognormal, bimodal, uniform, short or none."),
    ] = "lognormal",
    fail: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Share of jobs that fail once.")
    ] = 0.0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed gives the same run times and results.")
    ] = 0,
) -> None:
    """Start an imitation of PG:AI on this machine to practice."""
    from batchrun.sandbox import RunTimeKind, SandboxSettings, serve
    from batchrun.settings.profiles import SANDBOX_KEY

    settings = SandboxSettings(
        rate_per_minute=rate or None,
        daily=daily or None,
        slots=slots or None,
        run_times=RunTimeKind(run_times),
        fail=fail,
        seed=seed,
    )

    def announce(url: str) -> None:
        print_text(f"Sandbox at {url}, key: sandbox. Stop it with Ctrl-C. To use it:")
        values = {
            "BATCHRUN_BASE_URL": url,
            "PGAI_API_KEY": SANDBOX_KEY,
            "BATCHRUN_SPEED": f"{speed:g}",
        }
        if sys.platform == "win32":
            given = "; ".join(f"$env:{name}='{value}'" for name, value in values.items())
            print_exact(f"  PowerShell: {given}")
            given = " && ".join(f'set "{name}={value}"' for name, value in values.items())
            print_exact(f"  cmd: {given}")
        else:
            for name, value in values.items():  # each fits into 80 columns
                print_exact(f"  export {name}={value}")

    serve(settings, port=port, speed=speed, on_ready=announce)


def welcome() -> None:
    """Print the next steps."""
    from batchrun.settings.credentials import address_of, given_key, profile_of
    from batchrun.settings.profiles import stored_profiles

    settings = settings_from()
    stored = profile_of(settings)
    lines = ["batchrun runs a PG:AI workflow for every row of a list and writes a workbook.", ""]
    if stored is None and not given_key(settings):
        others = ", ".join(stored_profiles().all())
        choose = f"Saved keys: {others}. Choose one with --profile or BATCHRUN_PROFILE."
        lines.append(choose if others else "There is no API key yet.")
        commands = {
            "batchrun web": "open batchrun in your browser; practice there without a key",
            "batchrun demo": "run a made-up list on this computer: no key, no cost",
            "batchrun login": "save your API key",
        }
    else:
        from batchrun import batches

        whose = "PGAI_API_KEY" if stored is None else f"profile {stored.name}"
        lines.append(f"Key: {whose}, for {address_of(settings)}")
        commands = {}
        try:
            for found in batches(unfinished=True, settings=settings)[:1]:
                commands[f"batchrun resume {found.batch_id}"] = f"continue {found.source.name}"
        except NoBatchError:
            pass  # the first run creates the journal
        except BatchrunError as error:
            lines.append(f"The journal can't be read: {error.what} See: batchrun doctor")
        commands |= {
            "batchrun web": "open batchrun in your browser",
            'batchrun check FILE -w "WORKFLOW"': "what a run would do",
            'batchrun run FILE -w "WORKFLOW"': "run it; asks first",
            "batchrun workflows": "which workflows there are",
        }
    print_lines(lines)
    widths = {command: columns_of(runnable_commands(command)) for command in commands}
    widest = max(widths.values())
    for command, words in commands.items():
        gap = " " * (widest - widths[command] + 3)
        print_text(f"  {command}{gap}{words}", hanging=widest + 5)
    print_lines(["", "Everything else: batchrun --help"])
