"""Starts, stops and resumes jobs: detached processes that outlive the studio.

A job, be it a training run or a task, is `python -m core.jobs.worker FOLDER HOME` in a session of its own. It writes
its own status, beginning with its process id and creation time, so there is one writer only and the job is found again
after the studio, or the browser, has been closed. Only when it is gone does anybody else write there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psutil

from core.access import audit
from core.access.permissions import allow
from core.access.starters import remember_starter, starter_of
from core.config import RunConfig, parse_config
from core.errors import RunError
from core.jobs import launchers
from core.jobs.folder import JobFolder, State, Status
from core.jobs.places import Places
from core.jobs.readiness import Ready, ready, refuse_unready
from core.jobs.room import gpu_for_a_task, refuse_busy
from core.jobs.server_tasks import clear_servers, one_server_starter
from core.jobs.spawning import spawn
from core.jobs.tasks import KINDS, NEEDS, SERVERS, TRIAL, Task, create_task, needed_to_stop
from core.locks import locked
from core.paths import Home
from core.quotas import refuse_full, refuse_many
from core.reward.custom_files import keep
from core.runs.events import EventWriter
from core.runs.run import Run, create_run
from core.training.control import forget_requests

_STARTER_SECONDS = 120.0
_END_SECONDS = 20.0
_UNLOCK_SECONDS = 3.0
_POLL_SECONDS = 0.05
_COMPUTING = "core.engine."
"""Tasks that are done there may use a GPU."""


def start(home: Home, config: RunConfig, prefix: str = "run") -> Run:
    """Check what can be checked, make the run's directory and start its job.

    The run remembers the fingerprint of its data, and the texts and hashes of its custom rewards. Those that `config`
    has from an earlier run are not compared: a new run takes everything as it is.

    Raises:
        AccessDenied: whoever acts now may not.
        Busy: the machine has no room for one more run; `core.jobs.queue.enqueue` lets it wait.
        DataError, ModelError, RewardError, ConfigError: what the run needs is missing or wrong.
        StorageError: there is too little room.
        RunError: its process could not be started.
    """
    allow("train.start")
    checked = ready(home, config)
    refuse_full(home)
    with one_starter(home):
        refuse_many(home)
        gpus = refuse_busy(home, checked.config)
        run = make_run(home, checked, prefix)
        start_job(home, run, gpus)
    audit.record(home, "train.start", run.id)
    return run


def start_task(home: Home, kind: str, arguments: Mapping[str, Any], secrets: Mapping[str, str] | None = None) -> Task:
    """Start a task: work that a page cannot wait for; see `core.jobs.tasks`.

    Args:
        secrets: keys and tokens for this task alone, by the names of environment variables. They are in the environment
            of its process and nowhere else.

    Raises:
        AccessDenied: whoever acts now may not.
        Busy: it tries a run, and the machine has no room for one.
        ConfigError: it tries a run that needs more GPUs than there are.
        RunError: its process could not be started.
    """
    allow(NEEDS[kind])
    if kind not in SERVERS:
        refuse_full(home)
    computes = KINDS[kind].startswith(_COMPUTING)
    if kind == TRIAL:
        task = _trial(home, arguments)
    else:
        task = create_task(home, kind, arguments)
        if computes:
            task.write_status(replace(task.written_status(), gpus=gpu_for_a_task(home)))
    spawn(task, home, computes, secrets or {})
    audit.record(home, NEEDS[kind], task.id, task=kind)
    return task


def resume(home: Home, run: Run) -> None:
    """Start the job of a stopped, failed or interrupted run again; it goes on from its last whole checkpoint.

    Raises:
        AccessDenied: whoever acts now may not.
        Busy: the machine has no room for one more run; `core.jobs.queue.add` lets it wait.
        RunError: the run is live, waits in the queue, or is finished.
        StudioError: what it needs is missing or has changed.
    """
    allow("train.start")
    refuse_full(home)
    with one_starter(home):
        refuse_unresumable(run)
        refuse_unready(home, run.config(), run)
        refuse_many(home, besides=run)
        gpus = refuse_busy(home, run.config(), besides=run)
        remember_starter(run.folder)
        start_job(home, run, gpus)
    audit.record(home, "train.start", run.id, resumed=True)


def stop(job: JobFolder) -> None:
    """Ask a live job to stop; a training run does so after the step it is in, and saves a checkpoint and its adapter.

    Raises:
        AccessDenied: whoever acts now may not, and has not started it.
        RunError: the job is not live.
    """
    action = needed_to_stop(job.kind()) if isinstance(job, Task) else "train.stop"
    allow(action, owner=starter_of(job.folder))
    job.refuse_ended()
    job.stop_request.parent.mkdir(exist_ok=True)
    job.stop_request.touch()
    if isinstance(job, Task):
        audit.record(audit.home_of(job.folder), "task.stop", job.id, task=job.kind())
    else:
        audit.record(audit.home_of(job.folder), "train.stop", job.id)


def stop_now(run: Run) -> None:
    """End a live run at once, with all that its process has started; what came after its last checkpoint is lost.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: the run is not live, or its process cannot be ended.
    """
    allow("train.stop", owner=starter_of(run.folder))
    run.refuse_ended()
    launchers.launcher_of(run, spawn).end(run)
    busy = f"{run.id} has been ended, but something still holds its lock {run.writer_lock}."
    with locked(run.writer_lock, _END_SECONDS, busy, RunError):
        if run.written_status().live:  # else it had come to its end by itself
            settle(run, "stopped")
    audit.record(audit.home_of(run.folder), "train.stop", run.id, at_once=True)


def settle(run: Run, state: State, error: str = "") -> None:
    """Write how a run stands on behalf of its job, which is gone or was never there.

    Whoever calls this holds the lock that keeps the job from being started.
    """
    status = replace(run.written_status(), state=state, error=error, eta_seconds=None, updated=time.time())
    run.write_status(status)
    events = EventWriter(run.events)
    events.write("state", status.step, {"state": state})
    if error:
        events.write("error", status.step, {"message": error})
    events.close()


def wait(job: JobFolder, seconds: float) -> Status:
    """Wait until the job is no longer live and its process has ended, at most `seconds`; returns its status then."""
    deadline = time.monotonic() + seconds
    while (found := job.process(job.written_status())) is not None or job.status().live:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        if found is None:
            time.sleep(min(_POLL_SECONDS, remaining))
        else:
            psutil.wait_procs([found], timeout=min(1.0, remaining))
    return job.status()


def refuse_unresumable(run: Run) -> None:
    """Raise RunError when a run cannot go on: it does so already, waits for it, or has nothing left to do."""
    status = run.status()
    if status.state == "paused":
        raise RunError(f"{run.id} is paused. Let it continue, which needs no new start.")
    if status.live:
        raise RunError(f"{run.id} is still running. Stop it first, or wait.")
    if status.state == "queued":
        raise RunError(f"{run.id} waits in the queue already.")
    if status.state == "finished":
        raise RunError(f"{run.id} has done all its {status.steps} steps. Start a new run to train longer.")


def make_run(home: Home, checked: Ready, prefix: str) -> Run:
    """The directory of a new run, with its own copies of the custom rewards."""
    run = create_run(home, checked.config, prefix)
    remember_starter(run.folder)
    keep(checked.rewards, run.rewards)
    return run


def start_job(home: Home, run: Run, gpus: tuple[str, ...]) -> None:
    """Start the job of a run that is not live, on these GPUs; whoever calls this holds `one_starter`.

    Model servers that are in its way are stopped first.

    Raises:
        RunError: an earlier job of the run has not quite ended, a server does not, or the new job did not start.
    """
    launcher = launchers.chosen(spawn)
    before = run.written_status()
    ending = run.process(before)
    if ending is not None and psutil.wait_procs([ending], timeout=_END_SECONDS)[1]:
        raise RunError(f"{run.id} is still ending: its process {ending.pid} is there. Try again in a moment.")
    if run.held(_UNLOCK_SECONDS):  # one that was killed lets go of its lock a moment after it is gone
        raise RunError(f"A process that is not to be seen from here, as in another container, works on {run.id}.")
    with one_server_starter(home):  # until the run counts as live, a server would take its memory for free
        if launcher.here:
            clear_servers(home, gpus)
        forget_requests(run)
        status = Status(
            state="starting",
            step=before.step,
            steps=before.steps,
            started=before.started,
            updated=time.time(),
            trained_seconds=before.trained_seconds,
            gpus=gpus,
            dtype=before.dtype,
        )
        run.write_status(status)
    launcher.start(run, home)


@contextmanager
def one_starter(home: Home, seconds: float = _STARTER_SECONDS) -> Iterator[None]:
    """Two starts at the same moment must not both find the machine free.

    Raises:
        RunError: another start went on for all these seconds.
    """
    busy = "Another run is just being started. Try again in a moment."
    with locked(home.root / "jobs.lock", seconds, busy, RunError):
        yield


def _trial(home: Home, arguments: Mapping[str, Any]) -> Task:
    """The folder of a task that tries a run, on the GPUs that the run itself would be given."""
    with one_starter(home):
        gpus = refuse_busy(home, parse_config(arguments["config"]), Places.of_this_machine())
        with one_server_starter(home):
            clear_servers(home, gpus)
            task = create_task(home, TRIAL, arguments)
            task.write_status(replace(task.written_status(), gpus=gpus))
    return task
