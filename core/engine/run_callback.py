"""Carries what the trainer does into the run directory, and what the user asks for into the trainer."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.config import RunConfig
from core.engine.agreement import by_first
from core.engine.group_reward import GroupReward, ScoredStep
from core.engine.reporting import Reporter, Stopped
from core.engine.step_metrics import step_metrics
from core.engine.validation import Validator
from core.errors import Diverged

_POLL_SECONDS = 0.2


class RunCallback(TrainerCallback):  # type: ignore[misc]
    """What happens at the end of a step, in the trainer's order: the log, the checkpoint.

    A run that goes on from a checkpoint writes new completions. So where `num_iterations` steps learn from the same
    ones, a stop or a pause waits until the last of these steps is done, or the run would become another one.

    Args:
        validator: validates the policy between the log and the checkpoint, so that a run that goes on from the
            checkpoint lacks nothing.
    """

    def __init__(
        self, reporter: Reporter, reward: GroupReward, config: RunConfig, validator: Validator | None = None
    ) -> None:
        self._reporter = reporter
        self._reward = reward
        self._config = config
        self._validator = validator
        self._logs: dict[str, float | None] = {}
        self._recorded: ScoredStep | None = None
        self._whole: ScoredStep | None = None
        self._told = False

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._validator is not None:
            self._validator.catch_up(state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float | None] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "learning_rate" not in logs or self._reward.last is None:  # TRL's closing summary
            return
        self._record(state.global_step, logs, self._reward.last)
        state.log_history.clear()  # the run keeps it all; in every checkpoint again, it would grow without end
        self._refuse_broken(state.global_step, logs)
        if self._validator is not None and self._validator.due(state.global_step):
            with suppress(Stopped):
                self._validator.validate(state.global_step)
        used_up = state.global_step % self._config.train.num_iterations == 0
        if used_up and by_first(self._reporter.stop_requested):
            control.should_training_stop = True
        if control.should_training_stop or (used_up and by_first(self._reporter.pause_requested)):
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        self._reporter.event("checkpoint", path=f"checkpoints/checkpoint-{state.global_step}")
        if by_first(self._waits):
            self._wait()
        if by_first(self._reporter.stop_requested):
            control.should_training_stop = True
        return control

    def _record(self, step: int, logs: dict[str, float | None], scored: ScoredStep) -> None:
        self._logs |= logs  # a step that learns once more from completions logs nothing of them
        fresh = scored is not self._recorded
        if fresh or self._whole is None:
            self._whole, self._recorded = self._reward.whole(scored), scored
        metrics = step_metrics(step, self._logs, self._whole, self._reporter.take_seconds())
        if fresh:
            self._reporter.step_completions(step, self._whole.samples, self._whole.scores)
        self._reporter.step_done(metrics)
        if self._whole.notes and not self._told:  # at once, and with the final numbers at the end
            self._told = True
            for note in self._whole.notes:
                self._reporter.event("alert", message=note)

    def _refuse_broken(self, step: int, logs: dict[str, float | None]) -> None:
        """End the run before weights that are no numbers any more are saved over good ones.

        Raises:
            Diverged: the loss or the gradient is not finite.
        """
        found = {name: logs[name] for name in ("loss", "grad_norm") if name in logs}
        if all(value is not None and math.isfinite(value) for value in found.values()):
            return
        raise Diverged(
            f"Training broke down at step {step}: the loss or its gradient is no longer a number. The checkpoints from "
            "before are kept and nothing was saved over them. Clone the run with a lower learning rate "
            f"(train.learning_rate is {self._config.train.learning_rate:g}) or a smaller train.max_grad_norm."
        )

    def _wait(self) -> None:
        """Wait, models in memory, until the user lets the run go on or asks it to stop."""
        self._reporter.state("paused")
        while by_first(self._waits):
            time.sleep(_POLL_SECONDS)
        if not by_first(self._reporter.stop_requested):
            self._reporter.state("running")

    def _waits(self) -> bool:
        """Whether the user wants the run to wait; only the first process looks."""
        return self._reporter.pause_requested() and not self._reporter.stop_requested()
