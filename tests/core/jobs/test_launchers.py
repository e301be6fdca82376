"""Runs as Jobs of a Cloudera AI workspace, against a stand-in that speaks its API."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from core.config import RunConfig, with_changes
from core.errors import ConfigError, RunError
from core.jobs import cml_jobs, launchers, room, supervisor
from core.jobs.cml_jobs import CmlSettings, WorkspaceJob, workspace_job
from core.jobs.places import Places
from core.locks import locked
from core.machine import Machine
from core.paths import Home
from core.runs.run import Run
from tests import build_cml
from tests.build_cml import Workspace

LONG = 120.0
OLD = 10_000.0


@pytest.fixture
def cml(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace that this process belongs to; runs are trained in its Jobs, of which it starts none."""
    monkeypatch.syspath_prepend(str(build_cml.client_folder()))
    monkeypatch.setattr(cml_jobs, "_LOOK_SECONDS", 0.0)
    with build_cml.workspace() as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv(launchers.LAUNCHER, "cml")
        yield found


def say_working(run: Run) -> None:
    """As the worker in its pod does; the lock is nobody's."""
    run.write_status(replace(run.written_status(), state="running", pid=1, created=0.0, updated=time.time() - OLD))


def test_a_run_becomes_a_job_with_the_settings_of_the_environment(
    cml: Workspace, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_STUDIO_CML_CPU", "2")
    monkeypatch.setenv("GRPO_STUDIO_CML_MEMORY_GB", "12.5")
    monkeypatch.setenv("GRPO_STUDIO_CML_GPUS", "1")
    run = supervisor.start(home, tiny_config)
    assert workspace_job(run.folder) == WorkspaceJob(build_cml.PROJECT_ID, "job-1", "run-1")
    assert cml.jobs["job-1"] == {
        "project_id": build_cml.PROJECT_ID,
        "name": f"GRPO Studio {run.id}",
        "script": "cml/job.py",
        "cpu": 2.0,
        "memory": 12.5,
        "nvidia_gpu": 1,
        "runtime_identifier": build_cml.RUNTIME,
    }
    told = cml.runs["run-1"]["environment"]
    assert (told[launchers.JOB_FOLDER], told[launchers.JOB_HOME]) == (str(run.folder), str(home.root))


def test_a_job_is_told_the_settings_and_who_started_it_but_no_secret(
    cml: Workspace, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPO_STUDIO_JUDGE_KEY", "opensesame")
    monkeypatch.setenv("GRPO_STUDIO_ENDPOINTS", "https://judge.example/v1")
    supervisor.start(home, tiny_config)
    told = cml.runs["run-1"]["environment"]
    assert told["GRPO_STUDIO_ENDPOINTS"] == "https://judge.example/v1"
    assert told["GRPO_STUDIO_ACTOR_ROLE"] == "admin"
    assert "opensesame" not in str(cml.runs) + str(cml.jobs)


def test_a_run_counts_as_starting_as_long_as_the_workspace_has_no_place_for_it(
    cml: Workspace, home: Home, tiny_config: RunConfig
) -> None:
    run = supervisor.start(home, tiny_config)
    run.write_status(replace(run.written_status(), updated=time.time() - OLD))
    assert (run.status().state, run.status().phase) == ("starting", "waiting for its place in the workspace")
    cml.states["run-1"] = "ENGINE_FAILED"
    assert run.status().state == "interrupted"


@pytest.mark.parametrize("state", ["ENGINE_FAILED", "ENGINE_TIMEDOUT", "ENGINE_STOPPED", "ENGINE_SUCCEEDED"])
def test_a_run_whose_pod_has_ended_without_a_word_is_interrupted(
    state: str, cml: Workspace, home: Home, tiny_config: RunConfig
) -> None:
    run = supervisor.start(home, tiny_config)
    say_working(run)
    cml.states["run-1"] = "ENGINE_RUNNING"
    assert run.status().state == "running"
    cml.states["run-1"] = state
    assert run.status().state == "interrupted"


def test_a_lock_that_is_held_says_more_than_the_workspace(cml: Workspace, home: Home, tiny_config: RunConfig) -> None:
    run = supervisor.start(home, tiny_config)
    say_working(run)
    cml.states["run-1"] = "ENGINE_FAILED"
    with locked(run.writer_lock, 1, "held"):
        assert run.status().state == "running"


def test_a_workspace_that_does_not_answer_leaves_a_run_as_it_was(
    cml: Workspace, home: Home, tiny_config: RunConfig
) -> None:
    run = supervisor.start(home, tiny_config)
    say_working(run)
    cml.refuses = 503
    assert run.status().state == "running"


def test_a_run_of_another_project_is_not_waited_for(
    cml: Workspace, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = supervisor.start(home, tiny_config)
    say_working(run)
    monkeypatch.setenv(cml_jobs.PROJECT_ID, "another-project")
    assert run.status().state == "interrupted"


@pytest.mark.usefixtures("cml")
def test_runs_in_jobs_take_no_room_on_this_machine(home: Home, tiny_config: RunConfig) -> None:
    supervisor.start(home, tiny_config)
    supervisor.start(home, tiny_config)
    assert room.room(home, tiny_config, Places((), cores=2)) == ()


def test_stopping_at_once_ends_the_job_run_and_nothing_on_this_machine(
    cml: Workspace, home: Home, tiny_config: RunConfig
) -> None:
    run = supervisor.start(home, tiny_config)
    bystander = psutil.Popen(["sleep", "60"])
    run.write_status(replace(run.written_status(), state="running", pid=bystander.pid, created=1.0))
    cml.states["run-1"] = "ENGINE_RUNNING"
    supervisor.stop_now(run)
    assert (cml.states["run-1"], run.status().state) == ("ENGINE_STOPPED", "stopped")
    assert bystander.is_running()
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize(("deleted", "job"), [(False, "job-1"), (True, "job-2")])
def test_a_resumed_run_gets_a_further_run_of_its_job_or_a_new_job(
    deleted: bool, job: str, cml: Workspace, home: Home, tiny_config: RunConfig
) -> None:
    run = supervisor.start(home, tiny_config)
    run.write_status(replace(run.written_status(), state="stopped"))
    if deleted:
        del cml.jobs["job-1"]
    supervisor.resume(home, run)
    assert workspace_job(run.folder) == WorkspaceJob(build_cml.PROJECT_ID, job, "run-2")


def test_a_run_that_is_resumed_on_this_machine_belongs_to_it_again(
    cml: Workspace, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = supervisor.start(home, tiny_config)
    run.write_status(replace(run.written_status(), state="stopped"))
    monkeypatch.setenv(launchers.LAUNCHER, "local")
    monkeypatch.setattr(supervisor, "spawn", lambda job, home: None)
    supervisor.resume(home, run)
    assert workspace_job(run.folder) is None
    assert list(cml.runs) == ["run-1"]


@pytest.mark.parametrize("refusal", [400, 401, 500])
def test_a_workspace_that_refuses_fails_the_run_with_what_it_said(
    refusal: int, cml: Workspace, home: Home, tiny_config: RunConfig
) -> None:
    cml.refuses = refusal
    with pytest.raises(RunError, match=f"did not start a Job for this run: {refusal} "):
        supervisor.start(home, tiny_config)
    (folder,) = home.runs.iterdir()
    assert Run(folder).status().state == "failed"
    assert str(refusal) in Run(folder).status().error


def test_a_workspace_that_is_not_there_is_named(
    home: Home, tiny_config: RunConfig, cml: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDSW_API_URL", "http://127.0.0.1:9/api/v1")
    with pytest.raises(RunError, match="it cannot be reached"):
        supervisor.start(home, tiny_config)


@pytest.mark.usefixtures("cml")
def test_what_a_run_may_use_is_what_its_job_is_given(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_STUDIO_CML_GPUS", "2")
    monkeypatch.setenv("GRPO_STUDIO_CML_CPU", "6")
    machine = launchers.machine_for_runs(home)
    assert (len(machine.gpus), machine.cores) == (2, 6)
    monkeypatch.setenv(launchers.LAUNCHER, "local")
    assert launchers.machine_for_runs(home).cores == Machine.inspect(home).cores


@pytest.mark.parametrize(
    ("name", "message"), [("moon", "use local or cml"), ("cml", "works in a Cloudera AI workspace")]
)
def test_a_launcher_that_does_not_work_is_refused_before_a_run_exists(
    name: str, message: str, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(cml_jobs.PROJECT_ID, raising=False)
    monkeypatch.setenv(launchers.LAUNCHER, name)
    with pytest.raises(ConfigError, match=message):
        supervisor.start(home, tiny_config)
    assert list(home.runs.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("CPU", "0"), ("MEMORY_GB", "much"), ("GPUS", "-1"), ("GPUS", "1.5")])
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"GRPO_STUDIO_CML_{name} is '{value}'"):
        CmlSettings.of_environment({f"GRPO_STUDIO_CML_{name}": value})


def test_empty_settings_are_those_of_nobody() -> None:
    assert CmlSettings.of_environment({"GRPO_STUDIO_CML_GPUS": " ", "GRPO_STUDIO_CML_RUNTIME": ""}) == CmlSettings()


@pytest.mark.slow
def test_a_run_is_trained_to_its_end_in_a_pod_of_its_own(cml: Workspace, home: Home, tiny_config: RunConfig) -> None:
    cml.pods = True
    config = with_changes(tiny_config, {"train.steps": 1, "train.held_out_rows": 0})
    run = supervisor.start(home, config)
    status = supervisor.wait(run, LONG)
    assert status.state == "finished", run.log.read_text()
    assert (run.adapter / "adapter_model.safetensors").is_file()
    cml.processes["run-1"].wait(LONG)
    assert cml.state("run-1") == "ENGINE_SUCCEEDED"
    assert os.getpid() not in (status.pid, psutil.Process().ppid())
