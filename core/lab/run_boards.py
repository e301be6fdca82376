"""The completions of a run's training steps, as boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.config import RewardConfig
from core.errors import DataError
from core.lab.board import Board, column, in_groups
from core.lab.measuring import light_board, with_measures, with_other_fluencies
from core.reward.scoring import Sample
from core.runs.completions import Completion, kept_steps, read_completions, step_file
from core.runs.run import Run


def run_board(run: Run, step: str) -> Board:
    """The completions of a training step, with the scores they had then.

    Raises:
        DataError: the run has kept none of that step.
    """
    found = read_completions(step_file(run, int(step))) if step.isdecimal() else []
    if not found:
        steps = kept_steps(run)
        known = f"it has those of the steps {steps[0]} to {steps[-1]}" if steps else "it has none yet"
        raise DataError(f"{run.id} has kept no completions of step {step!r}; {known}.")
    config = run.config()
    samples = [
        Sample(item.question, item.reference, item.completion, item.group, item.prompt, item.columns) for item in found
    ]
    order = in_groups(samples)
    found, samples = [found[row] for row in order], [samples[row] for row in order]
    board = light_board(f"{run.id}, step {step}", samples, tags=config.prompt.tags)
    return _with_logged(board, found, config.reward)


def _with_logged(board: Board, found: Sequence[Completion], config: RewardConfig) -> Board:
    """The board with what the run wrote of each completion, such as validity, which older runs keep no prompt for."""
    logged = [name for name in config.components if all(name in item.components for item in found)]
    measures = {column(name, config): np.array([item.components[name] for item in found]) for name in logged}
    valid, well_formed = np.array([(item.valid, item.well_formed) for item in found], dtype=bool).T
    board = replace(board, valid=valid, well_formed=well_formed)
    return with_other_fluencies(with_measures(board, measures), config)
