"""The reward weights in force, which a user may change while the run goes on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.config import RunConfig
from core.engine.reporting import Reporter
from core.errors import ConfigError
from core.reward.scoring import Scorer
from core.runs.events import read_events
from core.runs.run import Run
from core.training.control import wanted_weights, with_weights


class LiveWeights:
    """Looks before each step's scoring whether other weights are wanted, and puts them in force for the whole step.

    Args:
        reporter: where every change is recorded; its step is that of the checkpoint from which the run goes on.
        scorer: is given the weights in force.
    """

    def __init__(self, run: Run, config: RunConfig, scorer: Scorer, reporter: Reporter) -> None:
        self._run, self._config, self._scorer, self._reporter = run, config, scorer, reporter
        self._objectives: Tensor | None = None
        self._seen: dict[str, float] | None = None
        self._now = weights_at(run, reporter.step) or dict(config.reward.weights)
        scorer.weigh(self._now)
        reporter.weights(self._now, "start", reporter.step)

    def govern(self, objectives: Tensor) -> None:
        """Keep TRL's own weights equal to the ones in force: one for each component, then 1 for validity.

        Args:
            objectives: TRL's `reward_weights`, shape (components + 1,); changed in place.
        """
        self._objectives = objectives
        self._apply()

    def before_scoring(self, step: int) -> None:
        """Take over the weights that are wanted from `step` on, when they are others."""
        wanted = wanted_weights(self._run)
        if wanted is None or wanted == self._seen:
            return
        self._seen = wanted
        try:
            weights = with_weights(self._config, wanted).reward.weights
        except ConfigError as error:  # the file was written by hand
            self._reporter.event("alert", message=f"The weights asked for are not used. {error}")
            return
        if weights != self._now:
            self._now = dict(weights)
            self._apply()
            self._reporter.weights(self._now, "user", step)

    def _apply(self) -> None:
        self._scorer.weigh(self._now)
        if self._objectives is not None:
            self._objectives.copy_(torch.tensor([*self._scorer.config.weight_vector, 1.0]))


def weights_at(run: Run, step: int) -> dict[str, float] | None:
    """The weights in force when a step was done, from the run's milestones; None when they say nothing of it."""
    found: Mapping[str, float] | None = None
    for event in read_events(run.milestones):
        if event.kind == "weights" and event.step <= step:
            found = event.data["weights"]
    return None if found is None else dict(found)
