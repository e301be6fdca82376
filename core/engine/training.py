"""One training job, from the run's configuration to its adapter."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from core import datasets as rows_of
from core.completions import AFTER, BEFORE
from core.config import RunConfig
from core.datasets import Row
from core.engine.checkpoints import checkpoint_step, last_whole_checkpoint
from core.engine.device import choose_compute
from core.engine.generation import Sampling, generate
from core.engine.grpo import GroupTrainer, grpo_config, lora_config
from core.engine.policy import Policy, load_policy
from core.engine.reporting import Reporter, write_completions
from core.engine.scorers import opened_scorer
from core.errors import ConfigError, DataError
from core.events import Metrics
from core.lab.stress import run_warning
from core.paths import Home
from core.prompts import conversation_text
from core.reward.formula import VALIDITY
from core.reward.scoring import Sample, Scorer, Scores
from core.runs import Run

HELD_OUT_BATCH = 8


class Stopped(Exception):
    """The user asked the job to stop while it was getting ready."""


def train(run: Run, home: Home) -> None:
    """Do what the run's configuration asks, going on from its last whole checkpoint when there is one.

    Raises:
        StudioError: something the user can mend; the run is then marked as failed by the worker.
    """
    reporter = Reporter(run)
    try:
        with ExitStack() as opened:
            _train(run, home, reporter, opened)
    except Stopped:
        reporter.state("stopped")
    finally:
        reporter.close()


def _train(run: Run, home: Home, reporter: Reporter, opened: ExitStack) -> None:
    config = run.config()
    checkpoint, faults = last_whole_checkpoint(run)
    reporter.state("running", step=0 if checkpoint is None else checkpoint_step(checkpoint))
    for fault in faults:
        reporter.event("alert", message=fault)
    reporter.phase("loading")
    set_seed(config.train.seed)
    compute = choose_compute()
    print(f"Computing on {compute.device} in {compute.dtype} with {compute.threads} threads.")
    policy = load_policy(config.model, home, compute)
    scorer = opened.enter_context(opened_scorer(config.reward, config.prompt.tags, home, run))
    if checkpoint is None:
        _tell_what_slips_through(run, scorer, reporter)
    train_rows, held_out = _rows(config, home, policy, reporter)
    reward = GroupReward(scorer, config)
    trainer = GroupTrainer(
        model=policy.model,
        reward_funcs=reward,
        args=grpo_config(config, compute, run.checkpoints),
        train_dataset=prompt_dataset(config, policy, train_rows),
        processing_class=policy.tokenizer,
        peft_config=_adapter_config(config, policy.model),
        callbacks=[RunCallback(reporter, reward, config)],
        progress=reporter,
    )
    trainer.remove_callback(PrinterCallback)  # the reporter writes a line that people can read
    if not (run.completions / BEFORE).exists():
        with trainer.model.disable_adapter():
            _answer_held_out(run, BEFORE, trainer.model, policy, scorer, config, held_out, reporter)
    reporter.event("weights", weights=config.reward.weights)
    _stop_if_asked(reporter)
    if reporter.step >= config.train.steps:  # only the questions after training were left
        trainer.model.load_adapter(str(checkpoint), "default")
    else:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    trainer.save_model(str(run.adapter))
    stopped = reporter.step < config.train.steps
    if not stopped:
        _answer_held_out(run, AFTER, trainer.model, policy, scorer, config, held_out, reporter)
    for note in scorer.notes():
        reporter.event("alert", message=note)
    reporter.state("stopped" if stopped else "finished")


def _tell_what_slips_through(run: Run, scorer: Scorer, reporter: Reporter) -> None:
    """Put the warning of the stress set into the run's record, where there is one."""

    def tell(phase: str, done: int = 0, total: int = 0) -> None:
        _stop_if_asked(reporter)
        reporter.phase("trying the reward on the stress set", done, total)

    said = run_warning(scorer, run.config_file, tell)
    if said:
        reporter.event("alert", message=said)


def _rows(config: RunConfig, home: Home, policy: Policy, reporter: Reporter) -> tuple[list[Row], list[Row]]:
    """Rows to train on and held-out ones, without those whose prompt is longer than the limit."""
    rows = rows_of.read_rows(config.data, home)
    limit = config.train.max_prompt_length
    fitting = [
        row for row in rows if len(policy.prompt_token_ids(policy.conversation(config.prompt, row.question))) <= limit
    ]
    if len(fitting) < len(rows):
        reporter.event(
            "alert",
            message=f"{len(rows) - len(fitting)} of {len(rows)} rows are left out: their prompt is longer than "
            f"{limit} tokens. Raise max_prompt_length to use them.",
        )
    train_rows = [row for row in fitting if row.split == rows_of.TRAIN]
    chosen = rows_of.choose(train_rows, config.train.train_rows, config.train.seed)
    if len(chosen) < config.train.prompts_per_step:
        raise DataError(
            f"{len(chosen)} row(s) are left to train on and a step needs {config.train.prompts_per_step}. Raise "
            f"max_prompt_length = {limit} tokens if prompts are longer, add rows, or use fewer prompts a step."
        )
    return chosen, rows_of.choose(rows_of.held_out_rows(fitting), config.train.held_out_rows, 0)


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


def _adapter_config(config: RunConfig, model: PreTrainedModel) -> Any:
    known = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    missing = [name for name in config.adapter.target_modules if name not in known]
    if missing:
        linear = {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        raise ConfigError(
            f"adapter.target_modules names {', '.join(missing)}, which this model does not have. "
            f"Choose from {', '.join(sorted(linear))}."
        )
    return lora_config(config)


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.stop_requested():
        raise Stopped


def _answer_held_out(
    run: Run,
    file: str,
    model: Any,
    policy: Policy,
    scorer: Scorer,
    config: RunConfig,
    rows: Sequence[Row],
    reporter: Reporter,
) -> None:
    """Answer test questions the way completions are sampled in training, and keep the answers with their scores.

    The same random numbers are used before and after training, and training's own are left as they were.
    """
    if not rows:
        return
    sampling = Sampling(config.train.max_completion_length, config.train.temperature, config.train.top_p)
    samples: list[Sample] = []
    for start in range(0, len(rows), HELD_OUT_BATCH):
        _stop_if_asked(reporter)
        part = rows[start : start + HELD_OUT_BATCH]
        reporter.phase("answering held-out questions", start, len(rows))
        prompts = [policy.conversation(config.prompt, row.question) for row in part]
        ids = [policy.prompt_token_ids(prompt) for prompt in prompts]
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed + start)
            written = generate(model, policy.tokenizer, ids, sampling)
        texts = policy.tokenizer.batch_decode(written, skip_special_tokens=True)
        samples += [
            Sample(row.question, row.answer, text, str(row.number), conversation_text(prompt), row.carried)
            for row, text, prompt in zip(part, texts, prompts, strict=True)
        ]
    reporter.phase("answering held-out questions", len(rows), len(rows))
    write_completions(run.completions / file, reporter.step, samples, scorer.score(samples))


@dataclass(frozen=True)
class ScoredStep:
    """The completions of one step with their scores."""

    samples: tuple[Sample, ...]
    scores: Scores


class GroupReward:
    """The reward in TRL's signature; remembers what it scored last, for the run's record."""

    __name__ = "reward"

    def __init__(self, scorer: Scorer, config: RunConfig) -> None:
        self._scorer = scorer
        self._scale = config.train.scale_rewards
        self.last: ScoredStep | None = None
        self.notes: list[str] = []

    def __call__(
        self,
        prompts: Sequence[Sequence[dict[str, str]]],
        completions: Sequence[Sequence[dict[str, str]]],
        question: Sequence[str],
        reference: Sequence[str],
        group: Sequence[str],
        columns: Sequence[str],
        **_: Any,
    ) -> list[float]:
        rows = zip(prompts, completions, question, reference, group, columns, strict=True)
        samples = tuple(
            Sample(q, r, completion[0]["content"], g, conversation_text(prompt), json.loads(carried))
            for prompt, completion, q, r, g, carried in rows
        )
        scores = self._scorer.score(samples, self._scale)
        self.last = ScoredStep(samples, scores)
        self.notes = self._scorer.notes()
        return [float(value) for value in scores.rewards]


class RunCallback(TrainerCallback):  # type: ignore[misc]
    """Carries what the trainer does into the run directory, and the stop request into the trainer."""

    def __init__(self, reporter: Reporter, reward: GroupReward, config: RunConfig) -> None:
        self._reporter = reporter
        self._reward = reward
        self._config = config
        self._told = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        if self._reporter.stop_requested():
            control.should_training_stop = True
            control.should_save = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "reward" not in logs or self._reward.last is None:  # TRL's closing summary has no reward
            return
        step, scored = state.global_step, self._reward.last
        metrics = _metrics(step, logs, scored.scores, self._reporter.take_seconds())
        self._reporter.step_completions(step, scored.samples, scored.scores)
        self._reporter.step_done(metrics)
        if self._reward.notes and not self._told:  # at once, and with the final numbers at the end
            self._told = True
            for note in self._reward.notes:
                self._reporter.event("alert", message=note)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._reporter.event("checkpoint", path=f"checkpoints/checkpoint-{state.global_step}")


def _metrics(step: int, logs: dict[str, float], scores: Scores, seconds: dict[str, float]) -> Metrics:
    effective = (
        {}
        if scores.effective is None
        else dict(zip((*scores.names, VALIDITY), map(float, scores.effective), strict=True))
    )
    return Metrics(
        step=step,
        reward=float(scores.rewards.mean()),
        reward_std=logs["reward_std"],
        components=scores.means(),
        effective=effective,
        valid=float(scores.valid.mean()),
        well_formed=float(scores.well_formed.mean()),
        zero_variance=logs["frac_reward_zero_std"],
        completion_tokens=logs["completions/mean_length"],
        truncated=logs["completions/clipped_ratio"],
        entropy=logs.get("entropy", math.nan),
        loss=logs["loss"],
        grad_norm=logs.get("grad_norm", math.nan),
        learning_rate=logs["learning_rate"],
        step_seconds=sum(seconds.values()),
        generate_seconds=seconds["generate_seconds"],
        score_seconds=seconds["score_seconds"],
        update_seconds=seconds["update_seconds"],
    )
