"""The rows of a run's data that its policy reads: those it is trained on, and those it is only asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from datasets import Dataset

from core import datasets as rows_of
from core.config import RunConfig
from core.datasets import Row
from core.engine.policy import Policy
from core.engine.reporting import Reporter
from core.errors import DataError
from core.paths import Home
from core.training.fields import label

_LIMIT = "train.max_prompt_length"


@dataclass(frozen=True)
class RunRows:
    """What a run does with the rows of its data.

    Attributes:
        train: trained on.
        validation: asked every few steps, to choose the best checkpoint; none when the run does not validate.
        held_out: asked before and after training.
    """

    train: list[Row]
    validation: list[Row]
    held_out: list[Row]


def choose_rows(config: RunConfig, home: Home, policy: Policy, reporter: Reporter) -> RunRows:
    """The rows of a run, without those whose prompt is longer than the limit.

    Raises:
        DataError: the data cannot be read, or too few rows are left to train on.
    """
    fitting = _fitting(config, rows_of.read_rows(config.data, home), policy, reporter)
    train = rows_of.choose(
        [row for row in fitting if row.split == rows_of.TRAIN], config.train.train_rows, config.train.seed
    )
    if len(train) < config.train.prompts_per_step:
        raise DataError(
            f"{len(train)} row(s) are left to train on and a step needs {config.train.prompts_per_step}. Raise "
            f"{label(_LIMIT)} from {config.train.max_prompt_length} tokens if prompts are longer, add rows, or use "
            "fewer prompts a step."
        )
    held_out = rows_of.choose(rows_of.held_out_rows(fitting), config.train.held_out_rows, 0)
    return RunRows(train, _validation(config, fitting, reporter), held_out)


def _fitting(config: RunConfig, rows: list[Row], policy: Policy, reporter: Reporter) -> list[Row]:
    limit = config.train.max_prompt_length
    fitting = [
        row for row in rows if len(policy.prompt_token_ids(policy.conversation(config.prompt, row.question))) <= limit
    ]
    if len(fitting) < len(rows):
        reporter.event(
            "alert",
            message=f"{len(rows) - len(fitting)} of {len(rows)} rows are left out: their prompt is longer than "
            f"{limit} tokens. Raise {label(_LIMIT)} to use them.",
        )
    return fitting


def _validation(config: RunConfig, rows: list[Row], reporter: Reporter) -> list[Row]:
    if not (config.train.validate_every and config.train.validation_rows):
        return []
    there = [row for row in rows if row.split == rows_of.VALIDATION]
    if not there:
        reporter.event(
            "alert",
            message="The data has no validation split, so nothing is validated while training goes on and no best "
            "checkpoint is chosen. Split the data again on the Data page with a share for validation.",
        )
    return rows_of.choose(there, config.train.validation_rows, 0)


def prompt_dataset(config: RunConfig, policy: Policy, rows: Sequence[Row]) -> Dataset:
    """What TRL trains on: the prompt as messages, and beside it what the reward needs.

    Raises:
        DataError: a row is held out.
    """
    rows_of.refuse_held_out(rows)
    return Dataset.from_list(
        [
            {
                "prompt": policy.conversation(config.prompt, row.question),
                "question": row.question,
                "reference": row.answer,
                "group": str(row.number),
                "columns": json.dumps(dict(row.carried)),  # one text: a column may be named as one of these
            }
            for row in rows
        ]
    )
