"""What GRPO learns from: advantages inside groups, and which component of the reward decides them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.reward.formula import Floats, Groups, checked_components, combine, numbered
from core.train_config import Aggregation, Scaling

ADVANTAGE_EPSILON = 1e-4
"""Added to the standard deviation, as TRL's GRPOTrainer does."""


def advantages(rewards: Floats, groups: Groups, scale: Scaling = "group") -> Floats:
    """How much better each completion is than its group, as TRL's GRPOTrainer computes it.

    Args:
        rewards: shape (completions,).
        groups: which group each completion belongs to; completions of one group share a prompt.
        scale: divide by the group's standard deviation, the batch's, or not at all.

    Returns:
        Advantages, shape (completions,). A group of one, or whose rewards are all equal, gets zeros.

    >>> advantages(np.array([1.0, 0.0, 0.5, 0.5]), ["a", "a", "b", "b"]).round(3).tolist()
    [0.707, -0.707, 0.0, 0.0]
    """
    index = numbered(groups)
    differences = centred(rewards, index)
    if scale == "none":
        return differences
    if scale == "batch":
        return differences / (_spread(rewards) + ADVANTAGE_EPSILON)
    scaled: Floats = differences / (group_spreads(rewards, index)[index] + ADVANTAGE_EPSILON)
    return scaled


def group_spreads(values: Floats, groups: Groups) -> Floats:
    """The standard deviation of a sample inside each group, shape (groups,); 0 for a group of one."""
    index = numbered(groups)
    squares = np.bincount(index, centred(values, index) ** 2)
    spreads: Floats = np.sqrt(squares / np.maximum(np.bincount(index) - 1, 1))
    return spreads


def objective_advantages(
    components: Floats,
    weights: Sequence[float],
    valid: NDArray[np.bool_],
    invalid_reward: float,
    groups: Groups,
    scale: Scaling = "group",
    aggregation: Aggregation = "sum_then_normalize",
) -> Floats:
    """Advantages straight from component scores, under TRL's two ways of bringing several objectives together.

    `sum_then_normalize` is `advantages` of what `combine` makes of the scores. `normalize_then_sum` divides each
    component by its own spread inside the group before the weighted sum (`normalized_terms`), then divides by the
    spread of the whole batch. There is no reward in between that could be clipped, and `scale` is not looked at.

    Args:
        components: scores, shape (completions, components).
        weights, valid, invalid_reward: as for `combine`.
        groups, scale: as for `advantages`.

    Returns:
        Advantages, shape (completions,).

    Raises:
        ValueError: as `combine`.

    >>> scores, valid = np.array([[0.9], [0.1], [0.5], [0.5]]), np.ones(4, dtype=bool)
    >>> objective_advantages(scores, [1.0], valid, -1.0, ["a", "a", "b", "b"], "group", "normalize_then_sum").round(3)
    array([ 1.225, -1.225,  0.   ,  0.   ])
    """
    if aggregation == "sum_then_normalize":
        return advantages(combine(components, weights, valid, invalid_reward), groups, scale)
    totals = normalized_terms(components, weights, valid, invalid_reward, groups).sum(axis=1)
    scaled: Floats = (totals - totals.sum() / max(len(totals), 1)) / (_spread(totals) + ADVANTAGE_EPSILON)
    return scaled


def normalized_terms(
    components: Floats, weights: Sequence[float], valid: NDArray[np.bool_], invalid_reward: float, groups: Groups
) -> Floats:
    """What each component adds to the sum under `normalize_then_sum`: weight times the score in standard deviations.

    TRL knows no validity here, so it is told of it in its own terms: an invalid completion has no component scores, as
    if every scorer had returned None, and validity is one objective more, of weight 1, whose score is the invalid
    reward for invalid completions and 0 for the others.

    Returns:
        Shape (completions, components + 1), the last column that of validity; 0 where a component has no score, or one
        score only in the whole group.

    Raises:
        ValueError: as `combine`.
    """
    scores = np.where(valid[:, None], checked_components(components, len(weights), valid), np.nan)
    objectives = np.column_stack([scores, np.where(valid, 0.0, invalid_reward)])
    index = numbered(groups)
    terms: Floats = np.column_stack([_standardised(column, index) for column in objectives.T])
    terms *= np.append(np.asarray(weights, dtype=np.float64), 1.0)
    return terms


def _standardised(values: Floats, index: NDArray[np.intp]) -> Floats:
    """Values in standard deviations from the mean of their group, over those that are no NaN; 0 for NaN."""
    known = ~np.isnan(values)
    counts = np.bincount(index, known)
    means = np.bincount(index, np.where(known, values, 0.0)) / np.maximum(counts, 1)
    differences = np.where(known, values - means[index], 0.0)
    spread = np.sqrt(np.bincount(index, differences**2) / np.maximum(counts - 1, 1))[index]
    standardised: Floats = differences / (spread + ADVANTAGE_EPSILON)
    return standardised


def _spread(values: Floats) -> float:
    """The standard deviation of a batch as TRL takes it: of a sample, and 0 for a batch of one."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def effective_weights(components: Floats, weights: Sequence[float], rewards: Floats, groups: Groups) -> Floats | None:
    """The share of the within-group variance of the reward that each component carries.

    GRPO only sees differences inside a group, so a component that is the same for a whole group teaches nothing however
    large its weight. The share of component k is Cov(w_k c_k, r) / Var(r), both inside groups; what is left to one
    is decided by validity (and by clipping at -1 and 1). A negative share works against the others.

    Args:
        components: shape (completions, components); scores of invalid completions count as well.
        rewards: what `combine` made of them, shape (completions,).

    Returns:
        Shares, shape (components + 1,), the last one that of validity; they add up to one. None when no reward differs
        from another inside any group.
    """
    weighted = np.nan_to_num(components) * np.asarray(weights, dtype=np.float64)
    return variance_shares(weighted, rewards, groups)


def variance_shares(terms: Floats, total: Floats, groups: Groups) -> Floats | None:
    """The share of the within-group variance of `total` that each of `terms` carries, and what is left to one.

    Args:
        terms: what is added up, shape (completions, terms).
        total: what became of it, shape (completions,).

    Returns:
        Shape (terms + 1,); None when `total` differs inside no group.
    """
    index = numbered(groups)
    centred_total = centred(total, index)
    variance = float(centred_total @ centred_total)
    if variance < 1e-12:
        return None
    shares = np.array([centred(column, index) @ centred_total for column in terms.T]) / variance
    return np.append(shares, 1.0 - shares.sum())


def centred(values: Floats, index: NDArray[np.intp]) -> Floats:
    """Each value less the mean of its group; `index` numbers the groups, shape (completions,)."""
    less: Floats = values - (np.bincount(index, values) / np.maximum(np.bincount(index), 1))[index]
    return less
