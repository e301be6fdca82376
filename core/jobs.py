"""Starts, stops and resumes jobs: detached processes that outlive the studio.

A job, be it a training run or a task, is `python -m core.worker FOLDER HOME` in a session of its own. It writes its own
status, beginning with its process id and creation time, so there is one writer only and the job is found again after
the studio, or the browser, has been closed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psutil

from core.config import RunConfig, with_changes
from core.datasets import fingerprint, read_rows, training_rows
from core.errors import DataError, RunError, StorageError
from core.job_folder import JobFolder, Status, process
from core.locks import locked
from core.machine import cpu_cores, nvidia_gpus
from core.models import locate
from core.paths import PROJECT, Home
from core.reward.custom_files import keep, sources, unhashed
from core.reward.ready import ready_reward
from core.runs import Run, create_run, list_runs
from core.secrets import hide_environment
from core.tasks import Task, create_task

CORES_FOR_A_RUN = 8
"""Processor cores that one run keeps busy; fewer than twice as many take one run at a time."""
_FREE_BYTES = 1_000_000_000
_START_SECONDS = 30.0
_POLL_SECONDS = 0.05

JOB_ENVIRONMENT: Mapping[str, str] = {
    # Threads that spin for ever while they wait slow a shared machine tenfold; ones that sleep at once lose a third
    # of their speed to waking up. GNU's runtime, which PyTorch's wheels bring, can be told to spin for a moment.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "20000",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
    "TQDM_DISABLE": "1",  # bars in a log file are noise
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""What has to be set before PyTorch is imported, wherever a job runs."""

_children: list[subprocess.Popen[bytes]] = []
"""Jobs started by this process. Python looks after them here, so that a finished one does not stay a zombie."""


def start(home: Home, config: RunConfig, prefix: str = "run") -> Run:
    """Check what can be checked, make the run's directory and start its job.

    The run remembers the fingerprint of its data, and the texts and hashes of its custom rewards. Those that `config`
    has from an earlier run are not compared: a new run takes everything as it is.

    Raises:
        RunError: the machine is busy with another run.
        DataError, ModelError, RewardError, ConfigError: what the run needs is missing or wrong.
        StorageError: there is too little room.
    """
    config = with_changes(config, {"data.fingerprint": ""})
    rewards = sources(home.rewards, unhashed(config.reward))
    config = with_changes(config, {"reward.custom": [source.reward.model_dump() for source in rewards]})
    refuse_unready(home, config)
    config = with_changes(config, {"data.fingerprint": fingerprint(config.data, home)})
    with _one_starter(home):
        refuse_busy(home)
        run = create_run(home, config, prefix)
        keep(rewards, run.rewards)
        _spawn(run, home)
    return run


def start_task(home: Home, kind: str, arguments: Mapping[str, Any]) -> Task:
    """Start a task: work that a page cannot wait for; see `core.tasks`."""
    task = create_task(home, kind, arguments)
    _spawn(task, home)
    return task


def resume(home: Home, run: Run) -> None:
    """Start the job of a stopped, failed or interrupted run again; it goes on from its last whole checkpoint.

    Raises:
        RunError: the run is live or finished, or the machine is busy.
    """
    with _one_starter(home):
        status = run.status()
        if status.live:
            raise RunError(f"{run.id} is still running. Stop it first, or wait.")
        if status.state == "finished":
            raise RunError(f"{run.id} has done all its {status.steps} steps. Start a new run to train longer.")
        refuse_unready(home, run.config(), run)
        refuse_busy(home)
        run.stop_request.unlink(missing_ok=True)
        run.write_status(replace(status, state="starting", pid=0, created=0.0, error="", updated=time.time()))
        _spawn(run, home)


def stop(job: JobFolder) -> None:
    """Ask a live job to stop; a training run does so after the step it is in, and saves a checkpoint and its adapter.

    Raises:
        RunError: the job is not live.
    """
    status = job.status()
    if not status.live:
        raise RunError(f"{job.id} is not running: it is {status.state}.")
    job.stop_request.parent.mkdir(exist_ok=True)
    job.stop_request.touch()


def wait(job: JobFolder, seconds: float) -> Status:
    """Wait until the job is no longer live, at most `seconds`; returns its status then."""
    deadline = time.monotonic() + seconds
    while (status := job.status()).live and time.monotonic() < deadline:
        found = process(status)
        remaining = max(deadline - time.monotonic(), 0.0)
        if found is None:
            time.sleep(min(_POLL_SECONDS, remaining))
        else:
            psutil.wait_procs([found], timeout=min(1.0, remaining))
    return status


def refuse_unready(home: Home, config: RunConfig, run: Run | None = None) -> None:
    """Raise the error that the job would meet later: models, custom rewards, the judge, data, room on the disk.

    Args:
        run: the run to go on with, whose own copies of the custom rewards count; None looks at the home's.
    """
    locate(config.model, home)
    ready_reward(home, config.reward, run)
    rows = len(training_rows(read_rows(config.data, home)))
    if min(rows, config.train.train_rows or rows) < config.train.prompts_per_step:
        raise DataError(
            f"The data has {rows} row{'' if rows == 1 else 's'} to train on and a step needs "
            f"{config.train.prompts_per_step}. Add rows to the training split, or use fewer prompts a step."
        )
    free = psutil.disk_usage(str(home.root)).free
    if free < _FREE_BYTES:
        raise StorageError(
            f"Only {free / 1e9:.1f} GB are free where {home.root} lies; a run needs {_FREE_BYTES / 1e9:.0f} GB. "
            "Free some space or choose another home folder."
        )


def refuse_busy(home: Home, cores: int | None = None, gpus: Sequence[str] | None = None) -> None:
    """Raise RunError when this machine has no room for one more run.

    Args:
        home: whose runs count.
        cores, gpus: what the machine has; looked up when not given.
    """
    live = [run.id for run in list_runs(home) if run.status().live]
    if not live:
        return
    gpus = nvidia_gpus() if gpus is None else gpus
    cores = cpu_cores() if cores is None else cores
    places = 1 if gpus else max(1, cores // CORES_FOR_A_RUN)  # a run on GPUs uses one of them
    what = f"{len(gpus)} GPU(s)" if gpus else f"{cores} processor cores and no GPU"
    if len(live) >= places:
        raise RunError(
            f"{live[0]} is running and this machine has {what}, room for {places} run(s) at a time; a second would "
            "only slow both down. Wait until it ends, or stop it."
        )


@contextmanager
def _one_starter(home: Home) -> Iterator[None]:
    """Two starts at the same moment must not both find the machine free."""
    busy = "Another run is just being started. Try again in a moment."
    with locked(home.root / "jobs.lock", _START_SECONDS * 2, busy, RunError):
        yield


def _spawn(job: JobFolder, home: Home) -> None:
    hide_environment()  # the job may run code of the user's, which has no business with the studio's keys
    _children[:] = [child for child in _children if child.poll() is None]
    environment = {**JOB_ENVIRONMENT, **os.environ, "CUDA_VISIBLE_DEVICES": _one_gpu()}
    with job.log.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "core.worker", str(job.folder), str(home.root)],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
        )
    _children.append(child)
    deadline = time.monotonic() + _START_SECONDS
    while job.written_status().pid == 0 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if job.written_status().pid == 0:
        child.kill()
        message = f"The job did not start. Its log is {job.log}."
        job.write_status(replace(job.written_status(), state="failed", error=message))
        raise RunError(message)


def _one_gpu() -> str:
    """The first GPU this process may use; a run on several at once is another way of training."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
