"""The reward: from component scores to one number a completion.

    r_i = clip( sum_k w_k * c_ik , -1, 1 )   when completion i is valid, else the preset's invalid reward (-1)

`combine` is the only place where that formula stands. The trainer, the command line and the pages all call it, so a
number on a page is the number the trainer uses. Everything here is plain numpy on small arrays; what is expensive (the
similarity model, the language model) lives behind `core.reward.scoring`, and what GRPO learns from a reward is in
`core.reward.advantages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.config import RewardConfig
from core.reward.parsing import Parsed
from core.reward.text_measures import copies_prompt

Floats = NDArray[np.float64]
Groups = Sequence[object] | NDArray[np.intp]
"""Which group each completion belongs to, by any name or by numbers from 0; those of one group share a prompt."""

VALIDITY = "validity"
"""What stands beside the components where shares of the reward's variance are told."""

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
    scores = checked_components(components, points.shape[1], valid)
    rewards: Floats = np.where(valid[:, None], scores, 0.0) @ points.T
    np.clip(rewards, -1.0, 1.0, out=rewards)
    rewards[~valid] = invalid_reward
    return rewards


def checked_components(components: Floats, weights: int, valid: NDArray[np.bool_]) -> Floats:
    """`components` as they are, when they have a column for each of `weights` and are finite where it matters.

    Raises:
        ValueError: as `combine`.
    """
    if components.shape != (len(valid), weights):
        raise ValueError(f"components have shape {components.shape}, expected {(len(valid), weights)}")
    if not np.isfinite(components[valid]).all():
        raise ValueError("a scorer returned a value that is not finite")
    return components


def fill_missing(components: Floats, groups: Groups) -> Floats:
    """`components` with the mean of the group where a component had no opinion (NaN), so that it decides nothing there.

    A component without an opinion on a whole group counts as 0 in it.

    >>> fill_missing(np.array([[1.0], [0.0], [np.nan]]), ["a", "a", "a"]).ravel().tolist()
    [1.0, 0.0, 0.5]
    """
    missing = np.isnan(components)
    if not missing.any():
        return components
    index = numbered(groups)
    filled = np.where(missing, 0.0, components)
    for column in range(components.shape[1]):
        known = np.bincount(index, ~missing[:, column])
        means = np.bincount(index, filled[:, column]) / np.maximum(known, 1)
        filled[:, column] = np.where(missing[:, column], means[index], filled[:, column])
    return filled


def numbered(groups: Groups) -> NDArray[np.intp]:
    """A number from 0 for the group of each completion; an array of such numbers is taken as it is."""
    if isinstance(groups, np.ndarray) and groups.dtype == np.intp:
        return groups
    index: NDArray[np.intp] = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)[1]
    return index


def is_valid(parsed: Parsed, prompt: str) -> bool:
    """Whether a completion can earn a reward at all: it has an answer, the answer is not empty and copies no prompt."""
    return bool(parsed.answer) and not copies_prompt(parsed.answer or "", prompt)
