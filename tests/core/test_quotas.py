"""What is refused when the studio takes as much as it may."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import psutil
import pytest

from core.access.actors import Actor, acting_as
from core.access.starters import remember_starter
from core.config import RunConfig
from core.errors import ConfigError, RunError, StorageError
from core.jobs import queue, supervisor
from core.jobs.folder import State
from core.jobs.readiness import Ready
from core.paths import Home
from core.presets import preset_config
from core.quotas import Limits, disk_use, limits, refuse_full, refuse_many
from core.runs.run import Run, create_run, list_runs

ANNA, BEN = (Actor(name, "editor", "proxy") for name in ("anna", "ben"))


def _run(home: Home, state: State, actor: Actor = ANNA) -> Run:
    run = create_run(home, preset_config("demo", "robust"), "run")
    with acting_as(actor):
        remember_starter(run.folder)
    run.write_status(
        replace(run.written_status(), state=state, pid=os.getpid(), created=psutil.Process().create_time())
    )
    return run


def test_what_is_not_set_is_not_limited() -> None:
    assert limits({"GRPO_STUDIO_MAX_RUNS": " "}) == Limits()


@pytest.mark.parametrize("name", ["GRPO_STUDIO_DISK_QUOTA_GB", "GRPO_STUDIO_MAX_RUNS", "GRPO_STUDIO_RUNS_PER_USER"])
@pytest.mark.parametrize("value", ["many", "0", "-1", "nan", "inf", "1e99"])
def test_a_limit_that_is_no_number_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        limits({name: value})


def test_there_is_no_half_run() -> None:
    with pytest.raises(ConfigError, match="whole number"):
        limits({"GRPO_STUDIO_MAX_RUNS": "1.5"})


@pytest.mark.parametrize("state", ["running", "queued", "paused"])
def test_runs_that_live_and_that_wait_count(home: Home, state: State) -> None:
    _run(home, state)
    with pytest.raises(RunError, match=r"may have 1 run .* GRPO_STUDIO_MAX_RUNS"):
        refuse_many(home, environment={"GRPO_STUDIO_MAX_RUNS": "1"})


@pytest.mark.parametrize("state", ["finished", "failed", "stopped"])
def test_runs_that_have_ended_do_not_count(home: Home, state: State) -> None:
    _run(home, state)
    refuse_many(home, environment={"GRPO_STUDIO_MAX_RUNS": "1", "GRPO_STUDIO_RUNS_PER_USER": "1"})


def test_a_run_that_goes_on_does_not_stand_in_its_own_way(home: Home) -> None:
    run = _run(home, "queued")
    refuse_many(home, besides=run, environment={"GRPO_STUDIO_MAX_RUNS": "1"})


def test_one_persons_runs_do_not_take_anothers_share(home: Home) -> None:
    own = _run(home, "running", ANNA)
    environment = {"GRPO_STUDIO_RUNS_PER_USER": "1"}
    with acting_as(BEN):
        refuse_many(home, environment=environment)
    with acting_as(ANNA), pytest.raises(RunError, match=own.id):
        refuse_many(home, environment=environment)


def test_links_and_second_names_are_not_counted_twice(home: Home) -> None:
    file = home.data / "large"
    file.write_bytes(b"x" * 1_000_000)
    once = disk_use(home).total
    os.link(file, home.data / "second-name")
    (home.models / "link").symlink_to(file)
    (home.models / "folder").symlink_to(home.data)
    assert once >= 1_000_000
    assert disk_use(home).total < once + 100_000
    assert next(iter(disk_use(home).parts)) == "data"


def test_a_full_home_is_told_with_what_takes_most(home: Home) -> None:
    (home.data / "large").write_bytes(b"x" * 2_000_000)
    with pytest.raises(StorageError, match=r"may take 1\.0 MB .* takes 2\.\d MB already, most of it in data"):
        refuse_full(home, {"GRPO_STUDIO_DISK_QUOTA_GB": "0.001"})
    refuse_full(home, {"GRPO_STUDIO_DISK_QUOTA_GB": "0.01"})


@pytest.mark.parametrize("begin", [supervisor.start, queue.enqueue])
def test_neither_a_start_nor_the_queue_is_a_way_around(
    home: Home, begin: Callable[[Home, RunConfig], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (supervisor, queue):
        monkeypatch.setattr(module, "ready", lambda home, config: Ready(config, ()))
    monkeypatch.setenv("GRPO_STUDIO_MAX_RUNS", "1")
    _run(home, "queued")
    with pytest.raises(RunError, match="GRPO_STUDIO_MAX_RUNS"):
        begin(home, preset_config("demo", "robust"))
    assert len(list_runs(home)) == 1


def test_a_task_needs_room_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_STUDIO_DISK_QUOTA_GB", "0.000000001")
    (home.data / "x").write_bytes(b"x" * 5_000)
    with pytest.raises(StorageError, match="GRPO_STUDIO_DISK_QUOTA_GB"):
        supervisor.start_task(home, "report", {})
    assert not list(home.tasks.iterdir())
