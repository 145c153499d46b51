"""What another page or program on this machine may try, in a real Chromium or on a raw socket."""

from __future__ import annotations

import functools
import http.server
import re
import socket
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from batchrun.model import Workflow
from tests.web.conftest import expect
from tests.web.test_page import done, drop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.web.conftest import Site, Window

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b[31m\u202egpj"


@contextmanager
def another_port(folder: Path, html: str, policy: str = "") -> Iterator[str]:
    """A page of another program on this machine: same site, another port."""
    (folder / "index.html").write_text(html, encoding="utf-8")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", policy)
            super().end_headers()

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def victim(browser: Browser, shared_site: Site) -> Iterator[Page]:
    """A window whose cookie opens the page."""
    page = browser.contexts[0].new_page()
    page.goto(shared_site.session.new_address())
    yield page
    page.close()


def untouched(site: Site) -> bool:
    """Whether nothing was sent, stored or changed."""
    lists = site.workspace.lists
    return not (site.triggers or lists.preferences() or lists.all() or site.workspace.sandbox)


def test_a_rebound_host_name_gets_nothing(victim: Page, shared_site: Site) -> None:
    answer = victim.goto(f"http://rebound.example:{shared_site.session.port}/")
    assert answer is not None
    assert answer.status == 421
    expect(victim.get_by_text("does not belong to batchrun")).to_be_visible()


@pytest.mark.parametrize("sandboxed", [False, True], ids=["same site", "Origin null"])
@pytest.mark.parametrize("path", ["/settings/limits", "/lists/sample", "/settings/sandbox"])
def test_a_form_of_another_port_does_nothing(
    victim: Page, shared_site: Site, tmp_path: Path, path: str, sandboxed: bool
) -> None:
    secret = shared_site.session.page_secret(path)  # even if it were known
    form = (
        f"<form method=post action='{shared_site.url}{path}'><input name=secret value={secret}>"
        "<input name=daily value=1></form><script>document.forms[0].submit()</script>"
    )
    policy = "sandbox allow-scripts allow-forms" if sandboxed else ""  # its origin is null then
    with another_port(tmp_path, form, policy) as address:
        with victim.expect_response(lambda one: one.url.endswith(path)) as answer:
            victim.goto(address)
        assert answer.value.status == 403
    assert untouched(shared_site)


def test_a_page_of_another_port_reads_and_frames_nothing(
    victim: Page, shared_site: Site, tmp_path: Path
) -> None:
    url, port = shared_site.url, shared_site.session.port
    html = f"""<iframe id=framed src="{url}/"></iframe><script>
    const tried = {{}};
    const note = (name, promise) =>
      promise.then(() => tried[name] = "read", () => tried[name] = "refused");
    const loaded = (tag, src) => new Promise((yes, no) => {{
      const one = document.createElement(tag); one.onload = yes; one.onerror = no; one.src = src;
      document.head.append(one);
    }});
    window.attacks = Promise.all([
      note("fetch", fetch("{url}/live", {{credentials: "include"}}).then(one => one.text())),
      note("script", loaded("script", "{url}/live")),
      note("picture", loaded("img", "{url}/static/icon.svg")),
      note("websocket", new Promise((yes, no) => {{
        const one = new WebSocket("ws://127.0.0.1:{port}/live"); one.onopen = yes; one.onerror = no;
      }})),
    ]).then(() => tried);
    </script>"""
    with another_port(tmp_path, html) as address:
        victim.goto(address)
        tried = victim.evaluate("() => window.attacks")
        framed = victim.frames[1]
        assert "batchrun" not in framed.content()
    assert tried == dict.fromkeys(("fetch", "script", "picture", "websocket"), "refused")


def test_a_cookie_added_by_another_port_does_not_end_the_session(shared_site: Site) -> None:
    name = shared_site.session.cookie_name
    own = shared_site.cookie[name]
    for cookies in (f"{name}=x; {name}={own}", f"{name}={own}; {name}=x"):
        assert httpx.get(shared_site.url, headers={"Cookie": cookies}).status_code == 200
    assert httpx.get(shared_site.url, headers={"Cookie": f"{name}=x; {name}="}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/lists/..%2f..%2fetc",
        "/lists/%2e%2e",
        "/lists/0123456789ab%00",
        "/batches/..%2f..%2fjournal.db",
        "/batches/%E2%80%AEx",
        "/batches/" + "9" * 4000,
        "/batches/x/line/99999999999999999999",
        "/batches/x/download?as=../../etc/passwd",
        "/static/..%2f..%2fwork.py",
        "/static/%2e%2e/work.py",
    ],
)
def test_an_address_that_leads_elsewhere_is_not_found(shared_site: Site, path: str) -> None:
    with shared_site.client() as client:
        answer = client.get(path)
    assert answer.status_code == 404
    assert "def " not in answer.text


def test_hundreds_of_unfinished_requests_hold_nobody_up(shared_site: Site) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            one = socket.create_connection(("127.0.0.1", shared_site.session.port))
            stack.enter_context(closing(one)).sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        with shared_site.client() as client:
            assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\nX: " + b"y" * 100_000,
        b"--b\r\n" + b"y" * 100_000 + b": x",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 20_000,
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"y" * 100_000,
        b"--c\r\n\r\n--c--",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="l"; filename="a.csv"\r\n\r\nx\r\n--b--\r\n',
        b"",
    ],
    ids=["header", "header name", "parts", "field", "boundary", "no name", "no secret", "nothing"],
)  # fmt: skip
def test_a_broken_or_bloated_upload_is_refused_and_leaves_nothing(
    shared_site: Site, body: bytes
) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    with shared_site.client() as client:
        assert client.post("/lists", content=body, headers=kind).status_code in {400, 403}
    assert untouched(shared_site)


def test_what_the_service_says_is_only_ever_text(
    window: Window, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = Workflow("wf_account_research", HOSTILE, HOSTILE)
    monkeypatch.setattr("batchrun.sandbox.model.WORKFLOWS", (workflow,))
    monkeypatch.setattr(
        "batchrun.sandbox.model.draw_result",
        lambda *_, **__: {HOSTILE: HOSTILE, "summary": HOSTILE, "list": [{HOSTILE: HOSTILE}]},
    )
    ids = [f"ece4cc84-82a7-41c8-8f2c-2dd54d995e6{at}" for at in range(3)]
    path = tmp_path / "list.csv"
    path.write_text("Company ID,Name\n" + "".join(f"{one},{HOSTILE}\n" for one in ids))
    page = window.page
    drop(page, path)
    page.get_by_role("button", name=re.compile("^Run")).click()
    done(page)
    batch = page.url
    for address in (batch, f"{batch}/line/2", f"{batch}/attention", f"{batch}/forget", site.url):
        page.goto(address)
        shown = page.locator("main").inner_text()
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert page.locator("main script, main img").count() == 0
        assert page.title() != "owned"
    page.goto(f"{batch}/line/2")
    expect(page.get_by_text("<script>document.title='owned'</script>").first).to_be_visible()
