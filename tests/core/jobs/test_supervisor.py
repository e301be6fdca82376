"""Jobs as a user meets them: started, killed, found again, resumed, stopped. The model is tiny, all else is real."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.config import RunConfig, with_changes
from core.errors import Busy, ConfigError, DataError, ModelError, RunError
from core.jobs import room, supervisor
from core.jobs.folder import process
from core.jobs.places import CORES_FOR_A_RUN, Places
from core.paths import PROJECT, Home
from core.runs.completions import AFTER, held_out, read_completions, step_file
from core.runs.events import Event, EventTail, latest_metrics, read_events
from core.runs.run import Run, list_runs

LONG = 300.0


def wait_for(run: Run, condition: Callable[[list[Event]], bool], seconds: float = LONG) -> list[Event]:
    """Follow the run's events until `condition` holds of all that have come."""
    tail, seen, deadline = EventTail(run.events), list[Event](), time.monotonic() + seconds
    while not condition(seen):
        assert time.monotonic() < deadline, f"waited {seconds} s; log:\n{run.log.read_text()}"
        assert run.status().live, f"the run ended: {run.summary()}\n{run.log.read_text()}"
        seen += tail.read()
    return seen


def steps_of(events: list[Event]) -> list[int]:
    return [event.step for event in events if event.kind == "metrics"]


def test_a_run_goes_from_start_to_adapter_and_leaves_its_whole_record(home: Home, tiny_config: RunConfig) -> None:
    config = with_changes(tiny_config, {"train.validate_every": 2, "train.validation_rows": 2})
    run = supervisor.start(home, config)
    status = supervisor.wait(run, LONG)
    assert status.state == "finished", run.log.read_text()
    assert (status.step, status.steps, status.error) == (4, 4, "")
    events = read_events(run.events)
    assert steps_of(events) == [1, 2, 3, 4]
    assert {event.data["name"] for event in events if event.kind == "phase"} == {
        "loading",
        "trying the reward on the stress set",
        "answering held-out questions",
        "answering validation questions",
        "generating",
        "scoring",
        "updating",
    }
    assert [event.data["path"] for event in events if event.kind == "checkpoint"] == [
        "checkpoints/checkpoint-2",
        "checkpoints/checkpoint-4",
    ]
    assert len(read_completions(step_file(run, 4))) == 4
    assert all(answer.after is not None for answer in held_out(run)) and len(held_out(run)) == 2
    assert (run.adapter / "adapter_model.safetensors").is_file()
    assert run.config() == config


def test_a_killed_run_is_found_as_interrupted_and_goes_on_from_its_checkpoint(
    home: Home, tiny_config: RunConfig
) -> None:
    config = with_changes(tiny_config, {"train.steps": 400, "train.save_every": 5})
    run = supervisor.start(home, config)
    wait_for(run, lambda events: 7 in steps_of(events))
    os.kill(run.status().pid, signal.SIGKILL)
    status = supervisor.wait(run, LONG)
    assert status.state == "interrupted"
    assert "resume from checkpoint" in run.summary()
    done = max(steps_of(read_events(run.events)))

    supervisor.resume(home, run)
    wait_for(run, lambda events: len([e for e in events if e.kind == "state"]) == 2 and max(steps_of(events)) > done)
    supervisor.stop(run)
    assert supervisor.wait(run, LONG).state == "stopped", run.log.read_text()
    steps = [metrics.step for metrics in latest_metrics(read_events(run.events))]
    assert steps == list(range(1, steps[-1] + 1))
    assert run.checkpoint_steps()[-1] == steps[-1]
    assert (run.adapter / "adapter_model.safetensors").is_file()


def test_a_run_outlives_the_process_that_started_it_even_when_that_is_killed(
    home: Home, tiny_config: RunConfig, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(with_changes(tiny_config, {"train.steps": 400}).model_dump_json())
    command = [sys.executable, "-m", "core", "train", "--config", str(file), "--json", "--home", str(home.root)]
    starter = psutil.Popen(command, cwd=PROJECT)
    while not list(home.runs.glob("*/events.jsonl")):
        psutil.wait_procs([starter], timeout=0.1)
        assert starter.is_running()
    (run,) = list_runs(home)
    wait_for(run, lambda events: 2 in steps_of(events))
    starter.kill()
    starter.wait()
    wait_for(run, lambda events: 4 in steps_of(events))
    found = process(run.status())
    assert found is not None and os.getsid(found.pid) == found.pid
    found.send_signal(signal.SIGTERM)
    assert supervisor.wait(run, LONG).state == "stopped", run.log.read_text()
    assert run.checkpoint_steps()


def test_a_damaged_checkpoint_is_passed_over_and_kept(home: Home, tiny_config: RunConfig) -> None:
    run = supervisor.start(home, with_changes(tiny_config, {"train.steps": 400}))
    wait_for(run, lambda events: 6 in steps_of(events))
    supervisor.stop(run)
    supervisor.wait(run, LONG)
    *_, older, newest = run.checkpoint_steps()
    damaged = run.checkpoints / f"checkpoint-{newest}" / "adapter_model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    supervisor.resume(home, run)
    events = wait_for(run, lambda seen: len([e for e in seen if e.kind == "state"]) >= 3 and seen[-1].kind == "metrics")
    supervisor.stop(run)
    supervisor.wait(run, LONG)
    assert any(f"Checkpoint {newest} cannot be read" in e.data["message"] for e in events if e.kind == "alert")
    again = [e.step for e in events if e.kind == "metrics" and e.step == older + 1]
    assert len(again) == 2
    (aside,) = run.checkpoints.glob(f"damaged-checkpoint-{newest}-*")
    assert (aside / damaged.name).stat().st_size == 100


def test_a_second_run_on_a_small_machine_is_refused_with_the_reason(home: Home, tiny_config: RunConfig) -> None:
    first = supervisor.start(home, with_changes(tiny_config, {"train.steps": 400}))
    with pytest.raises(Busy, match=f"{first.id} is running and this machine has .* a second would .* to the queue"):
        room.refuse_busy(home, tiny_config, Places((), cores=2))
    assert room.refuse_busy(home, tiny_config, Places((), cores=2 * CORES_FOR_A_RUN)) == ()
    supervisor.stop(first)
    assert supervisor.wait(first, LONG).state == "stopped"
    with pytest.raises(RunError, match="is not running"):
        supervisor.stop(first)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": "nowhere at all"}, ModelError, "is not a model"),
        ({"data.path": "/no/such.jsonl"}, DataError, "no data file"),
        ({"adapter.target_modules": ["no_such_proj"]}, ConfigError, "no_such_proj"),
    ],
)
def test_what_cannot_work_is_refused_before_a_run_exists(
    change: dict[str, Any], error: type[Exception], message: str, home: Home, tiny_config: RunConfig
) -> None:
    with pytest.raises(error, match=message):
        supervisor.start(home, with_changes(tiny_config, change))
    assert list(home.runs.iterdir()) == []


def test_a_job_that_fails_says_why_in_its_status_and_events(home: Home, tiny_config: RunConfig) -> None:
    run = supervisor.start(home, with_changes(tiny_config, {"train.max_prompt_length": 16}))
    status = supervisor.wait(run, LONG)
    assert status.state == "failed"
    assert "Max prompt length from 16" in status.error
    assert [event.data["message"] for event in read_events(run.events) if event.kind == "error"] == [status.error]
    assert run.summary().endswith("When that is mended, resume starts it again from the beginning.")


def test_a_finished_run_is_not_resumed(home: Home, tiny_config: RunConfig) -> None:
    run = supervisor.start(home, with_changes(tiny_config, {"train.steps": 1, "train.held_out_rows": 0}))
    assert supervisor.wait(run, LONG).state == "finished", run.log.read_text()
    with pytest.raises(RunError, match="has done all its 1 steps"):
        supervisor.resume(home, run)


def test_fewer_rows_than_a_step_needs_are_refused(home: Home, tiny_config: RunConfig, tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text('{"question": "Why?", "answer": "Because."}')
    with pytest.raises(DataError, match="has 1 row to train on and a step needs 2"):
        supervisor.start(home, with_changes(tiny_config, {"data.path": str(file)}))
    with pytest.raises(DataError, match=r"train.train_rows lets the run take 1 row and a step needs 2"):
        supervisor.start(home, with_changes(tiny_config, {"train.train_rows": 1}))


def test_changed_data_is_refused_at_resume_but_taken_by_a_new_run(
    home: Home, tiny_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [f'{{"question": "Why {number}?", "answer": "Because."}}' for number in range(4)]
    file.write_text("\n".join(rows[:3]))
    monkeypatch.setattr(supervisor, "spawn", lambda *_: None)
    old = supervisor.start(home, with_changes(tiny_config, {"data.path": str(file)}))
    old.write_status(replace(old.written_status(), state="stopped"))
    file.write_text("\n".join(rows))
    with pytest.raises(DataError, match="has changed since it was chosen"):
        supervisor.resume(home, old)
    new = supervisor.start(home, old.config())
    assert "" != new.config().data.fingerprint != old.config().data.fingerprint


def test_a_run_that_only_lacks_its_last_answers_is_not_trained_further(home: Home, tiny_config: RunConfig) -> None:
    run = supervisor.start(home, tiny_config)
    assert supervisor.wait(run, LONG).state == "finished", run.log.read_text()
    (run.completions / AFTER).unlink()
    run.write_status(replace(run.written_status(), state="stopped"))
    supervisor.resume(home, run)
    status = supervisor.wait(run, LONG)
    assert (status.state, status.step) == ("finished", 4), run.log.read_text()
    assert steps_of(read_events(run.events)) == [1, 2, 3, 4]
    assert all(answer.after is not None for answer in held_out(run))
