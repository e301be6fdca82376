"""Whether anything in a run's folder has changed since somebody looked, found without reading its files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from core.runs.run import Run

Stamp = tuple[int, ...]
Found = TypeVar("Found")
_TICK_NS = 20_000_000


class PerRun(Generic[Found]):
    """What was found out about each run, by all threads of this process; found out again when its folder has changed.

    Args:
        find: finds it out.
        folder: one more folder whose changes count, see `stamp_of`.
    """

    def __init__(self, find: Callable[[Run], Found], folder: Callable[[Run], Path] | None = None) -> None:
        self._find, self._folder = find, folder
        self._kept: dict[Run, tuple[Stamp, Found]] = {}

    def __call__(self, run: Run) -> Found:
        """As it is now; raises what finding it out raises."""
        stamp = stamp_of(run, *([self._folder(run)] if self._folder else []))
        kept = self._kept.get(run)
        if kept is None or kept[0] != stamp:
            kept = self._kept[run] = stamp, self._find(run)
        return kept[1]


def stamp_of(run: Run, *folders: Path) -> Stamp:
    """Changes whenever the settings, the status, the label, the adapter or the best one of a run has changed.

    What lies in the run's folder is replaced by renaming, which changes the time of the folder, so one look is enough
    for all of it. The clock of a file system ticks a few milliseconds at a time; what is as young as that may change
    again unseen, and gets a stamp that never comes again.

    Args:
        folders: others in which files are made or replaced, such as `run.checkpoints`.
    """
    changed = tuple(map(_changed, (run.folder, *folders)))
    now = time.time_ns()
    return (*changed, now) if now - max(changed) < _TICK_NS else changed


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
