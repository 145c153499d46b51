"""The page's routes. Each POST ends in a redirect, so that reload and back repeat nothing."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
import secrets
import tempfile
from bisect import bisect_left
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import batchrun
from batchrun import Crm, Form, Outcome
from batchrun.advice import IN_TEXT_EDITOR
from batchrun.batch.history import RowPage, sent_elsewhere
from batchrun.errors import BatchrunError, HeldError, JournalError, NoBatchError, UsageError
from batchrun.model import ResultRow, Role
from batchrun.settings.credentials import address_of, given_key, profile_of
from batchrun.settings.keyring import NoKeyring, open_keyring
from batchrun.settings.location import is_practice, shown
from batchrun.settings.model import masked_end, masked_key
from batchrun.settings.profiles import DEFAULT_PROFILE
from batchrun.tables.ids import EXAMPLE_ID
from batchrun.text import duration, json_or_text, plural, visible, whole_number
from batchrun.web import screens, words
from batchrun.web.security import Guard, Session
from batchrun.web.uploads import file_name, read_form
from batchrun.web.work import BEGIN_SECONDS, FAILED, REUSE_AGES, shown_version, unexpected_error
from batchrun.workbook.form import Audience
from batchrun.workbook.readable import PILOT_FIELDS, Fields, cell_words, pilot_results
from batchrun.workbook.reasons import Commands
from batchrun.workbook.text import crms_of, escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from batchrun.web.lists import SavedList
    from batchrun.web.work import BatchRun, Workspace

_LOG = logging.getLogger(__name__)

PILOT_ROWS = 5
MAX_MESSAGES = 50
MAX_PILOT_ROWS = 20
CRM_ROWS = 20
"""Rows to look at for the record IDs of a CRM."""
MAX_PARAMETERS = 50
WORKBOOKS = frozenset({".ods", ".xls", ".xlsb", ".xlsm", ".xlsx"})
OPTIONS = (
    *("header_row", "no_header", "encoding", "delimiter", "quoting", "visible_only"),
    *("lenient_ids", "reuse"),
)
"""The choices under "More options"; their controls have the same IDs."""
NO_COLUMN = "(none)"
"""The choice to send no IDs of a kind, in place of a column."""
DELIMITERS = {"comma": "Commas", "semicolon": "Semicolons", "tab": "Tabs", "bar": "Bars ( | )"}
ENCODINGS = {
    "utf-8": "Unicode (UTF-8)",
    "cp1252": "Western European (Windows)",
    "cp1250": "Central European (Windows)",
    "cp1251": "Cyrillic (Windows)",
    "cp1253": "Greek (Windows)",
    "cp1254": "Turkish (Windows)",
    "cp1255": "Hebrew (Windows)",
    "cp1256": "Arabic (Windows)",
    "mac_roman": "Western European (older Macs)",
    "shift_jis": "Japanese (Shift JIS)",
    "euc_jp": "Japanese (EUC-JP)",
    "gb18030": "Chinese, simplified (GB 18030)",
    "big5": "Chinese, traditional (Big5)",
    "euc_kr": "Korean (EUC-KR)",
    "koi8_r": "Russian (KOI8-R)",
    "utf-16": "Unicode (UTF-16)",
}

_EDITIONS = {
    "xlsx": (".results.xlsx", Form(commands=Commands(on_page=True))),
    "people": (".to-share.xlsx", Form(audience=Audience.PEOPLE)),
    "fix": (".to-fix.xlsx", Form(only=(Outcome.INVALID, Outcome.FAILED, Outcome.REJECTED))),
    "csv": (".results.csv", Form()),
    "jsonl": (".results.jsonl", Form()),
    "salesforce": (".results.salesforce.csv", Form(crm=Crm.SALESFORCE)),
    "hubspot": (".results.hubspot.csv", Form(crm=Crm.HUBSPOT)),
}
"""The end of a file's name, and its form."""


def create_app(workspace: Workspace, session: Session) -> ASGIApp:
    """Create the page's web application."""
    pages = _Pages(workspace, session)

    def post(path: str, handler: Callable[[Request], Response]) -> Route:
        return Route(path, pages.for_own_forms(handler), methods=["POST"])

    routes = [
        Route("/", pages.home, name="home"),
        Route("/live", pages.home_live),
        Route("/alive", pages.alive),
        Route("/start", pages.start),
        post("/start/key", pages.store_key),
        post("/start/sandbox", pages.use_sandbox),
        Route("/lists", pages.upload, methods=["POST"]),
        post("/lists/sample", pages.sample),
        Route("/lists/{list_id}", pages.show_list),
        Route("/lists/{list_id}/live", pages.list_live),
        post("/lists/{list_id}/choices", pages.choose),
        post("/lists/{list_id}/again", pages.run_marked),
        Route("/lists/{list_id}/delete", pages.ask_to_delete_list),
        post("/lists/{list_id}/delete", pages.delete_list),
        Route("/lists/{list_id}/unsendable.csv", pages.unsendable),
        Route("/batches/{batch_id}", pages.show_batch),
        Route("/batches/{batch_id}/live", pages.batch_live),
        Route("/batches/{batch_id}/line/{line}", pages.show_row),
        Route("/batches/{batch_id}/line/{line}/live", pages.row_live),
        Route("/batches/{batch_id}/attention", pages.attention),
        Route("/batches/{batch_id}/download", pages.download),
        post("/batches/{batch_id}/resume", pages.resume),
        post("/batches/{batch_id}/retry", pages.retry),
        post("/batches/{batch_id}/decide", pages.decide),
        post("/batches/{batch_id}/stop", pages.stop),
        Route("/batches/{batch_id}/forget", pages.forget),
        post("/batches/{batch_id}/forget", pages.forget_now),
        Route("/settings", pages.settings),
        post("/settings/limits", pages.set_limits),
        post("/settings/key", pages.store_key),
        post("/settings/logout", pages.log_out),
        post("/settings/sandbox", pages.use_sandbox),
        post("/settings/real", pages.leave_sandbox),
        Mount("/static", StaticFiles(packages=[("batchrun.web", "static")])),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            BatchrunError: pages.explain,
            HTTPException: pages.not_found,
            Exception: pages.unexpected,
        },
    )
    return Guard(app, session, pages.refusal)


class _Pages:
    """The handlers of the routes."""

    def __init__(self, workspace: Workspace, session: Session) -> None:
        self._workspace = workspace
        self._session = session
        self._messages: dict[str, tuple[str, BatchrunError]] = {}
        self._templates = Environment(
            loader=PackageLoader("batchrun.web"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_only_text,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "cell": cell_words,
            "moment": words.moment_words,
            "duration": duration,
            "advice": words.advice_words,
            "plain": words.plain,
            "reason": words.reason_words,
            "result": screens.result_words,
            "sentence": words.sentence,
            "short": words.short,
        }
        self._templates.globals |= {
            "plural": plural,
            "secret": session.page_secret,
            "workspace": workspace,
            "version": batchrun.__version__,
            "Role": Role,
            "screens": screens,
            "NO_COLUMN": NO_COLUMN,
            "REUSE_AGES": REUSE_AGES,
            "EXAMPLE_ID": EXAMPLE_ID,
            "IN_TEXT_EDITOR": IN_TEXT_EDITOR,
            "DELIMITERS": DELIMITERS,
            "ENCODINGS": ENCODINGS,
        }

    # rendering

    def _show(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._render(template, **values), status)

    def _show_screen(self, request: Request, template: str, **values: Any) -> HTMLResponse:
        """Return a screen that forms redirect to, with their message if there is one."""
        return self._show(template, message=self._message(request), **values)

    def _message(self, request: Request) -> tuple[str, BatchrunError] | None:
        return self._messages.get(request.query_params.get("message", ""))

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(values)

    def refusal(self, status: int, reason: str) -> Response:
        """Return the page for a refused request."""
        return self._show("refused.html", status, reason=reason)

    def explain(self, request: Request, error: Exception) -> Response:
        """Return the page for an error that batchrun explains."""
        assert isinstance(error, BatchrunError)
        status = (
            404 if isinstance(error, JournalError) and not isinstance(error, HeldError) else 400
        )
        if request.url.path.endswith("/live"):
            return JSONResponse({"error": error.what}, status)
        if status == 400 and request.method == "POST" and request.url.path != "/lists":
            return self._redirect(_screen_of(request), error)
        if status == 404 and "batch_id" in request.path_params:
            error = NoBatchError(
                "This run is not here any more.",
                "It may have been forgotten in another window, or belong to practice.",
            )
        return self._show("problem.html", status, error=error)

    def _redirect(self, path: str, message: BatchrunError, level: str = "bad") -> Response:
        """Redirect to a screen that shows a message, also after a reload."""
        token = secrets.token_hex(4)
        self._messages[token] = level, message
        for old in list(self._messages)[:-MAX_MESSAGES]:
            del self._messages[old]
        return RedirectResponse(f"{path}?message={token}", 303)

    def not_found(self, _: Request, error: Exception) -> Response:
        """Return the page for an address that does not exist."""
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            return RedirectResponse("/", 303)  # a reload of an address that only forms post to
        if error.status_code == 403:
            problem: BatchrunError = UsageError(
                "This form was not shown by the batchrun that runs now. Nothing was done.",
                "Go back to your lists and try again.",
            )
        else:
            problem = NoBatchError("There is nothing at this address.", "It may have been deleted.")
        return self._show("problem.html", error.status_code, error=problem)

    def unexpected(self, request: Request, error: Exception) -> Response:
        """Return the page for an unexpected error, which is a bug."""
        _LOG.error("%s failed", request.url.path, exc_info=error)
        return self._show("problem.html", 500, error=unexpected_error())

    def for_own_forms(
        self, handler: Callable[[Request], Response]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return an endpoint that calls a handler in a thread, for forms that this page showed.

        The form is in ``request.state``.
        """

        async def endpoint(request: Request) -> Response:
            request.state.form, _ = await read_form(request)
            self._check_secret(request.url.path, request.state.form)
            return await run_in_threadpool(handler, request)

        return endpoint

    def _check_secret(self, path: str, form: Mapping[str, str]) -> None:
        if not self._session.is_page_secret(path, form.get("secret", "")):
            raise HTTPException(403)

    def _list(self, request: Request) -> SavedList:
        saved = self._workspace.lists.get(request.path_params["list_id"])
        if saved is None:
            raise NoBatchError("This list is not here any more.", "Drop it again to run it.")
        return saved

    # first start

    def start(self, _: Request) -> Response:
        """Return the first screen: enter a key, or use the sandbox."""
        if self._workspace.sandbox:
            return RedirectResponse("/", 303)
        return self._start_page(200, None)

    def _start_page(self, status: int, error: BatchrunError | None) -> Response:
        keyring, address = not isinstance(open_keyring(), NoKeyring), self._address()
        return self._show("start.html", status, error=error, address=address, keyring=keyring)

    def _address(self) -> str:
        with suppress(BatchrunError):
            return address_of(self._workspace.settings)
        return ""

    def store_key(self, request: Request) -> Response:
        """Check a key and store it."""
        from batchrun.login import address_for, log_in

        form = request.state.form
        key, settings = form.get("key", "").strip(), self._workspace.settings
        first = request.url.path.startswith("/start")
        try:
            if not key:
                raise UsageError("No key was given.", "Paste the key, then continue.")
            if self._workspace.sandbox:  # another tab started it in the meantime
                self._workspace.leave_sandbox()
                settings = self._workspace.settings
            address, seconds = address_for(DEFAULT_PROFILE, settings), settings.timeout_seconds
            asyncio.run(log_in(key, address, DEFAULT_PROFILE, timeout_seconds=seconds))
        except BatchrunError as error:
            if first:
                return self._start_page(400, error)
            return self._settings_page(400, ("bad", error))
        self._workspace.use_key()
        return RedirectResponse("/" if first else "/settings", 303)

    def use_sandbox(self, _: Request) -> Response:
        """Switch to the sandbox."""
        self._workspace.use_sandbox()
        return RedirectResponse("/", 303)

    def leave_sandbox(self, _: Request) -> Response:
        """Switch to the real service."""
        self._workspace.leave_sandbox()
        return RedirectResponse("/", 303)

    # home

    def home(self, request: Request) -> Response:
        """Return the lists and batches."""
        if not self._workspace.has_key and not self._workspace.lists.all():
            return RedirectResponse("/start", 303)
        return self._show_screen(request, "home.html", **self._home())

    def _home(self) -> dict[str, Any]:
        return {
            "home": screens.home_of(self._workspace),
            "has_key": self._workspace.has_key,
            "most_mb": self._workspace.settings.largest_file_mb,
        }

    def alive(self, _: Request) -> Response:
        """Answer a screen that only asks whether batchrun still runs."""
        return Response(status_code=204)

    def home_live(self, request: Request) -> Response:
        """Return what has changed on the home screen."""
        values = self._home()
        html = self._render("_batches.html", **values)
        version = str(hash(html))
        parts = {} if request.query_params.get("since") == version else {"batches": html}
        return JSONResponse({"version": version, "phase": "home", "parts": parts})

    # lists

    async def upload(self, request: Request) -> Response:
        """Receive an uploaded list."""
        most = self._workspace.settings.largest_file_mb * 1024**2
        fields, file = await read_form(request, most)
        with nullcontext() if file is None else closing(file.file):
            self._check_secret(request.url.path, fields)
            if file is None or not file.filename:
                raise UsageError("No list came.", "Choose a file, then send it again.")
            receive, name = self._workspace.lists.receive, file_name(file.filename)
            path = await run_in_threadpool(receive, name, file.file)
        return await run_in_threadpool(self._added, path)

    def sample(self, _: Request) -> Response:
        """Add a list of made-up data to try the page with."""
        from batchrun.sandbox import write_demo_list

        path = self._workspace.lists.new_path("sample-accounts.csv")
        write_demo_list(path)
        return self._added(path)

    def _added(self, path: Path) -> Response:
        saved = self._workspace.lists.add(path)
        self._workspace.check(saved)
        return RedirectResponse(f"/lists/{saved.id}", 303)

    def show_list(self, request: Request) -> Response:
        """Return a list's screen: what was recognized in it, and what a run would do."""
        saved = self._list(request)
        run = self._workspace.state(saved).run
        if run is not None and not run.ended and run.batch_id is not None:
            return RedirectResponse(f"/batches/{quote(run.batch_id)}", 303)
        return self._show_screen(request, "list.html", **self._list_values(saved))

    def _list_values(self, saved: SavedList) -> dict[str, Any]:
        workspace = self._workspace
        state = replace(workspace.state(saved))  # another thread still changes the original
        run, checked = state.run, state.checked
        batch_id = None if run is None else run.batch_id
        earlier = None if checked is None or checked.earlier is None else checked.earlier.batch_id
        if checked is None:  # such as when a check after the run has failed
            path = str(saved.path.absolute())
            own = (one.batch_id for one in workspace.batches() if one.source.path == path)
            batch_id = next(own, None)
        other = batch_id is not None and batch_id != earlier
        read, choices = state.read, saved.request
        columns = [] if read is None else screens.column_choices(read)
        notices = () if read is None else read.source.notices
        problems = (state.error, None if read is None else read.problem)
        unclear = read is not None and read.problem is not None and not read.roles
        asks = unclear and not (choices.company_column or choices.contact_column)
        texts = [*notices, *(one.hint for one in problems if one is not None)]
        named = {one.id for text in texts for one in words.controls_of(text)}
        changes_options = any(getattr(choices, name) for name in OPTIONS)
        return {
            "saved": saved,
            "state": state,
            "run": run if run is not None and run.batch_id is None else None,
            "earlier": earlier and screens.view_batch(workspace, earlier),
            "other": batch_id and screens.view_batch(workspace, batch_id) if other else None,
            "columns": columns,
            "asked": [one for one in columns if asks and one.sample],
            "choices": choices,
            "company_column": NO_COLUMN if choices.no_company else choices.company_column,
            "contact_column": NO_COLUMN if choices.no_contact else choices.contact_column,
            "parameters": screens.parameter_rows(choices),
            "workflows": [one for one in workspace.known_workflows() if one.status == "active"],
            "guesses": [(one, found) for one in notices if (found := words.controls_of(one))],
            "named": named,
            "changes_options": changes_options,
            "options_open": changes_options or not named.isdisjoint(OPTIONS),
            "text_file": saved.path.suffix.lower() not in WORKBOOKS,
            "known_batch": any(one.batch_id == state.results_of for one in workspace.batches()),
            "pilot_rows": PILOT_ROWS,
        }

    def list_live(self, request: Request) -> Response:
        """Return whether a list is still being read."""
        state = self._workspace.state(self._list(request))
        starting = state.run is not None and not state.run.ended and state.run.batch_id is None
        phase = "busy" if state.busy else "starting" if starting else "ready"
        return JSONResponse({"version": str(state.version), "phase": phase})

    def choose(self, request: Request) -> Response:
        """Save the choices for a list and check it again, or run it with the choices shown."""
        saved, form = self._list(request), dict(request.state.form)
        role, _, column = form.get("is", "").partition(":")  # an answer instead of a choice
        form |= {f"{role}_column": column} | ({"visible_only": ""} if "hidden" in form else {})
        try:
            choices = choices_from(saved.request, form)
        except UsageError as error:
            return self._refused_choices(saved, form, error)
        what = form.get("what")
        if what in {"again", "all", "pilot"}:
            # A browser may restore other choices than those that were checked.
            check_id = form.get("check", "") if choices == saved.request else ""
            limit = PILOT_ROWS if what == "pilot" else None
            run = self._workspace.run(saved, check_id, limit=limit, again=what == "again")
            return self._redirect_when_started(run, f"/lists/{saved.id}")
        self._workspace.choose(saved, choices)
        return RedirectResponse(f"/lists/{saved.id}", 303)

    def _refused_choices(
        self, saved: SavedList, form: Mapping[str, str], error: UsageError
    ) -> Response:
        """Return a list's screen with the choices as they were typed, and why they are refused."""
        others = {name: text for name, text in form.items() if not name.startswith("parameter-")}
        if whole_number(form.get("header_row", "").strip()) is None:
            others.pop("header_row", None)
        values = self._list_values(saved)  # what is refused is shown, but neither read nor saved
        values["state"].checked = None  # its figures are of other choices
        values |= {"earlier": None, "other": values["other"] or values["earlier"]}
        values["choices"] = choices_from(saved.request, others)
        for name in ("company_column", "contact_column"):
            values[name] = form.get(name) or None
        values["parameters"] = [
            [form.get(f"parameter-{at}-{part}", "") for part in ("name", "from", "value")]
            for at in range(MAX_PARAMETERS)
            if f"parameter-{at}-name" in form
        ]
        return self._show("list.html", 400, **values, message=("bad", error))

    def _redirect_when_started(self, run: BatchRun, else_to: str) -> Response:
        """Wait for the batch to start; redirect to its screen, or to ``else_to`` if it has not."""
        run.control.begun.wait(BEGIN_SECONDS)
        if run.batch_id is None:
            return RedirectResponse(else_to, 303)
        return RedirectResponse(f"/batches/{quote(run.batch_id)}", 303)

    def run_marked(self, request: Request) -> Response:
        """Send the marked rows of a results workbook again."""
        saved = self._list(request)
        run = self._workspace.run_marked(saved, request.state.form.get("check", ""))
        return self._redirect_when_started(run, f"/lists/{saved.id}")

    def ask_to_delete_list(self, request: Request) -> Response:
        """Ask for confirmation before a list is deleted."""
        return self._show("remove.html", saved=self._list(request))

    def delete_list(self, request: Request) -> Response:
        """Delete a list that was never run."""
        saved = self._list(request)
        self._workspace.delete_list(saved)
        removed = UsageError(f"{saved.path.name} was removed.", "No other file was changed.")
        return self._redirect("/", removed, "ok")

    def unsendable(self, request: Request) -> Response:
        """Return the rows that can't be sent, as a CSV."""
        saved = self._list(request)
        state = self._workspace.state(saved)
        if state.checked is None or state.read is None:
            return RedirectResponse(f"/lists/{saved.id}", 303)
        numbers = state.read.numbers
        rows: list[list[Any]] = [["Line", "Excel row", "Reason", *state.read.header]]
        for one in state.checked.invalid:
            line, reason = one.row.line, words.reason_words(one.reason)
            rows.append([line, numbers.excel_row(line), reason, *one.row.cells])
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL)
        for row in rows:
            kept = row if numbers.in_excel else [row[0], *row[2:]]
            writer.writerow(["" if cell is None else escaped(str(cell)) for cell in kept])
        name = quote(f"{saved.path.stem}.cannot-be-sent.csv", safe="")
        return Response(
            text.getvalue().encode("utf-8-sig", "replace"),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
        )

    # batches

    def _batch(self, request: Request) -> screens.BatchView:
        return screens.view_batch(self._workspace, request.path_params["batch_id"])

    def show_batch(self, request: Request) -> Response:
        """Return a batch's screen."""
        return self._show_screen(
            request, "batch.html", **self._batch_values(request, self._batch(request))
        )

    def _batch_values(self, request: Request, view: screens.BatchView) -> dict[str, Any]:
        query = request.query_params
        page = whole_number(query.get("page", "")) or 1
        show, find = query.get("show", "all"), query.get("find", "").strip()[:200]
        table = screens.table_of(view, show, find, page)
        pilot = None
        first = view.rows(limit=CRM_ROWS)
        if view.phase is screens.Phase.PILOT:
            rows = screens.tried_rows(view, MAX_PILOT_ROWS)
            line_words = self._workspace.numbers(view.summary.batch_id).words
            pilot = pilot_results(rows, first.header, table.names, line_words, most=None)
        in_doubt = bool(view.figures.in_doubt)
        duplicates = bool(self._workspace.first_lines(view.summary.batch_id))
        elsewhere = 0
        if not view.phase.live:
            left = view.status.left.to_trigger
            elsewhere = sent_elsewhere(left, view.summary, self._workspace.settings)
        there = {"duplicates": duplicates, "doubt": in_doubt, "problems": in_doubt}
        return {
            "view": view,
            "table": table,
            "filters": {
                name: text
                for name, (text, _) in screens.FILTERS.items()
                if name == table.show or there.get(name, True)
            },
            "pilot_fields": PILOT_FIELDS,
            "crms": crms_of(first.header, first.rows),
            "pilot": pilot,
            "found": screens.findings_of(view),
            "saved": self._workspace.lists.of_source(view.summary.source.path),
            "gone": screens.sandbox_gone(view),
            "elsewhere": elsewhere,
            "shown": shown_version(view.summary, elsewhere),
        }

    def batch_live(self, request: Request) -> Response:
        """Return what has changed on a batch's screen."""
        since = request.query_params.get("since")
        view = self._batch(request)
        if since == view.version:
            return JSONResponse({"version": view.version, "phase": view.phase.value})
        figures = view.figures
        if request.query_params.get("find") and figures.rows > screens.SEARCHED_AT_ONCE:
            parts = {"progress": self._render("_progress.html", view=view)}
        else:
            values = self._batch_values(request, view)
            names = {"progress": "_progress.html", "rows": "_rows.html"}
            parts = {part: self._render(name, **values) for part, name in names.items()}
        return JSONResponse(
            {
                "version": view.version,
                "phase": view.phase.value,
                "title": view.title,
                "say": figures.words,
                "share": figures.ended * 10 // max(figures.rows, 1),
                "parts": parts,
            }
        )

    def _row(self, request: Request) -> tuple[RowPage, ResultRow]:
        batch_id, line = request.path_params["batch_id"], whole_number(request.path_params["line"])
        places, settings = self._workspace.numbers(batch_id).lines, self._workspace.settings
        at = bisect_left(places, line or 0)  # line numbers ascend with the rows
        page = batchrun.rows(batch_id, offset=at, limit=1, settings=settings)
        if not page.rows or page.rows[0].row.line != line:
            raise NoBatchError("The list has no such row.", "Go back to the run.")
        return page, page.rows[0]

    def row_live(self, request: Request) -> Response:
        """Return the status of a row: its screen is shown again when that changes."""
        _, words = screens.tag_of(self._row(request)[1], self._batch(request).phase)
        return JSONResponse({"version": "", "phase": words})

    def show_row(self, request: Request) -> Response:
        """Return everything known about a row."""
        view = self._batch(request)
        page, row = self._row(request)
        batch_id, line = view.summary.batch_id, row.row.line
        doubted = screens.findings_of(view).other_names
        other = next((one[2:] for one in doubted if one[0] == line), None)
        shares = self._workspace.first_lines(batch_id).get(line)
        cells = [
            (cell_words(name) or f"Column {at + 1}", cell_words(cell))
            for at, (name, cell) in enumerate(zip(page.header, row.row.cells, strict=False))
        ]
        return self._show(
            "row.html",
            view=view,
            row=row,
            name=screens.names_of(view).of_row(row),
            numbers=self._workspace.numbers(batch_id),
            why=screens.row_message(row),
            same_as=other[0] if other else shares,
            other=other and other[1],
            shares=shares,
            tag=screens.tag_of(row, view.phase),
            cells=[(name, cell) for name, cell in cells if cell],
            fields=Fields([row], page.header).readable(row),
        )

    def attention(self, request: Request) -> Response:
        """Return the decisions that a batch needs."""
        view = self._batch(request)
        counts = view.summary.counts
        workspace, price = self._workspace, view.price
        words_of = partial(screens.retry_words, workspace, price, duplicates=view.duplicates > 0)
        retried = [
            (outcome, counts[outcome], words_of(counts[outcome]))
            for outcome in FAILED
            if counts[outcome]
        ]
        failed = screens.groups_of(view, [one for one, *_ in retried])
        elsewhere = workspace.elsewhere(view.status)
        return self._show_screen(
            request,
            "attention.html",
            view=view,
            retried=retried,
            price=price,
            shown=shown_version(view.summary, elsewhere),
            failed=failed,
            elsewhere=elsewhere,
            doubts=view.status.in_doubt,
            doubts_cost=words_of(len(view.status.in_doubt)),
            invalid=screens.groups_of(view, [Outcome.INVALID]),
            found=screens.findings_of(view),
            names=screens.names_of(view),
            gone=screens.sandbox_gone(view),
        )

    def resume(self, request: Request) -> Response:
        """Resume a batch."""
        batch_id = request.path_params["batch_id"]
        run = self._workspace.resume(batch_id, request.state.form.get("shown"))
        return self._redirect_when_started(run, f"/batches/{quote(batch_id)}")

    def retry(self, request: Request) -> Response:
        """Send failed rows again."""
        form = request.state.form
        batch_id = request.path_params["batch_id"]
        outcomes = [outcome for outcome in Outcome if form.get(f"retry-{outcome.name}")]
        if not outcomes:
            raise UsageError("No kind of row was chosen.", "Tick what to send again.")
        run = self._workspace.retry(batch_id, outcomes, form.get("shown", ""))
        return self._redirect_when_started(run, f"/batches/{quote(batch_id)}")

    def decide(self, request: Request) -> Response:
        """Resolve the rows in doubt."""
        form = request.state.form
        batch_id, decision = request.path_params["batch_id"], form.get("decision", "hold")
        if decision not in {"drop", "retry"}:
            later = UsageError(
                "Nothing was changed.", "The rows stay in doubt. Decide when you like."
            )
            return self._redirect(f"/batches/{quote(batch_id)}", later, "ok")
        if decision == "retry" and form.get("twice") != "yes":
            raise UsageError(
                "Rows in doubt are sent again only if you accept the risk.",
                "Tick that you accept it. Nothing was sent.",
            )
        run = self._workspace.settle(batch_id, decision, form.get("shown", ""))
        return self._redirect_when_started(run, f"/batches/{quote(batch_id)}")

    def stop(self, request: Request) -> Response:
        """Stop a batch gracefully."""
        batch_id = request.path_params["batch_id"]
        run = self._workspace.run_of(batch_id)
        if run is not None and not run.ended:
            run.control.stop()
            run.version += 1
        return RedirectResponse(f"/batches/{quote(batch_id)}", 303)

    def download(self, request: Request) -> Response:
        """Return the results so far."""
        view = self._batch(request)
        suffix, form = _EDITIONS.get(request.query_params.get("as", ""), _EDITIONS["xlsx"])
        stem, figures = Path(view.summary.source.name).stem, view.figures
        if form.crm is not None and is_practice(view.summary.base_url):
            suffix = f".practice{suffix}"
        part = f" ({figures.done:,} of {plural(figures.rows, 'row')})"
        name = f"{stem}{'' if view.phase is screens.Phase.DONE else part}{suffix}"
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="batchrun-"))
            target = Path(folder, f"list{suffix}")
            written = batchrun.export(view.summary.batch_id, target, self._workspace.settings, form)
            sent = BackgroundTask(stack.pop_all().close)
        return FileResponse(written, filename=name, background=sent)

    def forget(self, request: Request) -> Response:
        """Ask for confirmation before a batch is deleted."""
        view = self._batch(request)
        saved = self._workspace.lists.of_source(view.summary.source.path)
        to_send, settings = view.status.left.to_trigger, self._workspace.settings
        elsewhere = partial(sent_elsewhere, batch=view.summary, settings=settings)
        sent = view.summary.jobs - to_send
        lost = sent - elsewhere(range(view.summary.jobs)) + elsewhere(to_send)
        return self._show("forget.html", view=view, saved=saved, sent=sent, lost=lost)

    def forget_now(self, request: Request) -> Response:
        """Delete a batch."""
        view = self._batch(request)
        self._workspace.forget(view.summary.batch_id)
        forgotten = UsageError(
            f"The run of {view.summary.source.name} is forgotten.",
            "Its results are deleted from this computer.",
        )
        return self._redirect("/", forgotten, "ok")

    # settings

    def settings(self, request: Request) -> Response:
        """Return the settings: key, limits, and paths."""
        return self._settings_page(200, self._message(request))

    def _settings_page(self, status: int, message: tuple[str, BatchrunError] | None) -> Response:
        workspace, settings = self._workspace, self._workspace.settings
        profile = None
        try:
            profile = profile_of(settings)
        except BatchrunError as error:
            message = message or ("bad", error)
        given = given_key(settings)
        masked = masked_key(given) if given else ""
        return self._show(
            "settings.html",
            status,
            message=message,
            key=masked if profile is None else masked_end(profile.end),
            profile=profile,
            from_environment=bool(given) and profile is None,
            address=self._address(),
            rate=settings.rate,
            daily=settings.daily,
            used=workspace.requests_today(),
            journal=shown(settings.journal),
            lists=workspace.lists.folder,
        )

    def set_limits(self, request: Request) -> Response:
        """Save the daily limit."""
        form = request.state.form
        text = form.get("daily", "").strip().replace(",", "")
        daily = whole_number(text)
        if text and daily is None:
            raise UsageError(
                "The daily limit must be a whole number from 1 to 999,999,999.",
                "Enter a number such as 5000, or leave it empty.",
            )
        self._workspace.lists.prefer(daily=daily)
        return self._redirect(
            "/settings", UsageError("The limit is saved.", "It counts from the next run."), "ok"
        )

    def log_out(self, _: Request) -> Response:
        """Delete the stored key."""
        from batchrun.login import log_out

        profile = profile_of(self._workspace.settings)
        if profile is not None:
            log_out(profile.name)
            self._workspace.use_key()
        return RedirectResponse("/", 303)


def _screen_of(request: Request) -> str:
    """Return the address of the screen with the form that a request comes from."""
    path, given = request.url.path, request.path_params
    if "list_id" in given:
        return f"/lists/{given['list_id']}"
    if "batch_id" in given:
        screen = f"/batches/{quote(given['batch_id'])}"
        return f"{screen}/attention" if path.endswith(("/decide", "/retry")) else screen
    return "/settings" if path.startswith("/settings") else "/"


def _only_text(value: Any) -> Any:
    """Make text safe to show: no control characters that move a cursor or reverse letters."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def choices_from(before: batchrun.Request, form: Mapping[str, str]) -> batchrun.Request:
    """Return the choices made in the form on a list's screen.

    Raises:
        UsageError: A choice is not valid.
    """
    line = "" if form.get("no_header") else form.get("header_row", "").strip()
    header_row = whole_number(line)
    if line and header_row is None:
        raise UsageError(
            "The line of the column names must be a whole number from 1 to 999,999,999.",
            "Enter 4, for example.",
        )
    constants: dict[str, Any] = {}
    columns: dict[str, str] = {}
    for at in range(MAX_PARAMETERS):
        name = form.get(f"parameter-{at}-name", "").strip()
        value, column = form.get(f"parameter-{at}-value", ""), form.get(f"parameter-{at}-from", "")
        if not name and not column and not value.strip():
            continue
        if not name:
            raise UsageError("A parameter has no name.", "Name it, or clear its value and column.")
        if column and value.strip():
            raise UsageError(
                f"The parameter {name} has a value and a column.", "Choose one of the two."
            )
        if column:
            columns[name] = column
        elif value.strip():
            constants[name] = json_or_text(value)
        else:
            raise UsageError(
                f"The parameter {name} has no value.",
                "Give it a value or a column, or remove its name.",
            )
    company, contact = form.get("company_column", ""), form.get("contact_column", "")
    encoding, delimiter = form.get("encoding", ""), form.get("delimiter", "")
    return replace(
        before,
        workflow=form.get("workflow", ""),
        sheet=form.get("sheet") or None,
        header_row=header_row,
        no_header=form.get("no_header") == "yes",
        encoding=encoding if encoding in ENCODINGS else None,
        delimiter=delimiter if delimiter in DELIMITERS else None,
        quoting="literal" if form.get("quoting") == "yes" else None,
        company_column=None if company == NO_COLUMN else company or None,
        contact_column=None if contact == NO_COLUMN else contact or None,
        no_company=company == NO_COLUMN,
        no_contact=contact == NO_COLUMN,
        visible_only=form.get("visible_only") == "yes",
        lenient_ids=form.get("lenient_ids") == "yes",
        parameters=constants,
        parameter_columns=columns,
        reuse=next((age for age in REUSE_AGES if str(age.days) == form.get("reuse")), None),
    )
