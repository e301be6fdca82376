"""Trains the tiny policy in the test's own process, with completions that the test chooses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

from core.config import RunConfig
from core.engine.reporting import Reporter
from core.engine.trainer import SharedPromptTrainer
from core.engine.training import train
from core.paths import Home
from core.runs.events import Metrics
from core.runs.run import Run, create_run

GOOD = "<reasoning>Pain.</reasoning><answer>Give oxygen and adrenaline.</answer>"
SHORT = "<reasoning>Pain.</reasoning><answer>Oxygen.</answer>"
LOOSE = "Well: <answer>the the the the chest</answer>"
INVALID = "I do not know"
MIXED = (GOOD, SHORT, LOOSE, INVALID)
"""Completions that differ in every component and in being valid."""


def trained(home: Home, config: RunConfig) -> Run:
    """A run that has been trained to its end, or to where it stops."""
    run = create_run(home, config)
    train(run, home)
    return run


def write_completions_of(monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...]) -> None:
    """Have the policy write these texts in training, over and over, whatever it is asked."""
    written = cycle(texts)

    def write(self: Any, prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        self._progress.phase("generating", 0, self.max_completion_length)
        tokenizer = self._tokenizer
        return [[*tokenizer(next(written))["input_ids"], tokenizer.eos_token_id] for _ in prompt_ids], None

    monkeypatch.setattr(SharedPromptTrainer, "_generate_single_turn", write)


def after_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[Run], object]) -> None:
    """Do something to the run, as a user would, the moment a step has been recorded."""
    done = Reporter.step_done

    def record(self: Reporter, metrics: Metrics) -> None:
        done(self, metrics)
        if metrics.step == step:
            act(self._run)

    monkeypatch.setattr(Reporter, "step_done", record)
