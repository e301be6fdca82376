"""Scores completions: parsing, components, validity, reward and advantage, in one call.

The models behind `semantic` and `fluency` are given as two small interfaces, custom rewards and the judge as a third:
this half needs no PyTorch, and a test can use arithmetic in their place. `core.engine.scorers` holds the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core import rewards
from core.cache import ScoreCache
from core.config import COMPONENTS, RewardConfig, Tags
from core.parsing import Parsed, parse
from core.rewards import Floats, Scale


class SimilarityModel(Protocol):
    """Says how alike two texts are."""

    name: str

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """One number in [-1, 1] for each pair."""
        ...


class LanguageModel(Protocol):
    """Says how surprising a text is."""

    name: str

    def mean_loss(self, texts: Sequence[str]) -> list[float]:
        """Mean negative log-likelihood of a token, in nats, for each text."""
        ...


@dataclass(frozen=True)
class Sample:
    """One completion and what it is judged against. Samples of one group answer the same prompt."""

    question: str
    reference: str
    completion: str
    group: str
    prompt: str = ""
    """The whole text the model was given; the question when empty."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Further columns of the row, for custom rewards."""


class Component(Protocol):
    """A component of the reward that is not built in: a custom reward, or the judge."""

    name: str

    def scores(self, samples: Sequence[Sample]) -> list[float | None]:
        """A finite number for each sample; None where the component has no opinion.

        Raises:
            StudioError: it is broken; a broken scorer must not pass for a bad reward.
        """
        ...


@dataclass(frozen=True)
class Scores:
    """What `Scorer.score` found; every array has one row for each sample, in their order.

    Attributes:
        names: of the components, as in `core.config.RewardConfig.components`.
        components: shape (samples, components); NaN where a component had no opinion.
        valid, well_formed: shape (samples,).
        rewards, advantages: shape (samples,).
        effective: share of the within-group variance that each component, and last validity, carries; None when nothing
            varies.
        parsed: the completions taken apart.
    """

    names: tuple[str, ...]
    components: Floats
    valid: NDArray[np.bool_]
    well_formed: NDArray[np.bool_]
    rewards: Floats
    advantages: Floats
    effective: Floats | None
    parsed: tuple[Parsed, ...]

    def means(self) -> dict[str, float]:
        """The mean score of each component over the samples it has an opinion on; NaN when there is none."""
        known = ~np.isnan(self.components)
        sums = np.where(known, self.components, 0.0).sum(axis=0)
        counts = known.sum(axis=0)
        means = np.divide(sums, counts, out=np.full(len(counts), math.nan), where=counts > 0)
        return dict(zip(self.names, map(float, means), strict=True))


class Scorer:
    """Scores samples under one reward configuration."""

    def __init__(
        self,
        config: RewardConfig,
        tags: Tags,
        similarity: SimilarityModel,
        language: LanguageModel,
        cache: ScoreCache,
        others: Sequence[Component] = (),
    ) -> None:
        by_name = {component.name: component for component in others}
        self.config = config
        self.tags = tags
        self._others = [by_name[name] for name in config.components[len(COMPONENTS) :]]
        self._similarity = similarity
        self._language = language
        self._cache = cache

    def score(self, samples: Sequence[Sample], scale: Scale = "group") -> Scores:
        """Score `samples`; those of one group must all be there for advantages to mean anything."""
        parsed = tuple(parse(sample.completion, self.tags) for sample in samples)
        valid = np.array(
            [rewards.is_valid(p, s.prompt or s.question) for p, s in zip(parsed, samples, strict=True)],
            dtype=bool,
        )
        answers = [p.answer or p.plain for p in parsed]
        components = np.zeros((len(samples), len(self.config.components)))
        components[:, 0] = self._semantic(answers, samples)
        components[:, 1] = self._fluency(answers, samples)
        components[:, 2] = [rewards.tag_score(p, self.config.parser) for p in parsed]
        for column, other in enumerate(self._others, start=len(COMPONENTS)):
            components[:, column] = [math.nan if score is None else score for score in other.scores(samples)]
        groups, weights = [sample.group for sample in samples], self.config.weight_vector
        filled = rewards.fill_missing(components, groups)
        reward = rewards.combine(filled, weights, valid, self.config.invalid_reward)
        return Scores(
            names=self.config.components,
            components=components,
            valid=valid,
            well_formed=np.array([p.well_formed for p in parsed], dtype=bool),
            rewards=reward,
            advantages=rewards.advantages(reward, groups, scale),
            effective=rewards.effective_weights(filled, weights, reward, groups),
            parsed=parsed,
        )

    def _semantic(self, answers: Sequence[str], samples: Sequence[Sample]) -> list[float]:
        pairs = [(answer, sample.reference) for answer, sample in zip(answers, samples, strict=True)]
        filled = [pair for pair in pairs if pair[0]]
        found = self._cache.scores(
            f"similarity:{self._similarity.name}",
            filled,
            lambda items: self._similarity.similarity([(item[0], item[1]) for item in items]),
        )
        by_pair = dict(zip(filled, found, strict=True))
        return [by_pair.get(pair, 0.0) for pair in pairs]

    def _fluency(self, answers: Sequence[str], samples: Sequence[Sample]) -> list[float]:
        if self.config.fluency == "reference_batch":
            return self._notebook_fluency(samples)
        filled = [answer for answer in answers if answer]
        losses = dict(zip(filled, self._losses(filled), strict=True))
        found = [rewards.fluency(losses[answer]) if answer else 0.0 for answer in answers]
        if self.config.fluency == "answer_without_repetition":
            found = [value * (1.0 - rewards.repetition(answer)) for value, answer in zip(found, answers, strict=True)]
        return found

    def _notebook_fluency(self, samples: Sequence[Sample]) -> list[float]:
        """One call of the notebook's reward function sees one prompt's completions, so each group is a call."""
        found = [0.0] * len(samples)
        members: dict[str, list[int]] = {}
        for row, sample in enumerate(samples):
            members.setdefault(sample.group, []).append(row)
        for rows in members.values():
            values = rewards.notebook_fluency(self._losses([samples[row].reference for row in rows]))
            for row, value in zip(rows, values, strict=True):
                found[row] = value
        return found

    def _losses(self, texts: Sequence[str]) -> list[float]:
        return self._cache.scores(
            f"loss:{self._language.name}",
            [(text,) for text in texts],
            lambda items: self._language.mean_loss([item[0] for item in items]),
        )
