"""Names texts by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def content_hash(texts: Iterable[str], kind: str = "") -> bytes:
    """The SHA-256 of several texts, each behind its length, so that no two lists of texts have one; 32 bytes.

    Args:
        texts: any texts, halves of surrogate pairs included.
        kind: what is kept under the hash, so that the same texts have another one elsewhere.

    >>> content_hash(["ab", "c"]) == content_hash(["a", "bc"])
    False
    """
    digest = hashlib.sha256(kind.encode())
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.digest()


def answers_hash(texts: Iterable[str]) -> str:
    """Names the answers that are judged together, in the order in which they are shown; 64 hexadecimal digits.

    >>> answers_hash(["Rest.", "Walk."]) == answers_hash(["Walk.", "Rest."])
    False
    """
    return content_hash(texts, "answers").hex()
