"""One training job, from the run's configuration to its adapter."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from transformers import PrinterCallback, set_seed

from core.config import RunConfig
from core.engine.agreement import by_first, is_first, to_first
from core.engine.backends import load_trainable
from core.engine.checkpoints import checkpoint_step, last_whole_checkpoint
from core.engine.device import Compute, compute_for, fastest_dtype_name
from core.engine.group_reward import GroupReward, joined_notes
from core.engine.grpo import grpo_config
from core.engine.live_weights import LiveWeights
from core.engine.memory_errors import memory_errors_told
from core.engine.passes import agreed_passes
from core.engine.policy import Policy
from core.engine.reporting import Reporter, Stopped
from core.engine.run_callback import RunCallback
from core.engine.run_rows import RunRows, choose_rows, prompt_dataset
from core.engine.scorers import opened_scorer
from core.engine.trackers import point_trackers, reported_to
from core.engine.trainer import RunTrainer, trainer_class
from core.engine.validation import HELD_OUT_PHASE, Examiner, FirstAnswers, Validator
from core.engine.vllm_server import serving
from core.lab.stress import run_warning
from core.paths import Home
from core.reward.scoring import Scorer
from core.runs.completions import AFTER
from core.runs.run import Run
from core.training.best import mend_best


def train(run: Run, home: Home, reporter: Reporter | None = None) -> None:
    """Do what the run's configuration asks, going on from its last whole checkpoint when there is one.

    Args:
        reporter: who is told of everything; by default one that only writes into the run's directory. It is closed.

    Raises:
        StudioError: something the user can mend; the run is then marked as failed by the worker.
    """
    config, reporter = run.config(), reporter or Reporter(run)
    try:
        with memory_errors_told(config, reporter), ExitStack() as opened:
            _train(run, config, home, reporter, opened)
    except Stopped:
        reporter.state("stopped")
    finally:
        reporter.close()


def _train(run: Run, config: RunConfig, home: Home, reporter: Reporter, opened: ExitStack) -> None:
    checkpoint = _begin(run, reporter)
    set_seed(config.train.seed)
    compute = compute_for(config, by_first(lambda: reporter.dtype or fastest_dtype_name()))
    reporter.computes_in(str(compute.dtype).removeprefix("torch."))
    if is_first():
        print(f"Computing on {compute.device} in {compute.dtype} with {compute.threads} threads.")
    point_trackers(reported_to(config.train.trackers), run, home)
    await_server = opened.enter_context(serving(config, compute, home, run.log)) if is_first() else None
    policy = load_trainable(config, home, compute)
    scorer = opened.enter_context(opened_scorer(config.reward, config.prompt.tags, home, run))
    if checkpoint is None:
        by_first(lambda: _tell_what_slips_through(run, scorer, reporter))
    rows = choose_rows(config, home, policy, reporter)
    weights = LiveWeights(run, config, scorer, reporter)
    reward = GroupReward(scorer, config, weights.before_scoring)
    by_first(lambda: await_server and await_server(reporter.stop_if_asked))
    trainer = _trainer(run, config, compute, policy, reward, rows, reporter)
    if config.train.multi_objective_aggregation == "normalize_then_sum":
        weights.govern(trainer.reward_weights)
    examiner = Examiner(run, config, policy, scorer, trainer, reporter)
    validator = Validator(examiner, rows.validation)
    trainer.add_callback(RunCallback(reporter, reward, config, validator))
    first = FirstAnswers(examiner, rows.held_out)
    if config.train.sharding == "none":
        first.ask()
    else:  # the model is not put together before training begins
        trainer.add_callback(first)
    by_first(reporter.stop_if_asked)
    if checkpoint is None or reporter.step < config.train.steps:
        trainer.learn(checkpoint)
    else:  # all steps are done, and only the questions after them were left
        trainer.take_up(checkpoint)
    trainer.save_model(str(run.adapter))
    stopped = reporter.step < config.train.steps
    if not stopped:
        validator.catch_up(reporter.step)
        examiner.examine(rows.held_out, AFTER, HELD_OUT_PHASE)
    for note in joined_notes(to_first(scorer.notes())):
        reporter.event("alert", message=note)
    reporter.state("stopped" if stopped else "finished")


def _begin(run: Run, reporter: Reporter) -> Path | None:
    """Say that the job works, and find the checkpoint from which it goes on; None to start from the beginning."""
    by_first(lambda: mend_best(run))
    checkpoint, faults = by_first(lambda: last_whole_checkpoint(run))
    reporter.begin(0 if checkpoint is None else checkpoint_step(checkpoint))
    for fault in faults:
        reporter.event("alert", message=fault)
    reporter.phase("loading")
    return checkpoint


def _tell_what_slips_through(run: Run, scorer: Scorer, reporter: Reporter) -> None:
    """Put the warning of the stress set into the run's record, where there is one."""

    def tell(phase: str, done: int = 0, total: int = 0) -> None:
        reporter.stop_if_asked()
        reporter.phase("trying the reward on the stress set", done, total)

    said = run_warning(scorer, run.config_file, tell)
    if said:
        reporter.event("alert", message=said)


def _trainer(
    run: Run,
    config: RunConfig,
    compute: Compute,
    policy: Policy,
    reward: GroupReward,
    rows: RunRows,
    reporter: Reporter,
) -> RunTrainer:
    args = grpo_config(config, compute, run.checkpoints, agreed_passes(config, policy.model, compute))
    args.run_name = run.id  # what trackers call it
    trainer = trainer_class(config, compute)(
        model=policy.model,
        reward_funcs=reward.functions(),
        args=args,
        train_dataset=prompt_dataset(config, policy, rows.train),
        processing_class=policy.tokenizer,
        peft_config=policy.adapter,
        progress=reporter,
    )
    trainer.remove_callback(PrinterCallback)  # the reporter writes a line that people can read
    return trainer
