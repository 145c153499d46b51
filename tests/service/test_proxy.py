"""Which proxy counts for an address, whatever NO_PROXY holds."""

from __future__ import annotations

import os

import pytest

from batchrun.errors import UsageError
from batchrun.service.client import Client
from batchrun.service.transport import proxy_for

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("", "api.example.com", False),
        ("::1,[::1],fe80::/10,[fe80::]/10,localhost", "api.example.com", False),
        ("2001:db8::/32", "[2001:db8::7]", True),
        ("[2001:db8::7]", "[2001:db8::7]", True),
        ("192.0.2.0/24", "192.0.2.9", True),
        ("192.0.2.0/24", "198.51.100.9", False),
        ("example.com", "api.example.com", True),
        (".example.com, other", "api.example.com", True),
        ("*", "api.example.com", True),
        ("[[::1, ,:::,%%,http://x", "api.example.com", False),
    ],
)
def test_no_proxy_takes_names_addresses_and_networks(
    no_proxy: str, host: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for(f"https://{host}/v1") == (None if direct else PROXY)
    Client("key", f"https://{host}/v1", timeout_seconds=1)  # can be made with each


@pytest.mark.parametrize(
    ("variable", "scheme"),
    [
        *(("ALL_PROXY", "socks5"), ("ALL_PROXY", "socks4"), ("all_proxy", "socks5h")),
        *(("HTTPS_PROXY", "socks5"), ("HTTPS_PROXY", "SOCKS5")),
    ],
)
def test_a_socks_proxy_without_its_package_is_explained(
    monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    monkeypatch.setenv(variable, f"{scheme}://user:hunter2@proxy.example:1080")
    monkeypatch.setattr("batchrun.service.transport.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="SOCKS") as refused:
        Client("key", "https://api.example.com/v1", timeout_seconds=1)
    assert "[socks]" in refused.value.hint
    assert "hunter2" not in str(refused.value)
