"""Connections that lead only to machines that may be asked, whatever a name's answer from the resolver says.

The name is resolved once, each address is checked, and the connection goes to the very address that was checked:
between a check and a second look-up, the answer could be another one.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx2
from openai import DEFAULT_CONNECTION_LIMITS

from core.endpoints import may_connect


class Forbidden(httpx2.ConnectError):
    """A name leads to machines that must not be asked."""


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Sends requests to one base address, by the machines that it may lead to."""

    def __init__(self, base_url: str, verify: ssl.SSLContext, environment: Mapping[str, str] = os.environ) -> None:
        self._base_url = base_url
        self._environment = environment
        self._sending = httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=DEFAULT_CONNECTION_LIMITS)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send to the first of the machines that takes the connection.

        Raises:
            Forbidden: none of them may be asked.
            httpx2.TransportError: none of them can be reached, or the connection broke.
        """
        machines = await self._machines(request.url)
        for place, machine in enumerate(machines, start=1):
            try:
                return await self._sending.handle_async_request(_sent_to(machine, request))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if place == len(machines):
                    raise
        raise Forbidden("The name leads to no machine.")

    async def aclose(self) -> None:
        await self._sending.aclose()

    async def _machines(self, url: httpx2.URL) -> list[str]:
        try:
            found = await anyio.getaddrinfo(url.host, url.port or 0, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        machines = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [machine for machine in machines if may_connect(self._base_url, machine, self._environment)]
        if not allowed:
            raise Forbidden("The name leads to a machine that must not be asked.")
        return allowed


def _sent_to(machine: str, request: httpx2.Request) -> httpx2.Request:
    """A request that goes to `machine`, which still reads the name and shows its certificate for it."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=machine),
        headers=request.headers,  # with `Host`, which has been made of the name
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


def proxy_for(base_url: str) -> str | None:
    """The environment's proxy for an address, which then looks names up itself; None where there is none."""
    url = httpx2.URL(base_url)
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(url.host):
        return None
    return found if "://" in found else f"http://{found}"
