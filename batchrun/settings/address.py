"""Base URLs: which are used at all, this machine's, and when two name the same service. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from batchrun.errors import UsageError

DEFAULT_BASE_URL = "https://api.pipelinegeneration.ai/v1"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
DEFAULT_PORTS = {"http": 80, "https": 443}

_BASE_URL_HINT = "Set BATCHRUN_BASE_URL to an address such as https://api.example.com/v1."


def service_of(base_url: str) -> str:
    """The one spelling of all base URLs that name the same service.

    Without a slash at its end or a port that goes without saying; scheme and host in small
    letters. An address that can't be read stays as it is.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return base_url
    if ":" in host:  # IPv6
        host = f"[{host}]"
    if port is not None and port != DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    return parts._replace(netloc=host, path=parts.path.rstrip("/")).geturl()


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


def is_encrypted(base_url: str) -> bool:
    """Whether what is sent to the address is encrypted."""
    return urlsplit(base_url).scheme == "https"
