"""What of a run is drawn: which steps, as how many points, with what beside them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from core.runs.events import Validation
from core.training.best import Best
from core.training.curves import Points, stretch
from studio.feed import RunFeed, WeightsChange
from studio.settings import CHART_POINTS

WINDOWS = {"All steps": None, "Last 100": 100, "Last 1,000": 1_000, "Last 10,000": 10_000, "Last 100,000": 100_000}
"""What the window control offers: how many of the newest steps are drawn."""
MOST_VALIDATIONS = 200
"""Validations that are drawn at most."""


@dataclass(frozen=True)
class View:
    """Some steps of a run, the newest at the end.

    Attributes:
        first, last: the steps that are drawn.
        columns: of the curves, those that are drawn.
        best: the adapter that did best on the validation questions; None when there is none.
    """

    feed: RunFeed
    first: int
    last: int
    columns: tuple[str, ...]
    best: Best | None = None

    @classmethod
    def of(cls, feed: RunFeed, window: int | None, columns: Iterable[str], best: Best | None = None) -> View:
        """The newest `window` steps; all of them when that is None."""
        last = feed.last_step
        return cls(feed, 1 if window is None else max(1, last - window + 1), last, tuple(dict.fromkeys(columns)), best)

    @property
    def components(self) -> tuple[str, ...]:
        """The components of the run's reward."""
        return self.feed.components

    @property
    def steps(self) -> int:
        """How many steps are drawn."""
        return self.last - self.first + 1

    @cached_property
    def stretch(self) -> int:
        """How many steps a point stands for."""
        return stretch(self._lead, self.last, CHART_POINTS)

    @property
    def smoothed(self) -> int:
        """Over how many steps a running mean goes."""
        return self._rows * self.stretch

    @cached_property
    def table(self) -> Points:
        """The steps, one row a point: `step`, and for each of `columns` its mean, `<column> low`, `<column> high` and
        `<column> mean`, the running mean, to which the steps before the first one belong as well."""
        found = self.feed.points(self._lead, self.last, CHART_POINTS, self.columns)
        values = pd.DataFrame(np.column_stack([found[name] for name in self.columns]))
        means = values.rolling(self._rows, min_periods=1).mean().to_numpy()
        found |= {f"{name} mean": mean for name, mean in zip(self.columns, means.T, strict=True)}
        drawn = found["step"] >= self.first
        return {name: column[drawn] for name, column in found.items()}

    @cached_property
    def validations(self) -> list[Validation]:
        """Those of the drawn steps, in their order; of very many some, evenly."""
        every = self.feed.validations
        start, stop = (bisect_right(every, step, key=lambda each: each.step) for step in (self.first - 1, self.last))
        if stop - start <= MOST_VALIDATIONS:
            return every[start:stop]
        return [every[index] for index in np.linspace(start, stop - 1, MOST_VALIDATIONS).astype(int)]

    def changes(self) -> list[WeightsChange]:
        """Where the reward's weights were changed in the drawn steps."""
        return [change for change in self.feed.changes if self.first <= change.step <= self.last]

    @property
    def _lead(self) -> int:
        """The first step that is read: before the first that is drawn there is something for the running mean."""
        return max(1, self.first - smoothing(self.steps))

    @property
    def _rows(self) -> int:
        return max(1, round(smoothing(self.steps) / self.stretch))


def smoothing(steps: int) -> int:
    """Over how many of so many steps the running mean goes: five, and a twentieth of a long run.

    >>> smoothing(36), smoothing(1_000), smoothing(1_000_000)
    (5, 50, 500)
    """
    return max(5, min(steps // 20, 500))
