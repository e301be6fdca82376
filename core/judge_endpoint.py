"""Where the judge is asked, and with which key. Both come from the environment wherever they matter: a configuration,
which anyone may send, can name neither a key nor a place that the key has not been meant for."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from core.config import JudgeConfig
from core.errors import ConfigError

KEYS = ("GRPO_STUDIO_JUDGE_KEY", "OPENAI_API_KEY")
"""Environment variables that hold the judge's key; the first that is set counts."""
ENDPOINTS = "GRPO_STUDIO_ENDPOINTS"
"""The environment variable that lists further endpoints the key may be sent to, separated by commas."""
BASE_URL = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"

_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?")
"""Plain addresses only, which no two programs read differently: no user, query, escape or backslash."""


@dataclass(frozen=True)
class Endpoint:
    """An address that may be asked, and the key for it."""

    base_url: str
    key: str = field(repr=False)


def judge_endpoint(config: JudgeConfig, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint of a judge.

    Raises:
        ConfigError: the address is none, is not one that the environment allows, or there is no key for it.
    """
    own = environment.get(BASE_URL, "").strip() or OPENAI
    chosen = config.base_url.strip() or own
    if not _URL.fullmatch(chosen) or not _host(chosen):
        raise ConfigError(
            f"reward.judge.base_url is {chosen!r}: should be a plain address such as {OPENAI}, without a key in it."
        )
    listed = [url.strip() for url in environment.get(ENDPOINTS, "").split(",")]
    local = _is_loopback(_host(chosen))
    if not local and _plain(chosen) not in {_plain(url) for url in (OPENAI, own, *listed)}:
        raise ConfigError(
            f"reward.judge.base_url is {chosen!r}, and the judge's key is only sent to addresses that the environment "
            f"allows. Whoever runs the studio can add it to {ENDPOINTS}; or leave base_url empty for {own}."
        )
    key = next((environment[name] for name in KEYS if environment.get(name)), "")
    if not key and not local:
        raise ConfigError(
            f"The judge needs a key for {chosen}. Set {KEYS[0]} or {KEYS[1]} where the studio is started."
        )
    return Endpoint(chosen, key or "none")  # a server on this machine needs no key, but the client one


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return parts.hostname or "" if parts.port != 0 else ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _plain(url: str) -> str:
    """The address in the one spelling in which two are compared.

    >>> _plain("HTTPS://Example.org:443/v1/")
    'https://example.org/v1'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    place = (parts.hostname or "") + ("" if port in (None, usual) else f":{port}")
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
