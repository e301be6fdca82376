"""Whatever is done to a run, it ends in a state that says what happened, and goes on from there. The jobs are real."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from core.config import RunConfig, with_changes
from core.errors import RunError
from core.jobs import readiness, supervisor, worker
from core.jobs.folder import Status, process
from core.paths import Home
from core.presets import preset_config
from core.reward.custom_files import add_custom
from core.runs.events import latest_metrics, read_events
from core.runs.run import Run, create_run
from core.training import control

LONG = 300.0
KEPT = {"train.keep_checkpoints": 400, "train.held_out_rows": 0}
ENDLESS = "def reward(completions, **kwargs):\n    while True:\n        pass\n"


def until(run: Run, condition: Callable[[], bool]) -> psutil.Process:
    """The job's process as soon as `condition` holds."""
    while not condition():
        found = process(run.status())
        assert found is not None, f"{run.summary()}\n{run.log.read_text()}"
        psutil.wait_procs([found], timeout=0.01)
    found = process(run.status())
    assert found is not None
    return found


def test_a_run_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(
    home: Home, tiny_config: RunConfig
) -> None:
    run = supervisor.start(home, with_changes(tiny_config, {"train.steps": 400, "train.save_every": 1}))
    killed = False
    while not killed:
        job = until(run, lambda: len(run.checkpoint_steps()) > 1 and bool(run.half_written_checkpoints()))
        job.suspend()
        killed = bool(run.half_written_checkpoints())  # else it has written the rest meanwhile
        job.kill() if killed else job.resume()
    (half,) = run.half_written_checkpoints()
    assert supervisor.wait(run, LONG).state == "interrupted"
    newest = run.checkpoint_steps()[-1]
    assert run.summary().endswith(f"resume from checkpoint {newest}.")
    assert half.name == f"checkpoint-{newest + 1}"

    supervisor.resume(home, run)
    until(run, lambda: run.written_status().step > newest + 1)
    supervisor.stop(run)
    assert supervisor.wait(run, LONG).state == "stopped", run.log.read_text()
    steps = [metrics.step for metrics in latest_metrics(read_events(run.events))]
    assert steps == list(range(1, steps[-1] + 1))


def test_a_run_killed_while_paused_goes_on_and_one_that_is_stopped_now_loses_only_what_no_checkpoint_has(
    home: Home, tiny_config: RunConfig
) -> None:
    run = supervisor.start(home, with_changes(tiny_config, {"train.steps": 400, "train.save_every": 300}))
    until(run, lambda: run.written_status().step >= 1)
    control.pause(run)
    until(run, lambda: run.status().state == "paused").kill()
    assert supervisor.wait(run, LONG).state == "interrupted"
    (kept,) = run.checkpoint_steps()

    supervisor.resume(home, run)
    until(run, lambda: run.written_status().step >= kept + 2)
    supervisor.stop_now(run)
    assert (run.status().state, run.status().error) == ("stopped", "")
    assert process(run.written_status()) is None
    assert run.checkpoint_steps() == [kept]
    assert run.summary().endswith(f"resume from checkpoint {kept}.")
    assert read_events(run.events)[-1].data == {"state": "stopped"}
    with pytest.raises(RunError, match="is not running: it is stopped"):
        supervisor.stop_now(run)


@pytest.mark.parametrize("kill", ["SIGKILL", "stop now"])
def test_nothing_that_a_job_has_started_survives_it(home: Home, tiny_config: RunConfig, kill: str) -> None:
    add_custom(home, "endless", ENDLESS)
    changes = {"reward.custom": [{"name": "endless", "seconds": 600}], "reward.weights.endless": 0.1}
    run = supervisor.start(home, with_changes(tiny_config, {**changes, "train.held_out_rows": 0}))
    job = until(run, lambda: any("reward_child" in part for child in children(run) for part in child.cmdline()))
    left = job.children(recursive=True)
    job.send_signal(signal.SIGKILL) if kill == "SIGKILL" else supervisor.stop_now(run)
    assert psutil.wait_procs(left, timeout=LONG)[1] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own with room for a few checkpoints."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a file system can be mounted by the administrator only")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_run_on_a_disk_that_fills_up_keeps_what_was_saved_and_goes_on_when_there_is_room(
    small_disk: Path, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_FREE_BYTES", 0)
    home = Home.open(small_disk / "home")
    run = supervisor.start(home, with_changes(tiny_config, {"train.steps": 400, "train.save_every": 1, **KEPT}))
    assert supervisor.wait(run, LONG).state == "failed"
    assert "is full. Free some space" in run.status().error
    assert run.half_written_checkpoints() == []
    *older, newest = run.checkpoint_steps()
    assert run.summary().endswith(f"resume from checkpoint {newest}.")

    for step in older:
        shutil.rmtree(run.checkpoints / f"checkpoint-{step}")
    supervisor.resume(home, run)
    # A look may see the old checkpoint go before it sees the new one.
    until(run, lambda: max(run.checkpoint_steps(), default=0) > newest)
    supervisor.stop_now(run)
    steps = [metrics.step for metrics in latest_metrics(read_events(run.events))]
    assert steps == list(range(1, steps[-1] + 1))


def test_a_job_has_room_for_its_last_words_whatever_it_was_that_filled_the_disk(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(job: Run, home: Home) -> None:
        with (small_disk / "filling").open("wb", buffering=0) as file:
            while file.write(bytes(1024)) == 1024:
                pass
        file.write(b"no room")

    home = Home.open(small_disk / "home")
    run = create_run(home, preset_config("demo"))
    monkeypatch.setattr(worker, "_perform", fill)
    monkeypatch.setattr(worker, "_stop_on_signals", lambda job: None)
    assert worker._work(run, home) == 2
    status = run.written_status()
    assert (status.state, "is full" in status.error) == ("failed", True)


def children(run: Run) -> list[psutil.Process]:
    found = process(run.status())
    return [] if found is None else found.children(recursive=True)


@pytest.mark.parametrize("program", ["/bin/false", "/no/such/python"])
def test_a_run_whose_process_cannot_start_says_so_and_can_be_resumed(
    home: Home, tiny_config: RunConfig, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", program)
        with pytest.raises(RunError, match="The job did not start"):
            supervisor.start(home, tiny_config)
    (run,) = [Run(folder) for folder in home.runs.iterdir()]
    assert run.status().state == "failed"
    monkeypatch.setattr(supervisor, "spawn", lambda job, home: None)
    supervisor.resume(home, run)
    assert run.status().state == "starting"


@pytest.fixture
def run(home: Home) -> Run:
    return create_run(home, preset_config("demo"))


def test_after_a_restart_of_the_machine_the_number_of_another_process_does_not_make_a_run_live(run: Run) -> None:
    run.writer_lock.touch()
    run.write_status(Status("running", pid=os.getpid(), created=psutil.boot_time() - 86_400, step=3, steps=9))
    assert run.status().state == "interrupted"


def test_a_clock_that_is_set_does_not_end_a_run_whose_job_holds_its_lock(run: Run) -> None:
    me = psutil.Process()
    run.write_status(Status("running", pid=me.pid, created=me.create_time() + 3600))
    with FileLock(run.writer_lock):
        assert run.status().state == "running"
    assert run.status().state == "interrupted"


def test_a_run_that_a_process_elsewhere_works_on_is_not_resumed_and_its_status_is_left_alone(
    home: Home, run: Run
) -> None:
    run.write_status(Status("running", pid=2**22 - 1, created=1.0, step=3, steps=9))
    with FileLock(run.writer_lock), pytest.raises(RunError, match="not to be seen from here"):
        supervisor.start_job(home, run, ())
    assert run.written_status().state == "running"


def test_a_run_is_not_resumed_while_its_last_job_is_still_ending(
    home: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = psutil.Process()
    run.write_status(Status("stopped", pid=me.pid, created=me.create_time()))
    monkeypatch.setattr(supervisor, "_END_SECONDS", 0.0)
    with pytest.raises(RunError, match="is still ending"):
        supervisor.start_job(home, run, ())
    assert run.status().state == "stopped"


def test_requests_to_an_earlier_job_do_not_reach_the_next_but_wanted_weights_do(
    home: Home, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "spawn", lambda job, home: None)
    control.pause(run)
    supervisor.stop(run)
    control.change_weights(run, {"semantic": 1.0})
    run.write_status(replace(run.written_status(), state="stopped"))
    supervisor.start_job(home, run, ())
    assert not run.stop_request.exists() and not control.pausing(run)
    assert control.wanted_weights(run) == {"semantic": 1.0}


def test_a_run_that_wanted_too_much_memory_says_that_the_same_again_would_fail_again(run: Run) -> None:
    run.write_status(Status("failed", error="There is not enough memory.", out_of_memory=True, step=2, steps=9))
    assert "A new run with that change is the better way" in run.summary()


def test_a_status_of_an_earlier_version_is_read(run: Run) -> None:
    path = Path(run.folder / "status.json")
    path.write_text('{"state": "stopped", "pid": 0, "created": 0.0, "step": 4, "steps": 9}')
    assert (run.status().state, run.status().gpus) == ("stopped", ())
