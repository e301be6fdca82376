"""How much of this machine the studio may take: disk for the home, runs at one time, runs of one person.

Whoever runs the studio sets these limits by the environment; what is not set is not limited. Runs that wait in the
queue count, or the queue would be a way around.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.access.actors import current_actor
from core.access.starters import starter_of
from core.errors import ConfigError, RunError, StorageError
from core.jobs.folder import State
from core.paths import Home
from core.runs.run import Run, list_runs
from core.text import disk_size

DISK_QUOTA = "GRPO_STUDIO_DISK_QUOTA_GB"
MAX_RUNS = "GRPO_STUDIO_MAX_RUNS"
RUNS_PER_USER = "GRPO_STUDIO_RUNS_PER_USER"
_GIGABYTE = 1_000_000_000
_WAITING: State = "queued"


@dataclass(frozen=True)
class Limits:
    """What the studio may take; None where nothing limits it.

    Attributes:
        disk_bytes: of all that lies in the home folder.
        runs: that are live or wait in the queue, of everybody together.
        runs_per_user: the same, of each person.
    """

    disk_bytes: int | None = None
    runs: int | None = None
    runs_per_user: int | None = None


@dataclass(frozen=True)
class DiskUse:
    """What the home folder takes, in bytes on the disk.

    Attributes:
        parts: by the name of the folder in the home, the largest first; files of the home itself are under `.`.
    """

    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


def limits(environment: Mapping[str, str] = os.environ) -> Limits:
    """The limits that the environment sets.

    Raises:
        ConfigError: one of them is no positive number.
    """
    disk = _number(DISK_QUOTA, environment)
    runs, own = (_whole(name, environment) for name in (MAX_RUNS, RUNS_PER_USER))
    return Limits(None if disk is None else int(disk * _GIGABYTE), runs, own)


def disk_use(home: Home) -> DiskUse:
    """What lies in the home folder. Links count as links, and a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    parts: dict[str, int] = {}
    for entry in _entries(home.root):
        name = entry.name if entry.is_dir(follow_symlinks=False) else "."
        parts[name] = parts.get(name, 0) + _size(entry, seen)
    return DiskUse(dict(sorted(parts.items(), key=lambda part: -part[1])))


def refuse_full(home: Home, environment: Mapping[str, str] = os.environ) -> None:
    """Make sure that the home has not reached its limit.

    Raises:
        StorageError: it has; the sentence says what takes most.
        ConfigError: as `limits`.
    """
    most = limits(environment).disk_bytes
    if most is None:
        return
    use = disk_use(home)
    if use.total >= most:
        name, size = next(iter(use.parts.items()))
        raise StorageError(
            f"The studio may take {disk_size(most)} of disk and takes {disk_size(use.total)} already, most of it in "
            f"{name} ({disk_size(size)}). Delete what is no longer needed, or ask whoever runs the studio to raise "
            f"{DISK_QUOTA}."
        )


def refuse_many(home: Home, besides: Run | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Make sure that one more run may be live or wait; whoever calls this keeps others from starting meanwhile.

    Args:
        besides: the run that is to go on, which does not count.

    Raises:
        RunError: there are as many as may be, of everybody or of whoever acts now.
        ConfigError: as `limits`.
        AccessDenied: it is not known who acts, and that matters.
    """
    most = limits(environment)
    if most.runs is None and most.runs_per_user is None:
        return
    busy = [run for run in list_runs(home) if run != besides and _counts(run)]
    if most.runs is not None and len(busy) >= most.runs:
        raise RunError(
            f"The studio may have {_runs(most.runs)} at one time, the queue included, and has as many. Wait until one "
            f"ends, or ask whoever runs the studio to raise {MAX_RUNS}."
        )
    if most.runs_per_user is None:
        return
    name = current_actor().name
    own = [run.id for run in busy if (starter := starter_of(run.folder)) is not None and starter.name == name]
    if len(own) >= most.runs_per_user:
        raise RunError(
            f"You may have {_runs(most.runs_per_user)} at one time, the queue included, and have {', '.join(own)}. "
            f"Stop one, or wait until it ends. Whoever runs the studio can raise {RUNS_PER_USER}."
        )


def _counts(run: Run) -> bool:
    status = run.status()
    return status.live or status.state == _WAITING


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # it has just been removed, or is another user's
        return []


def _size(entry: os.DirEntry[str], seen: set[tuple[int, int]]) -> int:
    """What an entry takes, with all that is below it."""
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return 0
    if stat.S_ISDIR(found.st_mode):
        return sum(_size(below, seen) for below in _entries(entry.path))
    name = (found.st_dev, found.st_ino)
    if found.st_nlink > 1 and name in seen:
        return 0
    seen.add(name)
    return found.st_blocks * 512


def _whole(name: str, environment: Mapping[str, str]) -> int | None:
    value = _number(name, environment)
    if value is not None and value != int(value):
        raise ConfigError(f"{name} is {environment[name]!r}: use a whole number, and start the studio again.")
    return None if value is None else int(value)


def _number(name: str, environment: Mapping[str, str]) -> float | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise ConfigError(f"{name} is {text!r}: use a number above 0, or leave it out, and start the studio again.")
    return value
