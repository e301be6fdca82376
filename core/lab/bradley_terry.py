"""The Bradley-Terry model behind `core.lab.fitting`: from judged pairs to weights.

    P(rater prefers a to b) = 1 / (1 + exp(-sum_k w_k * (c_ak - c_bk)))

That is a logistic regression without an intercept on differences of scores (Bradley and Terry, Biometrika 39, 1952; the
loss of Christiano et al., "Deep reinforcement learning from human preferences", 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.config import RewardConfig
from core.jobs.tasks import Tell
from core.lab.board import Board
from core.reward.formula import Floats, combine

OUTER_FOLDS = 10
_INNER_FOLDS = 5
_STRENGTHS = np.logspace(-3, 3, 7)
"""Inverse strengths of regularisation that are tried, in units of standardised differences."""
FLAT = 1e-6
"""Scores that differ by less are the same."""

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class JudgedPairs:
    """Votes that say something about weights; P of them, on K components.

    Attributes:
        winners, losers: rows of the board, shape (P,).
        ties: whether both were found equally good, shape (P,).
        groups: numbers of their groups, shape (P,).
        differences: scores of the winner less those of the loser, shape (P, K).
        invalid, alike, gone: how many votes were left out, as in `Fit`.
    """

    winners: Rows
    losers: Rows
    ties: NDArray[np.bool_]
    groups: Rows
    differences: Floats
    invalid: int
    alike: int
    gone: int


def fitted_weights(pairs: JudgedPairs, used: NDArray[np.bool_], size: float, seed: int) -> Floats:
    """Weights fitted to the pairs `used`; absolute values add up to `size`, or to 0 when nothing is preferred."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import GroupKFold
    from threadpoolctl import threadpool_limits

    differences, ties, groups = pairs.differences[used], pairs.ties[used], pairs.groups[used]
    spread = np.sqrt((differences**2).mean(axis=0))
    varies = spread >= FLAT
    weights = np.zeros(len(spread))
    if not varies.any():
        return weights
    forwards = differences[:, varies] / spread[varies]
    # Every pair both ways round, so that both answers are there; a tie is half a vote for each side.
    rows = np.vstack([forwards, -forwards, forwards[ties], -forwards[ties]])
    answers = np.repeat([1, 0, 0, 1], [len(ties), len(ties), ties.sum(), ties.sum()])
    votes = np.concatenate([*[np.where(ties, 0.5, 1.0)] * 2, np.full(2 * ties.sum(), 0.5)])
    row_groups = np.concatenate([groups, groups, groups[ties], groups[ties]])
    folds = GroupKFold(min(_INNER_FOLDS, len(np.unique(groups))), shuffle=True, random_state=seed)
    model = LogisticRegressionCV(
        Cs=_STRENGTHS,
        l1_ratios=(0.0,),
        fit_intercept=False,
        cv=list(folds.split(rows, groups=row_groups)),
        scoring=_mean_log_likelihood,
        use_legacy_attributes=False,
    )
    with threadpool_limits(1):  # the arrays are small: threads wait for each other longer than they work
        model.fit(rows, answers, sample_weight=votes)
    weights[varies] = model.coef_[0] / spread[varies]
    total = float(np.abs(weights).sum())
    return weights * (size / total) if total > FLAT else np.zeros(len(spread))


def _mean_log_likelihood(model: Any, rows: Floats, answers: Rows, sample_weight: Floats) -> float:
    """scikit-learn's `neg_log_loss`, without its checks of the input, which take several times as long as the fits."""
    margins = np.where(answers == 1, 1.0, -1.0) * model.decision_function(rows)
    return float(np.average(-np.logaddexp(0.0, -margins), weights=sample_weight))


def held_out_agreement(
    pairs: JudgedPairs, board: Board, components: Floats, config: RewardConfig, size: float, seed: int, tell: Tell
) -> Floats:
    """How far the reward agrees with each pair (see `agrees`) when it is fitted to the pairs of other groups."""
    from sklearn.model_selection import GroupKFold

    found = np.empty(len(pairs.groups))
    number = min(OUTER_FOLDS, len(np.unique(pairs.groups)))
    folds = GroupKFold(number, shuffle=True, random_state=seed)
    for done, (_, test) in enumerate(folds.split(found, groups=pairs.groups), start=1):
        used = np.ones(len(found), dtype=bool)
        used[test] = False
        weights = fitted_weights(pairs, used, size, seed)
        rewards = combine(components, weights.tolist(), board.valid, config.invalid_reward)
        found[test] = agrees(pairs, rewards)[test]
        tell("fitting", done, number)
    return found


def agrees(pairs: JudgedPairs, rewards: Floats) -> Floats:
    """For each pair 1 where the winner earns more, 0 where the loser does, one half where both earn the same."""
    gap = rewards[pairs.winners] - rewards[pairs.losers]
    agrees: Floats = np.where(np.abs(gap) < FLAT, 0.5, gap > 0)
    return agrees
