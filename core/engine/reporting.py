"""Tells the run directory what a training job does: status, events, completions."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.completions import step_file
from core.events import EventWriter, Kind, Metrics
from core.job_folder import State
from core.reward.scoring import Sample, Scores
from core.runs import Run
from core.text import duration

_STATUS_SECONDS = 0.5
"""How often the status is written at most while a phase goes on."""
_RECENT_STEPS = 5
"""Steps over which the time left is reckoned."""

SECONDS_OF = {"generating": "generate_seconds", "scoring": "score_seconds", "updating": "update_seconds"}


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

    @property
    def step(self) -> int:
        return self._status.step

    def stop_requested(self) -> bool:
        return self._run.stop_request.exists()

    def event(self, kind: Kind, **data: Any) -> None:
        self._events.write(kind, self._status.step, data)

    def state(self, state: State, step: int | None = None) -> None:
        """Write a change of state, at once."""
        step = self._status.step if step is None else step
        self._status = replace(self._status, state=state, step=step, eta_seconds=None)
        self.event("state", state=state)
        self.write_status()
        print(f"The run is {state} at step {step}.")

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        """Say what the job is busy with; an event when that changes, the status a few times a second at most."""
        changed = name != self._status.phase
        self._status = replace(self._status, phase=name, done=done, total=total)
        if changed:
            self._close_phase()
            self._open_phase = name
            self.event("phase", name=name, done=done, total=total)
        if changed or time.monotonic() - self._written > _STATUS_SECONDS:
            self.write_status()

    def _close_phase(self) -> None:
        now = time.perf_counter()
        self._seconds[self._open_phase] = self._seconds.get(self._open_phase, 0.0) + now - self._phase_started
        self._phase_started = now

    def take_seconds(self) -> dict[str, float]:
        """Seconds spent in each phase since the last call, the phase that is going on included."""
        self._close_phase()
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

    def write_status(self) -> None:
        """Write the status as it is known now."""
        self._written = time.monotonic()
        self._status = replace(self._status, updated=round(time.time(), 3))
        self._run.write_status(self._status)


def write_completions(file: Path, step: int, samples: Sequence[Sample], scores: Scores) -> None:
    """Write completions and their scores as one parquet file, whole or not at all.

    Columns: step, group, question, reference, completion, prompt, columns (the further columns of the row, as JSON),
    reward, advantage, valid, well_formed, and one for each reward component.
    """
    columns: dict[str, Any] = {
        "step": [step] * len(samples),
        "group": [sample.group for sample in samples],
        "question": [sample.question for sample in samples],
        "reference": [sample.reference for sample in samples],
        "completion": [sample.completion for sample in samples],
        "prompt": [sample.prompt for sample in samples],
        "columns": [json.dumps(dict(sample.columns), ensure_ascii=False) for sample in samples],
        "reward": scores.rewards,
        "advantage": scores.advantages,
        "valid": scores.valid,
        "well_formed": scores.well_formed,
    }
    columns |= {name: scores.components[:, index] for index, name in enumerate(scores.names)}
    part = file.with_suffix(".part")
    pq.write_table(pa.table(columns), part)
    part.replace(file)
