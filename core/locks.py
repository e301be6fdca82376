"""Locks between processes, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import RunError, StorageError, StudioError
from core.paths import storage_error


@contextmanager
def locked(file: Path, seconds: float, busy: str, error: type[StudioError] = StorageError) -> Iterator[None]:
    """Hold the lock `file` for the length of a `with` block.

    Args:
        seconds: how long to wait for whoever holds it.
        busy: what to say when it is still held then: what could not be done, and what to do.
        error: what that is raised as.

    Raises:
        StorageError: or `error`, when it is still held; StorageError when the lock cannot be written.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=seconds)
    except Timeout as late:
        raise error(busy) from late
    except OSError as trouble:
        raise storage_error(trouble, file) or trouble from trouble
    try:
        yield
    finally:
        lock.release()


def held(file: Path, busy: str) -> Callable[[], None]:
    """Take the lock `file` at once, and hold it until the returned function is called, by any thread.

    Args:
        busy: what to say when another process holds it: what could not be done, and what to do.

    Raises:
        RunError: another process holds it.
        StorageError: the lock cannot be written.
    """
    lock = FileLock(file, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(busy) from error
    except OSError as error:
        raise storage_error(error, file) or error from error
    return lock.release
