"""How well every choice of two or three weights agrees with a person's order of the completions.

The map is a simplex: the chosen weights are not negative and add up to what they add up to now, everything else stays.
Agreement is that of `core.lab.ordering.agreement` with the rewards of `core.reward.formula.combine`; validity and
clipping count at every point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.config import RewardConfig
from core.errors import ConfigError, DataError
from core.lab.board import Board
from core.lab.ordering import MOST_PAIRS, Ints, pairs, rounded
from core.reward.formula import Floats, combine_many
from core.reward.verdicts import component_title

MOST_WORK = 1_000_000_000
"""Pairs times points; boards with more graded pairs get a coarser map, so that it takes seconds at most."""
_NOTHING = (
    "Nobody has said yet which completions are better than others of their group, so there is nothing to agree with. "
    "Judge some pairs first, or choose completions that have grades."
)
_POINTS_AT_ONCE = 256
_PAIRS_AT_ONCE = 1024
"""Small enough that what is worked on stays in the processor's cache."""


@dataclass(frozen=True)
class WeightMap:
    """Agreement over the simplex of the chosen weights; P points, T of them terms.

    Attributes:
        names: the chosen components.
        points: their weights, shape (P, T); each row adds up to `total`.
        total: what the chosen weights add up to, without their signs; 1 when they are all zero.
        agreement: share of the compared pairs that the rewards at each point put in the same order, shape (P,).
        pairs: how many pairs were compared.
        best: the point with the highest agreement, the one nearest to the current weights when there are several.
        weights: the current weights of `names`, shape (T,).
        weights_agreement: agreement at the current weights, wherever they are.
        current: the point nearest to the current weights; None when they are not on the map.
        reason: why `current` is None, for the user; empty otherwise.
    """

    names: tuple[str, ...]
    points: Floats
    total: float
    agreement: Floats
    pairs: int
    best: int
    weights: Floats
    weights_agreement: float
    current: int | None
    reason: str


def weight_map(
    board: Board,
    config: RewardConfig,
    terms: Sequence[str],
    points: int = 5000,
    judged: Sequence[tuple[int, int]] | None = None,
) -> WeightMap:
    """The map of two or three weights of `config` on `board`.

    Args:
        terms: two or three components of `config`.
        points: about how many points; fewer on boards with very many graded pairs.
        judged: the pairs that are compared, the row of the better completion first. None takes every two completions
            of a group that have different grades.

    Raises:
        ConfigError: `terms` are not two or three different components of `config`.
        DataError: there is no pair to compare, or there are too many, or a component has not been measured.
    """
    chosen = _chosen(config, terms)
    worse, better = _graded_pairs(board.index, board.grades) if judged is None else _judged_pairs(judged)
    weights = np.asarray(config.weight_vector)[chosen]
    total = float(np.abs(weights).sum()) or 1.0
    lattice = total * simplex(len(chosen), min(points, MOST_WORK // len(worse)))
    every = np.tile(np.asarray(config.weight_vector), (len(lattice) + 1, 1))  # the last row stays as it is now
    every[:-1, chosen] = lattice
    found = _agreements(board.components(config), every, board.valid, config.invalid_reward, worse, better)
    reason = _not_on_the_map(config, terms)
    apart = np.abs(lattice - weights).sum(axis=1)
    best = np.flatnonzero(found[:-1] >= found[:-1].max() - 1e-12)
    return WeightMap(
        names=tuple(terms),
        points=lattice,
        total=total,
        agreement=found[:-1],
        pairs=len(worse),
        best=int(best[np.argmin(apart[best])]),
        weights=weights,
        weights_agreement=float(found[-1]),
        current=None if reason else int(np.argmin(apart)),
        reason=reason,
    )


def simplex(terms: int, points: int) -> Floats:
    """About `points` evenly spaced points whose coordinates are not negative and add up to one.

    A line for two terms, a triangular lattice for three; the corners are always among them.

    >>> simplex(3, 6).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]
    """
    if terms == 2:
        line = np.linspace(0.0, 1.0, max(points, 2))
        return np.column_stack([line, 1.0 - line])
    steps = max(round((math.sqrt(8 * points + 1) - 3) / 2), 1)  # (steps + 1)(steps + 2) / 2 points
    first, second = np.indices((steps + 1, steps + 1)).reshape(2, -1)
    third = steps - first - second
    return np.column_stack([first, second, third])[third >= 0] / float(steps)


def _chosen(config: RewardConfig, terms: Sequence[str]) -> list[int]:
    if len(terms) not in (2, 3) or len(set(terms)) < len(terms):
        raise ConfigError(f"A weight map needs two or three different components, not {', '.join(terms) or 'none'}.")
    for name in terms:
        if name not in config.components:
            raise ConfigError(f"There is no component {name!r}; choose from {', '.join(config.components)}.")
    return [config.components.index(name) for name in terms]


def _graded_pairs(index: Ints, grades: Floats) -> tuple[Ints, Ints]:
    """The pairs inside groups of which one completion has the lower and the other the higher grade."""
    graded = np.flatnonzero(np.isfinite(grades))
    worse, better, count = [], [], 0
    for first, second in pairs(np.unique(index[graded], return_inverse=True)[1]):
        differ = grades[graded[second]] - grades[graded[first]]
        for lower, higher, kept in ((first, second, differ > 0), (second, first, differ < 0)):
            worse.append(graded[lower[kept]])
            better.append(graded[higher[kept]])
            count += len(worse[-1])
        if count > MOST_PAIRS:
            raise DataError(
                f"There are more than {MOST_PAIRS:,} pairs of completions to compare, because the groups are very "
                "large. Choose a board with smaller groups."
            )
    if not count:
        raise DataError(_NOTHING)
    return np.concatenate(worse), np.concatenate(better)


def _judged_pairs(judged: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    if not judged:
        raise DataError(_NOTHING)
    better, worse = np.array(judged, dtype=np.intp).T
    return worse, better


def _agreements(
    scores: Floats, every: Floats, valid: NDArray[np.bool_], invalid_reward: float, worse: Ints, better: Ints
) -> Floats:
    """The agreement of each row of weights, shape (points,); a tie counts one half."""
    ahead = np.zeros(len(every))
    for start in range(0, len(every), _POINTS_AT_ONCE):
        part = slice(start, start + _POINTS_AT_ONCE)
        rewards = rounded(combine_many(scores, every[part], valid, invalid_reward))
        for begin in range(0, len(worse), _PAIRS_AT_ONCE):
            block = slice(begin, begin + _PAIRS_AT_ONCE)
            lead = rewards[better[block]]
            lead -= rewards[worse[block]]
            ahead[part] += np.sign(lead, out=lead).sum(axis=0)
    return 0.5 + 0.5 * ahead / len(worse)


def _not_on_the_map(config: RewardConfig, terms: Sequence[str]) -> str:
    weights = {name: config.weights.get(name, 0.0) for name in terms}
    for name, weight in weights.items():
        if weight < 0:
            return f"The weight of {component_title(name)} is negative, and the map only has weights of zero and above."
    return "" if any(weights.values()) else "The chosen weights are all zero now, so they have no place on the map."
