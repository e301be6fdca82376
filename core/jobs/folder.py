"""What every job's folder holds: its state, its log, the request to stop.

<folder>/
  status.json      state, process, progress, last error; replaced in one step, written by the job itself
  control/stop     asks the job to stop
  control/writer.lock   locked by the job's process as long as it lives
  worker.log       what its process printed
  launch.json      the Job of a Cloudera workspace that is its process, when that is not on this machine

A training run (`core.runs.run`) and a task (`core.jobs.tasks`) are such folders with a request and results of their
own.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import psutil
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from core.errors import RunError
from core.jobs import cml_jobs
from core.paths import write_json

State = Literal["queued", "starting", "running", "paused", "stopping", "stopped", "finished", "failed", "interrupted"]
LIVE: frozenset[State] = frozenset({"starting", "running", "paused", "stopping"})
"""States in which a process works on the job."""

_START_GRACE = 60.0
"""Seconds a job may take to say which process it is."""
_SAME_SECONDS = 0.01


@dataclass(frozen=True)
class Status:
    """Where a run stands.

    Attributes:
        pid, created: the job's process id and creation time in seconds since 1970; together they name it for good.
        step, steps: training steps done and asked for.
        phase, done, total: what the job is busy with and how far it is, in tokens or questions where it can be counted.
        eta_seconds: expected time to the end; None while it cannot be told.
        started: when the run was first started, in seconds since 1970.
        updated: when this was written.
        trained_seconds: time spent in training steps, over all resumes.
        error: one plain sentence when the run failed, or when one that waits in the queue could not be started yet.
        out_of_memory: whether it failed for want of memory, so that the same again would most likely fail again.
        gpus: the GPUs that the job was given, as `CUDA_VISIBLE_DEVICES` names them; none where there is no GPU.
        dtype: the number format a training run computes in, such as `bfloat16`; a resume keeps to it.
        ticket: the place in the queue of a run that waits there; the lower one comes first.
    """

    state: State
    pid: int = 0
    created: float = 0.0
    step: int = 0
    steps: int = 0
    phase: str = ""
    done: int = 0
    total: int = 0
    eta_seconds: float | None = None
    started: float = 0.0
    updated: float = 0.0
    trained_seconds: float = 0.0
    error: str = ""
    out_of_memory: bool = False
    gpus: tuple[str, ...] = ()
    dtype: str = ""
    ticket: int = 0

    @property
    def live(self) -> bool:
        return self.state in LIVE


_STATUS = TypeAdapter(Status)


@dataclass(frozen=True)
class JobFolder:
    """One job's folder."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def stop_request(self) -> Path:
        return self.folder / "control" / "stop"

    @property
    def writer_lock(self) -> Path:
        return self.folder / "control" / "writer.lock"

    def status(self) -> Status:
        """Where the job stands now; a job that is gone without a word is `interrupted`."""
        written = self.written_status()
        if not written.live:
            return written
        if written.pid == 0 and abs(time.time() - written.updated) < _START_GRACE:
            return written
        if self.process(written) is None and not self._works_elsewhere():
            written = self.written_status()  # it may have ended properly since the first look
            return replace(written, state="interrupted", eta_seconds=None) if written.live else written
        return replace(written, state="stopping") if self.stop_request.exists() else written

    def process(self, status: Status) -> psutil.Process | None:
        """The job's living process, or None when it has ended.

        An operating system reckons a creation time from the clock, so a clock that is set makes the job's own process
        look like another one with its id. Then the lock decides that the job holds as long as it lives. The process of
        a job in another pod is none of this machine, whatever process has its id here.
        """
        found = process(status)
        if found is not None or cml_jobs.workspace_job(self.folder) is not None:
            return found
        other = running(status.pid)
        return other if other is not None and self.held() else None

    def _works_elsewhere(self) -> bool:
        """Whether the job's process is in another pod: it holds the lock in the common storage, or the workspace says
        that it lives."""
        elsewhere = cml_jobs.workspace_job(self.folder)
        return elsewhere is not None and (self.held() or cml_jobs.lives(elsewhere))

    def held(self, seconds: float = 0.0) -> bool:
        """Whether a process works on the job, wherever it is, and still does after `seconds`: it holds its lock."""
        if not self.writer_lock.exists():
            return False
        try:
            with FileLock(self.writer_lock, timeout=seconds):
                return False
        except (Timeout, OSError):
            return True

    def written_status(self) -> Status:
        """The status as the job last wrote it."""
        try:
            return self.read_status()
        except FileNotFoundError:
            return Status(state="failed", error="The job was never started.")
        except RunError as error:
            return Status(state="failed", error=str(error))

    def read_status(self) -> Status:
        """The status as it is written, checked.

        Raises:
            FileNotFoundError: there is none.
            RunError: it is damaged, or no status.
        """
        try:
            return _STATUS.validate_json((self.folder / "status.json").read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise RunError(f"status.json cannot be read ({field}{': ' if field else ''}{first['msg']}).") from error

    def refuse_ended(self) -> Status:
        """The status of a job that is live.

        Raises:
            RunError: it is not.
        """
        status = self.status()
        if not status.live:
            raise RunError(f"{self.id} is not running: it is {status.state}.")
        return status

    def write_status(self, status: Status, sync: bool = True) -> None:
        """Replace the status; without `sync`, for mere progress, a machine that loses its power may lose it."""
        write_json(self.folder / "status.json", asdict(status), sync)


def process(status: Status) -> psutil.Process | None:
    """The process with the job's id and creation time, or None when there is none any more."""
    found = running(status.pid)
    try:
        return found if found is not None and abs(found.create_time() - status.created) < _SAME_SECONDS else None
    except psutil.NoSuchProcess:
        return None


def running(pid: int) -> psutil.Process | None:
    """The process with this id, or None when there is none or it has ended; 0 is nobody's."""
    try:
        found = psutil.Process(pid) if pid else None
        return found if found is not None and found.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
