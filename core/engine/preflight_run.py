"""Tries a run: its first steps by the job's own code, without learning, in a folder that is thrown away.

The only differences from a run are a learning rate of zero, the number of steps, and what is told to whom. So memory,
time and what the model writes are those of the run, and nothing of it remains.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from core import datasets as rows_of
from core.chat import ChatModel
from core.config import RunConfig, with_changes
from core.engine.device import choose_compute
from core.engine.memory_watch import MemoryWatch
from core.engine.training import train
from core.engine.trial_reporter import TrialReporter
from core.engine.validation import CPU_BATCH, GPU_BATCH
from core.errors import Diverged, OutOfMemory, RewardError, RunError
from core.jobs.readiness import Ready, ready
from core.jobs.tasks import Tell
from core.locks import locked
from core.machine import Machine
from core.paths import Home
from core.reward.custom_files import keep
from core.runs.completions import Completion, read_completions, step_file
from core.runs.events import Event, Metrics, latest_metrics, read_events
from core.runs.run import Run, create_run
from core.training.memory import Estimate, estimate
from core.training.preflight import Failure, Measured, PreflightResult, settings_hash, steps_of

_LOCK_SECONDS = 5.0
_QUESTIONS = 8
"""How many held-out questions are answered, to see how long that takes."""


def try_run(config: RunConfig, home: Home, tell: Tell, started: float) -> PreflightResult:
    """Try `config`; what goes wrong with the run itself is part of the result.

    Args:
        started: when loading began, on the monotonic clock.

    Raises:
        StudioError: a model, the data or the settings cannot be used.
        TaskStopped: the user asked the task to stop.
    """
    checked, watch = ready(home, config), MemoryWatch(choose_compute().device)
    guess = estimate(config, home, Machine.inspect(home))
    rows = _Rows.of(config, home)
    with _scratch(home) as scratch:
        run = _make_run(checked, scratch)
        reporter = TrialReporter(run, tell, watch)
        failure, detail = _tried(run, home, reporter)
        events = read_events(run.events)
        memory = watch.memory(guess.total if isinstance(guess, Estimate) else None)
        return PreflightResult(
            settings=settings_hash(config),
            ended=time.time(),
            load_seconds=max(reporter.loaded - started, 0.0),
            rows=rows.training,
            rows_left_out=rows.left_out,
            longest_prompt=rows.longest_prompt,
            held_out_rows=rows.held_out,
            validation_rows=rows.validation,
            memory=memory,
            failure=failure,
            failure_detail=detail,
            notes=_notes(events),
            measured=None if failure else _measured(run, events, reporter, memory.place == "GPU"),
        )


def _tried(run: Run, home: Home, reporter: TrialReporter) -> tuple[Failure | None, str]:
    """Let the job run; returns why it failed, and what is to be said of that."""
    try:
        train(run, home, reporter)
    except OutOfMemory:
        return "memory", reporter.doing or "loading"
    except RewardError as error:
        return "scorer", str(error)
    except Diverged as error:
        return "numbers", str(error)
    return None, ""


@contextmanager
def _scratch(home: Home) -> Iterator[Home]:
    """An empty home for the run that is tried; what an earlier one that was killed has left there goes."""
    folder = home.cache / "preflight"
    busy = "Another pre-flight is under way. Wait until it ends, or stop it."
    with locked(home.cache / "preflight.lock", _LOCK_SECONDS, busy, RunError):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield Home.open(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _make_run(checked: Ready, scratch: Home) -> Run:
    """The folder of the run that is tried: a few steps on the first prompts that the run would choose.

    Of several training processes that share a step, one is tried, with its share.
    """
    train = checked.config.train
    steps, asked = steps_of(checked.config), max(train.held_out_rows, train.validation_rows)
    each = train.prompts_per_step // train.processes
    prompts = steps // train.num_iterations * each
    changes = {
        "train.processes": 1,
        "train.sharding": "none",
        "train.cluster": "none",
        "train.prompts_per_step": each,
        "train.steps": steps,
        "train.learning_rate": 0.0,
        "train.train_rows": min(train.train_rows or prompts, prompts),
        "train.held_out_rows": min(asked, _QUESTIONS),
        "train.validate_every": 0,
        "train.save_every": steps,
        "train.trackers": [],
    }
    run = create_run(scratch, with_changes(checked.config, changes), "trial")
    keep(checked.rewards, run.rewards)
    return run


@dataclass(frozen=True)
class _Rows:
    """How many rows of each kind there are, and what the limit on prompts leaves out of them."""

    training: int
    left_out: int
    longest_prompt: int
    held_out: int
    validation: int

    @classmethod
    def of(cls, config: RunConfig, home: Home) -> _Rows:
        rows = rows_of.read_rows(config.data, home)
        lengths = ChatModel.open(config.model, home).prompt_lengths(config.prompt, [row.question for row in rows])
        limit = config.train.max_prompt_length
        fitting = [row for row, length in zip(rows, lengths, strict=True) if length <= limit]
        training = [length for row, length in zip(rows, lengths, strict=True) if row.split == rows_of.TRAIN]
        return cls(
            training=len(training),
            left_out=sum(length > limit for length in training),
            longest_prompt=max(training, default=0),
            held_out=len(rows_of.held_out_rows(fitting)),
            validation=sum(row.split == rows_of.VALIDATION for row in fitting),
        )


def _notes(events: Sequence[Event]) -> tuple[str, ...]:
    """What the scorers said when all steps were done."""
    last = max((place for place, event in enumerate(events) if event.kind == "metrics"), default=len(events))
    notes = [str(event.data["message"]) for event in events[last:] if event.kind == "alert"]
    return tuple(dict.fromkeys(notes))


def _measured(run: Run, events: Sequence[Event], reporter: TrialReporter, on_gpu: bool) -> Measured:
    config, metrics = run.config(), latest_metrics(events)
    seconds = _step_seconds(metrics, config.train.num_iterations)
    completions = [item for step in metrics for item in read_completions(step_file(run, step.step))]
    tags = (f"<{config.prompt.tags.reasoning}>", f"<{config.prompt.tags.answer}>")
    tokens = _mean([m.completion_tokens for m in metrics])
    answering = [span.seconds for span in reporter.spans("answering held-out questions")]
    return Measured(
        steps=len(metrics),
        prompts=len(completions) // config.train.num_generations,
        completions=len(completions),
        **seconds,
        answer_seconds=min(answering, default=0.0),
        answer_batch=GPU_BATCH if on_gpu else CPU_BATCH,
        save_seconds=_save_seconds(events),
        tokens_per_second=_tokens_per_second(metrics, config),
        mean_tokens=tokens,
        longest_tokens=int(max(m.longest for m in metrics)),
        truncated=_mean([m.truncated for m in metrics]),
        opened=_mean([any(tag in item.completion for tag in tags) for item in completions]),
        valid=_mean([item.valid for item in completions]),
        well_formed=_mean([item.well_formed for item in completions]),
        zero_variance=_mean([m.zero_variance for m in metrics]),
        reward=_mean([item.reward for item in completions]),
        without_opinion=_without_opinion(completions),
    )


def _step_seconds(metrics: Sequence[Metrics], iterations: int) -> dict[str, float]:
    """Seconds of a usual step; the first completions are left out where there are others, since they warm things up.

    Args:
        iterations: how many steps learn from the same completions.
    """
    usual = metrics[iterations:] or metrics
    parts = ("generate_seconds", "score_seconds", "update_seconds", "step_seconds")
    return {name: _mean([getattr(m, name) for m in usual]) for name in parts}


def _tokens_per_second(metrics: Sequence[Metrics], config: RunConfig) -> float:
    """Tokens written in a second of writing."""
    usual = [m for m in metrics[config.train.num_iterations :] or metrics if m.generate_seconds > 0]
    written = sum(m.completion_tokens * config.train.completions_per_step for m in usual)
    return written / max(sum(m.generate_seconds for m in usual), 1e-9)


def _save_seconds(events: Sequence[Event]) -> float:
    """From the end of the last step to the end of its checkpoint."""
    saved = [event.time for event in events if event.kind == "checkpoint"]
    steps = [event.time for event in events if event.kind == "metrics"]
    return max(saved[-1] - steps[-1], 0.0) if saved and steps else 0.0


def _without_opinion(completions: Sequence[Completion]) -> dict[str, float]:
    names = completions[0].components if completions else ()
    return {name: _mean([math.isnan(item.components[name]) for item in completions]) for name in names}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
