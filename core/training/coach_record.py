"""What the coach looks at: the newest steps of a run, its first ones, and whether a number has really changed.

Rewards jump from step to step because every step asks other questions. So the coach never compares two steps, but the
medians of several, and calls a difference sure only when it is large beside the jumps from one step to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.config import RunConfig
from core.runs.events import Metrics, Validation

WINDOW = 10
"""How many steps "now" and "at the start" stand for at most: at 8 completions a step a share is then known to about
five points in a hundred."""
ENOUGH = 5
"""Before this many steps nothing is said: a median of fewer is no better than a single step."""
FEW = 3
"""How many steps "at the very start" stands for: a policy can break within as many."""
_STANDARD_ERRORS = 3.0
"""A difference this many standard errors wide comes up by chance once in some hundred looks."""
_OF_MEDIAN = math.sqrt(math.pi / 2)
"""The standard error of a median beside that of a mean, for numbers that scatter normally."""
_OF_DEVIATION = 1.4826
"""The standard deviation of normal numbers beside the median of their distances from zero."""

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """How a number stands now against how it stood at the start.

    Attributes:
        before, after: medians.
        sure: whether they differ by more than chance and by enough to matter.
        error: the standard error of their difference; NaN when there is too little to tell.
    """

    before: float
    after: float
    sure: bool
    error: float = math.nan

    @property
    def rose(self) -> bool:
        return self.sure and self.after > self.before

    @property
    def fell(self) -> bool:
        return self.sure and self.after < self.before


@dataclass(frozen=True)
class Record:
    """A run as far as the coach judges it, in the order of the steps.

    Attributes:
        config: with the reward weights that are in force now.
        metrics: since the weights were changed last; there may be a gap between the first steps and the newest.
        validations: likewise.
        reweighed: whether the weights were ever changed.
    """

    config: RunConfig
    metrics: tuple[Metrics, ...]
    validations: tuple[Validation, ...] = ()
    reweighed: bool = False

    @classmethod
    def of(
        cls,
        config: RunConfig,
        metrics: Sequence[Metrics],
        validations: Sequence[Validation],
        weights_changed: Sequence[int],
    ) -> Record:
        """Leave out what came before the weights were changed last: rewards under other weights do not compare.

        Args:
            metrics: in any order; a step that is there twice counts once.
        """
        first, by_step = max(weights_changed, default=0), {m.step: m for m in metrics}
        return cls(
            config,
            tuple(by_step[step] for step in sorted(by_step) if step >= first),
            tuple(v for v in validations if v.step >= first),
            reweighed=bool(weights_changed),
        )

    @cached_property
    def written(self) -> tuple[Metrics, ...]:
        """The steps whose answers are new: one that learns once more from those of the step before tells nothing of
        them, and would make noise seem to be nothing."""
        return tuple(m for m in self.metrics if (m.step - 1) % self.config.train.num_iterations == 0)

    @property
    def now(self) -> tuple[Metrics, ...]:
        """The newest steps whose answers are new."""
        return self.written[-WINDOW:]

    @property
    def step(self) -> int:
        """The newest step; 0 before the first."""
        return self.metrics[-1].step if self.metrics else 0

    def series(self, name: str) -> Series:
        """One of the numbers of `Metrics`, shape (steps,)."""
        return np.array([getattr(m, name) for m in self.metrics], dtype=np.float64)

    def recent(self, name: str, steps: int = WINDOW) -> float:
        """The median of a number over the newest steps; NaN when it is not known."""
        return median(self.series(name)[-steps:])

    def first(self, name: str, steps: int = FEW) -> float:
        """The median of a number over the first steps; NaN when it is not known."""
        return median(self.series(name)[:steps])

    def recent_mean(self, name: str) -> float:
        """The mean of a share over the newest steps; a median would be 0 or 1 where a step asks one question."""
        known = finite(self.series(name)[-WINDOW:])
        return float(known.mean()) if len(known) else math.nan

    def change(self, name: str, least: float, window: int = WINDOW) -> Change:
        """How a number of the answers has changed since the start; see `change`."""
        return change(np.array([getattr(m, name) for m in self.written], dtype=np.float64), least, window)

    def weight_share(self, name: str) -> float:
        """The part of a component in the sum of all absolute weights."""
        weights = dict(zip(self.config.reward.components, self.config.reward.weight_vector, strict=True))
        return abs(weights[name]) / sum(map(abs, weights.values()))

    def effective(self, name: str) -> Series:
        """The effective weight of a component in the newest steps in which anything varied, shape (steps,)."""
        return finite(np.array([m.effective.get(name, math.nan) for m in self.now]))

    def score(self, name: str) -> float:
        """The median of a component's mean score over the newest steps; NaN when it never had an opinion."""
        return median(np.array([m.components.get(name, math.nan) for m in self.now]))


def finite(values: Series) -> Series:
    """The values that are numbers."""
    known: Series = values[np.isfinite(values)]
    return known


def median(values: Series) -> float:
    """The median of the values that are numbers; NaN when none is."""
    known = finite(values)
    return float(np.median(known)) if len(known) else math.nan


def change(values: Series, least: float, window: int = WINDOW) -> Change:
    """How a number has changed from its first values to its last.

    Args:
        values: in order, shape (steps,).
        least: a smaller difference does not matter.
        window: how many values stand for the start, and for now, at most.

    >>> change(np.array([0.0, 0.1, 0.0, 0.1, 0.0, 0.9, 1.0, 0.9, 1.0, 0.9]), least=0.2).rose
    True
    >>> change(np.array([0.0, 1.0, 0.1, 0.9, 0.5, 0.4, 1.0, 0.2, 0.9, 0.8]), least=0.2).sure
    False
    """
    known = finite(values)
    count = min(window, len(known) // 2)
    if count == 0:
        return Change(math.nan, math.nan, sure=False)
    before, after = float(np.median(known[:count])), float(np.median(known[-count:]))
    error = noise(known) * _OF_MEDIAN * math.sqrt(2 / count)
    return Change(before, after, abs(after - before) > max(_STANDARD_ERRORS * error, least), error)


def noise(values: Series) -> float:
    """By how much a number jumps from one step to the next, as a standard deviation that a slow trend leaves alone.

    >>> noise(np.linspace(0, 1, 101)), noise(np.array([0.0, 1.0, 0.0, 1.0]))
    (0.0105, 1.05)
    """
    if len(values) < 2:
        return math.inf
    return _OF_DEVIATION * float(np.median(np.abs(np.diff(values)))) / math.sqrt(2)
