"""The reward in TRL's signature."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import RunConfig
from core.engine.agreement import to_first
from core.prompts import conversation_text
from core.reward.formula import VALIDITY, fill_missing
from core.reward.scoring import Sample, Scorer, Scores

RewardFunction = Callable[..., list[float] | list[float | None]]
"""As TRL calls it: by name with prompts, completions, the columns of the data set and more; a number or None each."""


@dataclass(frozen=True)
class ScoredStep:
    """The completions of one step with their scores.

    Attributes:
        notes: what the user should know of the scores so far, see `core.reward.scoring.Component.notes`.
    """

    samples: tuple[Sample, ...]
    scores: Scores
    notes: tuple[str, ...] = ()


class GroupReward:
    """The reward of a step's completions; remembers what it scored last, for the run's record.

    Args:
        scorer: what scores them.
        before: is told before anything is scored which step it is for, so that weights can change there.
    """

    __name__ = "reward"

    def __init__(self, scorer: Scorer, config: RunConfig, before: Callable[[int], None] | None = None) -> None:
        self._scorer = scorer
        self._train = config.train
        self._before = before
        self._scored: Any = None
        self.last: ScoredStep | None = None

    def functions(self) -> list[RewardFunction]:
        """What TRL is given: the reward, or one function for each objective where it standardises them one by one."""
        if self._train.multi_objective_aggregation == "sum_then_normalize":
            return [self]
        return [Objective(self, name) for name in (*self._scorer.config.components, VALIDITY)]

    def __call__(
        self,
        prompts: Sequence[Sequence[dict[str, str]]],
        completions: Sequence[Sequence[dict[str, str]]],
        question: Sequence[str],
        reference: Sequence[str],
        group: Sequence[str],
        columns: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float]:
        """The reward of each completion, in [-1, 1]; `trainer_state` and `log_metric` are TRL's."""
        rows = zip(prompts, completions, question, reference, group, columns, completion_ids, strict=True)
        samples = tuple(
            Sample(q, r, completion[0]["content"], g, conversation_text(prompt), json.loads(carried), len(ids))
            for prompt, completion, q, r, g, carried, ids in rows
        )
        if self._before is not None and trainer_state is not None:
            self._before(trainer_state.global_step + 1)
        scores = self._scorer.score(samples, self._train.scale_rewards, self._train.multi_objective_aggregation)
        self.last, self._scored = ScoredStep(samples, scores, tuple(self._scorer.notes())), completions
        if log_metric is not None and self._train.trackers:
            _track(scores, log_metric)
        return [float(value) for value in scores.rewards]

    def whole(self, last: ScoredStep) -> ScoredStep:
        """The step of all training processes together, of which `last` is this one's part.

        It is whole on the first process only, which records it; all of them have to ask.
        """
        parts = to_first(last)
        if len(parts) < 2:
            return last
        samples = tuple(sample for part in parts for sample in part.samples)
        scores = self._scorer.joined(
            samples,
            [part.scores for part in parts],
            self._train.scale_rewards,
            self._train.multi_objective_aggregation,
        )
        return ScoredStep(samples, scores, tuple(joined_notes([part.notes for part in parts])))

    def scored(self, completions: Any, **columns: Any) -> ScoredStep:
        """The scores of these completions; all objectives of a step ask with the same list, and it is scored once."""
        if self.last is None or self._scored is not completions:
            self(completions=completions, **columns)
        assert self.last is not None
        return self.last


class Objective:
    """One component of the reward, or validity, as a reward function of its own.

    TRL knows no validity, so it is told of it as `core.reward.advantages.normalized_terms` says: an invalid completion
    has no component scores, and validity is one more objective.
    """

    def __init__(self, reward: GroupReward, name: str) -> None:
        self._reward = reward
        self.__name__ = name

    def __call__(self, **given: Any) -> list[float | None]:
        """The score of each completion; None where it counts for nothing."""
        step = self._reward.scored(**given)
        valid, scores = step.scores.valid, step.scores
        if self.__name__ == VALIDITY:
            return [float(value) for value in np.where(valid, 0.0, scores.rewards)]
        filled = fill_missing(scores.components, [sample.group for sample in step.samples])
        column = filled[:, scores.names.index(self.__name__)]
        return [float(value) if ok else None for value, ok in zip(column, valid, strict=True)]


def joined_notes(parts: Sequence[Sequence[str]]) -> list[str]:
    """What the training processes note of the scores, each of its own share, with its number where there are several.

    >>> joined_notes([["Slow."]]), joined_notes([[], ["Slow."]])
    (['Slow.'], ['Training process 2: Slow.'])
    """
    if len(parts) == 1:
        return list(parts[0])
    return [f"Training process {number}: {note}" for number, notes in enumerate(parts, start=1) for note in notes]


def _track(scores: Scores, log_metric: Callable[[str, float], None]) -> None:
    """Give what TRL does not know to wherever it reports to, under names that begin with `studio/`."""
    log_metric("studio/reward", float(scores.rewards.mean()))
    log_metric("studio/valid", float(scores.valid.mean()))
    log_metric("studio/well_formed", float(scores.well_formed.mean()))
    for name, value in scores.means().items():
        log_metric(f"studio/score/{name}", value)
    for name, share in scores.effective_weights().items():
        log_metric(f"studio/effective_weight/{name}", share)
