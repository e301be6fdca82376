"""Reads the completions a run has kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.runs import Run

BEFORE, AFTER = "held-out-before.parquet", "held-out-after.parquet"


@dataclass(frozen=True)
class Completion:
    """One completion of a run with its scores."""

    step: int
    group: str
    question: str
    reference: str
    completion: str
    reward: float
    advantage: float
    valid: bool
    well_formed: bool
    components: Mapping[str, float]
    """The score of each reward component, unweighted; NaN where a component had no opinion."""


@dataclass(frozen=True)
class HeldOut:
    """A test question answered by the policy before training, and after when the run has finished."""

    question: str
    reference: str
    before: Completion
    after: Completion | None


def read_completions(file: Path) -> list[Completion]:
    """The completions in one of a run's parquet files; none when it is not there yet."""
    if not file.exists():
        return []
    return [_completion(record) for record in pq.read_table(file).to_pylist()]


_FIXED = frozenset(field.name for field in fields(Completion)) - {"components"}


def _completion(record: dict[str, Any]) -> Completion:
    """Whatever is not a column of every run is the score of a component."""
    fixed = {name: value for name, value in record.items() if name in _FIXED}
    scores = {name: math.nan if value is None else value for name, value in record.items() if name not in _FIXED}
    return Completion(**fixed, components=scores)


def step_file(run: Run, step: int) -> Path:
    """Where the completions of a training step lie."""
    return run.completions / f"step-{step:06d}.parquet"


def held_out(run: Run) -> list[HeldOut]:
    """The run's held-out questions with the answers before and after training, in the order they were asked."""
    after = {answer.group: answer for answer in read_completions(run.completions / AFTER)}
    return [
        HeldOut(before.question, before.reference, before, after.get(before.group))
        for before in read_completions(run.completions / BEFORE)
    ]


def summarise(answers: list[HeldOut]) -> list[str]:
    """What changed on the held-out questions, one sentence for each measure."""
    done = [(answer.before, answer.after) for answer in answers if answer.after is not None]
    if not done:
        return []
    lines = [f"{len(done)} held-out questions, before and after training:"]
    for name, before, after in (
        ("mean reward", [b.reward for b, _ in done], [a.reward for _, a in done]),
        ("well-formed", [float(b.well_formed) for b, _ in done], [float(a.well_formed) for _, a in done]),
        *(
            (name, [before.components[name] for before, _ in done], [after.components[name] for _, after in done])
            for name in done[0][0].components
        ),
    ):
        lines.append(f"  {name}: {sum(before) / len(done):.2f} -> {sum(after) / len(done):.2f}")
    return lines
