"""How the curves of a run lie on disk: fixed-width records of float64, found by the number of their step.

<run>/curves/
  columns.json   version, components, and what stands in the columns of a record
  level-0.bin    one record a step, step 1 first; a record of zeros stands for a step that was never logged
  level-1.bin    one record for each 8 steps: count, sum, least and greatest value of every column
  level-2.bin    the same for each 64 steps, and so on
  groups.bin     see `core.training.groups`

A record is appended once and never changed, so a reader needs no lock; half a record at the end is not there yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.paths import storage_error, write_json
from core.reward.formula import VALIDITY
from core.runs.events import Metrics

FACTOR = 8
"""How many records of one level a record of the next stands for."""
_VERSION = 1
_LOOK_BACK = 1024
"""Records that are looked at at once to find the newest step when the last is none."""
_COLUMNS_FILE = "columns.json"
_MAPPINGS = ("components", "effective")

Rows = NDArray[np.float64]
"""Records of level 0, shape (steps, columns)."""
Stats = NDArray[np.float64]
"""Records of a coarser level, shape (stretches, 4, columns): count, sum, least and greatest value, without NaN."""

NUMBERS = tuple(field.name for field in fields(Metrics) if field.name not in ("step", *_MAPPINGS))
"""The metrics that are one number."""


@dataclass(frozen=True)
class Columns:
    """What stands in a record, in this order: the step, the time of its end in seconds since 1970, the numbers of
    `Metrics`, then for each component its score, its effective weight (and that of validity) and its weight."""

    components: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, components: Sequence[str]) -> Columns:
        """The columns of a run whose reward has these components.

        >>> Columns.of(["tags"]).names[-4:]
        ('score tags', 'effective tags', 'effective validity', 'weight tags')
        """
        scores = (f"score {name}" for name in components)
        effective = (f"effective {name}" for name in (*components, VALIDITY))
        weights = (f"weight {name}" for name in components)
        return cls(tuple(components), ("step", "time", *NUMBERS, *scores, *effective, *weights))

    @classmethod
    def read(cls, folder: Path) -> Columns | None:
        """What the records in a folder hold; None when there are none, or none that this version can read."""
        try:
            found = json.loads((folder / _COLUMNS_FILE).read_text(encoding="utf-8"))
            if found["version"] != _VERSION:
                return None
            columns = cls(tuple(found["components"]), tuple(found["columns"]))
            return columns if columns._whole() else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _whole(self) -> bool:
        """Whether what every reader counts on is there: a damaged file may name other columns than its components."""
        scores = {f"score {name}" for name in self.components}
        effective = {f"effective {name}" for name in (*self.components, VALIDITY)}
        return self.names[:2] == ("step", "time") and (scores | effective).issubset(self.names)

    @staticmethod
    def stamp(folder: Path) -> int:
        """Changes whenever the columns of a folder are written; 0 where there are none."""
        try:
            return (folder / _COLUMNS_FILE).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def write(self, folder: Path) -> None:
        """Say in `folder` what its records hold."""
        write_json(
            folder / _COLUMNS_FILE,
            {"version": _VERSION, "components": list(self.components), "columns": list(self.names)},
        )


NO_COLUMNS = Columns((), ("step",))
"""Of a run that has no curves yet."""


class Records:
    """A file of records of `size` bytes; whole ones only are read, whatever a killed writer has left behind them."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._size = size

    def count(self) -> int:
        """How many whole records there are."""
        try:
            return self.path.stat().st_size // self._size
        except FileNotFoundError:
            return 0

    def read(self, start: int, stop: int) -> bytes:
        """Records from `start` up to `stop`, or to the last whole one."""
        try:
            with self.path.open("rb") as file:
                file.seek(start * self._size)
                content = file.read(max(0, stop - start) * self._size)
        except FileNotFoundError:
            return b""
        return content[: len(content) // self._size * self._size]

    def write(self, start: int, content: bytes) -> None:
        """Write records from `start` on; what is skipped reads as zeros.

        Raises:
            StorageError: the disk is full.
        """
        left, offset = memoryview(content), start * self._size
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                while left:  # a disk that is nearly full takes a part; the next write then says that it is full
                    written = os.pwrite(file, left, offset)
                    left, offset = left[written:], offset + written
            finally:
                os.close(file)
        except OSError as error:
            raise storage_error(error, self.path) or error from error

    def cut(self, count: int) -> None:
        """Keep the first `count` records, and nothing of what follows them."""
        size = count * self._size
        if self.path.exists() and self.path.stat().st_size > size:
            os.truncate(self.path, size)


def level_file(folder: Path, level: int, columns: Columns) -> Records:
    """The records of one level: of shape (columns,) at level 0, of shape (4, columns) above it."""
    return Records(folder / f"level-{level}.bin", 8 * len(columns.names) * (1 if level == 0 else 4))


def read_steps(folder: Path, columns: Columns, start: int, stop: int) -> Rows:
    """Records of level 0, shape (steps, columns)."""
    content = level_file(folder, 0, columns).read(start, stop)
    return np.frombuffer(content, "<f8").reshape(-1, len(columns.names))


def read_stats(folder: Path, columns: Columns, level: int, start: int, stop: int) -> Stats:
    """Records of a level; those of level 0 as stretches of one step."""
    if level == 0:
        return stats_of(read_steps(folder, columns, start, stop))
    content = level_file(folder, level, columns).read(start, stop)
    return np.frombuffer(content, "<f8").reshape(-1, 4, len(columns.names))


def stats_of(rows: Rows) -> Stats:
    """Each record as a stretch of one step; of a step that was never logged nothing is known."""
    known = ~np.isnan(rows) & (rows[:, :1] > 0)
    return np.stack(
        [known, np.where(known, rows, 0.0), np.where(known, rows, np.inf), np.where(known, rows, -np.inf)], axis=1
    )


def merged(stats: Stats, starts: NDArray[np.intp]) -> Stats:
    """Stretches put together: each from one of `starts` up to the next."""
    if not len(starts):
        return stats[:0]
    return np.concatenate(
        [
            np.add.reduceat(stats[:, :2], starts, axis=0),
            np.minimum.reduceat(stats[:, 2:3], starts, axis=0),
            np.maximum.reduceat(stats[:, 3:], starts, axis=0),
        ],
        axis=1,
    )


def last_step(folder: Path, columns: Columns) -> int:
    """The newest step that was written whole."""
    if columns is NO_COLUMNS:
        return 0
    stop, block = level_file(folder, 0, columns).count(), 1
    while stop:
        start = max(0, stop - block)
        written = np.flatnonzero(read_steps(folder, columns, start, stop)[:, 0])
        if written.size:
            return start + int(written[-1]) + 1
        stop, block = start, _LOOK_BACK  # a power cut leaves zeros
    return 0
