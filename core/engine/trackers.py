"""Where a run reports to beside its own directory: TensorBoard, MLflow, W&B or Trackio, through TRL's `report_to`.

Each tracker reads its own environment variables, keys included, so a server or an account is chosen there. What they
leave open is set here: nothing is written into the program's folder, and a run that is resumed goes on in its place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from urllib.parse import urlsplit

from core.jobs.cml_jobs import PROJECT_ID
from core.paths import Home
from core.runs.run import Run

_PROJECT = "grpo-studio"
_MLFLOW_STORES = "mlflow.tracking_store"
"""The entry points by which packages teach MLflow further kinds of addresses, such as a workspace's own `cml:`."""


def reported_to(trackers: Sequence[str]) -> list[str]:
    """The trackers that a run reports to: those it asks for, and MLflow in a Cloudera AI workspace that has one."""
    found = list(trackers)
    return found if "mlflow" in found or not _workspace_records() else [*found, "mlflow"]


def _workspace_records() -> bool:
    """Whether this is a pod of a workspace that names a place for MLflow, with all that MLflow needs to reach it."""
    kind = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", "")).scheme
    if not (kind and os.environ.get(PROJECT_ID) and find_spec("mlflow")):
        return False
    return kind in ("http", "https") or any(point.name == kind for point in entry_points(group=_MLFLOW_STORES))


def point_trackers(trackers: Sequence[str], run: Run, home: Home) -> None:
    """Set the environment variables of `trackers` that are not set yet."""
    for name in trackers:
        for variable, value in _defaults(name, run, home).items():
            os.environ.setdefault(variable, value)


def _defaults(tracker: str, run: Run, home: Home) -> Mapping[str, str]:
    if tracker == "tensorboard":
        return {"TENSORBOARD_LOGGING_DIR": str(run.folder / "tensorboard")}
    if tracker == "mlflow":
        return {
            "MLFLOW_TRACKING_URI": f"sqlite:///{home.root / 'mlflow.db'}",
            "MLFLOW_EXPERIMENT_NAME": _PROJECT,
        }
    if tracker == "wandb":
        folder = home.root / "wandb"
        folder.mkdir(exist_ok=True)
        return {
            "WANDB_DIR": str(folder),
            "WANDB_PROJECT": _PROJECT,
            "WANDB_RUN_ID": run.id,
            "WANDB_RESUME": "allow",
        }
    if tracker == "trackio":
        return {"TRACKIO_DIR": str(home.root / "trackio")}
    return {}
