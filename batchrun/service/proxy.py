"""The proxy that the environment or the system sets for the service's address."""

from __future__ import annotations

import ipaddress
import re
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from batchrun.errors import UsageError
from batchrun.installation import install_hint


def proxy_for(base_url: str) -> str | None:
    """Return the proxy for an address, or ``None`` for a direct connection.

    ``NO_PROXY`` may list names, addresses, and networks, including IPv6 with or without brackets.

    Raises:
        UsageError: The proxy's address is invalid, or it is a SOCKS proxy and the package for
            those is not installed.
    """
    parts, proxies = urlsplit(base_url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    if not proxy or proxy_bypass(host) or _in_networks(host, proxies.get("no", "")):
        return None
    if proxy.lower().startswith("socks") and find_spec("socksio") is None:
        raise UsageError(
            "The environment sets a SOCKS proxy, and the package for those is not installed.",
            install_hint("socks"),
        )
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        _ = urlsplit(proxy).port
    except ValueError:
        raise unusable_environment() from None
    return proxy


def unusable_environment() -> UsageError:
    """The error for an unusable proxy or certificate; it never repeats a proxy's password."""
    return UsageError(
        "A proxy or certificate file set in the environment can't be used.",
        "Check HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
    )


def _in_networks(host: str, no_proxy: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in re.split(r"[\s,]+", no_proxy):
        try:
            if address in ipaddress.ip_network(re.sub(r"[\[\]]", "", entry), strict=False):
                return True
        except ValueError:  # a name
            continue
    return False
