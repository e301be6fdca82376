"""Requests to a live training run, as files in its `control/` folder; the job looks for them after each step.

stop           save a checkpoint and the adapter, then end
pause          save a checkpoint, then wait, models in memory, until the file is gone
weights.json   from the next step on, weigh the components of the reward like this
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from core.access import audit
from core.access.permissions import allow
from core.config import RunConfig, with_changes
from core.jobs.folder import JobFolder
from core.paths import write_json
from core.runs.events import read_events
from core.runs.run import Run


def pause_request(job: JobFolder) -> Path:
    """The file that asks a run to wait."""
    return job.folder / "control" / "pause"


def weights_request(job: JobFolder) -> Path:
    """The file that asks a run for other reward weights."""
    return job.folder / "control" / "weights.json"


def pause(run: Run) -> None:
    """Ask a live run to wait after the step it is in.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: it is not running.
    """
    allow("train.pause")
    run.refuse_ended()
    pause_request(run).touch()
    audit.record(audit.home_of(run.folder), "train.pause", run.id)


def unpause(run: Run) -> None:
    """Let a waiting run go on.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: it is not live.
    """
    allow("train.pause")
    run.refuse_ended()
    pause_request(run).unlink(missing_ok=True)
    audit.record(audit.home_of(run.folder), "train.pause", run.id, over=True)


def change_weights(run: Run, weights: Mapping[str, float]) -> None:
    """Ask a live run to weigh its reward's components otherwise from its next step on.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: it is not live.
        ConfigError: a component is unknown, or all weights are zero.
    """
    allow("train.weights")
    run.refuse_ended()
    checked = with_weights(run.config(), weights)
    write_json(weights_request(run), checked.reward.weights)
    said = ", ".join(f"{name} {weight:g}" for name, weight in checked.reward.weights.items())
    audit.record(audit.home_of(run.folder), "train.weights", run.id, weights=said)


def forget_requests(job: JobFolder) -> None:
    """Take back what was asked of a job that is gone; other weights are still wanted when the run goes on."""
    for request in (job.stop_request, pause_request(job)):
        request.unlink(missing_ok=True)


def pausing(run: Run) -> bool:
    """Whether a run has been asked to wait and has not been let go on since."""
    return pause_request(run).exists()


def latest_weights(run: Run) -> dict[str, float]:
    """The reward weights that are asked for or in force: what a change of them starts from."""
    wanted = wanted_weights(run)
    told = [event.data["weights"] for event in read_events(run.milestones) if event.kind == "weights"]
    return wanted if wanted is not None else {**run.config().reward.weights, **(told[-1] if told else {})}


def wanted_weights(job: JobFolder) -> dict[str, float] | None:
    """The weights that are asked for; None when nobody has asked, or another job has not taken the file away yet."""
    try:
        found: dict[str, float] = json.loads(weights_request(job).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found


def with_weights(config: RunConfig, weights: Mapping[str, float]) -> RunConfig:
    """`config` with other reward weights, checked.

    Raises:
        ConfigError: a component is unknown, or all weights are zero.
    """
    return with_changes(config, {"reward.weights": dict(weights)})
