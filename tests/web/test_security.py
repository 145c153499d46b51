"""The rules of docs/security.md for the page, each tried on a real socket."""

from __future__ import annotations

import re
import socket
from contextlib import nullcontext
from typing import TYPE_CHECKING

import httpx
import pytest

import batchrun
from tests.settings.keyrings import MemoryKeyring, system_keyring
from tests.web.conftest import running_site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Site

SAMPLE = "Company ID,Name\nece4cc84-82a7-41c8-8f2c-2dd54d995e60,{name}\n"


def form(site: Site, **headers: str | None) -> httpx.Response:
    """Try to use the sandbox, with these headers over those of the page."""
    path = "/settings/limits"
    given = {"Sec-Fetch-Site": "same-origin"} | headers
    sent = {name: value for name, value in given.items() if value is not None}
    data = {"secret": site.session.page_secret(path), "daily": "77"}
    return httpx.post(site.url + path, data=data, headers=sent, cookies=site.cookie)


def test_the_address_opens_once_and_leaves_no_token_behind(site: Site) -> None:
    address = site.session.new_address()
    opened = httpx.get(address)
    assert opened.status_code == 303
    assert opened.headers["location"] == "/"
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith(f"batchrun-{site.session.port}=")
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert httpx.get(address).status_code == 403  # replayed
    assert httpx.get(address, cookies=site.cookie).status_code == 303  # reloaded in its window


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=wröng", "?other=1"])
def test_a_wrong_token_opens_nothing(shared_site: Site, query: str) -> None:
    answer = httpx.get(f"{shared_site.url}/open{query}")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/live",
        "/start",
        "/settings",
        "/lists/0123456789ab",
        "/batches/x",
        "/batches/x/download",
    ],
)
@pytest.mark.parametrize("cookie", [None, "", "wrong"])
def test_without_a_session_nothing_is_shown(
    shared_site: Site, path: str, cookie: str | None
) -> None:
    cookies = {} if cookie is None else {shared_site.session.cookie_name: cookie}
    assert httpx.get(shared_site.url + path, cookies=cookies).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "localhost:1",
        "[::1]:{port}",
        "127.0.0.1:{port}.",
    ],
)
def test_a_rebound_host_name_is_refused(shared_site: Site, host: str) -> None:
    headers = {"Host": host.format(port=shared_site.session.port)}
    answer = httpx.get(shared_site.url, headers=headers, cookies=shared_site.cookie)
    assert answer.status_code == 421


def test_localhost_is_this_host_too(shared_site: Site) -> None:
    headers = {"Host": f"localhost:{shared_site.session.port}"}
    assert (
        httpx.get(shared_site.url, headers=headers, cookies=shared_site.cookie).status_code == 200
    )


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_get_and_post_are_answered(shared_site: Site, method: str) -> None:
    address = shared_site.session.new_address()
    answer = httpx.request(method, address, cookies=shared_site.cookie)
    assert answer.status_code == 405
    assert httpx.get(address).status_code == 303  # the token was not used up


def test_a_websocket_is_refused(shared_site: Site) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    answer = httpx.get(shared_site.url, headers=headers, cookies=shared_site.cookie)
    assert answer.status_code == 405


@pytest.mark.parametrize("site_header", ["same-site", "cross-site", "none", ""])
def test_a_form_of_another_page_is_refused(site: Site, site_header: str) -> None:
    assert form(site, **{"Sec-Fetch-Site": site_header}).status_code == 403
    assert site.workspace.lists.preferences() == {}


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}"],
)
def test_without_sec_fetch_site_the_origin_must_be_exact(site: Site, origin: str | None) -> None:
    given = None if origin is None else origin.format(port=site.session.port)
    answer = form(site, **{"Sec-Fetch-Site": None, "Origin": given})
    assert answer.status_code == 403
    assert site.workspace.lists.preferences() == {}


def test_an_older_browser_s_form_with_the_exact_origin_is_taken(site: Site) -> None:
    assert form(site, **{"Sec-Fetch-Site": None, "Origin": site.url}).status_code == 303
    assert site.workspace.lists.preferences() == {"daily": 77}


@pytest.mark.parametrize("mode", ["no-cors", "cors", "websocket"])
@pytest.mark.parametrize("from_site", ["same-site", "cross-site"])
def test_a_page_of_another_port_can_t_embed_anything(
    shared_site: Site, mode: str, from_site: str
) -> None:
    headers = {"Sec-Fetch-Site": from_site, "Sec-Fetch-Mode": mode}
    answer = httpx.get(shared_site.url, headers=headers, cookies=shared_site.cookie)
    assert answer.status_code == 403


POSTS = [
    "/start/key",
    "/start/sandbox",
    "/lists/sample",
    "/lists/0123456789ab/choices",
    "/lists/0123456789ab/delete",
    "/batches/x/resume",
    "/batches/x/retry",
    "/batches/x/decide",
    "/batches/x/stop",
    "/batches/x/forget",
    "/settings/limits",
    "/settings/key",
    "/settings/logout",
    "/settings/sandbox",
    "/settings/real",
]


@pytest.mark.parametrize("path", POSTS)
def test_a_form_without_the_page_s_own_secret_does_nothing(shared_site: Site, path: str) -> None:
    with shared_site.client() as client:
        for secret in ("", "wrong", shared_site.session.page_secret("/another")):
            assert client.post(path, data={"secret": secret, "key": "k"}).status_code == 403


def test_an_upload_without_the_page_s_own_secret_leaves_nothing(site: Site, tmp_path: Path) -> None:
    with site.client() as client:
        answer = client.post("/lists", files={"list": ("a.csv", b"x")}, data={"secret": "wrong"})
    assert answer.status_code == 403
    assert [one for one in site.workspace.lists.folder.glob("*") if one.is_dir()] == []


def test_each_answer_carries_the_headers(shared_site: Site) -> None:
    with shared_site.client() as client:
        answers = [
            client.get(path) for path in ("/", "/live", "/static/page.js", "/nothing", "/lists")
        ]
    answers.append(httpx.get(shared_site.url))
    for answer in answers:
        headers = answer.headers
        assert headers["content-security-policy"] == (
            "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
        )
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert not [name for name in headers if name.startswith("access-control-")]


def test_it_listens_on_this_machine_alone(shared_site: Site) -> None:
    own = [
        str(address[4][0])
        for address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        if not str(address[4][0]).startswith("127.")
    ]
    for address in own:
        with (
            pytest.raises(ConnectionRefusedError),
            socket.create_connection((address, shared_site.session.port), 2),
        ):
            pass


@pytest.mark.parametrize("header", [{}, {"x-batchrun-secret": "wrong"}])
def test_only_batchrun_itself_gets_a_new_address(shared_site: Site, header: dict[str, str]) -> None:
    assert httpx.post(f"{shared_site.url}/link", headers=header).status_code == 403
    assert httpx.get(f"{shared_site.url}/link", headers=header).status_code == 403


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\list.csv", "list.csv"),
        ("a\x00b\u202ecsv.exe", "abcsv.exe"),
        ("con.csv", "_con.csv"),
        ("COM¹.csv", "_COM¹.csv"),
        ("conin$.xlsx", "_conin$.xlsx"),
        ("..", "list"),
        ("x" * 300 + ".xlsx", "x" * 116 + ".xlsx"),
        ("Übersicht (März).xlsx", "Übersicht (März).xlsx"),
    ],
)
def test_an_uploaded_file_s_name_is_safe(given: str, kept: str) -> None:
    from batchrun.web.uploads import file_name

    assert file_name(given) == kept


def test_an_upload_is_readable_by_its_user_alone_and_no_file_beside_it_counts(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(SAMPLE.format(name="x"))
    answer = site.upload(path)
    assert answer.status_code == 303
    (saved,) = site.workspace.lists.all()
    assert saved.path.stat().st_mode & 0o077 == 0
    assert saved.path.parent.stat().st_mode & 0o077 == 0
    assert saved.path.read_bytes() == path.read_bytes()


def test_a_list_that_is_too_large_leaves_nothing(site: Site, tmp_path: Path) -> None:
    settings = site.workspace._settings
    site.workspace._settings = settings.model_copy(update={"largest_file_mb": 1})
    path = tmp_path / "large.csv"
    path.write_bytes(b"x" * (1024**2 + 1))
    answer = site.upload(path)
    assert answer.status_code == 400
    assert "larger than 1 MB" in answer.text
    assert site.workspace.lists.all() == []
    assert [one for one in site.workspace.lists.folder.glob("*") if one.is_dir()] == []


def test_a_key_is_checked_stored_and_in_no_page(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))  # profiles of this test alone
    wrong = "pgai-wrong-key-0123456789"
    for path in ("/start/key", "/settings/key"):
        refused = site.post(path, key=wrong)
        assert refused.status_code == 400
        assert "does not know this key" in refused.text
        assert wrong not in refused.text
        assert site.post(path, key="sandbox").status_code == 303
    with site.client() as client:
        pages = [client.get(path).text for path in ("/", "/start", "/settings", "/live")]
    assert not [page for page in pages if re.search(r'value="sandbox"|>\s*sandbox\s*<', page)]


def test_without_a_key_the_first_screen_offers_one_or_practice(tmp_path: Path) -> None:
    settings = batchrun.Settings(journal=str(tmp_path / "journal.db"))
    with running_site(tmp_path) as site, site.client() as client:
        site.workspace._settings = settings
        assert client.get("/").headers["location"] == "/start"
        assert "Try it without a key" in client.get("/start").text
        assert site.post("/start/sandbox").status_code == 303
        assert "Practice: invented results, no real credits" in client.get("/").text
        assert client.get("/start").headers["location"] == "/"
        answer = site.post("/start/key", key="wrong")  # typed in another tab
        assert answer.status_code == 400
        assert "does not know this key" in answer.text
        assert not site.workspace.sandbox


def test_a_stranger_s_batch_is_not_continued(site: Site, tmp_path: Path) -> None:
    """A journal may come with a folder: what it holds was never agreed to on this machine."""
    path = tmp_path / "list.csv"
    path.write_text(SAMPLE.format(name="x") + "0949673c-da0f-4644-8ab1-e17cc91b5872,y\n")
    settings = site.workspace.settings
    batchrun.run(path, "Account Research", limit=1, settings=settings)
    (summary,) = batchrun.batches(settings=settings)
    assert summary.output is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batchrun.journal.Journal.started_with_key_hash", lambda *_: "of a stranger")
        answer = site.post(f"/batches/{summary.batch_id}/resume")
    with site.client() as client:
        assert "was not started on this computer" in client.get(answer.headers["location"]).text
    assert len(site.triggers) == 1
    assert site.post(f"/batches/{summary.batch_id}/resume").status_code == 303
    site.workspace.wait(30)
    assert len(site.triggers) == 2


@pytest.mark.parametrize(
    ("keyring", "place"),
    [
        (None, "a file that only your account can read"),
        (MemoryKeyring(), "this computer&#39;s keyring"),
    ],
)
def test_where_the_key_is_stored_is_said_truly(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keyring: MemoryKeyring | None,
    place: str,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with system_keyring(keyring) if keyring else nullcontext(), site.client() as client:
        assert f"It is stored in {place}" in client.get("/start").text


def test_settings_say_how_many_requests_were_sent_today(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(SAMPLE.format(name="x"))
    with site.client() as client:
        assert re.search(r"Requests today</dt><dd>0 ", client.get("/settings").text)
    batchrun.run(path, "Account Research", settings=site.workspace.settings)
    (summary,) = batchrun.batches(settings=site.workspace.settings)
    site.post("/settings/limits", daily="500")
    site.workspace.use_key()  # read again
    with site.client() as client:
        shown = re.search(r"Requests today</dt><dd>(\d+) of 500 ", client.get("/settings").text)
    assert shown is not None
    assert int(shown[1]) >= summary.requests > 0
