"""Whom the server answers: a browser whose page came from this studio, under a name that is this studio's.

Without a look at `Host`, a page of a stranger could have its own name point to this machine and ask in the browser of
whoever runs the studio. Without a look at `Origin`, any page could open the studio's WebSocket. Streamlit's own check
lets every page of this machine in, and asks a service on the internet for its address before it refuses one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from core.access.ways import way_in
from core.addresses import host_name, is_loopback, plain_address
from core.errors import ConfigError

ALLOWED_ORIGINS = "GRPO_STUDIO_ALLOWED_ORIGINS"
"""The environment variable that lists where the studio is opened, such as https://studio.hospital.example, separated by
commas; needed behind a proxy that changes the header `Host`."""
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LONGEST_SHOWN = 200
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Borders:
    """Who is let in.

    Attributes:
        origins: pages besides the studio's own, as a browser writes them.
        hosts: names under which the studio is asked; None where any will do.
    """

    origins: frozenset[str]
    hosts: frozenset[str] | None

    def fault(self, scope: Scope) -> str:
        """Why a request is refused, as a sentence; empty when it is not."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.hosts is not None and host_name(host) not in self.hosts:
            return f"The studio is not opened by the name {_shown(host)}. {_remedy('that address')}"
        safe = scope["type"] == "http" and scope["method"] in _SAFE_METHODS
        if safe or origin is None or origin.lower() in self.origins or (host and _netloc(origin) == host):
            return ""
        return f"The studio is not opened from {_shown(origin)}. {_remedy('it')}"


def borders(address: str, environment: Mapping[str, str] = os.environ) -> Borders:
    """Who is let in by a server that listens on `address`.

    Where the studio listens to this machine only, and no trusted proxy stands in front, it is asked by this machine's
    names; and so it is where the environment says that whoever asks is the one person at this machine, since a page of
    a stranger that has its own name point here would else be an admin. Elsewhere it cannot know by which.

    Raises:
        ConfigError: the environment names something that is no origin, or no way in which people are known.
    """
    listed = [_origin(text) for text in environment.get(ALLOWED_ORIGINS, "").split(",") if text.strip()]
    way = way_in(environment)
    own = way == "local" or (is_loopback(address) and way != "proxy")
    hosts = _LOOPBACK | {urlsplit(origin).hostname or "" for origin in listed} if own else None
    return Borders(frozenset(listed), hosts)


class BorderGuard:
    """ASGI middleware that refuses what is not let in, and tells browsers what they must not do with an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._borders: Borders | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if self._borders is None:  # now the server's own options are known
            self._borders = borders(st.get_option("server.address") or "")
        fault = self._borders.fault(scope)
        if fault:
            _LOG.warning("Refused: %s", fault)
            refusal = PlainTextResponse(fault, 403) if scope["type"] == "http" else WebSocketClose(reason="refused")
            await refusal(scope, receive, send)
            return
        await self._app(_as_opened(scope, self._borders), receive, _guarded(send, self._borders))


def _as_opened(scope: Scope, allowed: Borders) -> Scope:
    """A request as the browser made it, before a proxy changed `Host`: Streamlit compares it with `Origin`."""
    headers = MutableHeaders(scope=scope)
    origin = headers.get("origin", "").lower()
    if origin not in allowed.origins:
        return scope
    changed = MutableHeaders(raw=list(headers.raw))
    changed["host"] = urlsplit(origin).netloc
    return {**scope, "headers": changed.raw}


def _guarded(send: Send, allowed: Borders) -> Send:
    frames = " ".join(["frame-ancestors 'self'", *sorted(allowed.origins)])

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("Content-Security-Policy", frames)
        await send(message)

    return guarded


def _origin(text: str) -> str:
    """An origin as browsers write it.

    >>> _origin(" HTTPS://Studio.example.org:443/ ")
    'https://studio.example.org'
    """
    try:
        parts = urlsplit(plain_address(text.lower()))
    except ValueError:
        parts = urlsplit("")
    if not parts.netloc or parts.path not in ("", "/"):
        raise ConfigError(
            f"{ALLOWED_ORIGINS} holds something that is no origin. Write addresses such as "
            "https://studio.hospital.example, without a path, separated by commas."
        )
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(usual)}"


def _netloc(origin: str) -> str:
    """Name and port of an origin; empty where it has none, as `null`."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _remedy(what: str) -> str:
    return f"Whoever runs it can add {what} to {ALLOWED_ORIGINS}, with https:// or http:// in front."


def _shown(text: str) -> str:
    return repr(text[:_LONGEST_SHOWN])
