"""Run directories: the whole contract between a job and everything that looks at it.

<home>/runs/<run id>/
  config.json      what was asked; never changed afterwards
  status.json      state, process, progress, last error; replaced in one step
  events.jsonl     see `core.runs.events`; milestones.jsonl holds the few of them that tell what happened
  curves/          see `core.training.curves`: the numbers of every step, to be drawn at once
  completions/     step-000012.parquet: every completion of that step with its scores;
                   held-out-before.parquet and held-out-after.parquet: the test questions answered by the policy;
                   validation-000012.parquet: the validation questions, answered after that step
  rewards/         the texts of the custom rewards as they were when the run was started
  label.json       see `core.runs.labels`: title, tags and note
  control/         see `core.training.control`: stop, pause and weights.json, what is asked of the job
  checkpoints/     checkpoint-12/: all that is needed to go on after that step
  adapter/         the trained adapter
  best/            see `core.training.best`: the adapter that did best on the validation questions
  worker.log       what the job's process printed
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from core.config import RunConfig, read_config
from core.errors import ConfigError, RunError
from core.jobs.folder import JobFolder, Status
from core.paths import Home, is_name, new_folder, storage_error, valid_name, write_json
from core.runs.events import milestones_of

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
    def milestones(self) -> Path:
        return milestones_of(self.events)

    @property
    def curves(self) -> Path:
        return self.folder / "curves"

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
    def best(self) -> Path:
        """The adapter that did best on the validation questions; see `core.training.best`."""
        return self.folder / "best"

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
        """One or two sentences on where the run stands and what can be done."""
        status = self.status()
        at = f"step {status.step} of {status.steps}"
        return {
            "queued": f"Waiting for its turn. {status.error}".rstrip(),
            "starting": "The job is starting.",
            "running": f"Running, {at}.",
            "paused": f"Paused at {at}; it holds its memory and goes on at once.",
            "stopping": f"Stopping after {at}.",
            "stopped": f"Stopped at {at}; {self._way_on()}.",
            "finished": f"Finished, {at}.",
            "failed": f"Failed at {at}: {status.error} {self._after_failure(status)}",
            "interrupted": f"Interrupted at {at}; {self._way_on()}.",
        }[status.state]

    def _way_on(self) -> str:
        steps = self.checkpoint_steps()
        return f"resume from checkpoint {steps[-1]}" if steps else "resume starts it again from the beginning"

    def _after_failure(self, status: Status) -> str:
        if status.out_of_memory:
            return "A new run with that change is the better way: a resume would most likely fail again."
        return f"When that is mended, {self._way_on()}."


def create_run(home: Home, config: RunConfig, prefix: str = "run") -> Run:
    """Make the directory of a new run; nothing that is there is ever overwritten.

    Raises:
        StorageError: the disk is full or the home cannot be written.
    """
    valid_name(prefix, "the run's prefix")
    folder = new_folder(home.runs, f"{prefix}-{time.strftime('%Y%m%d-%H%M%S')}")
    run = Run(folder)
    try:
        for name in ("completions", "control", "checkpoints"):
            (folder / name).mkdir()
        run.write_status(Status(state="starting", steps=config.train.steps, started=time.time(), updated=time.time()))
        write_json(run.config_file, config.model_dump(mode="json"))  # last: it makes the folder a run
    except OSError as error:
        raise storage_error(error, folder) or error from error
    return run


def list_runs(home: Home) -> list[Run]:
    """All runs, the newest first."""
    found = [(run, _made(run)) for run in map(Run, home.runs.iterdir()) if is_name(run.id)]
    dated = [(made, run) for run, made in found if made is not None]
    return [run for _, run in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def _made(run: Run) -> int | None:
    """When a run was made; None when the folder is no run, or is none any more."""
    try:
        return run.config_file.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def find_run(home: Home, run_id: str) -> Run:
    """The run with this id; `last` means the newest.

    Raises:
        RunError: there is no such run.
    """
    if run_id == "last":
        runs = list_runs(home)
        if not runs:
            raise RunError("There are no runs yet. Start one with: .venv/bin/python -m core train --size demo")
        return runs[0]
    try:
        folder = home.runs / valid_name(run_id, "run")
    except ConfigError as error:
        raise RunError(str(error)) from error
    if not (folder / "config.json").is_file():
        raise RunError(f"There is no run {run_id!r} in {home.runs}. List them with: .venv/bin/python -m core runs")
    return Run(folder)
