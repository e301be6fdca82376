"""Who uses a server, and the guard that never lets one survive as an orphan.

<task>/
  address.json            where the server answers, as long as it does
  users/<pid>-<created>   one file for each process that uses it

`core.serving.lifetime` says more of both; it writes them, and the server's own process looks at them here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from core.jobs.folder import JobFolder, Status, process
from core.jobs.processes import end_tree

ADDRESS = "address.json"
USERS = "users"

_GRACE_SECONDS = 30.0
"""How long a server that has just been started waits for its first user to write down its name."""
_END_SECONDS = 20.0
"""How long a server that is to end may take; then it is killed, for it has nothing to lose."""
_LOOK_SECONDS = 1.0


@contextmanager
def guarded(job: JobFolder) -> Iterator[None]:
    """Never let this process, which is a server's, survive as an orphan, whatever its main thread is busy with.

    A thread asks it to stop once nobody uses it any more, also while it loads a model. When it has not ended 20 s after
    it was asked to, by whomever, the thread ends it by force together with all that it has started.
    """
    done = threading.Event()
    guard = threading.Thread(target=_guard, args=(job, done), name="guard", daemon=True)
    guard.start()
    try:
        yield
    finally:
        done.set()
        guard.join()
        (job.folder / ADDRESS).unlink(missing_ok=True)


def ask_to_stop(job: JobFolder) -> None:
    """Ask a server to stop, as the stop button does; on a full disk nothing happens."""
    with suppress(OSError):
        job.stop_request.touch()


def unused(folder: Path, started: float) -> bool:
    """Whether nobody lives who uses the server.

    Args:
        started: when it was started, by the monotonic clock; one that has had no user yet is given a moment.
    """
    if living_users(folder):
        return False
    return bool(_user_files(folder)) or time.monotonic() - started > _GRACE_SECONDS


def living_users(folder: Path) -> list[int]:
    """The ids of the processes that use the server and live."""
    return [pid for _, pid in living_user_files(folder)]


def living_user_files(folder: Path) -> list[tuple[Path, int]]:
    """The file and the id of each process that uses the server and lives."""
    return [(file, status.pid) for file in _user_files(folder) if (status := _named(file)) and process(status)]


def _guard(job: JobFolder, done: threading.Event) -> None:
    started = time.monotonic()
    while not done.wait(_LOOK_SECONDS):
        if job.stop_request.exists() or unused(job.folder, started):
            ask_to_stop(job)
            if not done.wait(_END_SECONDS):
                _end_by_force(job)
            return


def _end_by_force(job: JobFolder) -> None:
    """End this process and its children; what it would have written last is written here."""
    with suppress(Exception):  # nothing may keep it alive now
        (job.folder / ADDRESS).unlink(missing_ok=True)
        job.write_status(replace(job.written_status(), state="stopped", phase="", updated=time.time()))
        for child in psutil.Process().children():
            end_tree(child)
    os._exit(0)


def _user_files(folder: Path) -> list[Path]:
    return list((folder / USERS).glob("*-*"))


def _named(file: Path) -> Status | None:
    """Which process a user's file names; None when it is anything else."""
    pid, _, created = file.name.partition("-")
    try:
        found: Any = int(pid), float(created)
    except ValueError:
        return None
    return Status(state="running", pid=found[0], created=found[1])
