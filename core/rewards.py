"""The reward: from component scores to one number a completion, and from a group's numbers to advantages.

    r_i = clip( sum_k w_k * c_ik , -1, 1 )   when completion i is valid, else the preset's invalid reward (-1)

`combine` is the only place where that formula stands. The trainer, the command line and the pages all call it, so a
number on a page is the number the trainer uses. Everything here is plain numpy on small arrays; what is expensive (the
similarity model, the language model) lives behind `core.scoring`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.config import RewardConfig
from core.parsing import Parsed, Parser
from core.text import words

Floats = NDArray[np.float64]
Groups = Sequence[object] | NDArray[np.intp]
"""Which group each completion belongs to, by any name or by numbers from 0; those of one group share a prompt."""
Scale = Literal["group", "batch", "none"]
Aggregation = Literal["sum_then_normalize", "normalize_then_sum"]
"""How the components become one advantage, in TRL's words: see `objective_advantages`."""

VALIDITY = "validity"
"""What stands beside the components where shares of the reward's variance are told."""

PERPLEXITY_SCALE = 20.0
"""The perplexity that earns a fluency of one half."""

NOTEBOOK_BATCH = 8
NOTEBOOK_FLAT = 1e-6
ADVANTAGE_EPSILON = 1e-4
"""Added to the standard deviation, as TRL's GRPOTrainer does."""

PRESETS: Mapping[str, RewardConfig] = {
    "article": RewardConfig(
        preset="article",
        weights={"semantic": 0.5, "fluency": 0.4, "tags": 0.1},
        parser="lenient",
        fluency="answer",
    ),
    "notebook": RewardConfig(
        preset="notebook",
        weights={"semantic": 0.5, "fluency": 0.4, "tags": 0.1},
        parser="lenient",
        fluency="reference_batch",
        invalid_reward=-0.3,
    ),
    "robust": RewardConfig(
        preset="robust",
        weights={"semantic": 0.5, "fluency": 0.3, "tags": 0.2},
        parser="strict",
        fluency="answer_without_repetition",
    ),
}

PRESET_NOTES: Mapping[str, str] = {
    "article": "As published: half similarity with the reference answer, two fifths fluency, one tenth tags.",
    "notebook": "What the published notebook really computes: its fluency term is the same for every completion of a "
    "prompt, so it teaches nothing. For study, not for use.",
    "robust": "Recommended: every fault of form costs, repetition earns no fluency, and a score never depends on what "
    "else is in the batch.",
}


def combine(
    components: Floats, weights: Sequence[float], valid: NDArray[np.bool_], invalid_reward: float = -1.0
) -> Floats:
    """The reward of each completion.

    Args:
        components: scores, shape (completions, components); each roughly in [-1, 1].
        weights: one for each component; may be negative.
        valid: whether each completion parses, is not empty and does not copy the prompt, shape (completions,).
        invalid_reward: what the others get.

    Returns:
        Rewards in [-1, 1], shape (completions,).

    Raises:
        ValueError: the shapes do not fit, or a valid completion has a score that is not finite. A scorer is broken
            then, and a broken scorer must not pass for a bad reward.

    >>> combine(np.array([[0.8, 0.5, 1.0], [0.9, 0.9, 0.5]]), [0.5, 0.4, 0.1], np.array([True, False])).tolist()
    [0.7, -1.0]
    """
    rewards: Floats = combine_many(components, np.asarray([weights], dtype=np.float64), valid, invalid_reward)[:, 0]
    return rewards


def combine_many(components: Floats, points: Floats, valid: NDArray[np.bool_], invalid_reward: float = -1.0) -> Floats:
    """`combine` for many choices of weights at once.

    Args:
        points: weights, shape (points, components).

    Returns:
        Rewards, shape (completions, points).

    Raises:
        ValueError: as `combine`.
    """
    scores = _checked(components, points.shape[1], valid)
    rewards: Floats = np.where(valid[:, None], scores, 0.0) @ points.T
    np.clip(rewards, -1.0, 1.0, out=rewards)
    rewards[~valid] = invalid_reward
    return rewards


def _checked(components: Floats, weights: int, valid: NDArray[np.bool_]) -> Floats:
    if components.shape != (len(valid), weights):
        raise ValueError(f"components have shape {components.shape}, expected {(len(valid), weights)}")
    if not np.isfinite(components[valid]).all():
        raise ValueError("a scorer returned a value that is not finite")
    return components


def fill_missing(components: Floats, groups: Groups) -> Floats:
    """`components` with the mean of the group where a component had no opinion (NaN), so that it decides nothing there.

    A component without an opinion on a whole group counts as 0 in it.

    >>> fill_missing(np.array([[1.0], [0.0], [math.nan]]), ["a", "a", "a"]).ravel().tolist()
    [1.0, 0.0, 0.5]
    """
    missing = np.isnan(components)
    if not missing.any():
        return components
    index = _numbered(groups)
    filled = np.where(missing, 0.0, components)
    for column in range(components.shape[1]):
        known = np.bincount(index, ~missing[:, column])
        means = np.bincount(index, filled[:, column]) / np.maximum(known, 1)
        filled[:, column] = np.where(missing[:, column], means[index], filled[:, column])
    return filled


def advantages(rewards: Floats, groups: Groups, scale: Scale = "group") -> Floats:
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
    index = _numbered(groups)
    differences = centred(rewards, index)
    if scale == "none":
        return differences
    if scale == "batch":
        return differences / (_spread(rewards) + ADVANTAGE_EPSILON)
    squares = np.bincount(index, differences**2)
    spread = np.sqrt(squares / np.maximum(np.bincount(index) - 1, 1))[index]
    scaled: Floats = differences / (spread + ADVANTAGE_EPSILON)
    return scaled


def objective_advantages(
    components: Floats,
    weights: Sequence[float],
    valid: NDArray[np.bool_],
    invalid_reward: float,
    groups: Groups,
    scale: Scale = "group",
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
    scores = np.where(valid[:, None], _checked(components, len(weights), valid), np.nan)
    objectives = np.column_stack([scores, np.where(valid, 0.0, invalid_reward)])
    index = _numbered(groups)
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
    index = _numbered(groups)
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


def _numbered(groups: Groups) -> NDArray[np.intp]:
    """A number from 0 for the group of each completion; an array of such numbers is taken as it is."""
    if isinstance(groups, np.ndarray) and groups.dtype == np.intp:
        return groups
    index: NDArray[np.intp] = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)[1]
    return index


def fluency(mean_loss: float) -> float:
    """Fluency of one text from its mean token loss in nats: 1 for a perplexity of 0, 1/2 at 20, towards 0 above.

    >>> round(fluency(math.log(20)), 3)
    0.5
    """
    return 1.0 / (1.0 + math.exp(min(mean_loss, 50.0)) / PERPLEXITY_SCALE)


def repetition(text: str, size: int = 3) -> float:
    """The share of word n-grams that have been said before: 0 for none, near 1 for a text that goes round in circles.

    >>> round(repetition("the pain the pain the pain the pain"), 3)
    0.667
    >>> repetition("give oxygen and call for help")
    0.0
    """
    said = words(text)
    grams = [tuple(said[i : i + size]) for i in range(len(said) - size + 1)]
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def notebook_fluency(reference_losses: Sequence[float]) -> list[float]:
    """The published notebook's perplexity term, exactly as it runs.

    It scores the *reference* answers: one mean loss for each batch of eight, made a perplexity, inverted, then
    stretched to [0, 1] over the call; one half when all are the same, as they are for the completions of one prompt.

    Args:
        reference_losses: mean token loss of the reference of each completion of one call, in nats.
    """
    inverted = np.empty(len(reference_losses))
    for start in range(0, len(reference_losses), NOTEBOOK_BATCH):
        batch = slice(start, start + NOTEBOOK_BATCH)
        inverted[batch] = math.exp(-float(np.mean(reference_losses[batch])))
    span = float(inverted.max() - inverted.min())
    if span < NOTEBOOK_FLAT:
        return [0.5] * len(reference_losses)
    return [float(value) for value in (inverted - inverted.min()) / span]


def tag_score(parsed: Parsed, parser: Parser) -> float:
    """One half for each of the two tag pairs; the strict parser takes one half off for every fault, down to -1."""
    score = 0.5 * parsed.pairs
    return score if parser == "lenient" else max(score - 0.5 * len(parsed.faults), -1.0)


def copies_prompt(answer: str, prompt: str, size: int = 4, share: float = 0.9) -> bool:
    """Whether an answer only repeats the prompt: at least `share` of its word 4-grams stand in the prompt as well.

    Answers shorter than 4 words count as copies only when they are the whole prompt.
    """
    said, source = words(answer), words(prompt)
    if len(said) < size:
        return bool(said) and said == source
    known = {tuple(source[i : i + size]) for i in range(len(source) - size + 1)}
    grams = [tuple(said[i : i + size]) for i in range(len(said) - size + 1)]
    return sum(gram in known for gram in grams) >= share * len(grams)


def is_valid(parsed: Parsed, prompt: str) -> bool:
    """Whether a completion can earn a reward at all: it has an answer, the answer is not empty and copies no prompt."""
    return bool(parsed.answer) and not copies_prompt(parsed.answer or "", prompt)
