"""Runs a job whose training processes do what a test asks of them, beside training."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from core.config import RunConfig
from core.paths import PROJECT, Home
from core.runs.run import Run, create_run

LONG = 300.0
_FILE = "asked.json"


@dataclass(frozen=True)
class Asked:
    """What a test asks of a run's processes.

    Attributes:
        same_texts: completions depend on the prompt and the place in the group alone.
        spread: accelerate takes processors for GPUs, since it spreads a model over nothing else.
        step: when one process does something, as that step begins; 0 for never.
        rank: which process does it.
        act: what it does: `kill` itself, `fail` as a broken reward does, or `note` that scores lack something, or as a
            user ask for `stop`, `pause`, `weights`.
    """

    same_texts: bool = False
    spread: bool = False
    step: int = 0
    rank: int = 0
    act: str = ""

    @classmethod
    def read(cls, folder: Path) -> Asked:
        return cls(**json.loads((folder / _FILE).read_text(encoding="utf-8")))


def made(home: Home, config: RunConfig) -> Run:
    """A run that has not begun, which computes in float32 so that numbers can be compared."""
    run = create_run(home, config)
    run.write_status(replace(run.written_status(), dtype="float32"))
    return run


def begin(run: Run, home: Home, asked: Asked | None = None) -> subprocess.Popen[str]:
    """Start the run's job in a process of its own."""
    (run.folder / _FILE).write_text(json.dumps(asdict(asked or Asked())), encoding="utf-8")
    command = [sys.executable, "-m", "tests.core.distributed.job", str(run.folder), str(home.root)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def work(run: Run, home: Home, asked: Asked | None = None) -> int:
    """Run the job to its end; returns its exit code."""
    return ended(begin(run, home, asked))


def ended(job: subprocess.Popen[str]) -> int:
    """Wait for a job that has begun; returns its exit code and shows what it said."""
    said, _ = job.communicate(timeout=LONG)
    print(said)
    return job.returncode
