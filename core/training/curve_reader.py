"""Reads the curves of a training run; see `core.training.curves`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.reward.formula import VALIDITY
from core.runs.events import Metrics
from core.training.curve_files import (
    FACTOR,
    NO_COLUMNS,
    NUMBERS,
    Columns,
    Rows,
    Stats,
    last_step,
    merged,
    read_stats,
    read_steps,
    stats_of,
)

Points = dict[str, NDArray[Any]]
"""Columns of a table by their names, all of one length."""


class CurveReader:
    """Reads the curves of a run while its job writes them, or after; a run without any reads as one without a step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._columns: Columns = NO_COLUMNS
        self._stamp = 0

    @property
    def columns(self) -> Columns:
        """What there is to read; nothing before the job has begun."""
        stamp = Columns.stamp(self._folder)
        if stamp != self._stamp:
            self._columns = Columns.read(self._folder) or NO_COLUMNS
            self._stamp = stamp
        return self._columns

    @property
    def begun(self) -> bool:
        """Whether there are curves that this version can read."""
        return self.columns is not NO_COLUMNS

    @property
    def components(self) -> tuple[str, ...]:
        """The components of the run's reward."""
        return self.columns.components

    @property
    def last_step(self) -> int:
        """The newest step there is; 0 before the first."""
        return last_step(self._folder, self.columns)

    def metrics(self, first: int, last: int) -> list[Metrics]:
        """What was measured at the steps from `first` to `last`, both included: a few hundred at most."""
        columns = self.columns
        rows = self._rows(columns, max(first, 1), last)
        return [_metrics(columns, row) for row in rows[rows[:, 0] > 0].tolist()]

    def newest(self) -> tuple[int, float]:
        """The newest step and when it ended, in seconds since 1970; zeros before the first."""
        columns = self.columns
        last = last_step(self._folder, columns)
        if last and len(rows := self._rows(columns, last, last)):  # a run that is resumed may just have gone back
            return last, float(rows[0, 1])
        return 0, 0.0

    def frame(self, first: int, last: int, points: int, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The steps from `first` to `last`, both included, in at most `points` rows and one or two.

        A row stands for a stretch of steps (see `stretch`) and bears the number of its last one. For each column
        there are the mean, `<column> low` and `<column> high`, of the steps at which it was known; NaN at none.

        Args:
            columns: those that are wanted; all by default. One that the run has not measured is NaN.
        """
        return pd.DataFrame(self.points(first, last, points, columns))

    def points(self, first: int, last: int, points: int, columns: Sequence[str] | None = None) -> Points:
        """The columns of `frame`, each of shape (rows,): what redraws often does without the cost of a table."""
        read = self.columns
        first, last = max(first, 1), min(last, last_step(self._folder, read))
        places = {name: place for place, name in enumerate(read.names)}
        names = [name for name in columns or places if name != "step"]
        known = [name for name in names if name in places]
        wanted = [places[name] for name in ("step", *known)]
        stats = self._stretches(read, wanted, first, last, stretch(first, last, points))
        counts, sums, low, high = stats.transpose(1, 2, 0)
        values = np.where(counts == 0, np.nan, [sums / np.maximum(counts, 1), low, high])
        found: Points = {"step": stats[:, 3, 0].astype(np.int64)}
        for name in names:
            of_name = values[:, 1 + known.index(name)] if name in known else np.full((3, len(stats)), np.nan)
            found |= dict(zip((name, f"{name} low", f"{name} high"), of_name, strict=True))
        return found

    def _stretches(self, columns: Columns, wanted: Sequence[int], first: int, last: int, width: int) -> Stats:
        """The stretches that have a step, from whole ones of a coarser level, and single steps at both ends."""
        level = _level(width)
        whole = FACTOR**level
        begin = -(-(first - 1) // whole)
        middle = read_stats(self._folder, columns, level, begin, last // whole)
        end = begin + len(middle)  # the last may be missing, when a writer was killed before it came to them
        head = self._rows(columns, first, min(begin * whole, last))
        tail = self._rows(columns, max(end * whole + 1, first), last)
        parts = np.concatenate([stats_of(head), middle, stats_of(tail)])[:, :, wanted]
        steps = np.concatenate(
            [first + np.arange(len(head)), 1 + whole * np.arange(begin, end), end * whole + 1 + np.arange(len(tail))]
        )
        starts = np.flatnonzero(np.diff((steps - 1) // width, prepend=-1))
        stats = merged(parts, starts)
        return stats[stats[:, 0, 0] > 0]

    def _rows(self, columns: Columns, first: int, last: int) -> Rows:
        """The records of steps; zeros where nothing was logged."""
        return read_steps(self._folder, columns, first - 1, last)


def _metrics(columns: Columns, row: Sequence[float]) -> Metrics:
    """What one record says."""
    values = dict(zip(columns.names, row, strict=True))
    scores = {name: values[f"score {name}"] for name in columns.components}
    shares = {name: values[f"effective {name}"] for name in (*columns.components, VALIDITY)}
    varied = any(map(math.isfinite, shares.values()))
    numbers = {name: values.get(name, math.nan) for name in NUMBERS}
    return Metrics(step=int(values["step"]), components=scores, effective=shares if varied else {}, **numbers)


def stretch(first: int, last: int, points: int) -> int:
    """How many steps a point stands for when the steps from `first` to `last` are drawn in `points`.

    >>> stretch(1, 1_000, 1_000), stretch(1, 5_000, 1_000), stretch(1, 1_000_000, 1_000)
    (1, 5, 1024)
    """
    width = max(1, -(-(last - first + 1) // points))
    whole: int = FACTOR ** _level(width)
    wide: int = -(-width // whole) * whole
    return wide


def _level(width: int) -> int:
    """The coarsest level whose records are not longer than `width` steps."""
    level = 0
    while FACTOR ** (level + 1) <= width:
        level += 1
    return level
