"""Where a run reports to beside its own folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import transformers.trainer
from transformers import TrainerCallback

from core.config import RunConfig, with_changes
from core.engine.trackers import point_trackers, reported_to
from core.paths import Home
from core.runs.events import latest_metrics, read_events
from core.runs.run import create_run
from tests.build_training import MIXED, trained, write_completions_of

VARIABLES = ("TENSORBOARD_LOGGING_DIR", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_RUN_ID", "WANDB_DIR")
TRACKERS = ("tensorboard", "mlflow", "wandb", "trackio")


class Tracker(TrainerCallback):  # type: ignore[misc]
    """Stands for a tracker: keeps what it is told."""

    logs: list[dict[str, float]]
    name: str

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        Tracker.logs, Tracker.name = [], args.run_name

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        Tracker.logs.append(dict(logs or {}))


def test_a_tracker_is_told_of_the_reward_in_the_studios_terms(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers.trainer, "get_reporting_integration_callbacks", lambda names: [Tracker])
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "elsewhere")
    write_completions_of(monkeypatch, MIXED)
    changes = {
        "train.steps": 2,
        "train.num_generations": 4,
        "train.held_out_rows": 0,
        "train.trackers": ["tensorboard"],
    }
    run = trained(home, with_changes(tiny_config, changes))
    assert Tracker.name == run.id
    for logs, metrics in zip(Tracker.logs, latest_metrics(read_events(run.events)), strict=False):
        assert logs["studio/reward"] == pytest.approx(metrics.reward)
        assert (logs["studio/valid"], logs["studio/well_formed"]) == (metrics.valid, metrics.well_formed)
        for name, score in metrics.components.items():
            assert logs[f"studio/score/{name}"] == pytest.approx(score)
        for name, share in metrics.effective.items():
            assert logs[f"studio/effective_weight/{name}"] == pytest.approx(share, abs=1e-6)


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*VARIABLES, "WANDB_PROJECT", "WANDB_RESUME", "TRACKIO_DIR"]:
        monkeypatch.setenv(name, "")  # so that it is as before when the test ends
        monkeypatch.delenv(name)


def test_trackers_write_into_the_home_folder(home: Home, tiny_config: RunConfig, no_variables: None) -> None:
    run = create_run(home, tiny_config)
    point_trackers(TRACKERS, run, home)
    places = [
        os.environ[name] for name in ("TENSORBOARD_LOGGING_DIR", "MLFLOW_TRACKING_URI", "WANDB_DIR", "TRACKIO_DIR")
    ]
    assert all(str(home.root) in place for place in places)
    assert os.environ["WANDB_RUN_ID"] == run.id


def test_what_the_environment_says_of_a_tracker_counts(
    home: Home, tiny_config: RunConfig, no_variables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    point_trackers(["mlflow"], create_run(home, tiny_config), home)
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://mlflow.example"
    assert "WANDB_DIR" not in os.environ


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MLflow that knows a workspace's own kind of address, by an installed plugin."""
    (tmp_path / "mlflow.py").touch()
    plugin = tmp_path / "workspace_plugin-1.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: workspace-plugin\nVersion: 1\n")
    (plugin / "entry_points.txt").write_text("[mlflow.tracking_store]\ncml = workspace_plugin:Store\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("mlflow")
@pytest.mark.parametrize(
    ("address", "project", "expected"),
    [
        ("cml://localhost", "p-1", ["wandb", "mlflow"]),
        ("https://mlflow.example", "p-1", ["wandb", "mlflow"]),
        ("moon://localhost", "p-1", ["wandb"]),
        ("", "p-1", ["wandb"]),
        ("cml://localhost", "", ["wandb"]),
    ],
)
def test_a_workspace_that_keeps_records_is_reported_to_without_being_asked_for(
    address: str, project: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("CDSW_PROJECT_ID", project)
    assert reported_to(["wandb"]) == expected


def test_without_mlflow_nothing_is_reported_to_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    monkeypatch.setenv("CDSW_PROJECT_ID", "p-1")
    monkeypatch.setattr("core.engine.trackers.find_spec", lambda name: None)
    assert reported_to([]) == []


def test_mlflow_is_reported_to_once() -> None:
    assert reported_to(["mlflow"]) == ["mlflow"]
