"""Which addresses may be asked, with which key, and which machines they may lead to.

Addresses and keys come from the environment wherever they matter: a configuration, which anyone may send, can name
neither a key nor a place that it has not been meant for. A name is only as good as the machine that it leads to, so
each connection asks `may_connect` as well.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from core.access.ways import way_in
from core.addresses import is_loopback, plain_address
from core.errors import ConfigError

JUDGE_KEYS = ("GRPO_STUDIO_JUDGE_KEY", "OPENAI_API_KEY")
ENDPOINTS = "GRPO_STUDIO_ENDPOINTS"
"""The environment variable that lists further addresses a key may be sent to, separated by commas."""
BASE_URL = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"
NO_KEY = "none"
"""Sent in place of a key to a server on this machine; the client library wants one."""

_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")))
"""Where clouds hand out credentials of a machine, besides the link-local 169.254.169.254."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that a network translates to IPv4 (RFC 6052)."""


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

    A key goes to OpenAI and to addresses that the environment names. Where the studio serves one person, a server on
    this machine may be asked as well, but gets no key: whoever can send a configuration chooses its port. Where it
    serves several, this machine's ports are not everybody's.

    Raises:
        ConfigError: the environment does not allow the address, there is no key for it, or the environment's own
            address is none.
    """
    trusted = is_listed(address, environment)
    local = is_loopback(urlsplit(address).hostname or "")
    if not trusted and not (local and not serves_several(environment)):
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


def may_connect(url: str, machine: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the name in `url` may lead to `machine`, an address as the resolver gave it.

    A name of this machine leads to this machine. One that the environment lists may lead into the own network. OpenAI's
    leads to the public internet. None leads to link-local addresses, among them those at which clouds hand out
    credentials, unless the environment lists that very address.

    >>> may_connect("https://api.openai.com/v1", "10.0.0.8", {})
    False
    >>> may_connect("https://llm.example.org/v1", "10.0.0.8", {ENDPOINTS: "https://llm.example.org/v1"})
    True
    >>> may_connect("https://llm.example.org/v1", "169.254.169.254", {ENDPOINTS: "https://llm.example.org/v1"})
    False
    """
    found = _unwrapped(ipaddress.ip_address(machine.partition("%")[0]))
    host = urlsplit(url).hostname or ""
    named = _plain(url) in _named(environment)
    if named and host == str(found):
        return True
    if found in _METADATA or found.is_link_local or found.is_multicast or found.is_unspecified:
        return False
    if is_loopback(host):
        return found.is_loopback
    return named or found.is_global


def serves_several(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether people sign in, so that what one of them asks for need not be meant for all."""
    return way_in(environment) in ("proxy", "oidc")


def is_listed(address: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a key may be sent to `address`: it is OpenAI's, or the environment names it."""
    return _plain(address) in {_plain(OPENAI), *_named(environment)}


def _named(environment: Mapping[str, str]) -> set[str]:
    """What whoever runs the studio has named, in the spelling in which two are compared."""
    listed = [url.strip() for url in environment.get(ENDPOINTS, "").split(",") if url.strip()]
    own = [own_address(environment)] if environment.get(BASE_URL, "").strip() else []
    return {_plain(url) for url in (*listed, *own)}


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address that is written as one of IPv6, as itself: such spellings pass for public ones."""
    if not isinstance(address, IPv6Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


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
