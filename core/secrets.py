"""Keys and tokens that this process has in its environment: kept out of texts, and from other processes.

Nothing here makes a prison. Code that runs with the user's rights can read what the user can read.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress

_NAME = re.compile(r"KEY|TOKEN(?!IZER)|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_LOADING = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Those without which a gated model cannot be downloaded."""
_SHORTEST = 6
"""Shorter values are words such as `true`, which are no secrets and stand in every text."""
_PR_SET_DUMPABLE = 4


def masked(text: str) -> str:
    """`text` without the values of environment variables that look like secrets.

    >>> os.environ["SOME_API_KEY"] = "opensesame"
    >>> masked("the key is opensesame")
    'the key is ***'
    >>> del os.environ["SOME_API_KEY"]
    """
    for secret in _secrets():
        text = text.replace(secret, "***")
    return text


def longest_secret() -> int:
    """How many characters the longest of them has; 0 when there is none."""
    return max(map(len, _secrets()), default=0)


def begun_secret(text: str) -> int:
    """How many characters at the end of `text` are the beginning of one of them, and not the whole; 0 when none are.

    >>> os.environ["SOME_API_KEY"] = "opensesame"
    >>> begun_secret("the key is opense")
    6
    >>> del os.environ["SOME_API_KEY"]
    """
    return max((_overlap(text, secret) for secret in _secrets()), default=0)


def without_secrets(environment: Mapping[str, str], downloads: bool = False) -> dict[str, str]:
    """An environment without variables whose names look like secrets, for a process that needs none of them.

    Args:
        downloads: whether it may have to download a model, which needs the Hugging Face Hub's token.

    >>> without_secrets({"PATH": "/bin", "OPENAI_API_KEY": "opensesame", "TOKENIZERS_PARALLELISM": "false"})
    {'PATH': '/bin', 'TOKENIZERS_PARALLELISM': 'false'}
    """
    kept: Collection[str] = _LOADING if downloads else ()
    return {name: value for name, value in environment.items() if name in kept or not _NAME.search(name)}


def hide_environment() -> None:
    """Keep other processes of the same user from reading this one's environment and memory, where Linux allows it.

    Without this, whoever has the user's rights reads them in `/proc/<id>/environ`. Processes with root's privileges
    still can. It lasts until this process ends, and is not passed on to the processes it starts.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # such as a C library without prctl
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _overlap(text: str, secret: str) -> int:
    longest = min(len(text), len(secret) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(secret[:size])), 0)


def _secrets() -> list[str]:
    """The longest first, since one may stand within another."""
    values = {value for name, value in os.environ.items() if _NAME.search(name)}
    return sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)
