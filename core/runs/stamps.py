"""Whether anything in a run's folder has changed since somebody looked, found without reading its files."""

from __future__ import annotations

import time
from pathlib import Path

from core.runs.run import Run

Stamp = tuple[int, ...]
_TICK_NS = 20_000_000


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
