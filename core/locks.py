"""Locks between processes, as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import StorageError, StudioError


@contextmanager
def locked(file: Path, seconds: float, busy: str, error: type[StudioError] = StorageError) -> Iterator[None]:
    """Hold the lock `file` for the length of a `with` block.

    Args:
        seconds: how long to wait for whoever holds it.
        busy: what to say when it is still held then: what could not be done, and what to do.
        error: what that is raised as.

    Raises:
        StorageError: or `error`, when it is still held.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=seconds)
    except Timeout as late:
        raise error(busy) from late
    try:
        yield
    finally:
        lock.release()
