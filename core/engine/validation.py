"""Asks the policy questions that it is not trained on: before and after training, and every few steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.config import RunConfig
from core.datasets import Row
from core.engine.agreement import by_first, count, from_all, is_first, number
from core.engine.policy import Policy
from core.engine.reporting import Reporter, write_completions
from core.engine.trainer import RunTrainer
from core.prompts import conversation_text, whole_completion
from core.reward.formula import combine, fill_missing
from core.reward.scoring import Sample, Scorer, Scores
from core.runs.completions import BEFORE
from core.runs.events import Validation, read_events
from core.runs.run import Run
from core.training.best import Best, keep_best, read_best
from core.training.coach_reader import Milestones

HELD_OUT_PHASE = "answering held-out questions"
CPU_BATCH, GPU_BATCH = 8, 64
"""Questions that are answered side by side."""


@dataclass(frozen=True)
class Examiner:
    """Has a run's policy answer questions, and keeps the answers with their scores."""

    run: Run
    config: RunConfig
    policy: Policy
    scorer: Scorer
    trainer: RunTrainer
    reporter: Reporter

    def examine(self, rows: Sequence[Row], file: str, phase: str) -> Scores | None:
        """Answer the questions of `rows` the way completions are sampled in training.

        The same random numbers are used every time, and training's own are left as they were.

        Args:
            file: name of the file in the run's `completions/` that keeps the answers.
            phase: what the status says meanwhile.

        Returns:
            The scores of the answers; None when there is no question.

        Raises:
            Stopped: the user asked the job to stop; nothing is kept.
        """
        if not rows:
            return None
        size = CPU_BATCH if self.trainer.accelerator.device.type == "cpu" else GPU_BATCH
        samples: list[Sample] = []
        for start in range(0, len(rows), size * count()):
            by_first(self.reporter.stop_if_asked)
            self.reporter.phase(phase, start, len(rows))
            samples += self._answers_together(rows[start : start + size * count()], self.config.train.seed + start)
        self.reporter.phase(phase, len(rows), len(rows))
        return by_first(lambda: self._kept(samples, file))

    def _kept(self, samples: Sequence[Sample], file: str) -> Scores:
        scores = self.scorer.score(samples)
        write_completions(self.run.completions / file, self.reporter.step, samples, scores)
        return scores

    def _answers_together(self, rows: Sequence[Row], seed: int) -> list[Sample]:
        """The answers to `rows`, of which every training process writes an equal share.

        Where they do not divide evenly, the last question is answered again, since processes that share a model have
        to run it equally often.
        """
        share = -(-len(rows) // count())
        mine = [rows[min(place, len(rows) - 1)] for place in range(number() * share, (number() + 1) * share)]
        parts = from_all(self._answers(mine, seed + number() * share))
        return [sample for part in parts for sample in part][: len(rows)]

    def _answers(self, rows: Sequence[Row], seed: int) -> list[Sample]:
        prompts = [self.policy.conversation(self.config.prompt, row.question) for row in rows]
        written = self.trainer.answer([self.policy.prompt_token_ids(prompt) for prompt in prompts], seed)
        texts = self.policy.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [
            Sample(
                question=row.question,
                reference=row.answer,
                completion=whole_completion(prompt, text),
                group=str(row.number),
                prompt=conversation_text(prompt),
                columns=row.carried,
            )
            for row, text, prompt in zip(rows, texts, prompts, strict=True)
        ]


class FirstAnswers(TrainerCallback):  # type: ignore[misc]
    """Has the policy answer the held-out questions as it was before training, once in a run's life."""

    def __init__(self, examiner: Examiner, rows: Sequence[Row]) -> None:
        self._examiner = examiner
        self._rows = rows

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.ask()

    def ask(self) -> None:
        """Answer them now, unless they have been answered.

        Raises:
            Stopped: as `Examiner.examine`.
        """
        if not by_first((self._examiner.run.completions / BEFORE).exists):
            with self._examiner.trainer.model.disable_adapter():
                self._examiner.examine(self._rows, BEFORE, HELD_OUT_PHASE)


class Validator:
    """Validates every few steps and after the last one, and keeps the adapter that did best.

    Args:
        rows: the validation questions; without any, no step is validated.
    """

    def __init__(self, examiner: Examiner, rows: Sequence[Row]) -> None:
        self._examiner = examiner
        self._rows = rows
        self._train = examiner.config.train

    def due(self, step: int) -> bool:
        """Whether the policy is to be validated after this step."""
        every = self._train.validate_every
        return bool(self._rows) and every > 0 and (step % every == 0 or step == self._train.steps)

    def catch_up(self, step: int) -> None:
        """Validate now if the step from which a run goes on lacks its validation: it was stopped while it validated.

        Raises:
            Stopped: as `validate`.
        """
        if step > 0 and self.due(step) and by_first(lambda: not self._validated(step)):
            self.validate(step)

    def _validated(self, step: int) -> bool:
        told = read_events(self._examiner.run.milestones)
        return any(found.step == step for found in Milestones(told).validations)

    def validate(self, step: int) -> None:
        """Answer the validation questions after a step, record how it went, and keep the adapter if it is the best.

        Raises:
            Stopped: the user asked the job to stop meanwhile; nothing is kept.
        """
        file = f"validation-{step:06d}.parquet"
        scores = self._examiner.examine(self._rows, file, "answering validation questions")
        assert scores is not None
        found = Validation(
            step=step,
            rows=len(self._rows),
            reward=float(scores.rewards.mean()),
            well_formed=float(scores.well_formed.mean()),
            components=scores.means(),
            file=file,
        )
        self._examiner.reporter.event("validation", **found.data())
        self._keep_if_best(Best(step, self._first_reward(scores), found.well_formed))

    def _first_reward(self, scores: Scores) -> float:
        """Mean reward under the weights that the run started with, so that moving one does not move the yardstick."""
        reward = self._examiner.config.reward
        components = fill_missing(scores.components, np.arange(len(scores.valid)))
        return float(combine(components, reward.weight_vector, scores.valid, reward.invalid_reward).mean())

    def _keep_if_best(self, found: Best) -> None:
        run, trainer = self._examiner.run, self._examiner.trainer
        before = by_first(lambda: read_best(run))
        if before is not None and found.reward <= before.reward:
            return
        if is_first():
            keep_best(run, found, lambda folder: trainer.save_model(str(folder)))
        else:  # only the first writes; where each holds a part of the model, it needs the others' parts
            trainer.save_model(str(run.best))
