"""Writes run directories as a job would, through core's own writers, in any state a test needs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import psutil

from core.config import RunConfig, Tags, with_changes
from core.engine.reporting import write_completions
from core.jobs.folder import State
from core.paths import Home
from core.presets import preset_config
from core.reward.advantages import advantages, effective_weights
from core.reward.formula import VALIDITY, combine
from core.reward.parsing import parse
from core.reward.scoring import Sample, Scores
from core.reward.text_measures import tag_score
from core.runs.completions import AFTER, BEFORE
from core.runs.events import EventWriter, Metrics
from core.runs.run import CHECKPOINT_LAST_FILE, Run, create_run
from core.training.curves import CurveWriter
from core.training.groups import GroupWriter

HOSTILE = (
    "<img src=x onerror=alert(1)> ![pixel](http://evil.example/p.png) [link](javascript:alert(1)) **bold** :red[x]"
)
QUESTION = "A patient on warfarin starts clarithromycin. What must be watched?"
REFERENCE = "The INR rises because clarithromycin inhibits CYP3A4; check it within days and lower the dose of warfarin."
GOOD = (
    "<reasoning>Clarithromycin slows the breakdown of warfarin.</reasoning>"
    "<answer>The INR rises, so check it early and lower the warfarin dose.</answer>"
)
BAD = "Warfarin is a medicine that thins the blood and the patient should see a doctor who will see"


@dataclass(frozen=True)
class Plan:
    """What to write: how many of how many steps, how the run stands, and what the model said."""

    state: State = "finished"
    done: int = 36
    steps: int = 36
    good: str = GOOD
    bad: str = BAD
    question: str = QUESTION
    preset: str = "robust"
    seed: int = 0
    phase: str = "generating"
    rows: int = 1000
    """The rows of the data come again after so many steps."""


def build_run(home: Home, plan: Plan = Plan()) -> Run:
    """A run directory in the state that `plan` asks for. A live one is held by the process that calls this."""
    config = with_changes(preset_config("demo", plan.preset), {"train.steps": plan.steps, "train.seed": plan.seed})
    run = create_run(home, config, "demo")
    random = np.random.default_rng(plan.seed)
    events = EventWriter(run.events)
    events.write("weights", 0, {"weights": config.reward.weights, "by": "start"})
    _held_out(run, BEFORE, config, plan, good=2, step=0)
    for step in range(1, plan.done + 1):
        share = 0.45 + 0.5 * (1 - math.exp(-3 * step / plan.steps))
        samples, scores = _group(config, plan, step, share, random)
        _write_step(events, run, step, samples, scores, random)
    if plan.state == "finished":
        _held_out(run, AFTER, config, plan, good=7, step=plan.done)
    if plan.done >= 10:
        checkpoint = run.checkpoints / f"checkpoint-{plan.done // 10 * 10}"
        checkpoint.mkdir()
        (checkpoint / CHECKPOINT_LAST_FILE).write_text("{}")
    run.log.write_text(
        "Computing on cpu in torch.bfloat16 with 2 threads.\n 50%|#####     | 18/36\r100%|##########| 36/36\n"
    )
    _write_status(run, plan, events)
    events.close()
    return run


def add_step(run: Run, step: int, plan: Plan = Plan()) -> None:
    """One more finished step of a live run."""
    random = np.random.default_rng(step)
    events = EventWriter(run.events)
    _write_step(events, run, step, *_group(run.config(), plan, step, 0.9, random), random)
    events.close()
    run.write_status(replace(run.written_status(), step=step, updated=time.time()))


def _write_status(run: Run, plan: Plan, events: EventWriter) -> None:
    me = psutil.Process(os.getpid())
    live = plan.state in ("starting", "running", "stopping")
    error = "The disk that holds the run is full. Free some space, then resume." if plan.state == "failed" else ""
    status = replace(
        run.written_status(),
        state="running" if plan.state == "interrupted" else plan.state,
        pid=me.pid if live else 4_000_000,
        created=me.create_time(),
        step=plan.done,
        phase=plan.phase,
        done=12,
        total=48,
        eta_seconds=8.0 * (plan.steps - plan.done) if live else None,
        started=time.time() - 8.0 * plan.done,
        updated=time.time(),
        trained_seconds=8.0 * plan.done,
        error=error,
    )
    run.write_status(status)
    if plan.state == "stopping":
        run.stop_request.touch()
    if error:
        events.write("error", plan.done, {"message": error})


def _write_step(
    events: EventWriter, run: Run, step: int, samples: Sequence[Sample], scores: Scores, random: np.random.Generator
) -> None:
    write_completions(run.completions / f"step-{step:06d}.parquet", step, samples, scores)
    effective = (
        {}
        if scores.effective is None
        else dict(zip((*scores.names, VALIDITY), map(float, scores.effective), strict=True))
    )
    metrics = Metrics(
        step=step,
        reward=float(scores.rewards.mean()),
        reward_std=float(scores.rewards.std()),
        components=dict(zip(scores.names, map(float, scores.components.mean(0)), strict=True)),
        effective=effective,
        valid=float(scores.valid.mean()),
        well_formed=float(scores.well_formed.mean()),
        zero_variance=0.0,
        completion_tokens=34 + float(random.normal(0, 2)),
        truncated=float(1 - scores.well_formed.mean()) / 2,
        entropy=1.2,
        loss=0.01,
        grad_norm=0.4,
        learning_rate=1e-3,
        generate_seconds=4.5,
        score_seconds=0.4,
        update_seconds=3.1,
        step_seconds=8.0,
    )
    events.write("metrics", step, metrics.data())
    weights = run.config().reward.weights
    CurveWriter(run.curves, scores.names).append(metrics, weights)
    GroupWriter(run.curves).append(step, [sample.group for sample in samples], scores.rewards)


def _group(
    config: RunConfig, plan: Plan, step: int, share: float, random: np.random.Generator
) -> tuple[list[Sample], Scores]:
    """One group of completions of which about `share` are good."""
    count = config.train.num_generations
    texts = [plan.good if random.random() < share else plan.bad for _ in range(count)]
    row = str((step - 1) % plan.rows + 1)
    samples = [Sample(plan.question, REFERENCE, text, row, tokens=len(text.split())) for text in texts]
    return samples, _scores(config, samples, random)


def _scores(config: RunConfig, samples: Sequence[Sample], random: np.random.Generator) -> Scores:
    """Scores as a scorer would give them, with noise in the place of the two models."""
    parsed = tuple(parse(sample.completion, Tags()) for sample in samples)
    formed = np.array([p.well_formed for p in parsed], dtype=bool)
    noise = random.normal(0, 0.06, (len(samples), 2))
    constant = config.reward.fluency == "reference_batch"
    components = np.column_stack(
        [
            np.where(formed, 0.72, 0.3) + noise[:, 0],
            np.full(len(samples), 0.5) if constant else np.where(formed, 0.6, 0.45) + noise[:, 1],
            [tag_score(p, config.reward.parser) for p in parsed],
        ]
    )
    valid = np.array([p.answer is not None or index % 3 > 0 for index, p in enumerate(parsed)], dtype=bool)
    weights = config.reward.weight_vector
    groups = [sample.group for sample in samples]
    reward = combine(components, weights, valid, config.reward.invalid_reward)
    return Scores(
        names=config.reward.components,
        components=components,
        valid=valid,
        well_formed=formed,
        rewards=reward,
        advantages=advantages(reward, groups),
        effective=effective_weights(components, weights, reward, groups),
        parsed=parsed,
    )


def _held_out(run: Run, file: str, config: RunConfig, plan: Plan, good: int, step: int) -> None:
    samples = [
        Sample(f"{plan.question} (case {row + 1})", REFERENCE, plan.good if row < good else plan.bad, str(row))
        for row in range(8)
    ]
    write_completions(run.completions / file, step, samples, _scores(config, samples, np.random.default_rng(good)))
