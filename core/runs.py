"""Run directories: the whole contract between a job and everything that looks at it.

<home>/runs/<run id>/
  config.json      what was asked; never changed afterwards
  status.json      state, process, progress, last error; replaced in one step
  events.jsonl     see `core.events`
  completions/     step-000012.parquet: every completion of that step with its scores;
                   held-out-before.parquet and held-out-after.parquet: the test questions answered by the policy
  control/stop     asks the job to stop after the step it is in
  checkpoints/  adapter/  worker.log
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import psutil

from core.config import RunConfig, read_config
from core.errors import ConfigError, RunError
from core.paths import Home, is_name, storage_error, valid_name, write_json

State = Literal["starting", "running", "stopping", "stopped", "finished", "failed", "interrupted"]
LIVE: frozenset[State] = frozenset({"starting", "running", "stopping"})
"""States in which a process works on the run."""

_CHECKPOINT = re.compile(r"checkpoint-\d+")
CHECKPOINT_LAST_FILE = "trainer_state.json"
"""What the trainer writes into a checkpoint last."""

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
class Run:
    """One run directory."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def completions(self) -> Path:
        return self.folder / "completions"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def stop_request(self) -> Path:
        return self.folder / "control" / "stop"

    def config(self) -> RunConfig:
        return read_config(self.folder / "config.json")

    def status(self) -> Status:
        """Where the run stands now; a job that is gone without a word is `interrupted`."""
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
            return Status(state="failed", error="The run was never started.")
        except (ValueError, TypeError) as error:
            return Status(state="failed", error=f"status.json cannot be read ({error}).")

    def write_status(self, status: Status) -> None:
        write_json(self.folder / "status.json", asdict(status))

    def checkpoint_steps(self) -> list[int]:
        """The steps of the checkpoints on disk, in order, without those that were only half written."""
        return sorted(
            int(folder.name.removeprefix("checkpoint-"))
            for folder in self._checkpoint_folders()
            if (folder / CHECKPOINT_LAST_FILE).is_file()
        )

    def half_written_checkpoints(self) -> list[Path]:
        """Checkpoints whose writing broke off, by a kill or a full disk."""
        return [folder for folder in self._checkpoint_folders() if not (folder / CHECKPOINT_LAST_FILE).is_file()]

    def _checkpoint_folders(self) -> list[Path]:
        return [folder for folder in self.checkpoints.glob("checkpoint-*") if _CHECKPOINT.fullmatch(folder.name)]

    def summary(self) -> str:
        """One sentence on where the run stands and what can be done."""
        status = self.status()
        at = f"step {status.step} of {status.steps}"
        checkpoints = self.checkpoint_steps()
        way_on = (
            f"resume from checkpoint {checkpoints[-1]}" if checkpoints else "resume starts it again from the beginning"
        )
        return {
            "starting": "The job is starting.",
            "running": f"Running, {at}.",
            "stopping": f"Stopping after {at}.",
            "stopped": f"Stopped at {at}; {way_on}.",
            "finished": f"Finished, {at}.",
            "failed": f"Failed at {at}: {status.error}",
            "interrupted": f"Interrupted at {at}; {way_on}.",
        }[status.state]


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


def create_run(home: Home, config: RunConfig, prefix: str = "run") -> Run:
    """Make the directory of a new run; nothing that is there is ever overwritten.

    Raises:
        StorageError: the disk is full or the home cannot be written.
    """
    valid_name(prefix, "the run's prefix")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        folder = home.runs / (f"{prefix}-{stamp}" if attempt == 1 else f"{prefix}-{stamp}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise storage_error(error, folder) or error from error
        break
    run = Run(folder)
    for name in ("completions", "control", "checkpoints"):
        (folder / name).mkdir()
    write_json(folder / "config.json", config.model_dump(mode="json"))
    run.write_status(Status(state="starting", steps=config.train.steps, started=time.time(), updated=time.time()))
    return run


def list_runs(home: Home) -> list[Run]:
    """All runs, the newest first."""
    folders = [folder for folder in home.runs.iterdir() if is_name(folder.name) and (folder / "config.json").is_file()]
    return [
        Run(folder) for folder in sorted(folders, key=lambda f: (f / "config.json").stat().st_mtime_ns, reverse=True)
    ]


def find_run(home: Home, run_id: str) -> Run:
    """The run with this id; `last` means the newest.

    Raises:
        RunError: there is no such run.
    """
    if run_id == "last":
        runs = list_runs(home)
        if not runs:
            raise RunError("There are no runs yet. Start one with: .venv/bin/python -m core train --preset demo")
        return runs[0]
    try:
        folder = home.runs / valid_name(run_id, "run")
    except ConfigError as error:
        raise RunError(str(error)) from error
    if not (folder / "config.json").is_file():
        raise RunError(f"There is no run {run_id!r} in {home.runs}. List them with: .venv/bin/python -m core runs")
    return Run(folder)
