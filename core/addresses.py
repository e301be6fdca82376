"""Web addresses that a configuration or the environment names."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_PLAIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?")
"""Plain addresses only, which no two programs read differently: no user, query, fragment, escape or backslash."""


def plain_address(url: str) -> str:
    """`url` without space around it, when it is a plain web address.

    Raises:
        ValueError: it is not; the message does not repeat it, for it may hold a key.

    >>> plain_address(" http://localhost:8000/v1 ")
    'http://localhost:8000/v1'
    """
    rule = "must be a plain address such as https://api.openai.com/v1, without a user name, a password or a key in it"
    kept = url.strip()
    try:
        parts = urlsplit(kept)
        plain = bool(_PLAIN.fullmatch(kept) and parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is no number
        plain = False
    if not plain:
        raise ValueError(rule)
    return kept


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is one of this machine's own.

    >>> is_loopback("LOCALHOST"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str:
    """The name in a header `Host`, in small letters and without the port; empty when it is none.

    >>> host_name("LOCALHOST.:8501"), host_name("[::1]:8501"), host_name("a@localhost")
    ('localhost', '::1', '')
    """
    try:
        parts = urlsplit(f"//{header}")
        whole = parts.netloc == header and "@" not in header and parts.port != 0
    except ValueError:  # such as a port that is no number
        return ""
    return (parts.hostname or "").rstrip(".") if whole else ""
