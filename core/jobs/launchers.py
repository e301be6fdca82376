"""Where the process of a training run is started: on this machine, or as a Job of a Cloudera AI (CML) workspace.

The environment chooses: `GRPO_STUDIO_LAUNCHER` is `local`, as by default, or `cml`. A run remembers where it was
started, so that it is found, stopped and resumed whatever is chosen later.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, Protocol

from core.access.actors import current_actor, job_environment
from core.access.starters import starter_of
from core.errors import ConfigError, RunError
from core.jobs import cml_jobs
from core.jobs.cml_jobs import CmlSettings
from core.jobs.folder import JobFolder
from core.jobs.places import starters_environment
from core.jobs.processes import end_tree
from core.jobs.spawning import not_started
from core.machine import Gpu, Machine
from core.paths import HOME_VARIABLE, PROJECT, Home
from core.secrets import without_secrets

LAUNCHER = "GRPO_STUDIO_LAUNCHER"
WITHIN = "GRPO_STUDIO_WITHIN"
"""What this process ends with, and all that it has started: `application` of a workspace, or `container`. Set by what
serves the studio there; unset where jobs outlive the studio."""
JOB_FOLDER, JOB_HOME, JOB_PROJECT = "GRPO_STUDIO_JOB_FOLDER", "GRPO_STUDIO_JOB_HOME", "GRPO_STUDIO_JOB_PROJECT"
"""What tells `cml/job.py` which job it works on, in which home, with the studio in which folder."""

Lasting = Literal["job", "application", "container", "machine"]
"""What a run lasts as long as, at most: a Job of a workspace, the studio's application or container, or the machine."""

_HANDED_ON = ("GRPO_STUDIO_", "MLFLOW_")
"""How the names of settings begin that a training Job needs as well; those of the project reach it without this."""
_OWN = frozenset({HOME_VARIABLE, WITHIN})
_END_SECONDS = 60.0
_POLL_SECONDS = 0.5


class Launcher(Protocol):
    """Starts and ends the processes of jobs.

    Attributes:
        here: whether they take room on this machine.
    """

    @property
    def here(self) -> bool: ...

    def machine(self, home: Home) -> Machine:
        """What a job could use there."""

    def start(self, job: JobFolder, home: Home) -> None:
        """Start the job's process.

        Raises:
            RunError: it did not start; the job's status says so too.
        """

    def end(self, job: JobFolder) -> None:
        """End the job's process at once, with all that it has started, and wait until it is gone.

        Raises:
            RunError: it is just being started, or does not go away.
        """


class Local:
    """On this machine, by `spawn`."""

    here = True

    def __init__(self, spawn: Callable[[JobFolder, Home], None]) -> None:
        self._spawn = spawn

    def machine(self, home: Home) -> Machine:
        return Machine.inspect(home)

    def start(self, job: JobFolder, home: Home) -> None:
        cml_jobs.forget(job.folder)
        self._spawn(job, home)

    def end(self, job: JobFolder) -> None:
        found = job.process(job.written_status())
        if found is None:
            raise RunError(f"{job.id} is just being started. Try again in a moment.")
        if not end_tree(found):
            raise RunError(
                f"{job.id} could not be ended: its process {found.pid} does not go away. Try again in a moment."
            )


class CmlJobs:
    """As Jobs of the workspace that this application belongs to; they go on when the application stops."""

    here = False

    def machine(self, home: Home) -> Machine:
        settings = CmlSettings.of_environment()
        memory = int(settings.memory_gb * 1e9)
        return replace(
            Machine.inspect(home),
            cores=max(1, int(settings.cpu)),
            memory_bytes=memory,
            free_memory_bytes=memory,
            gpus=tuple(Gpu(index, "GPU of a workspace's Job", 0, 0) for index in range(settings.gpus)),
        )

    def start(self, job: JobFolder, home: Home) -> None:
        job.write_status(replace(job.written_status(), phase="waiting for its place in the workspace"))
        try:
            cml_jobs.start(job.folder, f"GRPO Studio {job.id}", CmlSettings.of_environment(), _variables(job, home))
        except RunError as error:
            raise not_started(job, str(error)) from error

    def end(self, job: JobFolder) -> None:
        working = cml_jobs.workspace_job(job.folder)
        if working is None:
            raise RunError(f"{job.id} is just being started. Try again in a moment.")
        cml_jobs.stop(working)
        deadline = time.monotonic() + _END_SECONDS
        while job.held() or cml_jobs.lives(working):
            if time.monotonic() > deadline:
                raise RunError(f"The workspace is still ending {job.id}. Try again in a moment.")
            time.sleep(_POLL_SECONDS)


def chosen(spawn: Callable[[JobFolder, Home], None]) -> Launcher:
    """The launcher for runs that are started now.

    Args:
        spawn: starts a job's process on this machine.

    Raises:
        ConfigError: the environment names none, or one that does not work here.
    """
    name = os.environ.get(LAUNCHER, "").strip() or "local"
    if name not in ("local", "cml"):
        raise ConfigError(f"{LAUNCHER} is {name!r}: use local or cml.")
    if name == "local":
        return Local(spawn)
    if not cml_jobs.available():
        raise ConfigError(
            f"{LAUNCHER} is 'cml', which works in a Cloudera AI workspace whose client cmlapi is installed in the "
            "studio's environment. Run the project's install step again, or use local."
        )
    CmlSettings.of_environment()  # or a wrong one would be taken for a fault of the run
    return CmlJobs()


def launcher_of(job: JobFolder, spawn: Callable[[JobFolder, Home], None]) -> Launcher:
    """The launcher that has started the job's process."""
    return Local(spawn) if cml_jobs.workspace_job(job.folder) is None else CmlJobs()


def machine_for_runs(home: Home) -> Machine:
    """What a run could use where it would be started now.

    Raises:
        ConfigError: the environment names no launcher, or one that does not work here.
    """
    return chosen(_nothing).machine(home)


def runs_here() -> bool:
    """Whether runs that are started now take room on this machine.

    Raises:
        ConfigError: the environment names no launcher, or one that does not work here.
    """
    return chosen(_nothing).here


def lasting(run: JobFolder | None = None) -> Lasting:
    """What `run` ends with at the latest; None asks about a run that would be started now.

    Raises:
        ConfigError: the environment names no launcher, or one that does not work here.
    """
    if cml_jobs.workspace_job(run.folder) is not None if run is not None else not runs_here():
        return "job"
    within = os.environ.get(WITHIN)
    return "application" if within == "application" else "container" if within == "container" else "machine"


def _nothing(job: JobFolder, home: Home) -> None:
    raise AssertionError("Only whoever has a launcher to start with starts a job.")


def _variables(job: JobFolder, home: Home) -> Mapping[str, str]:
    """What the Job's environment holds: which job it works on, for whom, and the studio's settings without secrets."""
    here = without_secrets(starters_environment())
    return {
        **{name: value for name, value in here.items() if name.startswith(_HANDED_ON) and name not in _OWN},
        **job_environment(starter_of(job.folder) or current_actor()),
        JOB_FOLDER: str(job.folder),
        JOB_HOME: str(home.root),
        JOB_PROJECT: str(PROJECT),
    }
