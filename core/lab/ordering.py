"""The order of completions inside their groups: places, pairs, and agreement with grades.

An `index` is the number, from 0, of the group of each completion, as in `core.lab.board.Board`; shape (completions,).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.reward.formula import Floats

Ints = NDArray[np.intp]

MOST_PAIRS = 4_000_000
"""More pairs than these are not compared: it would take seconds, at every move of a slider."""
TIE_DECIMALS = 9
"""Rewards that agree to so many decimals are tied: the rest is rounding."""


def rounded(rewards: Floats) -> Floats:
    """Rewards as they are compared with each other."""
    return np.round(rewards, TIE_DECIMALS)


def ranks(rewards: Floats, index: Ints) -> Ints:
    """Places inside groups, 1 for the highest reward; ties share the better place.

    >>> ranks(np.array([0.1, 0.9, 0.9, -1.0]), np.array([0, 0, 0, 1])).tolist()
    [3, 1, 1, 1]
    """
    order = np.lexsort((-rounded(rewards), index))
    values, groups = rounded(rewards)[order], index[order]
    place = np.arange(len(order))
    opens = np.append(True, groups[1:] != groups[:-1])[: len(order)]
    first_of_group = np.maximum.accumulate(np.where(opens, place, 0))
    differs = opens | np.append(True, values[1:] != values[:-1])[: len(order)]
    first_of_tie = np.maximum.accumulate(np.where(differs, place, 0))
    found = np.empty(len(order), dtype=np.intp)
    found[order] = first_of_tie - first_of_group + 1
    return found


def pairs(index: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Every pair of rows of one group, in batches of at most as many as there are rows."""
    order = np.argsort(index, kind="stable")
    groups = index[order]
    for distance in range(1, int(np.bincount(index).max()) if len(index) else 0):
        together = groups[distance:] == groups[:-distance]
        yield order[:-distance][together], order[distance:][together]


def pair_count(index: Ints) -> int:
    """How many pairs of rows of one group there are."""
    sizes = np.bincount(index)
    return int((sizes * (sizes - 1)).sum()) // 2


def agreement(rewards: Floats, grades: Floats, index: Ints) -> float | None:
    """The share of graded pairs that rewards put in the same order as grades; see `Weighed`.

    None when there is no such pair, or when graded completions make more than `MOST_PAIRS` pairs.

    >>> agreement(np.array([0.1, 0.5, 0.5]), np.array([1.0, 2.0, 3.0]), np.array([0, 0, 0]))
    0.8333333333333334
    """
    known = np.isfinite(grades)
    rewards, grades, index = rewards[known], grades[known], index[known]
    if pair_count(index) > MOST_PAIRS:
        return None
    values, same, count = rounded(rewards), 0.0, 0
    for first, second in pairs(index):
        graded = np.sign(grades[second] - grades[first])
        differ = graded != 0
        found = np.sign(values[second] - values[first])
        count += int(differ.sum())
        same += float((1 + found[differ] * graded[differ]).sum()) / 2
    return same / count if count else None
