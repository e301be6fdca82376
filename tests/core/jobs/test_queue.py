"""Runs that wait for their turn. Most jobs here are held by the test's own process and end when it says so."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.config import RunConfig, with_changes
from core.errors import Busy, DataError, RunError, StorageError
from core.jobs import cml_jobs, launchers, queue, readiness, supervisor
from core.jobs.folder import JobFolder, State
from core.locks import locked
from core.paths import Home
from core.runs.events import read_events
from core.runs.run import Run
from core.training import preflight_task
from tests.build_machine import machine

LONG = 300.0


@pytest.fixture(autouse=True)
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that takes one run at a time."""
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", lambda: ())
    monkeypatch.setattr("core.jobs.places.cpu_cores", lambda: 2)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is live as soon as it is started, and does nothing."""

    def hold(job: JobFolder, *further: Any) -> None:
        me = psutil.Process()
        job.write_status(replace(job.written_status(), state="running", pid=me.pid, created=me.create_time()))

    monkeypatch.setattr(supervisor, "spawn", hold)


def end(run: Run) -> None:
    run.write_status(replace(run.written_status(), state="finished", pid=0))


def states(*runs: Run) -> list[str]:
    return [run.status().state for run in runs]


@pytest.mark.usefixtures("held")
def test_queued_runs_start_one_after_the_other_in_their_order(home: Home, tiny_config: RunConfig) -> None:
    first, second, third = (queue.enqueue(home, tiny_config) for _ in range(3))
    assert queue.waiting(home) == [first, second, third]
    assert queue.start_all(home) == [first]
    assert queue.start_all(home) == []
    end(first)
    assert queue.start_next(home) == second
    assert states(first, second, third) == ["finished", "running", "queued"]


@pytest.fixture
def waiters(monkeypatch: pytest.MonkeyPatch) -> list[JobFolder]:
    """The jobs for whose end a light process waits, in place of that process."""
    found: list[JobFolder] = []
    monkeypatch.setattr(queue, "detached", lambda module, job, home, variables: found.append(job))
    return found


def say_finished(job: JobFolder, state: State = "finished") -> None:
    """The job says that it has come to its end; its process, which is this one, goes on."""
    job.write_status(replace(job.written_status(), state=state))


@pytest.mark.usefixtures("held")
def test_a_run_that_has_finished_keeps_its_place_until_its_process_has_ended(
    home: Home, tiny_config: RunConfig, waiters: list[JobFolder]
) -> None:
    first = supervisor.start(home, tiny_config)
    say_finished(first)
    with pytest.raises(Busy, match=f"{first.id} is still ending"):
        supervisor.start(home, tiny_config)
    second = queue.enqueue(home, tiny_config)
    assert queue.start_next(home) is None
    assert waiters == [first]
    end(first)
    assert queue.start_next(home) == second


@pytest.mark.usefixtures("held")
def test_a_run_queued_again_while_its_process_ends_goes_on_waiting(
    home: Home, tiny_config: RunConfig, waiters: list[JobFolder]
) -> None:
    run = supervisor.start(home, tiny_config)
    say_finished(run, "stopped")
    queue.add(home, run)
    assert queue.start_next(home) is None
    assert (run.status().state, waiters) == ("queued", [run])
    run.write_status(replace(run.written_status(), pid=0))
    assert queue.start_next(home) == run


@pytest.mark.usefixtures("held")
def test_a_run_that_goes_on_at_once_waits_for_its_own_last_job(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = supervisor.start(home, tiny_config)
    say_finished(run, "stopped")
    waited: list[int] = []

    def wait_procs(processes: list[psutil.Process], timeout: float) -> tuple[list[psutil.Process], list[None]]:
        waited.extend(process.pid for process in processes)
        return processes, []

    monkeypatch.setattr(psutil, "wait_procs", wait_procs)
    supervisor.resume(home, run)
    assert (waited, run.status().state) == ([os.getpid()], "running")


@pytest.mark.usefixtures("held")
def test_a_pre_flight_takes_the_place_of_a_run(home: Home, tiny_config: RunConfig) -> None:
    trial = supervisor.start_task(home, preflight_task.KIND, preflight_task.arguments(tiny_config))
    with pytest.raises(Busy, match=f"{trial.id} is running"):
        supervisor.start(home, tiny_config)
    with pytest.raises(Busy, match=f"{trial.id} is running"):
        supervisor.start_task(home, preflight_task.KIND, preflight_task.arguments(tiny_config))
    trial.write_status(replace(trial.written_status(), state="finished", pid=0))
    assert supervisor.start(home, tiny_config).status().state == "running"


@pytest.mark.usefixtures("held")
def test_a_pre_flight_is_given_the_gpus_of_the_run_that_it_tries(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", lambda: machine(2).gpus)
    served = with_changes(tiny_config, {"train.generation": "vllm_server"})
    trial = supervisor.start_task(home, preflight_task.KIND, preflight_task.arguments(served))
    assert trial.status().gpus == ("0", "1")


@pytest.mark.usefixtures("held")
def test_a_start_on_a_busy_machine_names_the_queue_and_makes_no_run(home: Home, tiny_config: RunConfig) -> None:
    supervisor.start(home, tiny_config)
    with pytest.raises(Busy, match="Add this run to the queue"):
        supervisor.start(home, tiny_config)
    assert len(list(home.runs.iterdir())) == 1


def test_what_cannot_work_is_refused_at_the_queue_too(home: Home, tiny_config: RunConfig) -> None:
    with pytest.raises(DataError, match="no data file"):
        queue.enqueue(home, with_changes(tiny_config, {"data.path": "/no/such.jsonl"}))
    assert list(home.runs.iterdir()) == []


@pytest.mark.usefixtures("held")
def test_a_queued_run_whose_data_has_changed_fails_with_the_reason_and_the_next_starts(
    home: Home, tiny_config: RunConfig, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(f'{{"question": "Why {number}?", "answer": "So."}}' for number in range(3)))
    changed = queue.enqueue(home, with_changes(tiny_config, {"data.path": str(file)}))
    whole = queue.enqueue(home, tiny_config)
    file.write_text("\n".join(f'{{"question": "Who {number}?", "answer": "So."}}' for number in range(3)))
    assert queue.start_next(home) == whole
    assert changed.status().state == "failed"
    assert "has changed since it was chosen" in changed.status().error
    assert [event.data["message"] for event in read_events(changed.events) if event.kind == "error"] == [
        changed.status().error
    ]


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("name", "reason"), [("cml", "cmlapi is installed"), ("moon", "GRPO_STUDIO_LAUNCHER is 'moon'")]
)
def test_where_the_launcher_does_not_work_the_queue_stays_as_it_is_and_says_why(
    name: str, reason: str, home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (queue.enqueue(home, tiny_config) for _ in range(2))
    with monkeypatch.context() as elsewhere:
        elsewhere.delenv(cml_jobs.PROJECT_ID, raising=False)
        elsewhere.setenv(launchers.LAUNCHER, name)
        queue.go_on(home)
        assert queue.start_next(home) is None
    assert states(first, second) == ["queued", "queued"]
    assert reason in first.summary()
    queue.go_on(home)
    assert states(first, second) == ["running", "queued"]
    assert first.status().error == ""


@pytest.mark.usefixtures("held")
def test_a_run_does_not_say_for_ever_why_it_once_had_to_wait(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.start(home, tiny_config)
    waits = queue.enqueue(home, tiny_config)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv(launchers.LAUNCHER, "moon")
        queue.go_on(home)
    assert "moon" in waits.summary()
    queue.go_on(home)
    assert waits.summary() == "Waiting for its turn."


@pytest.mark.usefixtures("held")
def test_on_a_full_disk_the_queue_waits_and_says_why(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue.enqueue(home, tiny_config)
    with monkeypatch.context() as full:
        full.setattr(readiness, "_FREE_BYTES", 2**63)
        assert queue.start_next(home) is None
    assert run.status().state == "queued"
    assert "Waiting for its turn. Only " in run.summary()
    assert queue.start_next(home) == run


@pytest.mark.usefixtures("held")
def test_a_run_taken_out_of_the_queue_is_stopped_and_can_be_queued_again_at_its_end(
    home: Home, tiny_config: RunConfig
) -> None:
    first, second = (queue.enqueue(home, tiny_config) for _ in range(2))
    queue.remove(home, first)
    assert first.status().state == "stopped"
    with pytest.raises(RunError, match="does not wait in the queue: it is stopped"):
        queue.remove(home, first)
    queue.add(home, first)
    with pytest.raises(RunError, match="waits in the queue already"):
        queue.add(home, first)
    assert queue.waiting(home) == [second, first]


@pytest.mark.usefixtures("held")
def test_a_finished_or_live_run_is_not_queued(home: Home, tiny_config: RunConfig) -> None:
    run = supervisor.start(home, tiny_config)
    with pytest.raises(RunError, match="is still running"):
        queue.add(home, run)
    end(run)
    with pytest.raises(RunError, match="has done all its"):
        queue.add(home, run)


@pytest.mark.usefixtures("held")
def test_a_look_starts_what_waits_but_not_while_somebody_else_starts_something(
    home: Home, tiny_config: RunConfig
) -> None:
    run = queue.enqueue(home, tiny_config)
    with locked(home.root / "jobs.lock", 0, "busy", StorageError):
        queue.go_on(home)
    assert run.status().state == "queued"
    queue.go_on(home)
    assert run.status().state == "running"


def test_a_job_that_does_not_start_makes_way_for_the_next(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, next_one = (queue.enqueue(home, tiny_config) for _ in range(2))

    def spawn(job: JobFolder, home: Home) -> None:
        if job == broken:
            raise RunError("The job did not start.")

    monkeypatch.setattr(supervisor, "spawn", spawn)
    assert queue.start_next(home) == next_one
    assert broken.status().error == "The job did not start."


def test_a_queue_goes_on_by_itself_after_a_run_that_fails_and_at_a_look_after_a_kill(
    home: Home, tiny_config: RunConfig
) -> None:
    fails = queue.enqueue(home, with_changes(tiny_config, {"train.max_prompt_length": 16}))
    killed = queue.enqueue(home, with_changes(tiny_config, {"train.steps": 400}))
    last = queue.enqueue(home, with_changes(tiny_config, {"train.steps": 1, "train.held_out_rows": 0}))
    queue.start_next(home)
    assert supervisor.wait(fails, LONG).state == "failed"
    for _ in range(3000):  # nobody looks: the job that failed has left somebody behind who starts the next
        if killed.written_status().step:
            break
        psutil.wait_procs([psutil.Process()], timeout=0.1)
    assert states(fails, killed, last) == ["failed", "running", "queued"]
    os.kill(killed.status().pid, signal.SIGKILL)
    assert supervisor.wait(killed, LONG).state == "interrupted"
    assert last.status().state == "queued"
    queue.go_on(home)
    assert supervisor.wait(last, LONG).state == "finished", last.log.read_text()
