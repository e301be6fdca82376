"""Numbers in the words of the coach, and the mends that several of its rules offer."""

from __future__ import annotations

from core.config import RunConfig
from core.training.advice import Mend
from core.training.fields import label

_WARM_UP = 0.1
"""Share of the steps over which the published recipe raises the learning rate."""
_PULL = 0.04
"""The weight of the KL divergence in DeepSeekMath, which introduced GRPO (Shao et al. 2024)."""
_MOST_GENERATIONS = 32


def of_ten(share: float) -> str:
    """A share of answers, as a person would say it.

    >>> of_ten(0.93), of_ten(0.02), of_ten(0.0), of_ten(1.0)
    ('9 of 10 answers', 'hardly any answer', 'no answer', 'every answer')
    """
    if share in (0, 1):
        return "every answer" if share else "no answer"
    count = round(10 * share)
    return {0: "hardly any answer", 10: "nearly every answer"}.get(count, f"{count} of 10 answers")


def began(text: str) -> str:
    """A sentence's beginning, with a capital letter.

    >>> began("9 of 10 answers"), began("every answer")
    ('9 of 10 answers', 'Every answer')
    """
    return text[:1].upper() + text[1:]


def rounded(value: float) -> float:
    """A number with two significant digits.

    >>> rounded(0.000333), rounded(0)
    (0.00033, 0.0)
    """
    return float(f"{value:.2g}")


def setting(path: str, value: float) -> Mend:
    """A mend that changes one number.

    >>> setting("train.temperature", 1.0).label
    'Temperature 1'
    """
    return Mend(f"{label(path)} {value:g}", {path: value})


def learning_rate(config: RunConfig, factor: float) -> Mend:
    """A learning rate that is a multiple of the present one."""
    return setting("train.learning_rate", rounded(config.train.learning_rate * factor))


def warm_up(config: RunConfig) -> tuple[Mend, ...]:
    """A slow beginning, where there is none."""
    return () if config.train.warmup else (setting("train.warmup", _WARM_UP),)


def pull(config: RunConfig) -> Mend:
    """A stronger pull back to the base model; the usual one where there is none."""
    return setting("train.beta", rounded(2 * config.train.beta) or _PULL)


def more_generations(config: RunConfig) -> tuple[Mend, ...]:
    """Twice as many completions in a group, as long as that is affordable."""
    twice = 2 * config.train.num_generations
    return () if twice > _MOST_GENERATIONS else (setting("train.num_generations", twice),)


def weight(config: RunConfig, name: str, value: float) -> tuple[Mend, ...]:
    """Another weight for a component; none where no component would be left with one."""
    others = any(found for other, found in config.reward.weights.items() if other != name)
    return (setting(f"reward.weights.{name}", rounded(value)),) if others or value else ()
