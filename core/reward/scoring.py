"""Scores completions: parsing, components, validity, reward and advantage, in one call.

The models behind `semantic` and `fluency` are given as two small interfaces, custom rewards and the judge as a third:
this half needs no PyTorch, and a test can use arithmetic in their place. `core.engine.scorers` holds the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.config import COMPONENTS, RewardConfig, Tags
from core.reward import text_measures
from core.reward.advantages import effective_weights, normalized_terms, objective_advantages, variance_shares
from core.reward.checked_scores import finite, opinions
from core.reward.formula import VALIDITY, Floats, Groups, combine, fill_missing, is_valid
from core.reward.parsing import Parsed, parse
from core.reward.score_cache import ScoreCache
from core.train_config import Aggregation, Scaling


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
    tokens: int = 0
    """How long the completion is in tokens of the policy; 0 when it is not known."""


class Component(Protocol):
    """A component of the reward that is not built in: a custom reward, or the judge."""

    name: str

    def scores(self, samples: Sequence[Sample]) -> list[float | None]:
        """A finite number for each sample; None where the component has no opinion.

        Raises:
            StudioError: it is broken; a broken scorer must not pass for a bad reward.
        """
        ...

    def notes(self) -> list[str]:
        """What the user should know of the scores so far, such as how often there was no opinion."""
        ...

    def close(self) -> None:
        """End what is kept open, such as a process."""
        ...


@dataclass(frozen=True)
class Scores:
    """What `Scorer.score` found; every array has one row for each sample, in their order.

    Attributes:
        names: of the components, as in `core.config.RewardConfig.components`.
        components: shape (samples, components); NaN where a component had no opinion.
        valid, well_formed: shape (samples,).
        rewards, advantages: shape (samples,).
        effective: share of the within-group variance that each component, and last validity, carries: of the reward,
            or of the sum that `normalize_then_sum` makes the advantages of; None when nothing varies.
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

    def effective_weights(self) -> dict[str, float]:
        """`effective` by component, and that of validity; empty when nothing varies."""
        if self.effective is None:
            return {}
        return dict(zip((*self.names, VALIDITY), map(float, self.effective), strict=True))


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

    def notes(self) -> list[str]:
        """What the user should know of the scores so far; see `Component.notes`."""
        return [note for notes in self.notes_by_component().values() for note in notes]

    def notes_by_component(self) -> dict[str, tuple[str, ...]]:
        """The notes of each component that is not built in, none for many."""
        return {other.name: tuple(other.notes()) for other in self._others}

    def close(self) -> None:
        """End what the components keep open; the scorer is of no use afterwards."""
        for other in self._others:
            other.close()
        self._cache.close()

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Weigh the components like this from the next call on; `weights` have been checked."""
        self.config = self.config.model_copy(update={"weights": dict(weights)})

    def score(
        self,
        samples: Sequence[Sample],
        scale: Scaling = "group",
        aggregation: Aggregation = "sum_then_normalize",
    ) -> Scores:
        """Score `samples`; those of one group must all be there for advantages to mean anything.

        Args:
            scale, aggregation: how scores become advantages; see `core.reward.advantages`.

        Raises:
            StudioError: a component is broken; the message names it.
        """
        parsed = tuple(parse(sample.completion, self.tags) for sample in samples)
        valid, components = validity(parsed, samples), self._components(samples, parsed, self.config.components)
        return self._weighed(samples, parsed, valid, components, scale, aggregation)

    def joined(
        self,
        samples: Sequence[Sample],
        parts: Sequence[Scores],
        scale: Scaling = "group",
        aggregation: Aggregation = "sum_then_normalize",
    ) -> Scores:
        """The scores of a step whose groups were scored in parts: as `score` finds them, without scoring again.

        Args:
            samples: those of all parts, in their order.
            scale, aggregation: as for `score`.
        """
        parsed = tuple(one for part in parts for one in part.parsed)
        valid = np.concatenate([part.valid for part in parts])
        components = np.concatenate([part.components for part in parts])
        return self._weighed(samples, parsed, valid, components, scale, aggregation)

    def _weighed(
        self,
        samples: Sequence[Sample],
        parsed: tuple[Parsed, ...],
        valid: NDArray[np.bool_],
        components: Floats,
        scale: Scaling,
        aggregation: Aggregation,
    ) -> Scores:
        groups, weights, invalid = [s.group for s in samples], self.config.weight_vector, self.config.invalid_reward
        filled = fill_missing(components, groups)
        reward = combine(filled, weights, valid, invalid)
        if aggregation == "sum_then_normalize":
            effective = effective_weights(filled, weights, reward, groups)
        else:
            effective = _standardised_shares(filled, weights, valid, invalid, groups)
        return Scores(
            names=self.config.components,
            components=components,
            valid=valid,
            well_formed=np.array([p.well_formed for p in parsed], dtype=bool),
            rewards=reward,
            advantages=objective_advantages(filled, weights, valid, invalid, groups, scale, aggregation),
            effective=effective,
            parsed=parsed,
        )

    def components(self, samples: Sequence[Sample], names: Sequence[str]) -> Floats:
        """The scores of the components of these names alone, shape (samples, names); the others are not asked.

        Raises:
            StudioError: as `score`.
        """
        return self._components(samples, [parse(sample.completion, self.tags) for sample in samples], names)

    def _components(self, samples: Sequence[Sample], parsed: Sequence[Parsed], names: Sequence[str]) -> Floats:
        answers = judged_texts(parsed)
        ways: dict[str, Callable[[], Floats | list[float]]] = {
            "semantic": lambda: self._semantic(answers, samples),
            "fluency": lambda: self._fluency(answers, samples),
            "tags": lambda: [text_measures.tag_score(p, self.config.parser) for p in parsed],
        }
        for other in self._others:
            ways[other.name] = partial(opinions, other.name, len(samples), partial(other.scores, samples))
        columns = [np.asarray(ways[name](), dtype=np.float64) for name in names]
        return np.column_stack(columns) if columns else np.zeros((len(samples), 0))

    def _semantic(self, answers: Sequence[str], samples: Sequence[Sample]) -> list[float]:
        """Nothing is like an answer that is empty; without a reference there is no opinion."""
        pairs = [(answer, sample.reference) for answer, sample in zip(answers, samples, strict=True)]
        filled = [pair for pair in pairs if all(pair)]
        found = self._cache.scores(f"similarity:{self._similarity.name}", filled, self._similarities)
        by_pair = dict(zip(filled, found, strict=True))
        return [by_pair.get(pair, 0.0 if pair[1] else math.nan) for pair in pairs]

    def _similarities(self, items: Sequence[tuple[str, ...]]) -> list[float]:
        pairs = [(item[0], item[1]) for item in items]
        return finite(self._similarity.name, len(pairs), lambda: self._similarity.similarity(pairs))

    def _fluency(self, answers: Sequence[str], samples: Sequence[Sample]) -> Floats:
        if self.config.fluency == "reference_batch":
            return self._reference_fluency(samples)
        filled = [answer for answer in answers if answer]
        losses = dict(zip(filled, self._losses(filled), strict=True))
        found = np.array([text_measures.fluency(losses[answer]) if answer else 0.0 for answer in answers])
        if self.config.fluency == "answer_without_repetition":
            found = less_repetition(found, repetitions(answers))
        return found

    def _reference_fluency(self, samples: Sequence[Sample]) -> Floats:
        """The language model is asked only where a group has several references: equal losses all give one half."""
        groups, references = [sample.group for sample in samples], [sample.reference for sample in samples]
        shared = len(set(zip(groups, references, strict=True))) == len(set(groups))
        return reference_fluency([0.0] * len(samples) if shared else self._losses(references), groups)

    def _losses(self, texts: Sequence[str]) -> list[float]:
        return self._cache.scores(f"loss:{self._language.name}", [(text,) for text in texts], self._mean_losses)

    def _mean_losses(self, items: Sequence[tuple[str, ...]]) -> list[float]:
        texts = [item[0] for item in items]
        return finite(self._language.name, len(texts), lambda: self._language.mean_loss(texts))


def _standardised_shares(
    components: Floats, weights: Sequence[float], valid: NDArray[np.bool_], invalid_reward: float, groups: Groups
) -> Floats | None:
    """The effective weights under `normalize_then_sum`: shares of the variance of the sum of standardised scores."""
    terms = normalized_terms(components, weights, valid, invalid_reward, groups)
    return variance_shares(terms[:, :-1], terms.sum(axis=1), groups)


def judged_texts(parsed: Sequence[Parsed]) -> list[str]:
    """What of each completion is judged: its answer, else the whole of it as prose."""
    return [p.answer or p.plain for p in parsed]


def validity(parsed: Sequence[Parsed], samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """Whether each completion can earn a reward at all, shape (samples,)."""
    pairs = zip(parsed, samples, strict=True)
    return np.array([is_valid(p, sample.prompt or sample.question) for p, sample in pairs], dtype=bool)


def repetitions(answers: Sequence[str]) -> Floats:
    """How much of each answer has been said before in it, shape (answers,)."""
    return np.array([text_measures.repetition(answer) for answer in answers], dtype=float)


def less_repetition(fluency: Floats, repetition: Floats) -> Floats:
    """Fluency of which repetition takes its share away."""
    return fluency * (1.0 - repetition)


def reference_fluency(losses: Sequence[float], groups: Sequence[str]) -> Floats:
    """The notebook's fluency, from the loss of each completion's reference, shape (completions,).

    One call of the notebook's reward function sees one prompt's completions, so each group is a call.
    """
    found = np.zeros(len(losses))
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    for rows in members.values():
        found[rows] = text_measures.notebook_fluency([losses[row] for row in rows])
    return found
