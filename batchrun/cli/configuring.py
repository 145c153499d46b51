"""`batchrun config`: every setting, and where it comes from."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from batchrun.cli.options import AsJson, BaseUrl, Daily, JournalAt, ProfileName, Rate, settings_from
from batchrun.cli.telling import tell, tell_as_it_is
from batchrun.cli.terminal import columns_of, is_screen, room_of

FOR_LIST = "A list: the batchrun.toml beside it counts too."


def add_commands(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("config")(show_configuration)


def show_configuration(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help=FOR_LIST)] = None,
    profile: ProfileName = None,
    base_url: BaseUrl = None,
    journal: JournalAt = None,
    rate: Rate = None,
    daily: Daily = None,
    as_json: AsJson = False,
) -> None:
    """Show every setting with its value and where it comes from."""
    from batchrun.access import stored_profiles
    from batchrun.access.telling import tell_settings
    from batchrun.settings import find_configuration, user_file
    from batchrun.settings.wording import shown_end

    options: dict[str, Any] = {
        "profile": profile,
        "base_url": base_url,
        "journal": journal,
        "rate": rate,
        "daily": daily,
    }
    files = find_configuration(file)
    settings = settings_from(configuration=files, **options)
    given = [name for name, value in options.items() if value is not None]
    told = tell_settings(settings, given, files)
    stored = stored_profiles()
    if as_json:
        document = {
            "settings": [asdict(one) for one in told],
            "files": [str(each.path) for each in files.files],
            "profiles": [
                {"name": one.name, "base_url": one.base_url, "kept": one.kept, "end": one.end}
                for one in stored.all().values()
            ],
        }
        tell_as_it_is(json.dumps(document, ensure_ascii=False))
        return
    width = max(len(one.name) for one in told)
    room = min(max(len(one.value) for one in told), 44)
    for one in told:
        source = f"{one.origin} {one.where}".strip()
        line = f"{one.name:{width}}  {one.value or '-':{room}}  {source}"
        if is_screen(sys.stdout) and columns_of(line) > room_of(sys.stdout):
            line = f"{one.name:{width}}  {one.value or '-'}\n{'':{width}}  {source}"
        tell(line, hanging=width + 2)
    tell(
        "\nThe first that says something wins: option, environment, .env, batchrun.toml "
        "beside the list, batchrun.toml of the user, profile, default."
    )
    tell(
        f"Files:     {', '.join(str(each.path) for each in files.files) or 'none'}"
        f" (the user's own is {user_file()})"
    )
    known = [
        f"{one.name} {shown_end(one.end)} for {one.base_url} ({one.kept})"
        for one in stored.all().values()
    ]
    tell(f"Profiles:  {'; '.join(known) or 'none; keep a key with: batchrun login'}")
