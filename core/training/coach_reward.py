"""Rules of the coach on the reward: whether it tells answers apart, and which of its components do."""

from __future__ import annotations

import math

import numpy as np

from core.config import COMPONENTS, JUDGE
from core.reward.formula import VALIDITY
from core.reward.verdicts import component_title
from core.training.advice import Finding, Mend
from core.training.coach_policy import COLD
from core.training.coach_record import ENOUGH, Record
from core.training.coach_words import began, more_generations, of_ten, setting, weight
from core.training.format_mends import format_mends

FEW_VALID = 0.1
"""With one valid answer in ten, a group of eight has none more often than two: there is nothing to compare."""
MANY_EQUAL = 0.5
"""Groups without variance give no gradient, and DAPO leaves them out (Yu et al. 2025); at half of them, half of the
time is lost. The embedded model in the demo has none."""
NEARLY_ALL_EQUAL = 0.9
NOTHING = 0.01
"""A component that carries under one in a hundred of the differences would have to weigh a hundred times as much."""
HARDLY = 0.05
MOST_STEPS = 0.8
"""A component counts as dead when that is so in most steps, since in single ones it happens to any."""
COUNTS = 0.05
"""A component with a smaller part of the weights is not expected to decide anything."""
FULL_SCORE, NO_SCORE = 0.95, 0.02
MUCH_WEIGHT = 0.3
"""A learned component with less weight is no loss: the tags of the recommended reward have a fifth, and are learned
within ten steps."""
DECIDES = 0.8
"""More than four fifths of the differences in three of four steps."""
BEYOND_WEIGHT = 2.0
"""And at least twice its weight: then the size of its scores decides, and nobody chose that."""


def invalid(record: Record) -> Finding | None:
    """Hardly any answer can earn a reward at all."""
    share, config = record.recent("valid"), record.config
    if not share <= FEW_VALID:
        return None
    tags = config.prompt.tags
    longest = config.train.max_prompt_length  # at most: rows with a longer prompt were left out
    return Finding(
        "invalid",
        "stop",
        f"{began(of_ten(share))} can be judged: without anything between <{tags.answer}> and </{tags.answer}> all earn "
        f"{config.reward.invalid_reward:g}, so there is nothing to compare and nothing is learned.",
        format_mends(config, longest),
    )


def zero_variance(record: Record) -> Finding | None:
    """In most groups all answers earn the same."""
    share, train = record.recent_mean("zero_variance"), record.config.train
    if not share >= MANY_EQUAL:
        return None
    mends = more_generations(record.config)
    reason = "The questions are too easy, too hard, or answered in the same words"
    if train.temperature < COLD:
        mends = (setting("train.temperature", 1.0), *mends)
        reason = f"At temperature {train.temperature:g} the model hardly varies its words"
    return Finding(
        "zero_variance",
        "stop" if share >= NEARLY_ALL_EQUAL else "warning",
        f"In {share:.0%} of the groups all {train.num_generations} answers earn the same, and from such a group "
        f"nothing is learned. {reason}.",
        mends,
    )


def no_opinion(record: Record) -> Finding | None:
    """The judge, a custom reward or the similarity had nothing to say in most steps."""
    for name in _weighed(record):
        silent = np.mean([math.isnan(m.components.get(name, math.nan)) for m in record.now])
        if silent >= MANY_EQUAL:
            reason = {
                JUDGE: "Look at its address and model on the Rewards page",
                COMPONENTS[0]: "The rows have no reference answers",
            }.get(name, f"Try {name}.py on the Rewards page")
            return Finding(
                "no_opinion",
                "warning",
                f"{component_title(name)} had no opinion on any answer in {round(silent * len(record.now))} of the "
                f"last {len(record.now)} steps, so it decided nothing there. {reason}, or leave it out.",
                weight(record.config, name, 0.0),
            )
    return None


def dead(record: Record) -> Finding | None:
    """A component is the same for all answers to a question, so its weight does nothing."""
    for name in _weighed(record):
        score = record.score(name)
        if math.isnan(score) or score >= FULL_SCORE or not _carries_less_than(record, name, NOTHING):
            continue
        notebook = name == "fluency" and record.config.reward.fluency == "reference_batch"
        mends = weight(record.config, name, 0.0)
        if notebook:
            mends = (Mend("Fluency of each answer, not of the reference", {"reward.fluency": "answer"}), *mends)
        reason = "hardly any answer ever earns it" if score <= NO_SCORE else "all answers to a question score the same"
        return Finding(
            "dead_term",
            "warning",
            f"{component_title(name)} has {record.weight_share(name):.0%} of the weights and decides nothing: {reason} "
            f"(mean score {score:.2f}), and only differences teach.",
            mends,
        )
    return None


def saturated(record: Record) -> Finding | None:
    """A component with much weight gives nearly every answer its full score."""
    for name in _weighed(record):
        score, share = record.score(name), record.weight_share(name)
        if score >= FULL_SCORE and share >= MUCH_WEIGHT and _carries_less_than(record, name, HARDLY):
            return Finding(
                "saturated_term",
                "warning",
                f"{component_title(name)} has its full score in nearly every answer (mean {score:.2f}), so it does not "
                f"tell them apart, but it holds {share:.0%} of the weights. Give the other components more say.",
                weight(record.config, name, record.config.reward.weights[name] / 4),
            )
    return None


def dominant(record: Record) -> Finding | None:
    """A component decides nearly everything, far beyond its weight."""
    config = record.config
    if config.train.multi_objective_aggregation == "normalize_then_sum":
        return None  # each component is brought to the same size there
    for name in _weighed(record):
        carried, share = record.effective(name), record.weight_share(name)
        if len(carried) >= ENOUGH and np.quantile(carried, 0.25) >= max(DECIDES, BEYOND_WEIGHT * share):
            return Finding(
                "dominant_term",
                "warning",
                f"{component_title(name)} has {share:.0%} of the weights and decides {np.median(carried):.0%} of the "
                "differences between answers; the other components are hardly heard.",
                (
                    Mend(
                        "Bring all components to the same size first",
                        {"train.multi_objective_aggregation": "normalize_then_sum"},
                    ),
                    *weight(config, name, config.reward.weights[name] / 2),
                ),
            )
    return None


def _weighed(record: Record) -> list[str]:
    """The components that are meant to decide something."""
    return [name for name in record.config.reward.components if record.weight_share(name) >= COUNTS]


def _carries_less_than(record: Record, name: str, bound: float) -> bool:
    """Whether a component carries next to nothing of what all components decide, in most of the newest steps.

    What validity decides is left out: it dwarfs every component as long as many answers are invalid.
    """
    shares = []
    for metrics in record.now:
        decided = sum(abs(share) for other, share in metrics.effective.items() if other != VALIDITY)
        if decided > 0:  # nothing is known of a step in which nothing varied; NaN is not above 0
            shares.append(abs(metrics.effective.get(name, math.nan)) / decided)
    return len(shares) >= ENOUGH and bool(np.mean(np.array(shares) < bound) >= MOST_STEPS)
