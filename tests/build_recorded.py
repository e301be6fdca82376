"""Puts a recorded log into a run directory, through core's own writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.config import RunConfig
from core.paths import Home
from core.runs.events import EventWriter, Metrics
from core.runs.run import Run, create_run
from core.training.curves import open_writers


def build_recorded(home: Home, config: RunConfig, metrics: Sequence[Metrics]) -> Run:
    """A stopped run with these metrics, its curves and its milestones."""
    run = create_run(home, config)
    curves, groups = open_writers(run, config.reward.components, 0)
    events = EventWriter(run.events)
    events.write("state", 0, {"state": "running"})
    events.write("weights", 0, {"weights": config.reward.weights, "by": "start"})
    for step in metrics:
        events.write("metrics", step.step, step.data())
        curves.append(step, config.reward.weights)
    for writer in (events, curves, groups):
        writer.close()
    run.write_status(replace(run.written_status(), state="stopped", step=metrics[-1].step if metrics else 0))
    return run
