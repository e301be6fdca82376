"""Which addresses may be asked with a key. Both come from the environment wherever they matter: a configuration, which
anyone may send, can name neither a key nor a place that the key has not been meant for."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.addresses import plain_address
from core.errors import ConfigError

JUDGE_KEYS = ("GRPO_STUDIO_JUDGE_KEY", "OPENAI_API_KEY")
ENDPOINTS = "GRPO_STUDIO_ENDPOINTS"
"""The environment variable that lists further addresses a key may be sent to, separated by commas."""
BASE_URL = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"
NO_KEY = "none"
"""Sent in place of a key to a server on this machine; the client library wants one."""


@dataclass(frozen=True)
class Purpose:
    """What a key is for, as messages name it.

    Attributes:
        name: who is asked, such as "the judge".
        field: what holds the address, at the beginning of a sentence.
        keys: the environment variables that hold the key; the first that is set counts.
        own: the remedy when the address is not allowed; empty where there is none but to allow it.
    """

    name: str
    field: str
    keys: tuple[str, ...]
    own: str = ""


def endpoint_key(address: str, purpose: Purpose, environment: Mapping[str, str] = os.environ) -> str:
    """The key that is sent to `address`, a plain one.

    A key goes to OpenAI and to addresses that the environment names. A server on this machine may be asked as well, but
    gets no key: whoever can send a configuration chooses its port.

    Raises:
        ConfigError: the environment does not allow the address, there is no key for it, or the environment's own
            address is none.
    """
    listed = [url.strip() for url in environment.get(ENDPOINTS, "").split(",")]
    trusted = _plain(address) in {_plain(url) for url in (OPENAI, own_address(environment), *listed)}
    local = _is_loopback(urlsplit(address).hostname or "")
    if not trusted and not local:
        raise ConfigError(
            f"{purpose.field} is {address!r}, and {purpose.name}'s key is only sent to addresses that the environment "
            f"allows. Whoever runs the studio can add it to {ENDPOINTS}{purpose.own}."
        )
    if not trusted:
        return NO_KEY
    key = next((key for name in purpose.keys if (key := environment.get(name, "").strip())), "")
    if not key and not local:
        who = purpose.name[0].upper() + purpose.name[1:]
        raise ConfigError(
            f"{who} needs a key for {address}. Set {' or '.join(purpose.keys)} where the studio is started."
        )
    return key or NO_KEY


def own_address(environment: Mapping[str, str] = os.environ) -> str:
    """The environment's own address, else OpenAI's.

    Raises:
        ConfigError: the environment's address is none.
    """
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
