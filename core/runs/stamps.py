"""What was found out about runs, kept until something in their folders changes, which one look at a folder tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

from core.runs.run import Run

Stamp = tuple[int, ...]
Found = TypeVar("Found")
_MOST_RUNS = 5000
_SETTLED_NS = 2_000_000_000
"""Nanoseconds after which a change is taken for the last one for now: clocks of file systems may tick in whole seconds,
and that of a shared one may be behind this machine's."""


class PerRun(Generic[Found]):
    """What was found out about each run, by all threads of this process; found out again when its folder has changed.

    Args:
        find: finds it out.
        folder: one more folder whose changes count, see `stamp_of`.
        lasting: whether what was found out about a run may be kept; it may always by default.
    """

    def __init__(
        self,
        find: Callable[[Run], Found],
        folder: Callable[[Run], Path],
        lasting: Callable[[Run], bool] = lambda run: True,
    ) -> None:
        self._find, self._folder, self._lasting = find, folder, lasting
        self._kept: Callable[[Run], dict[Stamp, Found]] = lru_cache(maxsize=_MOST_RUNS)(lambda run: {})

    def __call__(self, run: Run) -> Found:
        """As it is now. What finding it out raises is raised, and found out again the next time."""
        stamp, kept = stamp_of(run, self._folder(run)), self._kept(run)
        try:
            return kept[stamp]
        except KeyError:
            found = self._find(run)
        if self._lasting(run):
            kept.clear()
            kept[stamp] = found
        return found


def stamp_of(run: Run, *folders: Path) -> Stamp:
    """Changes whenever a run gets another status, label, best adapter or list of files.

    These are replaced by renaming, which changes the time of the run's folder. What is written into a file that stays
    does not: the log, and files that somebody corrects by hand. What has just changed may change again within the same
    tick of the clock, and gets a stamp that never comes again.

    Args:
        folders: others in which files are made or replaced, such as `run.checkpoints`.
    """
    changed = tuple(map(_changed, (run.folder, *folders)))
    now = time.time_ns()
    return (*changed, now) if now - max(changed) < _SETTLED_NS else changed


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
