"""What the evidence pack tells of a training run: its settings, the history of its weights, its curves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.config import SAMPLE, RunConfig
from core.errors import StudioError
from core.paths import SAMPLE_DATA, Home
from core.runs.events import read_events
from core.runs.labels import read_label
from core.runs.results import RunResults, results_of
from core.runs.run import Run, find_run
from core.training.curves import opened

_POINTS = 300
"""Of a curve in the report; more are not told apart on paper."""


@dataclass(frozen=True)
class WeightChange:
    """Reward weights that were in force from a step on.

    Attributes:
        by: who asked for them, as the run has it.
        weights: by component.
    """

    step: int
    by: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class RunRecord:
    """One run as the report tells it.

    Attributes:
        title: what people call it; text from outside.
        state: how it ended, in a sentence.
        data_name: the data set or the file's name, without its folder.
        fingerprint: SHA-256 that names the content of the data; empty where the run has none.
        weights: in the order of their steps.
        curve: columns `step`, `reward`, `reward low`, `reward high`, `well_formed`, and `score <component>` for each
            of `components`, in at most a few hundred rows; empty before the first step.
    """

    id: str
    title: str
    state: str
    config: RunConfig
    data_name: str
    fingerprint: str
    weights: tuple[WeightChange, ...]
    results: RunResults
    components: tuple[str, ...]
    curve: pd.DataFrame

    @property
    def base_model(self) -> str:
        """The name of the model that was trained, without its folder."""
        return Path(self.config.model).name if Path(self.config.model).is_absolute() else self.config.model


@dataclass(frozen=True)
class MissingRun:
    """A run that cannot be told of.

    Attributes:
        reason: why, a sentence.
    """

    id: str
    reason: str


def run_records(home: Home, ids: Sequence[str]) -> tuple[RunRecord | MissingRun, ...]:
    """What is known of each run, in their order; a run that is gone or damaged is named with the reason."""
    return tuple(_record_or_reason(home, run_id) for run_id in dict.fromkeys(ids))


def _record_or_reason(home: Home, run_id: str) -> RunRecord | MissingRun:
    try:
        return _record(find_run(home, run_id))
    except StudioError as error:
        return MissingRun(run_id, str(error))


def _record(run: Run) -> RunRecord:
    config = run.config()
    with opened(run) as curves:
        components, last = curves.components, curves.last_step
        columns = ["reward", "well_formed", *(f"score {name}" for name in components)]
        curve = curves.frame(1, last, _POINTS, columns) if last else pd.DataFrame()
    return RunRecord(
        id=run.id,
        title=read_label(run).title or config.name or run.id,
        state=run.summary(),
        config=config,
        data_name=_data_name(config),
        fingerprint=_fingerprint(config),
        weights=_weights(run),
        results=results_of(run),
        components=components,
        curve=curve,
    )


def _data_name(config: RunConfig) -> str:
    if config.data.path == SAMPLE:
        return "the sample that comes with the studio"
    return config.data.prepared or Path(config.data.path).name


def _fingerprint(config: RunConfig) -> str:
    """As the run keeps it; that of the sample, which it does not keep, is taken of the file."""
    if config.data.path == SAMPLE:
        with SAMPLE_DATA.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return config.data.fingerprint


def _weights(run: Run) -> tuple[WeightChange, ...]:
    """The weights of each step at which they changed; a resume makes a change again, which counts once."""
    changes: dict[int, WeightChange] = {}
    for event in read_events(run.milestones):
        if event.kind == "weights":
            changes[event.step] = WeightChange(event.step, str(event.data.get("by", "")), event.data["weights"])
    return tuple(changes[step] for step in sorted(changes))
