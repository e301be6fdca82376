"""What every job's folder holds: its state, its log, the request to stop.

<folder>/
  status.json      state, process, progress, last error; replaced in one step, written by the job itself
  control/stop     asks the job to stop
  worker.log       what its process printed

A training run (`core.runs`) and a task (`core.tasks`) are such folders with a request and results of their own.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import psutil

from core.paths import write_json

State = Literal["queued", "starting", "running", "paused", "stopping", "stopped", "finished", "failed", "interrupted"]
LIVE: frozenset[State] = frozenset({"starting", "running", "paused", "stopping"})
"""States in which a process works on the job."""

_START_GRACE = 60.0
"""Seconds a job may take to say which process it is."""


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
        error: one plain sentence when the run failed.
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

    @property
    def live(self) -> bool:
        return self.state in LIVE


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

    def status(self) -> Status:
        """Where the job stands now; a job that is gone without a word is `interrupted`."""
        written = self.written_status()
        if not written.live:
            return written
        if written.pid == 0 and time.time() - written.updated < _START_GRACE:
            return written
        if process(written) is None:
            written = self.written_status()  # it may have ended properly since the first look
            return replace(written, state="interrupted", eta_seconds=None) if written.live else written
        return replace(written, state="stopping") if self.stop_request.exists() else written

    def written_status(self) -> Status:
        """The status as the job last wrote it."""
        try:
            return Status(**json.loads((self.folder / "status.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Status(state="failed", error="The job was never started.")
        except (ValueError, TypeError) as error:
            return Status(state="failed", error=f"status.json cannot be read ({error}).")

    def write_status(self, status: Status) -> None:
        write_json(self.folder / "status.json", asdict(status))


def process(status: Status) -> psutil.Process | None:
    """The job's living process, or None when it has ended or its id now belongs to another program."""
    if status.pid == 0:
        return None
    try:
        found = psutil.Process(status.pid)
        same = abs(found.create_time() - status.created) < 0.01
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None
