"""The groups of a training run: at which steps a row of the data was answered, and what its completions earned.

`<run>/curves/groups.bin` holds a record for each group of each step, in the order of the steps, so that the answers to
one question are found without opening the completions of every step.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.training.curve_files import Records

_RECORD = np.dtype([("step", "<i4"), ("row", "<i4"), ("mean", "<f4"), ("std", "<f4"), ("low", "<f4"), ("high", "<f4")])
_AT_ONCE = 1 << 20
"""Records that are looked at at once."""


class GroupWriter:
    """Appends the groups of a step; one writer at a time.

    Args:
        folder: the run's `curves/`, made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._records = _records(folder)
        self._records.cut(self._records.count())  # half a record of a killed writer
        self._last = _step_of(self._records, self._records.count() - 1) if self._records.count() else 0

    def append(self, step: int, groups: Sequence[str], rewards: Sequence[float] | NDArray[np.floating]) -> None:
        """Add the completions of a step; a step that was there before is replaced, and those after it are gone.

        Args:
            groups: for each completion the number of the row whose question it answers, as `Sample.group` has it.
            rewards: what each completion earned.

        Raises:
            StorageError: the disk is full.
        """
        if step <= self._last:
            self.rewind(step - 1)
        earned, of = np.asarray(rewards, dtype=float), np.asarray(groups, dtype=str)
        found = [(step, int(group), *_spread(earned[of == group])) for group in dict.fromkeys(groups)]
        content = np.array(found, dtype=_RECORD)
        self._records.write(self._records.count(), content.tobytes())
        self._last = step

    def rewind(self, step: int) -> None:
        """Leave the steps after `step` behind, as a run does that is resumed from a checkpoint."""
        self._records.cut(_first_after(self._records, step))
        self._last = min(self._last, step)

    def close(self) -> None:
        """Make sure that all of it is on the disk."""
        if self._records.path.exists():
            with self._records.path.open("rb") as file:
                os.fsync(file.fileno())


class GroupReader:
    """Reads the groups of a run while its job writes them, or after."""

    def __init__(self, folder: Path) -> None:
        self._records = _records(folder)

    def of_row(self, row: int) -> pd.DataFrame:
        """Every step at which this row of the data was answered, in order.

        Columns: step, mean, std (as TRL takes it, over one less than there are completions), low, high.
        """
        found = [
            part[part["row"] == row]
            for start in range(0, self._records.count(), _AT_ONCE)
            if len(part := _read(self._records, start, start + _AT_ONCE))
        ]
        table = np.concatenate(found) if found else np.empty(0, dtype=_RECORD)
        return pd.DataFrame({name: table[name] for name in ("step", "mean", "std", "low", "high")})


def _spread(earned: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Mean, standard deviation, least and greatest; one completion alone does not vary."""
    std = float(earned.std(ddof=1)) if len(earned) > 1 else 0.0
    return float(earned.mean()), std, float(earned.min()), float(earned.max())


def _records(folder: Path) -> Records:
    return Records(folder / "groups.bin", _RECORD.itemsize)


def _read(records: Records, start: int, stop: int) -> NDArray[np.void]:
    return np.frombuffer(records.read(start, stop), _RECORD)


def _step_of(records: Records, index: int) -> int:
    return int(_read(records, index, index + 1)["step"][0])


def _first_after(records: Records, step: int) -> int:
    """The index of the first record of a later step than `step`."""
    return bisect_right(range(records.count()), step, key=lambda index: _step_of(records, index))
