"""The uploaded lists, each in its own folder with the choices made for it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path

from batchrun import Request
from batchrun.settings.location import is_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchrun.model import JSON

LIST_FILE = "list.json"
REMEMBERED_FILE = "remembered.json"
PREFERENCES_FILE = "preferences.json"
PRICES_FILE = "prices.json"

NO_COLUMN = "(none)"
"""The choice not to send any IDs, in place of an ID column."""

_LIST_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Choices:
    """The options for reading and sending a list, as chosen on the page.

    Attributes:
        workflow: ID of the workflow; ``""`` before one is chosen.
        sheet: Name of the sheet; ``""`` to detect it.
        header_row: Line of the column names; ``None`` to detect it.
        no_header: The list has no column names.
        company_column: Name or number of the company column; ``""`` to detect it, `NO_COLUMN` to
            send no company IDs.
        contact_column: The contact column, in the same form.
        encoding: Encoding of a text file; ``""`` to detect it.
        delimiter: Delimiter of a text file; ``""`` to detect it.
        literal_quotes: Treat quotes in a text file as ordinary text.
        visible_only: Leave out hidden rows.
        lenient_ids: Also send IDs that are not valid UUIDs.
        parameters: Values to send with every row.
        parameter_columns: Parameter → name or number of the column with its values.
        reuse_days: Reuse results up to this age, in days; 0 for none.
    """

    workflow: str = ""
    sheet: str = ""
    header_row: int | None = None
    no_header: bool = False
    company_column: str = ""
    contact_column: str = ""
    encoding: str = ""
    delimiter: str = ""
    literal_quotes: bool = False
    visible_only: bool = False
    lenient_ids: bool = False
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    parameter_columns: Mapping[str, str] = field(default_factory=dict)
    reuse_days: int = 0

    @property
    def changes_options(self) -> bool:
        """Whether any option under "More options" is set."""
        reading = (self.header_row, self.no_header, self.encoding, self.delimiter)
        more = (self.literal_quotes, self.visible_only, self.lenient_ids, self.reuse_days)
        return any(reading) or any(more)

    def request(self, path: Path) -> Request:
        """Return the request to the library."""
        company, contact = (
            None if each in {"", NO_COLUMN} else each
            for each in (self.company_column, self.contact_column)
        )
        return Request(
            path,
            self.workflow,
            sheet=self.sheet or None,
            company_column=company,
            contact_column=contact,
            no_company=self.company_column == NO_COLUMN,
            no_contact=self.contact_column == NO_COLUMN,
            no_header=self.no_header,
            encoding=self.encoding or None,
            delimiter=self.delimiter or None,
            quoting="literal" if self.literal_quotes else None,
            parameters=dict(self.parameters),
            parameter_columns=dict(self.parameter_columns),
            header_row=self.header_row,
            visible_only=self.visible_only,
            lenient_ids=self.lenient_ids,
            reuse=timedelta(days=self.reuse_days) if self.reuse_days else None,
        )

    @classmethod
    def recalled(cls, kept: Mapping[str, Any]) -> Choices:
        """Read stored choices; options that the file lacks keep their defaults."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in kept.items() if name in known})


@dataclass(frozen=True, slots=True)
class SavedList:
    """An uploaded list.

    Attributes:
        id: Its ID in URLs.
        path: The file.
        uploaded_at: The time of the upload; aware, UTC.
        choices: The choices made for it.
        batch_id: For a results workbook: the batch whose marked rows were sent; otherwise ``""``.
    """

    id: str
    path: Path
    uploaded_at: datetime
    choices: Choices
    batch_id: str = ""


class Lists:
    """The folder of the uploaded lists, readable only by the user.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new_path(self, name: str) -> Path:
        """Return where to write a list with this name, in a new folder of its own."""
        folder = self.folder / secrets.token_hex(6)
        folder.mkdir(mode=0o700, parents=True)
        self.folder.chmod(0o700)
        return folder / name

    def add(self, path: Path) -> SavedList:
        """Save a list that was written to a `new_path`."""
        saved = SavedList(path.parent.name, path, datetime.now(UTC), Choices())
        self._save(saved)
        return saved

    def discard(self, path: Path) -> None:
        """Delete the folder of a list that was rejected."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def get(self, list_id: str) -> SavedList | None:
        """Return the list with this ID, if there is one."""
        if _LIST_ID.fullmatch(list_id) is None:
            return None
        kept = _read(self.folder / list_id / LIST_FILE)
        try:
            path = self.folder / list_id / Path(kept["name"]).name
            uploaded_at = datetime.fromisoformat(kept["uploaded_at"])
            choices = Choices.recalled(kept["choices"])
            return SavedList(list_id, path, uploaded_at, choices, str(kept.get("batch_id", "")))
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

    def choose(self, saved: SavedList, choices: Choices) -> SavedList:
        """Save the choices made for a list."""
        changed = replace(saved, choices=choices)
        self._save(changed)
        return changed

    def note_batch(self, saved: SavedList, batch_id: str) -> None:
        """Record the batch whose marked rows were sent from a workbook."""
        self._save(replace(saved, batch_id=batch_id))

    def delete(self, list_id: str) -> None:
        """Delete a list, its choices, and the workbooks beside it."""
        if _LIST_ID.fullmatch(list_id) is not None:
            folder, deleted = self.folder / list_id, self.folder / f".{list_id}"
            with suppress(OSError):
                folder.rename(deleted)  # at once: a check may be writing into it
            for each in (folder, deleted):
                shutil.rmtree(each, ignore_errors=True)

    def remember(self, header: Sequence[str], choices: Choices) -> None:
        """Store choices for the next list with the same columns."""
        kept = _read(self.folder / REMEMBERED_FILE)
        kept[_shape(header)] = asdict(choices)
        self._keep(REMEMBERED_FILE, kept)

    def remember_price(self, workflow: str, price: Mapping[str, float]) -> None:
        """Store what a row cost with a workflow: name of the credits → amount."""
        self._keep(PRICES_FILE, _read(self.folder / PRICES_FILE) | {workflow: dict(price)})

    def price(self, workflow: str) -> dict[str, float] | None:
        """Return what a row cost with a workflow last time; ``None`` if it was never run."""
        found = _read(self.folder / PRICES_FILE).get(workflow)
        return found if isinstance(found, dict) else None

    def remembered(self, header: Sequence[str]) -> Choices | None:
        """Return the choices made for the last list with these columns."""
        kept = _read(self.folder / REMEMBERED_FILE)
        with suppress(TypeError):
            if same := kept.get(_shape(header)):
                return Choices.recalled(same)
        return None

    def preferences(self) -> dict[str, Any]:
        """Return the preferences from the settings page."""
        return _read(self.folder / PREFERENCES_FILE)

    def prefer(self, preferences: Mapping[str, Any]) -> None:
        """Save the preferences from the settings page."""
        self._keep(PREFERENCES_FILE, preferences)

    def _keep(self, name: str, kept: Mapping[str, Any]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self.folder / name, kept)

    def _save(self, saved: SavedList) -> None:
        kept = {
            "name": saved.path.name,
            "uploaded_at": saved.uploaded_at.isoformat(),
            "choices": asdict(saved.choices),
            "batch_id": saved.batch_id,
        }
        with suppress(FileNotFoundError):  # the list was deleted while it was being checked
            _write(saved.path.parent / LIST_FILE, kept)


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
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, kept: Mapping[str, Any]) -> None:
    """Write the file atomically, readable only by the user."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)
