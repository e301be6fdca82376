"""Training runs from the command line: what is asked of them, and what is done with them while they go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.commands.cli import main
from core.config import RunConfig, with_changes
from core.jobs import supervisor
from core.jobs.folder import JobFolder
from core.paths import Home
from core.runs.events import EventWriter
from core.runs.run import Run, create_run, list_runs
from core.training import control

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that takes one run at a time, whose jobs are live as soon as they are started and do nothing."""

    def hold(job: JobFolder, home: Home) -> None:
        me = psutil.Process()
        job.write_status(replace(job.written_status(), state="running", pid=me.pid, created=me.create_time()))

    monkeypatch.setattr(supervisor, "spawn", hold)
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", lambda: ())
    monkeypatch.setattr("core.jobs.places.cpu_cores", lambda: 2)


@pytest.fixture
def config_file(tiny_config: RunConfig, tmp_path: Path) -> str:
    file = tmp_path / "config.json"
    file.write_text(tiny_config.model_dump_json())
    return str(file)


@pytest.fixture
def core(home: Home, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a verb that must succeed; returns its JSON."""

    def run(*arguments: str) -> Any:
        assert main([*arguments, "--json", "--home", str(home.root)]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(home: Home, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a verb that must be refused; returns the sentence."""

    def run(*arguments: str) -> str:
        assert main([*arguments, "--home", str(home.root)]) == 2
        return capsys.readouterr().err

    return run


def test_any_setting_can_be_given_by_its_path(core: Command, home: Home, config_file: str) -> None:
    settings = ("train.beta=0.04", "train.loss_type=dr_grpo", 'adapter.target_modules=["q_proj"]', "name=mine")
    core("train", "--config", config_file, "--detach", *(part for text in settings for part in ("--set", text)))
    (run,) = list_runs(home)
    config = run.config()
    assert (config.train.beta, config.train.loss_type, config.name) == (0.04, "dr_grpo", "mine")
    assert config.adapter.target_modules == ("q_proj",)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("train.stepps=3", "train.stepps is not a known setting"),
        ("trane.steps=3", "There is no setting trane.steps"),
        ("reward.judge.model=x", "There is no setting reward.judge.model"),
        ("train.steps=many", "train.steps is 'many'"),
        ("train.steps", "names no value"),
    ],
)
def test_a_setting_that_is_none_is_named(setting: str, sentence: str, refused: Command, home: Home) -> None:
    assert sentence in refused("train", "--set", setting)
    assert not list_runs(home)


def test_a_run_can_be_asked_for_like_another_with_changes(
    core: Command, refused: Command, home: Home, tiny_config: RunConfig
) -> None:
    create_run(home, tiny_config).write_status(replace(Run(home.runs).written_status(), state="stopped"))
    (first,) = list_runs(home)
    answer = core("train", "--from", first.id, "--set", "train.beta=0.1", "--detach")
    assert Run(Path(answer["folder"])).config() == with_changes(first.config(), {"train.beta": 0.1})
    assert "Give one or the other" in refused("train", "--from", first.id, "--size", "demo")


def test_a_busy_machine_refuses_a_run_and_queues_it_when_asked_to(
    core: Command, refused: Command, home: Home, config_file: str
) -> None:
    first = core("train", "--config", config_file, "--queue")
    assert first["state"] == "running"
    assert "Add this run to the queue" in refused("train", "--config", config_file)
    second = core("train", "--config", config_file, "--queue")
    assert second["state"] == "queued"
    assert core("queue") == {"started": [], "queued": [second["run"]]}
    assert core("stop", second["run"]) == {"run": second["run"], "state": "stopped"}
    assert core("resume", second["run"], "--queue")["state"] == "queued"
    assert core("queue", "--remove", second["run"])["queued"] == []
    assert core("queue", "--add", second["run"])["queued"] == [second["run"]]


def test_the_queue_goes_on_when_somebody_looks_at_it(core: Command, home: Home, config_file: str) -> None:
    first, second = (core("train", "--config", config_file, "--queue")["run"] for _ in range(2))
    ended = Run(home.runs / first)
    ended.write_status(replace(ended.written_status(), state="finished", pid=0))
    assert core("queue") == {"started": [second], "queued": []}


def test_a_live_run_is_paused_continued_and_stopped_by_requests(core: Command, home: Home, config_file: str) -> None:
    run = Run(Path(core("train", "--config", config_file, "--detach")["folder"]))
    core("pause", run.id)
    assert control.pausing(run)
    core("continue", run.id)
    assert not control.pausing(run)
    assert core("stop", run.id) == {"run": run.id, "state": "stopping"}
    assert run.stop_request.exists()


def end_at_once(run: Run) -> None:
    run.write_status(replace(run.written_status(), pid=0))
    supervisor.settle(run, "stopped")


def test_the_next_run_starts_when_one_is_stopped_at_once(
    core: Command, home: Home, config_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (core("train", "--config", config_file, "--queue")["run"] for _ in range(2))
    monkeypatch.setattr(supervisor, "stop_now", end_at_once)
    assert core("stop", first, "--now") == {"run": first, "state": "stopped"}
    assert Run(home.runs / second).status().state == "running"


@pytest.mark.parametrize("verb", ["pause", "continue", "stop", "weights"])
def test_a_run_that_has_ended_takes_no_requests(
    verb: str, refused: Command, home: Home, tiny_config: RunConfig
) -> None:
    run = create_run(home, tiny_config)
    run.write_status(replace(run.written_status(), state="finished"))
    assert "is not running: it is finished" in refused(verb, run.id, *(["tags=0.2"] if verb == "weights" else []))


def test_weights_that_are_not_named_stay_as_they_are_in_force(core: Command, home: Home, config_file: str) -> None:
    run = Run(Path(core("train", "--config", config_file, "--detach")["folder"]))
    events = EventWriter(run.events)
    events.write("weights", 3, {"weights": {"semantic": 0.9, "fluency": 0.3, "tags": 0.2}, "by": "user"})
    events.close()
    assert core("weights", run.id)["weights"]["semantic"] == 0.9
    assert control.wanted_weights(run) is None
    core("weights", run.id, "tags=0.6")
    assert control.wanted_weights(run) == {"semantic": 0.9, "fluency": 0.3, "tags": 0.6}


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [("tags=lots", "names no weight"), ("taggs=0.2", "there is no component 'taggs'"), ("tags=nan", "reward.weights")],
)
def test_a_weight_that_is_none_is_named(
    weight: str, sentence: str, core: Command, refused: Command, home: Home, config_file: str
) -> None:
    run = Run(Path(core("train", "--config", config_file, "--detach")["folder"]))
    assert sentence in refused("weights", run.id, weight)
    assert control.wanted_weights(run) is None
