"""Which addresses and keys are used at all: checked before the first request. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from batchrun.errors import KeyRefusedError, UsageError
from batchrun.settings import LOOPBACK_HOSTS, service_of

_BASE_URL_HINT = "Set BATCHRUN_BASE_URL to an address such as https://api.example.com/v1."


def checked_base_url(base_url: str) -> str:
    """Return the base URL in the one spelling of its service.

    Raises:
        UsageError: It is no address of a service, or the key would travel unencrypted.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        raise UsageError("The base URL is not an address.", _BASE_URL_HINT) from None
    # Never the URL itself before this point: it may hold a password or a key.
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError("The base URL holds a user name, a password or a query.", _BASE_URL_HINT)
    if parts.scheme not in {"http", "https"} or not host or not base_url.isprintable():
        raise UsageError("The base URL is not an http(s) address.", _BASE_URL_HINT)
    if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        raise UsageError(
            f"The base URL {parts.geturl()} is not encrypted: others could read the key.",
            "Use https; plain http is for a sandbox on this machine.",
        )
    return service_of(base_url)


def is_loopback(base_url: str) -> bool:
    """Whether the address is this machine."""
    return urlsplit(base_url).hostname in LOOPBACK_HOSTS


def checked_key(key: str) -> str:
    """Return the key without white space around it.

    Raises:
        KeyRefusedError: There is none, or no header can carry it; the message doesn't repeat it.
    """
    bare = key.strip()
    if not bare:
        raise KeyRefusedError("There is no API key.", "Keep yours with: batchrun login")
    if not all("!" <= character <= "~" for character in bare):
        raise KeyRefusedError(
            "The API key holds a space or a character that no key has.",
            "Copy it again, alone and on one line.",
        )
    return bare
