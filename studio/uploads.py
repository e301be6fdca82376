"""Keeps an uploaded data file under the home folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from core.access import audit
from core.access.permissions import allow
from core.data.formats import SUFFIXES
from core.errors import DataError
from core.paths import Home, inside, valid_name, write_bytes

_STEM = 40


def store_upload(home: Home, name: str, content: bytes, kinds: Sequence[str] = SUFFIXES) -> Path:
    """Write an upload under a name of our own making: a cleaned stem, the digest of its content, a known ending.

    The browser's file name may be anything, a path among it, so nothing but letters and digits of it is used.

    Args:
        kinds: the endings that are taken.

    Raises:
        AccessDenied: whoever asks may not bring in data.
        DataError: the ending is not one the studio reads.
        StorageError: the disk is full.
    """
    allow("data.prepare")
    suffix = Path(name).suffix.lower()
    if suffix not in kinds:
        known = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
        raise DataError(f"{Path(name).name} ends in {suffix or 'nothing'!r}: choose a {known} file.")
    stem = re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-")[:_STEM] or "data"
    digest = hashlib.sha256(content).hexdigest()[:12]
    path = inside(home.data, home.data / valid_name(f"{stem}-{digest}{suffix}"))
    if not path.exists():
        write_bytes(path, content)
        audit.record(home, "data.upload", path.name, bytes=len(content))
    return path
