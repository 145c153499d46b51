"""Access control for the page. docs/security.md lists the rules, each with its test.

The server listens on 127.0.0.1, where every program and every open web page on this machine can
reach it. So a request must name this host, carry the session's cookie, and come from this page; a
form also carries a secret that only this page could have shown.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_PATH = "/open"
"""The path that exchanges a one-time token for a cookie."""

LINK_PATH = "/link"
"""The path where a second start of batchrun asks for a new address to open."""

LINK_HEADER = "x-batchrun-secret"

MAX_LINKS = 8
"""One-time tokens that may wait to be used; beyond that, the oldest expires."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Session:
    """The secrets of one run of the server.

    A second start must send ``link_secret`` to get an address; it is in a private file.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.link_secret = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self._key = secrets.token_bytes(32)
        self._tokens: list[str] = []

    @property
    def cookie_name(self) -> str:
        """The cookie's name, which includes the port because cookies don't tell ports apart."""
        return f"batchrun-{self.port}"

    def new_address(self) -> str:
        """Return an address that opens the page once."""
        token = secrets.token_urlsafe(32)
        self._tokens = [*self._tokens, token][-MAX_LINKS:]
        return f"http://127.0.0.1:{self.port}{OPEN_PATH}?token={token}"

    def redeem(self, token: str) -> bool:
        """Use up a one-time token; return whether it was valid."""
        found = next((one for one in self._tokens if _equal(one, token)), None)
        if found is None:
            return False
        self._tokens.remove(found)
        return True

    def cookie(self) -> str:
        """Return the ``Set-Cookie`` header of a session."""
        return f"{self.cookie_name}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"

    def knows(self, headers: Headers) -> bool:
        """Whether a request carries the session's cookie."""
        pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        given = [value for name, _, value in pairs if name == self.cookie_name]
        return any(_equal(one, self._cookie) for one in given)  # other servers may add theirs

    def page_secret(self, path: str) -> str:
        """Return the secret of the form that posts to a path."""
        return hmac.new(self._key, path.encode(), hashlib.sha256).hexdigest()

    def is_page_secret(self, path: str, given: str) -> bool:
        """Whether a form's secret is from this page."""
        return _equal(given, self.page_secret(path))


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


class Guard:
    """Refuses requests that don't come from the user's own page, before any handler sees them."""

    def __init__(
        self, app: ASGIApp, session: Session, refusal: Callable[[int, str], Response]
    ) -> None:
        self._app = app
        self._session = session
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers[name] = value
                message["headers"] = headers.raw
            await send(message)

        answer = self._answer(scope, Headers(scope=scope))
        await (answer or self._app)(scope, receive, guarded)

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Return a refusal, or the answer to a token; ``None`` for a request that may continue."""
        session, method, path = self._session, scope["method"], scope["path"]
        hosts = {f"127.0.0.1:{session.port}", f"localhost:{session.port}"}
        given = headers.getlist("host")
        if len(given) != 1 or given[0] not in hosts:
            return self._refusal(421, "This address does not belong to batchrun.")
        if method not in {"GET", "POST"} or "upgrade" in headers:
            return self._refusal(405, "batchrun's page does not answer this kind of request.")
        if path == LINK_PATH:
            return self._linked(method, headers)
        if method == "GET" and path == OPEN_PATH:
            return self._opened(scope, headers)
        if method == "GET" and path.startswith("/static/"):
            return None
        return self._from_elsewhere(method, headers, given[0])

    def _linked(self, method: str, headers: Headers) -> Response:
        if method == "POST" and _equal(headers.get(LINK_HEADER, ""), self._session.link_secret):
            return Response(self._session.new_address(), media_type="text/plain")
        return self._refusal(403, "Only batchrun itself may ask for a new address.")

    def _opened(self, scope: Scope, headers: Headers) -> Response:
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if self._session.redeem(token):
            home = RedirectResponse("/", 303)
            home.headers["Set-Cookie"] = self._session.cookie()
            return home
        if self._session.knows(headers):  # reloaded, or opened again from the history
            return RedirectResponse("/", 303)
        return self._refusal(403, "This address works only once, and it has been used.")

    def _from_elsewhere(self, method: str, headers: Headers, host: str) -> Response | None:
        """Return a refusal for a request from another site or program; ``None`` for others."""
        if not self._session.knows(headers):
            return self._refusal(403, "This window is not connected to the batchrun that runs now.")
        refusal = self._refusal(403, "This request came from another web page.")
        site = headers.get("sec-fetch-site")
        if method == "GET":
            embedded = headers.get("sec-fetch-mode", "navigate") != "navigate"
            return refusal if embedded and site in {"cross-site", "same-site"} else None
        # Another port of this machine is "same-site", and the browser sends it our cookie.
        if site is not None:
            return None if site == "same-origin" else refusal
        return None if headers.get("origin") == f"http://{host}" else refusal
