"""Starts the process of a job, detached from whoever asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from core.access.actors import current_actor, job_environment
from core.access.starters import starter_of
from core.errors import RunError
from core.jobs.folder import JobFolder
from core.jobs.places import environment, starters_environment
from core.paths import PROJECT, Home
from core.runs.run import Run
from core.secrets import hide_environment

_START_SECONDS = 60.0
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
"""What this process has started. Python looks after them here, so that a finished one does not stay a zombie."""


def spawn(job: JobFolder, home: Home, computes: bool = True, secrets: Mapping[str, str] | None = None) -> None:
    """Start the job's process on the GPUs that its status names, and wait until it has said which process it is.

    Args:
        computes: whether it may use a GPU. One that does not sees all of them: it may start jobs that do.
        secrets: further variables of its environment, which stand in the place of this process's own.

    Raises:
        RunError: it did not start; the job's status says so too.
    """
    hide_environment()  # the job may run code of the user's, which has no business with the studio's keys
    try:
        child = detached("core.jobs.worker", job, home, {**job_variables(job, computes), **(secrets or {})})
    except OSError as error:  # such as too many processes
        raise not_started(job, f"The job did not start ({error.strerror}). Try again in a moment.") from error
    deadline = time.monotonic() + _START_SECONDS
    while job.written_status().pid == 0 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if job.written_status().pid == 0:
        child.kill()
        child.wait()
        raise not_started(job, f"The job did not start. Its log is {job.log}.")


def detached(module: str, job: JobFolder, home: Home, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Run a module of the studio on a job's folder, in a session of its own; what it prints goes to the job's log."""
    _children[:] = [child for child in _children if child.poll() is None]
    with job.log.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(job.folder), str(home.root)],
            cwd=PROJECT,
            env={**JOB_ENVIRONMENT, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
        )
    _children.append(child)
    return child


def job_variables(job: JobFolder, computes: bool) -> Mapping[str, str]:
    """What the environment of a job's process holds, beside what it does for every job."""
    actor = job_environment(starter_of(job.folder) or current_actor())
    places = (
        {**os.environ, **environment(job.written_status().gpus, _training(job))} if computes else starters_environment()
    )
    return {**places, **actor}


def _training(job: JobFolder) -> int:
    """How many of a job's GPUs are for training; the others are for its generation server."""
    return job.config().train.processes if isinstance(job, Run) else 1


def not_started(job: JobFolder, message: str) -> RunError:
    """The error, after it has been written into the job's status."""
    job.write_status(replace(job.written_status(), state="failed", error=message, updated=time.time()))
    return RunError(message)
