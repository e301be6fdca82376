"""What a run that is only tried tells: to whoever waits for it, and how long each part of it took."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.config import RunConfig
from core.engine.memory_watch import MemoryWatch
from core.engine.reporting import Reporter
from core.jobs.folder import State
from core.jobs.tasks import Tell
from core.runs.run import Run
from core.training.preflight import PROMPTS

_LONG_SECONDS = 60.0
"""When the first step takes longer, it has to do: waiting for a second one is worth less than the better figure."""
_WORDS = {"generating": "writing completions", "scoring": "scoring them", "updating": "the update"}
_LOADED = frozenset({"generating", "answering held-out questions"})
"""What a job does once everything is loaded."""


@dataclass(frozen=True)
class Span:
    """A phase of the job: its name, and when it began and ended on the monotonic clock."""

    name: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


class TrialReporter(Reporter):
    """Passes on what the job is busy with, and ends it when enough has been seen.

    Args:
        run: the one that is tried, in a folder that nobody else looks at.
        tell: is told every phase; raises when the user asked to stop.
        watch: looks at the memory whenever the job goes on to another phase.
    """

    def __init__(self, run: Run, tell: Tell, watch: MemoryWatch) -> None:
        super().__init__(run)
        self._tell = tell
        self._watch = watch
        self._config: RunConfig = run.config()
        self._spans: list[Span] = []
        self._name, self._began = "loading", time.monotonic()

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        """Say what the job is busy with.

        Raises:
            TaskStopped: the user asked to stop.
        """
        self._enter(name)
        in_step = f"step {self.step + 1} of at most {self._config.train.steps}: {_WORDS.get(name, name)}"
        self._tell(in_step if name in _WORDS else name, done, total)
        super().phase(name, done, total)

    def state(self, state: State, step: int | None = None) -> None:
        """Write a change of state, which also ends the phase that was going on."""
        self._enter(state)
        super().state(state, step)

    def stop_requested(self) -> bool:
        """Whether enough has been seen: all prompts that had to be tried, in a first step that took long."""
        steps = self.spans("generating")
        tried = len(steps) * self._config.train.prompts_per_step
        return tried >= PROMPTS and time.monotonic() - steps[0].start > _LONG_SECONDS

    def spans(self, name: str) -> list[Span]:
        """Every time at which the job was busy with this and has gone on to something else."""
        return [span for span in self._spans if span.name == name]

    @property
    def loaded(self) -> float:
        """When everything had been loaded, on the monotonic clock; now, when it has not been yet."""
        started = [span.start for span in self._spans if span.name in _LOADED]
        return min(started, default=time.monotonic())

    def _enter(self, name: str) -> None:
        if name != self._name:
            self._watch.look()
            now = time.monotonic()
            self._spans.append(Span(self._name, self._began, now))
            self._name, self._began = name, now
