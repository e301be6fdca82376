"""Processes that run as Jobs of a Cloudera AI (CML) workspace, asked for by the workspace's own client, `cmlapi`.

A job's folder then holds `launch.json`, which says what the workspace calls its process. The folder lies in the
project's storage, which every pod of the project sees; all else about a job stays as it is on one machine.

The client is the one a workspace hands out (`pip install https://<workspace>/api/v2/python.tar.gz`); the names of its
methods and fields are those of Cloudera's API v2.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import ConfigError, RunError
from core.paths import PROJECT, write_json

RECORD = "launch.json"
PROJECT_ID = "CDSW_PROJECT_ID"
"""The environment variable in which a workspace tells its pods which project they belong to."""
SCRIPT = PROJECT / "cml" / "job.py"
APPLICATION = PROJECT / "cml" / "application.py"

_ENDED = frozenset({"ENGINE_SUCCEEDED", "ENGINE_FAILED", "ENGINE_TIMEDOUT", "ENGINE_STOPPED", "ENGINE_SKIPPED"})
"""The states of a job run that it does not leave any more."""
_GONE = 404
_LOOK_SECONDS = 5.0
"""How old an answer about a job run may be: pages ask every second."""
_PAGE = 1000


class CmlSettings(BaseModel):
    """What a training Job is given, from the environment variables `GRPO_STUDIO_CML_*`.

    Attributes:
        cpu: virtual processor cores.
        memory_gb: gigabytes of memory.
        gpus: NVIDIA GPUs.
        runtime: identifier of the runtime image; empty takes the one of the studio's own application.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: float = Field(4.0, gt=0)
    memory_gb: float = Field(16.0, gt=0)
    gpus: int = Field(0, ge=0)
    runtime: str = ""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> CmlSettings:
        """The settings as the environment has them.

        Raises:
            ConfigError: one of them is not a number in its range.
        """
        given = {name: environment.get(variable_of(name), "").strip() for name in cls.model_fields}
        try:
            return cls.model_validate({name: value for name, value in given.items() if value})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0])
            raise ConfigError(f"{variable_of(name)} is {given[name]!r}: {first['msg']}.") from error


@dataclass(frozen=True)
class WorkspaceJob:
    """What a workspace calls the process of a job: its project, the Job, and the run of that Job."""

    project: str
    job: str
    run: str


_WORKSPACE_JOB = TypeAdapter(WorkspaceJob)
_seen: dict[WorkspaceJob, tuple[float, bool]] = {}
"""When each job run was last asked about, and whether it lived then."""


def variable_of(field: str) -> str:
    """The environment variable of a field of `CmlSettings`.

    >>> variable_of("memory_gb")
    'GRPO_STUDIO_CML_MEMORY_GB'
    """
    return f"GRPO_STUDIO_CML_{field.upper()}"


def available() -> bool:
    """Whether this process belongs to a project of a workspace and has its client."""
    return bool(os.environ.get(PROJECT_ID)) and find_spec("cmlapi") is not None


def workspace_job(folder: Path) -> WorkspaceJob | None:
    """What the workspace calls the process of the job in `folder`; None for one that was started on this machine."""
    try:
        return _WORKSPACE_JOB.validate_json((folder / RECORD).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def lives(job: WorkspaceJob) -> bool:
    """Whether the job run has not ended, also while it waits for its place.

    Where the workspace does not answer it counts as alive, as it can then not be started again either. One of another
    project, or of a workspace that is not there any more, does not.
    """
    if not available() or job.project != os.environ[PROJECT_ID]:
        return False
    asked, alive = _seen.get(job, (-_LOOK_SECONDS, True))
    if time.monotonic() - asked >= _LOOK_SECONDS:
        alive = _lives(job)
        _seen[job] = (time.monotonic(), alive)
    return alive


def start(folder: Path, name: str, settings: CmlSettings, variables: Mapping[str, str]) -> WorkspaceJob:
    """Start the process of the job in `folder`: a run of a Job of its own, since a Job takes one run at a time.

    A job that is started again gets a further run of the Job that it has, unless that was deleted meanwhile.

    Args:
        name: what the Job is called in the workspace.
        variables: of the run's environment. Whoever may look at the project can read them: no secrets.

    Raises:
        RunError: the workspace refuses, or does not answer.
    """
    api, project = import_module("cmlapi"), os.environ[PROJECT_ID]
    try:
        client = api.default_client()
        before = workspace_job(folder)
        job = before.job if before is not None and _is_there(client, before) else _create_job(client, name, settings)
        body = api.CreateJobRunRequest(project_id=project, job_id=job, environment=dict(variables))
        answer = client.create_job_run(body, project_id=project, job_id=job)
    except _errors() as error:
        raise RunError(f"The workspace did not start a Job for this run: {_said(error)}.") from error
    started = WorkspaceJob(project, job, answer.id)
    write_json(folder / RECORD, asdict(started))
    return started


def stop(job: WorkspaceJob) -> None:
    """End the job run at once.

    Raises:
        RunError: the workspace refuses, or does not answer.
    """
    try:
        import_module("cmlapi").default_client().stop_job_run(project_id=job.project, job_id=job.job, run_id=job.run)
    except _errors() as error:
        raise RunError(f"The workspace did not end the Job of this run: {_said(error)}.") from error
    _seen.pop(job, None)


def forget(folder: Path) -> None:
    """The job in `folder` is from now on one of this machine."""
    (folder / RECORD).unlink(missing_ok=True)


def _create_job(client: Any, name: str, settings: CmlSettings) -> str:
    api, project = import_module("cmlapi"), os.environ[PROJECT_ID]
    body = api.CreateJobRequest(
        project_id=project,
        name=name,
        script=in_project(SCRIPT),
        cpu=settings.cpu,
        memory=settings.memory_gb,
        nvidia_gpu=settings.gpus,
        runtime_identifier=settings.runtime or _own_runtime(client, project),
    )
    return str(client.create_job(body, project_id=project).id)


def _own_runtime(client: Any, project: str) -> str:
    """The runtime image of the application that is the studio.

    Raises:
        RunError: the project has no such application.
    """
    script = in_project(APPLICATION)
    for application in client.list_applications(project_id=project, page_size=_PAGE).applications:
        if application.script == script and application.runtime_identifier:
            return str(application.runtime_identifier)
    raise RunError(
        f"This project has no application that runs {script}, so the runtime of a training Job is not known. "
        f"Name one in {variable_of('runtime')}."
    )


def in_project(file: Path) -> str:
    """A file as a workspace names it: relative to the folder that is the home of every pod of the project."""
    root = Path.home()
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file.relative_to(PROJECT))


def _is_there(client: Any, job: WorkspaceJob) -> bool:
    try:
        client.get_job(project_id=job.project, job_id=job.job)
    except _errors() as error:
        if getattr(error, "status", None) == _GONE:
            return False
        raise
    return True


def _lives(job: WorkspaceJob) -> bool:
    client = import_module("cmlapi").default_client()
    try:
        run = client.get_job_run(project_id=job.project, job_id=job.job, run_id=job.run)
    except _errors() as error:
        return getattr(error, "status", None) != _GONE
    return run.status not in _ENDED


def _errors() -> tuple[type[Exception], ...]:
    """What the client raises when the workspace refuses, and when it cannot be reached."""
    return import_module("cmlapi.rest").ApiException, import_module("urllib3.exceptions").HTTPError


def _said(error: Exception) -> str:
    """What the workspace answered, on one line."""
    status, reason = getattr(error, "status", None), getattr(error, "reason", None)
    return f"{status} {reason}" if status else f"it cannot be reached ({type(error).__name__})"
