"""Takes the word of a proxy, and of nobody else, for who asks.

The header `Remote-User` is removed from every request whose sender may not say it, before Streamlit or a download sees
it. Whoever reads the header behind this may believe it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import ConfigError
from studio import identity

ADDRESSES = "GRPO_STUDIO_PROXY_ADDRESSES"
"""The environment variable with the addresses of the proxies, such as `10.0.0.5, 10.1.0.0/16`; unset, everybody who can
reach the studio counts as one."""
REWRITING = "FORWARDED_ALLOW_IPS"
"""Whose `X-Forwarded-For` the web server puts in the place of the sender's address; by default this machine's own."""
_USER = identity.USER_HEADER.lower().encode()
_LOOPBACK = "127.0.0.1"
_LOG = logging.getLogger(__name__)


class ProxyHeader:
    """Leaves the header in requests of the proxy, and takes it out of all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not _believed(scope):
            kept = [(name, value) for name, value in scope["headers"] if name.lower() != _USER]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


def proxies() -> Sequence[IPv4Network | IPv6Network]:
    """The addresses from which the header is believed; none for all.

    Raises:
        ConfigError: one of them is no address.
    """
    named = os.environ.get(ADDRESSES, "").replace(",", " ").split()
    try:
        return [ip_network(address) for address in named]
    except ValueError as error:
        raise ConfigError(
            f"{ADDRESSES} is wrong: {error}. Use addresses and networks with commas between them, such as 10.0.0.5 or "
            "10.1.0.0/16."
        ) from error


def _believed(scope: Scope) -> bool:
    try:
        if identity.way() != "proxy":
            return False
        allowed = proxies()
    except ConfigError as error:
        _LOG.warning("Nobody is believed to be the proxy: %s", error)
        return False
    return not allowed or any(_in(_sender(scope), network) for network in allowed)


def _sender(scope: Scope) -> str:
    """The address that the request came from; empty when that is not sure.

    The web server may have replaced it by one that the request itself names, and then nobody can tell whose it was.
    """
    if identity.listens_here_only():
        return _LOOPBACK
    address = scope["client"][0] if scope.get("client") else ""
    named = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    return "" if address in named and os.environ.get(REWRITING) != "" else address


def _in(address: str, network: IPv4Network | IPv6Network) -> bool:
    """Whether an address belongs to a network; one of an IPv4 machine may be written as IPv6.

    >>> _in("::ffff:10.0.0.5", ip_network("10.0.0.0/8")), _in("", ip_network("10.0.0.0/8"))
    (True, False)
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found) in network
