"""Seconds of a training step: the studio's job, with its records and a reader that follows it, against bare TRL.

Same configuration, seed, models and reward; the demo's sizes with a learning rate of zero, so that completions keep
their length. The cost of the records is also measured on its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import scratch_home
from core.config import with_changes
from core.engine.reporting import Reporter
from core.errors import StudioError
from core.jobs import supervisor
from core.jobs.spawning import JOB_ENVIRONMENT
from core.paths import PROJECT, Home
from core.presets import preset_config
from core.reward.scoring import Sample, Scores
from core.runs.completions import read_completions, step_file
from core.runs.events import EventTail, Metrics, latest_metrics, read_events
from core.runs.run import Run, create_run

STEPS = 4
WARM_UP = 1


def measure(home: Home) -> dict[str, Any]:
    config = with_changes(
        preset_config("demo"),
        {"train.steps": STEPS, "train.learning_rate": 0.0, "train.held_out_rows": 0, "train.save_every": STEPS},
    )
    with scratch_home(home) as work:
        run = supervisor.start(work, config, "bench")
        studio = _follow(run)
        (work.cache / "scores.sqlite").unlink()  # the bare script must not find scores that are known already
        bare = _bare(run, work)
        records = _record_seconds(run, work)
    mine, theirs = statistics.median(studio[WARM_UP:]), statistics.median(bare[WARM_UP:])
    return {
        "steps": STEPS - WARM_UP,
        "studio_seconds": round(mine, 2),
        "bare_trl_seconds": round(theirs, 2),
        "studio_over_bare": round(mine / theirs, 3),
        "records_share_of_step": round(records / mine, 5),
        "met": {
            "step time at most 1.05 of bare TRL": mine / theirs <= 1.05,
            "records at most 2 % of a step": records / mine <= 0.02,
        },
    }


def _follow(run: Run) -> list[float]:
    """Wait for the run as the live view does: status and new events, once a second."""
    tail = EventTail(run.events)
    while run.status().live:
        tail.read()
        time.sleep(1)
    if run.status().state != "finished":
        raise StudioError(run.summary())
    return [metrics.step_seconds for metrics in latest_metrics(read_events(run.events))]


def _bare(run: Run, home: Home) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.bare_trl", str(run.folder), str(home.root)]
    environment = {**JOB_ENVIRONMENT, **os.environ}  # as the studio's own job has it
    answer = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    seconds: list[float] = json.loads(answer.stdout.splitlines()[-1])
    return seconds


def _record_seconds(run: Run, home: Home) -> float:
    """Seconds to write everything that one step of this run leaves behind."""
    reporter = Reporter(create_run(home, run.config(), "records"))
    metrics = latest_metrics(read_events(run.events))[-1]
    samples, scores = _recorded(step_file(run, metrics.step))
    reporter.begin(0)
    start, rounds = time.perf_counter(), 5
    with redirect_stdout(StringIO()):  # in a job this goes to its log
        for number in range(1, rounds + 1):
            _write_step(reporter, metrics, samples, scores, number)
    reporter.close()
    return (time.perf_counter() - start) / rounds


def _recorded(file: Path) -> tuple[list[Sample], Scores]:
    kept = read_completions(file)
    samples = [Sample(c.question, c.reference, c.completion, c.group) for c in kept]
    scores = Scores(
        names=tuple(kept[0].components),
        components=np.array([list(c.components.values()) for c in kept]),
        valid=np.array([c.valid for c in kept]),
        well_formed=np.array([c.well_formed for c in kept]),
        rewards=np.array([c.reward for c in kept]),
        advantages=np.array([c.advantage for c in kept]),
        effective=None,
        parsed=(),
    )
    return samples, scores


def _write_step(reporter: Reporter, metrics: Metrics, samples: list[Sample], scores: Scores, number: int) -> None:
    """As in a step: three phases, a status for about every half second of it, the metrics, the completions."""
    for phase in ("generating", "scoring", "updating"):
        reporter.phase(phase)
    reporter.take_seconds()
    for _ in range(int(metrics.step_seconds * 2)):
        reporter.write_status()
    reporter.step_completions(number, samples, scores)
    reporter.step_done(replace(metrics, step=number))
