"""Where the judge is asked, and with which key. Both come from the environment wherever they matter: a configuration,
which anyone may send, can name neither a key nor a place that the key has not been meant for."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from core.addresses import plain_address
from core.config import JudgeConfig
from core.errors import ConfigError

KEYS = ("GRPO_STUDIO_JUDGE_KEY", "OPENAI_API_KEY")
"""Environment variables that hold the judge's key; the first that is set counts."""
ENDPOINTS = "GRPO_STUDIO_ENDPOINTS"
"""The environment variable that lists further endpoints the key may be sent to, separated by commas."""
BASE_URL = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"

_NO_KEY = "none"
"""Sent in place of a key to a server on this machine; the client library wants one."""


@dataclass(frozen=True)
class Endpoint:
    """An address that may be asked, and the key for it."""

    base_url: str
    key: str = field(repr=False)


def judge_endpoint(config: JudgeConfig, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint of a judge.

    The key goes to OpenAI and to addresses that the environment names. A server on this machine may be asked as well,
    but gets no key: whoever can send a configuration chooses its port.

    Raises:
        ConfigError: the environment does not allow the address, there is no key for it, or the environment's own
            address is none.
    """
    chosen, own = judge_address(config, environment), _own_address(environment)
    listed = [url.strip() for url in environment.get(ENDPOINTS, "").split(",")]
    trusted = _plain(chosen) in {_plain(url) for url in (OPENAI, own, *listed)}
    local = _is_loopback(urlsplit(chosen).hostname or "")
    if not trusted and not local:
        raise ConfigError(
            f"reward.judge.base_url is {chosen!r}, and the judge's key is only sent to addresses that the environment "
            f"allows. Whoever runs the studio can add it to {ENDPOINTS}; or leave base_url empty for {own}."
        )
    if not trusted:
        return Endpoint(chosen, _NO_KEY)
    key = next((key for name in KEYS if (key := environment.get(name, "").strip())), "")
    if not key and not local:
        raise ConfigError(
            f"The judge needs a key for {chosen}. Set {KEYS[0]} or {KEYS[1]} where the studio is started."
        )
    return Endpoint(chosen, key or _NO_KEY)


def judge_address(config: JudgeConfig, environment: Mapping[str, str] = os.environ) -> str:
    """Where a judge is asked: at its own address, else at the environment's.

    Raises:
        ConfigError: the environment's address is none.
    """
    return config.base_url or _own_address(environment)


def _own_address(environment: Mapping[str, str]) -> str:
    try:
        return plain_address(environment.get(BASE_URL, "").strip() or OPENAI)
    except ValueError as error:
        said = f"The environment variable {BASE_URL} {error}. Correct it where the studio is started."
        raise ConfigError(said) from None


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
