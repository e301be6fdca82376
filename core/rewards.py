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
Scale = Literal["group", "batch", "none"]

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
    if components.shape != (len(valid), len(weights)):
        raise ValueError(f"components have shape {components.shape}, expected {(len(valid), len(weights))}")
    if not np.isfinite(components[valid]).all():
        raise ValueError("a scorer returned a value that is not finite")
    total = np.where(valid[:, None], components, 0.0) @ np.asarray(weights, dtype=np.float64)
    return np.where(valid, np.clip(total, -1.0, 1.0), invalid_reward)


def fill_missing(components: Floats, groups: Sequence[object]) -> Floats:
    """`components` with the mean of the group where a component had no opinion (NaN), so that it decides nothing there.

    A component without an opinion on a whole group counts as 0 in it.

    >>> fill_missing(np.array([[1.0], [0.0], [math.nan]]), ["a", "a", "a"]).ravel().tolist()
    [1.0, 0.0, 0.5]
    """
    missing = np.isnan(components)
    if not missing.any():
        return components
    _, index = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    filled = np.where(missing, 0.0, components)
    for column in range(components.shape[1]):
        known = np.bincount(index, ~missing[:, column])
        means = np.bincount(index, filled[:, column]) / np.maximum(known, 1)
        filled[:, column] = np.where(missing[:, column], means[index], filled[:, column])
    return filled


def advantages(rewards: Floats, groups: Sequence[object], scale: Scale = "group") -> Floats:
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
    _, index = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    sizes = np.bincount(index)
    centred = _centred(rewards, index)
    if scale == "none":
        return centred
    if scale == "batch":
        spread = np.full(len(rewards), rewards.std(ddof=1) if len(rewards) > 1 else 0.0)
    else:
        squares = np.bincount(index, centred**2)
        spread = np.sqrt(squares / np.maximum(sizes - 1, 1))[index]
    return centred / (spread + ADVANTAGE_EPSILON)


def effective_weights(
    components: Floats, weights: Sequence[float], rewards: Floats, groups: Sequence[object]
) -> Floats | None:
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
    _, index = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    centred_rewards = _centred(rewards, index)
    variance = float(centred_rewards @ centred_rewards)
    if variance < 1e-12:
        return None
    weighted = np.nan_to_num(components) * np.asarray(weights, dtype=np.float64)
    shares = np.array([_centred(column, index) @ centred_rewards for column in weighted.T]) / variance
    return np.append(shares, 1.0 - shares.sum())


def _centred(values: Floats, index: NDArray[np.intp]) -> Floats:
    """Each value less the mean of its group."""
    centred: Floats = values - (np.bincount(index, values) / np.bincount(index))[index]
    return centred


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
