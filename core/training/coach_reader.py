"""The coach's findings on a run directory, from its curves and its milestones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.config import RunConfig
from core.errors import ConfigError
from core.runs.events import Event, Metrics, Validation, each_event
from core.runs.run import Run
from core.training.advice import Finding
from core.training.coach import LOOKS_AT, STARTS_WITH, coach
from core.training.control import with_weights
from core.training.curves import opened


class Milestones:
    """What the coach needs of a run's events beside its metrics; what a resumed run has left behind is forgotten.

    Attributes:
        validations: in the order of their steps.
        changes: reward weights that the user gave a live run, by the step from which on they are in force.
    """

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.validations: list[Validation] = []
        self.changes: dict[int, Mapping[str, float]] = {}
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Take in the next event; kinds that do not matter here are passed over."""
        if event.kind == "validation":
            self.validations.append(Validation.of(event))
        elif event.kind == "weights" and event.data.get("by") == "user":
            self.changes[event.step] = event.data["weights"]
        elif event.kind == "state" and event.data.get("state") == "running":
            self.validations = [found for found in self.validations if found.step <= event.step]
            self.changes = {step: weights for step, weights in self.changes.items() if step <= event.step}


def findings_of(run: Run) -> list[Finding]:
    """What the coach says of a run as it lies on disk, the most serious first; nothing when its settings are broken."""
    try:
        config = run.config()
    except ConfigError:
        return []
    with opened(run) as curves:
        last = curves.last_step
        metrics = [*curves.metrics(1, STARTS_WITH), *curves.metrics(last - LOOKS_AT + 1, last)]
    log = run.milestones if run.milestones.exists() else run.events
    milestones = Milestones(list(each_event(log)))
    return advise(config, metrics, milestones.validations, milestones.changes)


def advise(
    config: RunConfig,
    metrics: Sequence[Metrics],
    validations: Sequence[Validation],
    changes: Mapping[int, Mapping[str, float]],
) -> list[Finding]:
    """`coach`, of a run whose weights the user may have changed.

    Args:
        config: as the run was started.
        changes: as `Milestones.changes`.
    """
    if changes:
        config = with_weights(config, changes[max(changes)])
    return coach(config, metrics, validations, list(changes))
