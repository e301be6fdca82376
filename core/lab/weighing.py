"""What a reward configuration makes of a board: rewards, ranks, advantages, and what each component really decides.

Nothing is measured here and no completion is looped over, so a slider can call `weigh` at every move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.config import RewardConfig
from core.lab.board import Board
from core.lab.ordering import MOST_PAIRS, Ints, agreement, pair_count, pairs, ranks, rounded
from core.reward.advantages import (
    centred,
    effective_weights,
    normalized_terms,
    objective_advantages,
)
from core.reward.formula import VALIDITY, Floats, combine
from core.reward.verdicts import MEANINGS, Word, component_title, validity_word, weight_word
from core.train_config import Aggregation, Scaling

FLAT = 1e-8
"""A standard deviation below this is none, as TRL counts groups without variance."""


@dataclass(frozen=True)
class Weighed:
    """A board under one reward configuration; N completions, K components.

    Attributes:
        names: the components, then `core.reward.formula.VALIDITY`.
        weights: of the components, shape (K,).
        aggregation: how the components became advantages.
        rewards, advantages: shape (N,).
        ranks: place of each completion in its group by reward, 1 is best; ties share the better place, shape (N,).
        contributions: what each component, and last validity together with clipping, adds to the reward, shape
            (N, K + 1); each row adds up to its reward. Components add nothing to an invalid completion.
        zero_variance: share of the groups that teach nothing since all their completions come out equal.
        effective: share of the within-group variance carried by each of `names`, adding up to one: of the reward, or,
            under `normalize_then_sum`, of the sum that the advantages are made of. None when nothing varies.
        spreads: standard deviation inside groups of what is multiplied by the weight, shape (K,): the score, or under
            `normalize_then_sum` the score in standard deviations.
        correlation: of the scores of each two components inside groups, over valid completions, shape (K, K); NaN
            where one of them is constant.
        mean_scores: shape (K,).
        valid: share of the completions that are valid.
        verdicts: the plain word for each of `names`.
        agreement: share of the pairs inside groups with different grades whose rewards are in the same order, a tie
            counting one half; None when the board has no such pair, or too many (`core.lab.ordering.MOST_PAIRS`).
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    aggregation: Aggregation
    rewards: Floats
    ranks: Ints
    advantages: Floats
    contributions: Floats
    zero_variance: float
    effective: Floats | None
    spreads: Floats
    correlation: Floats
    mean_scores: Floats
    valid: float
    verdicts: tuple[Word, ...]
    agreement: float | None


@dataclass(frozen=True)
class Flips:
    """What changed in the order of completions inside their groups.

    Attributes:
        pairs: pairs that stand the other way round now; a pair that is or was tied is none. None when there are too
            many to compare (`core.lab.ordering.MOST_PAIRS`).
        of: all pairs of completions of one group.
        rank_change: places gained by each completion, negative for places lost, shape (completions,).
        new_winners: groups in which a completion is best that was not best before.
    """

    pairs: int | None
    of: int
    rank_change: Ints
    new_winners: int


def weigh(
    board: Board,
    config: RewardConfig,
    scale: Scaling = "group",
    aggregation: Aggregation = "sum_then_normalize",
) -> Weighed:
    """Everything the lab shows of a board under `config`.

    Raises:
        DataError: a component of `config` has not been measured on this board.
        ValueError: a measure of a valid completion is not finite.
    """
    scores, weights, index = board.components(config), config.weight_vector, board.index
    rewards = combine(scores, weights, board.valid, config.invalid_reward)
    found = objective_advantages(scores, weights, board.valid, config.invalid_reward, index, scale, aggregation)
    if aggregation == "sum_then_normalize":
        units, total = scores, rewards
    else:
        terms = normalized_terms(scores, np.ones(len(weights)).tolist(), board.valid, config.invalid_reward, index)
        units, total = terms[:, :-1], terms @ np.append(weights, 1.0)
    shares = effective_weights(units, weights, total, index)
    means = scores.mean(axis=0) if len(board) else np.zeros(len(weights))
    return Weighed(
        names=(*config.components, VALIDITY),
        weights=weights,
        aggregation=aggregation,
        rewards=rewards,
        ranks=ranks(rewards, index),
        advantages=found,
        contributions=_contributions(scores, weights, board.valid, rewards),
        zero_variance=_flat_groups(total, index),
        effective=shares,
        spreads=np.sqrt(np.mean(_columns_centred(units, index) ** 2, axis=0)) if len(board) else np.zeros(len(weights)),
        correlation=_correlation(scores[board.valid], index[board.valid]),
        mean_scores=means,
        valid=float(board.valid.mean()) if len(board) else 0.0,
        verdicts=_verdicts(weights, shares, means, board.valid),
        agreement=agreement(rewards, board.grades, index),
    )


def flips(board: Board, before: Floats, after: Floats) -> Flips:
    """What changed in the order inside groups between two sets of rewards, each of shape (completions,)."""
    count = pair_count(board.index)
    turned = None if count > MOST_PAIRS else _turned(rounded(before), rounded(after), board.index)
    places, now = ranks(before, board.index), ranks(after, board.index)
    risen = np.bincount(board.index, (now == 1) & (places > 1))
    return Flips(turned, count, rank_change=places - now, new_winners=int((risen > 0).sum()))


def _turned(old: Floats, new: Floats, index: Ints) -> int:
    """How many pairs stand the other way round."""
    changed = ((old[second] - old[first]) * (new[second] - new[first]) < 0 for first, second in pairs(index))
    return sum(int(turned.sum()) for turned in changed)


def why(weighed: Weighed, config: RewardConfig, name: str) -> str:
    """One or two plain sentences on why a component, or `VALIDITY`, has its verdict under `config`.

    Raises:
        ValueError: `name` is none of `weighed.names`.
    """
    position = weighed.names.index(name)
    word = weighed.verdicts[position]
    if name == VALIDITY:
        return _VALIDITY_REASONS.get(word, MEANINGS[word])
    if word == "dead":
        return _why_dead(weighed, config, position)
    return MEANINGS[word]


def _why_dead(weighed: Weighed, config: RewardConfig, position: int) -> str:
    if weighed.spreads[position] < FLAT:
        return _why_constant(weighed.names[position], config)
    if weighed.effective is None:
        return "All completions of a group earn the same in every group, so nothing decides anything."
    moves = np.abs(weighed.weights) * weighed.spreads
    strongest = int(np.argmax(moves))
    if moves[position] >= moves[strongest] / 4:
        return _why_drowned(weighed)
    weight, spread = abs(weighed.weights[position]), weighed.spreads[position]
    if weight / abs(weighed.weights[strongest]) < spread / weighed.spreads[strongest]:
        return (
            f"Its weight of {weighed.weights[position]:.3g} is too small: it moves the reward by "
            f"{moves[position]:.2g} inside a group, while {component_title(weighed.names[strongest])} moves it by "
            f"{moves[strongest]:.2g}."
        )
    return (
        f"Its scores hardly differ inside a group: by {spread:.2g}, while those of "
        f"{component_title(weighed.names[strongest])} differ by {weighed.spreads[strongest]:.2g}."
    )


def _why_constant(name: str, config: RewardConfig) -> str:
    if name == "fluency" and config.fluency == "reference_batch":
        return (
            "It is the same for every completion of a prompt, because it is taken of the reference answer and not of "
            "the completion. GRPO only learns from differences inside a group."
        )
    return (
        "Its score is the same for all completions of a group, in every group. GRPO only learns from differences "
        "inside a group."
    )


def _why_drowned(weighed: Weighed) -> str:
    """Of a component that moves the reward as much as any other and yet explains nothing of it."""
    if weighed.verdicts[-1] in ("dominant", "balanced"):
        return "Whether a completion is valid decides so much that the difference this component makes is not heard."
    return "Where it is high, other components are low by about as much, so they cancel each other out."


_VALIDITY_REASONS: dict[Word, str] = {
    "dead": "Being valid or not hardly decides anything inside the groups.",
    "saturated": "Nearly every completion is valid, so there is nothing left to decide.",
    "opposing": "Invalid completions, or clipping, come out better than the components alone would have them.",
}


def _contributions(scores: Floats, weights: tuple[float, ...], valid: NDArray[np.bool_], rewards: Floats) -> Floats:
    parts = np.where(valid[:, None], scores, 0.0) * np.asarray(weights)
    return np.column_stack([parts, rewards - parts.sum(axis=1)])


def _columns_centred(table: Floats, index: Ints) -> Floats:
    return np.column_stack([centred(column, index) for column in table.T])


def _flat_groups(values: Floats, index: Ints) -> float:
    if not len(values):
        return 0.0
    sizes = np.bincount(index)
    spread = np.sqrt(np.bincount(index, centred(values, index) ** 2) / np.maximum(sizes - 1, 1))
    return float((spread < FLAT).mean())


def _correlation(scores: Floats, index: Ints) -> Floats:
    if not len(index):
        return np.full((scores.shape[1], scores.shape[1]), np.nan)
    numbers = np.unique(index, return_inverse=True)[1]
    differences = _columns_centred(scores, numbers)
    lengths = np.sqrt((differences**2).sum(axis=0))
    lengths = np.where(lengths < FLAT * np.sqrt(len(index)), np.nan, lengths)
    correlation: Floats = np.clip(differences.T @ differences / np.outer(lengths, lengths), -1.0, 1.0)
    return correlation


def _verdicts(
    weights: tuple[float, ...], shares: Floats | None, means: Floats, valid: NDArray[np.bool_]
) -> tuple[Word, ...]:
    total = sum(map(abs, weights))
    each = [None] * (len(weights) + 1) if shares is None else [float(share) for share in shares]
    words = [weight_word(w, total, share, float(m)) for w, share, m in zip(weights, each, means, strict=False)]
    return (*words, validity_word(each[-1], float(valid.mean()) if len(valid) else 1.0))
