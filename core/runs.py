"""Run directories: the whole contract between a job and everything that looks at it.

<home>/runs/<run id>/
  config.json      what was asked; never changed afterwards
  status.json      state, process, progress, last error; replaced in one step
  events.jsonl     see `core.events`
  completions/     step-000012.parquet: every completion of that step with its scores;
                   held-out-before.parquet and held-out-after.parquet: the test questions answered by the policy
  rewards/         the texts of the custom rewards as they were when the run was started
  control/stop     asks the job to stop after the step it is in
  checkpoints/  adapter/  worker.log
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from core.config import RunConfig, read_config
from core.errors import ConfigError, RunError
from core.job_folder import JobFolder, Status
from core.paths import Home, is_name, new_folder, valid_name, write_json

_CHECKPOINT = re.compile(r"checkpoint-\d+")
CHECKPOINT_LAST_FILE = "trainer_state.json"
"""What the trainer writes into a checkpoint last."""


@dataclass(frozen=True)
class Run(JobFolder):
    """One run directory."""

    @property
    def config_file(self) -> Path:
        return self.folder / "config.json"

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
    def rewards(self) -> Path:
        return self.folder / "rewards"

    def config(self) -> RunConfig:
        return read_config(self.config_file)

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
            "queued": "Waiting for its turn.",
            "starting": "The job is starting.",
            "running": f"Running, {at}.",
            "paused": f"Paused at {at}; it holds its memory and goes on at once.",
            "stopping": f"Stopping after {at}.",
            "stopped": f"Stopped at {at}; {way_on}.",
            "finished": f"Finished, {at}.",
            "failed": f"Failed at {at}: {status.error}",
            "interrupted": f"Interrupted at {at}; {way_on}.",
        }[status.state]


def create_run(home: Home, config: RunConfig, prefix: str = "run") -> Run:
    """Make the directory of a new run; nothing that is there is ever overwritten.

    Raises:
        StorageError: the disk is full or the home cannot be written.
    """
    valid_name(prefix, "the run's prefix")
    folder = new_folder(home.runs, f"{prefix}-{time.strftime('%Y%m%d-%H%M%S')}")
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
