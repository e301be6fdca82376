"""Where a run reports to beside its own directory: TensorBoard, MLflow, W&B or Trackio, through TRL's `report_to`.

Each tracker reads its own environment variables, keys included, so a server or an account is chosen there. What they
leave open is set here: nothing is written into the program's folder, and a run that is resumed goes on in its place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from core.paths import Home
from core.runs.run import Run

_PROJECT = "grpo-studio"


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
