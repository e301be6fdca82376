"""Who tells what a training process does: the first one writes the run's directory, the others keep silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.engine.reporting import SECONDS_OF, Reporter
from core.jobs.folder import State
from core.reward.scoring import Sample, Scores
from core.runs.events import Kind, Metrics
from core.runs.run import Run


class SilentReporter(Reporter):
    """Knows the step and the phase as a Reporter does and writes nothing: a run's directory has one writer.

    What the user asks for is looked up by the first process, see `core.engine.agreement`.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._status = run.written_status()

    def begin(self, step: int) -> None:
        self.state("running", step)

    def event(self, kind: Kind, **data: object) -> None:
        """The first process writes it."""

    def weights(self, weights: Mapping[str, float], by: str, step: int) -> None:
        """The first process writes them."""

    def state(self, state: State, step: int | None = None) -> None:
        self._status = replace(self._status, state=state, step=self.step if step is None else step)

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        self._status = replace(self._status, phase=name)

    def take_seconds(self) -> dict[str, float]:
        return dict.fromkeys(SECONDS_OF.values(), 0.0)

    def step_done(self, metrics: Metrics) -> None:
        self.state("running", metrics.step)

    def step_completions(self, step: int, samples: Sequence[Sample], scores: Scores) -> None:
        """The first process writes them."""

    def close(self) -> None:
        """Nothing is open."""

    def write_status(self, sync: bool = False) -> None:
        """The first process writes it."""
