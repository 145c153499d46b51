"""Addresses as they may be shown: each that is shown anywhere goes through here."""

from __future__ import annotations

import pytest

from batchrun.text import without_password, without_user


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://anna:geheim@host:8443/v1", "https://anna:***@host:8443/v1"),
        ("postgresql://anna@host/batchrun", "postgresql://anna@host/batchrun"),
        (
            "postgresql://host/batchrun?user=anna&password=geheim&sslmode=require",
            "postgresql://host/batchrun?user=anna&password=***&sslmode=require",
        ),
        ("postgresql://host/batchrun?password=ab#c", "postgresql://host/batchrun?password=***"),
        (r"C:\Users\anna@work\list: new.xlsx", r"C:\Users\anna@work\list: new.xlsx"),
        ("depth: a@b", "depth: a@b"),
    ],
)
def test_a_password_is_hidden_and_the_rest_stays(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://token@proxy:8080", "http://***@proxy:8080"),
        ("me:geheim@proxy:1", "***@proxy:1"),
        ("http://proxy:8080", "http://proxy:8080"),
    ],
)
def test_of_a_proxy_the_user_is_hidden_too(address: str, shown: str) -> None:
    assert without_user(address) == shown
