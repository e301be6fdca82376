"""Whatever happens to a job, its run says what it was."""

from __future__ import annotations

import errno
import re
from dataclasses import replace

import pytest
from filelock import FileLock

from core.engine import training
from core.errors import DataError, OutOfMemory
from core.jobs import queue, worker
from core.jobs.tasks import TRIAL, create_task
from core.paths import Home
from core.presets import preset_config
from core.runs.events import read_events
from core.runs.run import Run, create_run


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(worker, "_stop_on_signals", lambda run: None)  # pytest keeps its own
    return create_run(home, preset_config("demo"))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DataError("Line 3 is empty."), "Line 3 is empty."),
        (OSError(errno.ENOSPC, "No space left on device"), "is full. Free some space and try again"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "not enough memory"),
        (OutOfMemory("The GPU has too little memory."), "too little memory"),
        (KeyError("surprise"), r"an error it does not know \(KeyError: 'surprise'\). See worker.log."),
    ],
)
def test_a_job_that_fails_leaves_a_sentence(
    error: Exception, sentence: str, run: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: Run, home: Home) -> None:
        raise error

    monkeypatch.setattr(training, "train", fail)
    assert worker.main(run.folder, home.root) == 2
    status = run.status()
    assert status.state == "failed"
    assert [event.data["message"] for event in read_events(run.events)] == [status.error]
    assert re.search(sentence, status.error)
    assert status.out_of_memory == ("memory" in sentence)


def test_a_run_that_waits_for_a_pre_flight_to_end_is_started_after_it(
    run: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []
    monkeypatch.setattr(queue, "detached", lambda module, job, home, variables: left.append(job.id))
    monkeypatch.setattr("core.engine.preflight.preflight", lambda home, arguments, tell: {})
    run.write_status(replace(run.written_status(), state="queued", ticket=1))
    trial = create_task(home, TRIAL, {})
    assert worker.main(trial.folder, home.root) == 0
    assert left == [trial.id]


def test_two_processes_never_write_one_run(run: Run, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_LOCK_SECONDS", 0.0)
    with FileLock(run.folder / "control" / "writer.lock"):
        assert worker.main(run.folder, home.root) == 2
    assert run.status().state == "starting"


def test_a_full_disk_is_told_whatever_the_libraries_make_of_it(
    run: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: Run, home: Home) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(training, "train", fail)
    monkeypatch.setattr(worker, "_FULL_BYTES", 2**63)
    worker.main(run.folder, home.root)
    assert "is full" in run.status().error


def test_a_half_written_checkpoint_is_removed_and_a_whole_one_kept(
    run: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (2, 4):
        (run.checkpoints / f"checkpoint-{step}").mkdir()
    (run.checkpoints / "checkpoint-2" / "trainer_state.json").write_text("{}")

    def fail(run: Run, home: Home) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training, "train", fail)
    worker.main(run.folder, home.root)
    assert [folder.name for folder in run.checkpoints.iterdir()] == ["checkpoint-2"]
