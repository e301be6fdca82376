"""Web addresses that a configuration or the environment names."""

from __future__ import annotations

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
