"""Writes the curves of a training run; see `core.training.curves`."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np

from core.reward.formula import VALIDITY
from core.runs.events import Metrics
from core.training.curve_files import FACTOR, NUMBERS, Columns, Rows, last_step, level_file, merged, read_stats

_BULK = FACTOR**5
"""How many records are put together at once when many are added."""


class CurveWriter:
    """Appends what is measured at a step; one writer at a time.

    Args:
        folder: the run's `curves/`, made when it is not there.
        components: the components of the run's reward.

    Raises:
        ValueError: the folder holds other columns; `core.training.curves.open_writers` makes it anew.
    """

    def __init__(self, folder: Path, components: Sequence[str]) -> None:
        self._folder = folder
        self.columns = Columns.of(components)
        folder.mkdir(exist_ok=True)
        found = Columns.read(folder)
        if found is None:
            self.columns.write(folder)
        elif found != self.columns:
            raise ValueError(f"{folder} holds other columns than those of {', '.join(components)}.")
        self._last: int = last_step(folder, self.columns)
        self.rewind(self._last)

    @property
    def last_step(self) -> int:
        """The newest step there is; 0 before the first."""
        return self._last

    def append(self, metrics: Metrics, weights: Mapping[str, float], ended: float | None = None) -> None:
        """Add a step; one that was there before is replaced, and the steps after it are gone.

        Args:
            metrics: numbers that are not finite are kept as NaN.
            weights: the reward weights in force at this step.
            ended: when the step ended, in seconds since 1970; now by default.

        Raises:
            StorageError: the disk is full.
        """
        values = [float(metrics.step), time.time() if ended is None else ended]
        values += [getattr(metrics, name) for name in NUMBERS]
        names = self.columns.components
        values += [metrics.components.get(name, math.nan) for name in names]
        values += [metrics.effective.get(name, math.nan) for name in (*names, VALIDITY)]
        values += [weights.get(name, 0.0) for name in names]
        row = np.array([values], dtype="<f8")
        row[~np.isfinite(row)] = np.nan
        self.extend(row)

    def extend(self, rows: Rows) -> None:
        """Add steps that follow each other, as records of `columns`, shape (steps, columns).

        Raises:
            StorageError: the disk is full.
        """
        first = int(rows[0, 0])
        if first <= self._last:
            self.rewind(first - 1)
        level_file(self._folder, 0, self.columns).write(first - 1, rows.astype("<f8", copy=False).tobytes())
        self._last = int(rows[-1, 0])
        self._complete_levels()

    def rewind(self, step: int) -> None:
        """Leave the steps after `step` behind, as a run does that is resumed from a checkpoint."""
        self._last = min(step, self._last)
        level_file(self._folder, 0, self.columns).cut(self._last)
        for level in count(1):
            records = level_file(self._folder, level, self.columns)
            if not records.path.exists():
                break
            records.cut(self._last // FACTOR**level)
        self._complete_levels()

    def close(self) -> None:
        """Make sure that all of it is on the disk."""
        for level in count():
            path = level_file(self._folder, level, self.columns).path
            if not path.exists():
                return
            with path.open("rb") as file:
                os.fsync(file.fileno())

    def _complete_levels(self) -> None:
        """Add the records of coarser levels whose stretches are complete."""
        for level in count(1):
            wanted = self._last // FACTOR**level
            if not wanted:
                return
            records = level_file(self._folder, level, self.columns)
            for start in range(records.count(), wanted, _BULK):
                stop = min(start + _BULK, wanted)
                parts = read_stats(self._folder, self.columns, level - 1, FACTOR * start, FACTOR * stop)
                stats = merged(parts, np.arange(0, len(parts), FACTOR))
                records.write(start, stats.astype("<f8", copy=False).tobytes())
