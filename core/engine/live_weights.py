"""The reward weights in force, which a user may change while the run goes on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.config import RunConfig
from core.engine.agreement import by_first
from core.engine.reporting import Reporter
from core.errors import ConfigError
from core.reward.scoring import Scorer
from core.runs.events import read_events
from core.runs.run import Run
from core.training.control import wanted_weights, with_weights


class LiveWeights:
    """Looks before each step's scoring whether other weights are wanted, and puts them in force for the whole step.

    Args:
        reporter: where every change is recorded; its step is that of the checkpoint from which the run goes on. Changes
            after that step, which the run had made before it broke off, are made again at the same steps, so that it
            stays the same run; unless other weights are asked for meanwhile.
        scorer: is given the weights in force.
    """

    def __init__(self, run: Run, config: RunConfig, scorer: Scorer, reporter: Reporter) -> None:
        self._run, self._config, self._scorer, self._reporter = run, config, scorer, reporter
        self._objectives: Tensor | None = None
        self._seen: dict[str, float] | None = None
        self._refused: dict[str, float] | None = None
        known = by_first(lambda: weights_at(run, reporter.step))
        self._now = known or dict(config.reward.weights)
        self._recorded = by_first(lambda: recorded_changes(run, reporter.step))
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
        asked = by_first(self._asked)
        if self._recorded and asked in (None, self._recorded[max(self._recorded)]):
            self._take(self._recorded.get(step), step)
            return
        self._recorded = {}
        if asked != self._seen:
            self._seen = asked
            self._take(asked, step)

    def _asked(self) -> dict[str, float] | None:
        """The weights that are asked for now, all of them; None when nobody has asked for any that can be used."""
        wanted = wanted_weights(self._run)
        if wanted is None or wanted == self._refused:
            return None
        try:
            return dict(with_weights(self._config, wanted).reward.weights)
        except ConfigError as error:  # the file was written by hand
            self._refused = wanted
            self._reporter.event("alert", message=f"The weights asked for are not used. {error}")
            return None

    def _take(self, weights: Mapping[str, float] | None, step: int) -> None:
        if weights is not None and weights != self._now:
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


def recorded_changes(run: Run, step: int) -> dict[int, Mapping[str, float]]:
    """The weights that the user gave a run after a step, by the step from which on they were in force.

    A change that differs from the one that was recorded of its step before takes the place of all later ones; one that
    does not is a resumed run's, which made it again.
    """
    found: dict[int, Mapping[str, float]] = {}
    for event in read_events(run.milestones):
        if event.kind != "weights" or event.data.get("by") != "user" or event.step <= step:
            continue
        if found.get(event.step) != event.data["weights"]:
            found = {at: weights for at, weights in found.items() if at < event.step}
            found[event.step] = event.data["weights"]
    return found
