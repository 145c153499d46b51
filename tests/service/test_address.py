"""What the client refuses before it sends anything."""

from __future__ import annotations

import pytest

from batchrun.errors import KeyRefusedError, UsageError
from batchrun.service.client import Client, checked_key
from batchrun.settings.location import checked_base_url


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.example.com/v1",
        "ftp://api.example.com",
        "https://",
        "https://[::1",
        "https://api.example.com:port",
        "http://api.example.com/v1",
        "http://127.0.0.1.example.com",
        "https://user:secret@api.example.com",
        "https://api.example.com/v1?key=secret",
        f"https://{'a' * 64}.example.com",
        "https://api.example.com/\x00",
        "https://api.example .com/v1",
    ],
)
def test_unusable_base_urls_are_refused(base_url: str) -> None:
    """Addresses that are none, or would show the key or a password, are refused unrepeated."""
    with pytest.raises(UsageError) as raised:
        Client("key", base_url)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_usable_base_urls(base_url: str, expected: str) -> None:
    """Https anywhere and plain http on this machine, without the trailing slash."""
    assert checked_base_url(base_url) == expected


@pytest.mark.parametrize("key", ["", "  \n", "two words", "line\nbreak", "schlüssel", "nul\x00"])
def test_unusable_keys_are_refused(key: str) -> None:
    """A key that no header can carry is refused and not repeated."""
    with pytest.raises(KeyRefusedError) as raised:
        checked_key(key)

    assert not key.strip() or key not in str(raised.value)


def test_key_loses_white_space_around_it() -> None:
    """A line break copied along with the key does no harm."""
    assert checked_key(" sk_1\r\n") == "sk_1"


@pytest.mark.parametrize(
    ("name", "value"),
    [("SSL_CERT_FILE", "/no/such/file.pem"), ("HTTPS_PROXY", "gopher://me:secret@proxy")],
)
def test_unusable_environment_is_said(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy or certificate setting that can't work is named, not its value."""
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name) as raised:
        Client("key")

    assert "secret" not in str(raised.value)
