"""What came of a run in a few numbers, to be compared with other runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.runs.completions import held_out
from core.runs.lines import COMPARED_STEPS
from core.runs.run import Run
from core.training.best import read_best
from core.training.curves import opened


@dataclass(frozen=True)
class RunResults:
    """What came of a run; None where it is not known.

    Attributes:
        run: its id.
        steps: training steps done.
        reward: mean reward of the last ten steps, or of as many as there are.
        well_formed: share of the completions of those steps.
        validation: mean reward on the validation questions at the best step.
        validation_step: which step that was.
        held_out_before, held_out_after: mean reward on the held-out questions before and after training.
        seconds: time spent in training steps.
        tokens: length of all completions together.
    """

    run: str
    steps: int
    reward: float | None
    well_formed: float | None
    validation: float | None
    validation_step: int | None
    held_out_before: float | None
    held_out_after: float | None
    seconds: float
    tokens: float | None


def results_of(run: Run) -> RunResults:
    """The numbers of a run as they are now.

    Raises:
        ConfigError: its settings cannot be read.
    """
    completions = run.config().train.completions_per_step
    with opened(run) as curves:
        steps = curves.last_step
        last = curves.metrics(steps - COMPARED_STEPS + 1, steps) if steps else []
        length = curves.frame(1, steps, 1, ["completion_tokens"])["completion_tokens"] if steps else ()
    best, answers = read_best(run), held_out(run)
    after = [answer.after.reward for answer in answers if answer.after is not None]
    tokens = sum(length) / len(length) * steps * completions if len(length) else None
    return RunResults(
        run=run.id,
        steps=steps,
        reward=_mean([metrics.reward for metrics in last]),
        well_formed=_mean([metrics.well_formed for metrics in last]),
        validation=best.reward if best else None,
        validation_step=best.step if best else None,
        held_out_before=_mean([answer.before.reward for answer in answers]),
        held_out_after=_mean(after),
        seconds=run.status().trained_seconds,
        tokens=tokens,
    )


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else None
