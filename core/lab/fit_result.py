"""What came of fitting a reward's weights to votes, and how it is said in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.config import RewardConfig
from core.errors import DataError
from core.reward.verdicts import component_title

CHANCE = 0.5
"""The share of pairs on which a reward that knows nothing agrees with a vote."""

_SAME_WEIGHT = 0.05
"""Two weights that differ by less, as a share of all weights, are called about the same."""
_KAPPA_WORDS = ((-0.01, "poor"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))
"""Upper ends of what Landis and Koch call agreement of such a kappa (Biometrics 33, 1977, pages 159 to 174)."""


def agreement_word(kappa: float) -> str:
    """What Landis and Koch call an agreement of this kappa.

    >>> agreement_word(0.5), agreement_word(0.9)
    ('moderate', 'almost perfect')
    """
    return next((word for end, word in _KAPPA_WORDS if round(kappa, 2) <= end), "almost perfect")


class Kappa(BaseModel):
    """How far two raters agree on the pairs that both have judged, chance aside.

    Attributes:
        first, second: their names; text from outside.
        pairs: how many both have judged.
        same: on how many of those they say the same.
        value: Cohen's kappa, at most 1, and 0 where they agree as often as by chance; None when it cannot be told.
    """

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    pairs: int
    same: int
    value: float | None

    @property
    def sentence(self) -> str:
        """What is known of their agreement, in a sentence or two without their names."""
        if not self.pairs:
            return "They have judged no pair in common."
        said = f"They agree on {self.same} of {self.pairs} pairs that both have judged."
        if self.value is None:
            return f"{said} That is too little, or too uniform, to tell agreement from chance."
        return f"{said} Chance aside, the agreement is {agreement_word(self.value)} (Cohen's kappa {self.value:.2f})."


class Fit(BaseModel):
    """Weights fitted to votes, and how well they foretell votes on prompts that they were not fitted to.

    Attributes:
        weights: the fitted weight of each component, in the components' own units; the absolute weights add up to those
            of the present configuration. Empty when there are too few votes.
        current_weights: those of the present configuration.
        constant: components whose score was the same in both completions of every pair that counts; their weight is 0.
        agreement, low, high: the share of decided pairs that the reward under fitted weights orders as the rater did,
            each group's pairs judged by a fit without that group (a pair of equal rewards counts one half), and its
            95 % bootstrap interval over groups. None without a fit.
        current: the same share under the present weights.
        difference_low, difference_high: the 95 % interval of `agreement - current`, over the same resampled groups.
        better: whether the fitted weights agree better than the present ones; None when it cannot be told.
        pairs: decided pairs that count: both completions valid, their scores not all equal.
        ties: pairs judged equally good that count in the fit, but not in the agreement.
        groups: how many groups the decided pairs are from.
        invalid: votes left out because a completion is invalid; its reward is fixed, whatever the weights.
        alike: votes left out because both completions have the same scores.
        gone: votes left out because a completion is no longer on the board.
        enough: whether there are enough votes for a fit.
        reason: why there is no fit, or why it is to be treated with care; empty when there is nothing to say.
        kappa: of every two raters.
    """

    model_config = ConfigDict(frozen=True)

    weights: dict[str, float] = {}
    current_weights: dict[str, float]
    constant: tuple[str, ...] = ()
    agreement: float | None = None
    low: float | None = None
    high: float | None = None
    current: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    better: bool | None = None
    pairs: int
    ties: int
    groups: int
    invalid: int
    alike: int
    gone: int
    enough: bool
    reason: str = ""
    kappa: tuple[Kappa, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Fit:
        """The fit that a task of kind `fit` has returned."""
        return cls.model_validate(value)

    def applied(self, config: RewardConfig) -> RewardConfig:
        """`config` with the fitted weights.

        Raises:
            DataError: there is no fit; the message says why.
        """
        if not self.weights:
            raise DataError(self.reason)
        return config.model_copy(update={"weights": dict(self.weights)})

    @property
    def words(self) -> tuple[str, ...]:
        """One sentence on each component's weight."""
        total = sum(map(abs, self.weights.values()))
        return tuple(self._words(name, weight, total) for name, weight in self.weights.items())

    @property
    def verdict(self) -> str:
        """How well the fitted weights foretell votes, in a few sentences; why there are none when there is no fit."""
        if self.agreement is None or self.low is None or self.high is None or self.current is None:
            return self.reason
        judgement = {
            True: "The fitted weights are better.",
            False: "The present weights are better; keep them.",
            None: "Whether the fitted weights are better cannot be told from these votes.",
        }[self.better]
        said = (
            f"On prompts that it was not fitted to, the fitted reward agrees with {self.agreement:.0%} of {self.pairs} "
            f"judgements (95 % interval {self.low:.0%} to {self.high:.0%}); the present reward agrees with "
            f"{self.current:.0%}, chance with {CHANCE:.0%}. {judgement}"
        )
        return f"{said} {self.reason}".strip()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Which votes say nothing about weights, and why."""
        reasons = {
            "a completion is invalid and earns the same whatever the weights": self.invalid,
            "both completions have the same scores": self.alike,
            "a completion is no longer on this board": self.gone,
        }
        return tuple(f"{count} left out: {reason}." for reason, count in reasons.items() if count)

    def _words(self, name: str, weight: float, total: float) -> str:
        title, current = component_title(name), self.current_weights[name]
        if name in self.constant:
            return (
                f"{title}: 0. Its score did not differ in any pair that was judged, so the votes say nothing about it."
            )
        said = f"{title}: {weight:.2f} (now {current:.2f})."
        if abs(weight) < _SAME_WEIGHT * total:
            return f"{said} It hardly matters for these votes."
        if weight < 0:
            return f"{said} Where the rest is equal, the completion with less of it was preferred."
        if abs(weight - current) < _SAME_WEIGHT * total:
            return f"{said} About as much as now."
        return f"{said} It counts for {'more' if weight > current else 'less'} than now."
