"""The uploaded lists, each in its own folder with the choices made for it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from platformdirs import user_data_path

from batchrun import Request
from batchrun.settings.location import DEFAULT_BASE_URL, is_server, service_of
from batchrun.settings.private_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIST_FILE = "list.json"
REMEMBERED_FILE = "remembered.json"
PREFERENCES_FILE = "preferences.json"
PRICES_FILE = "prices.json"
MAX_PRICE = 1e9
RESULTS = "results"

_FROM_RUNS = "batch_id", "refused", "ran_as"
_LIST_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class SavedList:
    """An uploaded list, and how to read and send it.

    A results workbook whose marked rows were sent has the ID of their batch. ``refused`` is why the
    list can't be read; ``ran_as`` is the batch that has run its rows, or ``RESULTS`` for a results
    workbook without rows to send. Both are from its last check.
    """

    id: str
    path: Path
    uploaded_at: datetime
    request: Request
    batch_id: str = ""
    refused: str = ""
    ran_as: str = ""


class Lists:
    """The folder of the uploaded lists, readable only by the user.

    Prices are those of one service: at another, such as a sandbox, a row costs something else.
    """

    def __init__(self, folder: Path, service: str = DEFAULT_BASE_URL) -> None:
        self.folder = folder
        service = service_of(service)
        self._at = "" if service == DEFAULT_BASE_URL else f"{service} "

    def new_path(self, name: str) -> Path:
        """Return where to write a list with this name, in a new folder of its own."""
        folder = self.folder / secrets.token_hex(6)
        folder.mkdir(mode=0o700, parents=True)
        self.folder.chmod(0o700)
        return folder / name

    def add(self, path: Path) -> SavedList:
        """Save a list that was written to a `new_path`."""
        saved = SavedList(path.parent.name, path, datetime.now(UTC), Request(path, ""))
        self._save(saved)
        return saved

    def receive(self, name: str, file: IO[bytes]) -> Path:
        """Move an uploaded file to a `new_path`, readable only by the user; return the path."""
        path = self.new_path(name)
        path.touch(mode=0o600)
        try:
            with path.open("wb") as target:
                shutil.copyfileobj(file, target)
        except OSError:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise
        return path

    def get(self, list_id: str) -> SavedList | None:
        """Return the list with this ID, if there is one."""
        if _LIST_ID.fullmatch(list_id) is None:
            return None
        kept = _read(self.folder / list_id / LIST_FILE)
        try:
            path = self.folder / list_id / Path(kept["name"]).name
            uploaded_at = datetime.fromisoformat(kept["uploaded_at"])
            request = _recalled(kept["request"], path)
            known = (str(kept.get(name, "")) for name in _FROM_RUNS)
            return SavedList(list_id, path, uploaded_at, request, *known)
        except (KeyError, TypeError, ValueError):
            return None

    def all(self) -> list[SavedList]:
        """Return all lists, newest first."""
        if not self.folder.is_dir():
            return []
        found = (self.get(each.name) for each in self.folder.iterdir())
        return sorted(filter(None, found), key=lambda one: one.uploaded_at, reverse=True)

    def of_source(self, source: str | None) -> SavedList | None:
        """Return the list that a batch was run with, if it was uploaded here."""
        if source is None or Path(source).parent.parent != self.folder.absolute():
            return None
        return self.get(Path(source).parent.name)

    def change(self, saved: SavedList, **changes: Any) -> SavedList:
        """Save what has changed about a list, and nothing else that an older copy holds."""
        changed = replace(self.get(saved.id) or saved, **changes)
        self._save(changed)
        return changed

    def delete(self, list_id: str) -> None:
        """Delete a list, its choices, and the workbooks beside it."""
        if _LIST_ID.fullmatch(list_id) is not None:
            folder, deleted = self.folder / list_id, self.folder / f".{list_id}"
            with suppress(OSError):
                folder.rename(deleted)  # at once: a check may be writing into it
            for each in (folder, deleted):
                shutil.rmtree(each, ignore_errors=True)

    def remove_leftovers(self) -> None:
        """Delete half uploads, and temporary files of processes that died while writing.

        A file changed in the last minute may belong to a command that is writing it now.
        """
        latest = datetime.now(UTC).timestamp() - 60
        for folder in self.folder.iterdir():
            if _LIST_ID.fullmatch(folder.name.removeprefix(".")) is None:
                continue
            if not (folder / LIST_FILE).exists() or folder.name.startswith("."):
                shutil.rmtree(folder, ignore_errors=True)
            for each in folder.glob(".*"):  # names of uploads never begin with a dot
                with suppress(OSError):
                    if each.stat().st_mtime < latest:
                        each.unlink()

    def remember(self, header: Sequence[str], request: Request) -> None:
        """Store choices for the next list with the same columns."""
        self._update(REMEMBERED_FILE, {_shape(header): _kept(request)})

    def remember_price(self, workflow: str, price: Mapping[str, float]) -> None:
        """Store what a row cost with a workflow: name of the credits → amount."""
        if not self.folder.is_symlink():  # a stranger's journal may come with a link to any folder
            self._update(PRICES_FILE, {self._at + workflow: dict(price)})

    def price(self, workflow: str) -> dict[str, float] | None:
        """Return what a row cost with a workflow last time; ``None`` if that is not known."""
        found = _read(self.folder / PRICES_FILE).get(self._at + workflow)
        amounts = list(found.values()) if isinstance(found, dict) else []
        numbers = all(isinstance(each, (int, float)) and 0 < each < MAX_PRICE for each in amounts)
        return found if amounts and numbers else None

    def remembered(self, header: Sequence[str], path: Path) -> Request | None:
        """Return the choices made for the last list with these columns."""
        kept = _read(self.folder / REMEMBERED_FILE)
        with suppress(TypeError):
            if same := kept.get(_shape(header)):
                return _recalled(same, path)
        return None

    def preferences(self) -> dict[str, Any]:
        """Return the preferences from the settings page."""
        return _read(self.folder / PREFERENCES_FILE)

    def prefer(self, **preferences: Any) -> None:
        """Save preferences from the settings page."""
        self._update(PREFERENCES_FILE, preferences)

    def _update(self, name: str, changes: dict[str, Any]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = _read(self.folder / name) | changes
        write_whole(self.folder / name, json.dumps(kept))

    def _save(self, saved: SavedList) -> None:
        kept = {
            "name": saved.path.name,
            "uploaded_at": saved.uploaded_at.isoformat(),
            "request": _kept(saved.request),
            **{name: getattr(saved, name) for name in _FROM_RUNS},
        }
        with suppress(FileNotFoundError):  # the list was deleted while it was being checked
            write_whole(saved.path.parent / LIST_FILE, json.dumps(kept, ensure_ascii=False))


_CHOICES = [each.name for each in fields(Request) if each.name not in {"source", "ask"}]


def _kept(request: Request) -> dict[str, Any]:
    """Return the choices in a request as JSON."""
    kept = {name: getattr(request, name) for name in _CHOICES}
    return kept | {"reuse": request.reuse.days if request.reuse else 0}


def _recalled(kept: Mapping[str, Any], path: Path) -> Request:
    """Return the request for a list from stored choices; those that are missing are the defaults.

    Raises:
        TypeError: They are not choices.
    """
    given = {"workflow": ""} | {name: kept[name] for name in _CHOICES if name in kept}
    reuse = timedelta(days=given.pop("reuse", 0)) or None
    return Request(path, **given, reuse=reuse)


def lists_folder(journal: str) -> Path:
    """Return the folder for a journal's lists: beside its file, or in the user's data folder."""
    if not is_server(journal):
        path = Path(journal).expanduser().absolute()
        return path.with_name(f"{path.stem}.lists")
    name = hashlib.sha256(journal.encode()).hexdigest()[:12]
    return user_data_path("batchrun", appauthor=False) / f"{name}.lists"


def _shape(header: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(header).encode("utf-8", "replace")).hexdigest()[:24]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
