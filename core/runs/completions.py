"""Reads the completions a run has kept."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import ConfigError, RunError
from core.runs.run import Run

_LOOK_BACK = 100
"""How many of the newest steps that wrote completions may have lost their completions."""
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
    prompt: str = ""
    """The whole text the model was given; empty in the files of older runs."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Further columns of the row, for custom rewards; none in the files of older runs."""
    tokens: int = 0
    """Its length in tokens of the policy; 0 where it was not kept, as in the files of older runs."""


@dataclass(frozen=True)
class HeldOut:
    """A test question answered by the policy before training, and after when the run has finished."""

    question: str
    reference: str
    before: Completion
    after: Completion | None


def read_completions(file: Path) -> list[Completion]:
    """The completions in one of a run's parquet files; none when it is not there yet.

    Raises:
        RunError: the file is damaged.
    """
    try:
        return [_completion(record) for record in pq.read_table(file).to_pylist()]
    except FileNotFoundError:
        return []
    except (pa.ArrowException, OSError, ValueError, TypeError, RecursionError) as error:
        run = file.parent.parent.name
        raise RunError(
            f"The completions in {file.name} of {run} cannot be read: the file is damaged. Bring it back from a "
            "backup, or remove it; the run's other steps are not touched by that."
        ) from error


_FIXED = frozenset(column.name for column in fields(Completion)) - {"components"}


def _completion(record: dict[str, Any]) -> Completion:
    """Whatever is not a column of every run is the score of a component."""
    fixed = {name: value for name, value in record.items() if name in _FIXED}
    scores = {name: math.nan if value is None else value for name, value in record.items() if name not in _FIXED}
    fixed["columns"] = json.loads(fixed.get("columns", "{}"))
    return Completion(**fixed, components=scores)


def step_file(run: Run, step: int) -> Path:
    """Where the completions of a training step lie."""
    return run.completions / f"step-{step:06d}.parquet"


def kept_steps(run: Run) -> range:
    """The training steps whose completions a run has kept, found without listing a folder of perhaps a million files.

    They follow each other: a job keeps those of every step that has written some, which is each `num_iterations`th, and
    only the oldest may have been removed since. Those of steps that a resumed run has left behind do not count.
    """
    written = range(1, run.written_status().step + 1, _steps_between(run))
    newest = next((at for at in reversed(range(len(written))[-_LOOK_BACK:]) if _kept(run, written[at])), -1)
    found = written[: newest + 1]
    return found[bisect_left(found, True, key=lambda step: _kept(run, step)) :]


def _kept(run: Run, step: int) -> bool:
    return step_file(run, step).exists()


def _steps_between(run: Run) -> int:
    """From one step that writes completions to the next; the steps between learn again from the same ones."""
    try:
        return run.config().train.num_iterations
    except ConfigError:
        return 1


def held_out(run: Run) -> list[HeldOut]:
    """The run's held-out questions with the answers before and after training, in the order they were asked."""
    after = {answer.group: answer for answer in read_completions(run.completions / AFTER)}
    return [
        HeldOut(before.question, before.reference, before, after.get(before.group))
        for before in read_completions(run.completions / BEFORE)
    ]


def summarise(answers: list[HeldOut]) -> list[str]:
    """What changed on the held-out questions, one sentence for each measure.

    A component counts on the questions on which it had an opinion both before and after.
    """
    done = [(answer.before, answer.after) for answer in answers if answer.after is not None]
    if not done:
        return []
    return [
        f"{len(done)} held-out questions, before and after training:",
        _change("mean reward", [(before.reward, after.reward) for before, after in done]),
        _change("well-formed", [(float(before.well_formed), float(after.well_formed)) for before, after in done]),
        *(
            _change(name, [(before.components[name], after.components[name]) for before, after in done])
            for name in done[0][0].components
        ),
    ]


def _change(name: str, values: list[tuple[float, float]]) -> str:
    """One line: the means before and after, over the questions where both are known."""
    known = [pair for pair in values if not any(map(math.isnan, pair))]
    if not known:
        return f"  {name}: no opinion"
    before, after = (sum(side) / len(known) for side in zip(*known, strict=True))
    some = f" (on {len(known)} of them)" if len(known) < len(values) else ""
    return f"  {name}: {before:.2f} -> {after:.2f}{some}"
