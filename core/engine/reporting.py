"""Tells the run directory what a training job does: status, events, completions."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.jobs.folder import State
from core.reward.scoring import Sample, Scores
from core.runs.completions import step_file
from core.runs.events import EventWriter, Kind, Metrics
from core.runs.run import Run
from core.text import duration
from core.training.control import pause_request
from core.training.curves import CurveWriter, open_writers
from core.training.groups import GroupWriter

_STATUS_SECONDS = 0.5
"""How often the status is written at most while a phase goes on."""
_QUICK_SECONDS = 1.0
"""Steps that take less are over before anybody reads what they are busy with."""
_RECENT_STEPS = 5
"""Steps over which the time left is reckoned."""

SECONDS_OF = {"generating": "generate_seconds", "scoring": "score_seconds", "updating": "update_seconds"}


class Stopped(Exception):
    """The user asked the job to stop while it did something that is not worth finishing."""


class Reporter:
    """The one writer of a run's status, events and completions."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._events = EventWriter(run.events)
        self._status = replace(run.written_status(), phase="")  # the worker has said "loading" already
        self._written = 0.0
        self._open_phase = ""
        self._phase_started = time.perf_counter()
        self._seconds: dict[str, float] = {}
        self._recent: deque[float] = deque(maxlen=_RECENT_STEPS)
        self._weights: dict[str, float] = {}
        self._writers: tuple[CurveWriter, GroupWriter] | None = None

    @property
    def step(self) -> int:
        return self._status.step

    def stop_requested(self) -> bool:
        return self._run.stop_request.exists()

    def stop_if_asked(self) -> None:
        """Break off here when the user asked the job to stop.

        Raises:
            Stopped: they did.
        """
        if self.stop_requested():
            raise Stopped

    def pause_requested(self) -> bool:
        return pause_request(self._run).exists()

    @property
    def doing(self) -> str:
        """The phase that is going on."""
        return self._status.phase

    @property
    def dtype(self) -> str:
        """The name of the number format that the run has used so far; empty at its first start."""
        return self._status.dtype

    def computes_in(self, dtype: str) -> None:
        """Remember the number format, so that a resume goes on in the same one."""
        self._status = replace(self._status, dtype=dtype)

    def begin(self, step: int) -> None:
        """Say that the job works and goes on after `step`; what was recorded of later steps is left behind."""
        self._writers = open_writers(self._run, self._run.config().reward.components, step)
        self.state("running", step)

    def event(self, kind: Kind, **data: Any) -> None:
        self._events.write(kind, self._status.step, data)

    def weights(self, weights: Mapping[str, float], by: str, step: int) -> None:
        """Record the reward weights that are in force from a step on; `by` is `start` or `user`."""
        self._weights = dict(weights)
        self._events.write("weights", step, {"weights": self._weights, "by": by})

    def state(self, state: State, step: int | None = None) -> None:
        """Write a change of state, at once."""
        step = self._status.step if step is None else step
        self._status = replace(self._status, state=state, step=step, eta_seconds=None)
        self.event("state", state=state)
        self.write_status(sync=True)
        print(f"The run is {state} at step {step}.")

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        """Say what the job is busy with: an event when that changes, the status then and every half second.

        While steps are quick, their parts reach the status every half second only: a writing costs a millisecond.
        """
        changed = name != self._status.phase
        self._status = replace(self._status, phase=name, done=done, total=total)
        if name != self._open_phase:
            self._close_phase()
            self._open_phase = name
        if changed:
            self.event("phase", name=name, done=done, total=total)
        at_once = changed and not (self._quick and name in SECONDS_OF)
        if at_once or time.monotonic() - self._written > _STATUS_SECONDS:
            self.write_status()

    @property
    def _quick(self) -> bool:
        return bool(self._recent) and sum(self._recent) / len(self._recent) < _QUICK_SECONDS

    def _close_phase(self) -> None:
        now = time.perf_counter()
        self._seconds[self._open_phase] = self._seconds.get(self._open_phase, 0.0) + now - self._phase_started
        self._phase_started = now

    def take_seconds(self) -> dict[str, float]:
        """Seconds spent in each phase since the last call; what is done until the next phase counts for none."""
        self._close_phase()
        self._open_phase = ""
        taken, self._seconds = self._seconds, {}
        return {field: round(taken.get(name, 0.0), 4) for name, field in SECONDS_OF.items()}

    def step_done(self, metrics: Metrics) -> None:
        """Record a finished training step."""
        self._recent.append(metrics.step_seconds)
        left = self._status.steps - metrics.step
        self._status = replace(
            self._status,
            step=metrics.step,
            eta_seconds=round(left * sum(self._recent) / len(self._recent), 1),
            trained_seconds=round(self._status.trained_seconds + metrics.step_seconds, 3),
        )
        self.event("metrics", **metrics.data())
        if self._writers is not None:
            self._writers[0].append(metrics, self._weights)
        self.write_status()
        print(
            f"Step {metrics.step} of {self._status.steps}: reward {metrics.reward:+.3f}, "
            f"well-formed {metrics.well_formed:.0%}, {metrics.step_seconds:.1f} s, "
            f"{duration(self._status.eta_seconds)} left."
        )

    def step_completions(self, step: int, samples: Sequence[Sample], scores: Scores) -> None:
        """Keep every completion of a step with its scores, and name the best and the worst of them."""
        file = step_file(self._run, step)
        write_completions(file, step, samples, scores)
        if self._writers is not None:
            self._writers[1].append(step, [sample.group for sample in samples], scores.rewards)
        best, worst = int(scores.rewards.argmax()), int(scores.rewards.argmin())
        self._events.write(
            "sample",
            step,
            {
                "file": file.name,
                **{
                    name: {
                        "question": samples[row].question,
                        "completion": samples[row].completion,
                        "reward": float(scores.rewards[row]),
                    }
                    for name, row in (("best", best), ("worst", worst))
                },
            },
        )

    def close(self) -> None:
        self._events.close()
        for writer in self._writers or ():
            writer.close()

    def write_status(self, sync: bool = False) -> None:
        """Write the status as it is known now; `sync` waits until it is on the disk, for changes of state."""
        self._written = time.monotonic()
        self._status = replace(self._status, updated=round(time.time(), 3))
        self._run.write_status(self._status, sync)


def write_completions(file: Path, step: int, samples: Sequence[Sample], scores: Scores) -> None:
    """Write completions and their scores as one parquet file, whole or not at all.

    Columns: step, group, question, reference, completion, prompt, columns (the further columns of the row, as JSON),
    tokens, reward, advantage, valid, well_formed, and one for each reward component.
    """
    columns: dict[str, Any] = {
        "step": [step] * len(samples),
        "group": [sample.group for sample in samples],
        "question": [sample.question for sample in samples],
        "reference": [sample.reference for sample in samples],
        "completion": [sample.completion for sample in samples],
        "prompt": [sample.prompt for sample in samples],
        "columns": [json.dumps(dict(sample.columns), ensure_ascii=False) for sample in samples],
        "tokens": [sample.tokens for sample in samples],
        "reward": scores.rewards,
        "advantage": scores.advantages,
        "valid": scores.valid,
        "well_formed": scores.well_formed,
    }
    columns |= {name: scores.components[:, index] for index, name in enumerate(scores.names)}
    part = file.with_suffix(".part")
    pq.write_table(pa.table(columns), part)
    part.replace(file)
