"""Which GPUs a job's process sees."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

import psutil
import pytest

from core.jobs import spawning, supervisor
from core.jobs.folder import JobFolder
from core.machine import Gpu
from core.paths import Home
from core.presets import preset_config
from core.runs.run import create_run
from tests.build_machine import machine

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> tuple[Gpu, ...]:
    """What the driver tells of a machine with two GPUs."""
    listed = os.environ.get(VISIBLE)
    return machine(2).gpus if listed is None else machine(len(listed.split(","))).gpus


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """The environment of each job that was started; the jobs do nothing."""
    found: list[Mapping[str, str]] = []

    def start(module: str, job: JobFolder, home: Home, variables: Mapping[str, str]) -> None:
        found.append(variables)
        me = psutil.Process()
        job.write_status(replace(job.written_status(), state="running", pid=me.pid, created=me.create_time()))

    monkeypatch.setattr(spawning, "detached", start)
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", visible_gpus)
    monkeypatch.delenv(VISIBLE, raising=False)
    return found


@pytest.mark.parametrize("listed", [None, "4,6"])
def test_a_task_that_does_not_compute_sees_what_its_starter_sees(
    listed: str | None, given: list[Mapping[str, str]], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    if listed is not None:
        monkeypatch.setenv(VISIBLE, listed)
    task = supervisor.start_task(home, "compare", {})
    assert (given[0].get(VISIBLE), task.status().gpus) == (listed, ())


def test_a_task_that_computes_sees_one_gpu(given: list[Mapping[str, str]], home: Home) -> None:
    task = supervisor.start_task(home, "serve_model", {})
    assert (given[0][VISIBLE], task.status().gpus) == ("0", ("0",))


def test_a_server_that_a_batch_starts_keeps_off_the_gpu_on_which_a_run_trains(
    given: list[Mapping[str, str]], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(home, preset_config("demo"))
    run.write_status(replace(run.written_status(), gpus=("0",)))
    supervisor.start_task(home, "compare", {})
    for name, value in given[0].items():
        monkeypatch.setenv(name, value)
    supervisor.start_task(home, "serve_model", {})
    assert given[1][VISIBLE] == "1"


def test_a_secret_of_a_task_is_in_its_environment_and_in_no_other(
    given: list[Mapping[str, str]], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "the studio's")
    task = supervisor.start_task(home, "compare", {}, {"HF_TOKEN": "opensesame"})
    supervisor.start_task(home, "compare", {})
    assert [variables["HF_TOKEN"] for variables in given] == ["opensesame", "the studio's"]
    assert not [file for file in task.folder.rglob("*") if file.is_file() and b"opensesame" in file.read_bytes()]
