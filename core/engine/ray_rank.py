"""One training process on a Ray cluster: settles into its environment, then trains as a rank of its group.

Runs inside Ray Train's workers. When a process or a node is lost, Ray Train ends the group and starts a new one, which
finds here what was lost and goes on from the last whole checkpoint.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from core.engine.rank_failures import failures_told, forget_failures, refused
from core.errors import RunError
from core.jobs.folder import State
from core.paths import write_bytes
from core.runs.events import EventWriter
from core.runs.run import Run
from core.scrubbing import scrub_output
from core.secrets import hide_environment

_LOCK_SECONDS = 120.0
ENDED: frozenset[State] = frozenset({"finished", "stopped"})
"""States in which the training processes leave a run that needs no more of them."""


@dataclass(frozen=True)
class Plan:
    """What the cluster is told of a run.

    Attributes:
        folder, home: the run's directory and the home, at the same path on every node.
        processes: how many train.
        on_gpus: whether each has a GPU.
        restarts: how often they are started again after a loss.
        variables: of the job's environment, keys included.
    """

    folder: Path
    home: Path
    processes: int
    on_gpus: bool
    restarts: int
    variables: Mapping[str, str] = field(repr=False)


def rank_lock(run: Run) -> Path:
    """Locked by the training process that writes into the run's directory, as long as it does.

    A node that was cut off may still train when others have taken over; then those wait for it, or give up.
    """
    return run.folder / "control" / "rank.lock"


def loss_note(run: Run) -> Path:
    """Holds what was lost, from the loss until the next group of processes has told of it."""
    return run.folder / "control" / "loss.txt"


def work_as_rank(plan: Plan) -> None:
    """Train as the rank that the environment names; Ray Train has set it, and connected the processes.

    Raises:
        RunError: this node does not see the run's directory, or another process still writes into it.
        StudioError: as `core.engine.rank.work`.
    """
    os.environ.update(plan.variables)
    hide_environment()
    scrub_output()
    run = Run(plan.folder)
    if not run.config_file.is_file():
        raise RunError(
            f"A node of the Ray cluster does not see {plan.folder}. Put the home folder on storage that all nodes have "
            "at the same path."
        )
    if refused(run) or run.written_status().state in ENDED:  # a group that was started again has nothing to do
        return
    rank = int(os.environ["RANK"])
    with failures_told(run, rank), _alone(run) if rank == 0 else nullcontext():
        if rank == 0:
            take_over(run)
        from core.engine.rank import work

        work(run.folder, plan.home)


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    try:
        with FileLock(rank_lock(run), timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise RunError(
            "Another training process still writes into this run, most likely on a node that was cut off. End it, then "
            "resume the run."
        ) from error


def take_over(run: Run) -> None:
    """Remove what the last group left half done, and tell what became of it."""
    for half in run.half_written_checkpoints():
        shutil.rmtree(half, ignore_errors=True)
    note = loss_note(run)
    if not note.is_file():
        return
    reason = note.read_text(encoding="utf-8")
    events = EventWriter(run.events)
    message = f"{reason} The run goes on from its last whole checkpoint."
    events.write("alert", run.written_status().step, {"message": message})
    events.close()
    note.unlink()


def note_loss(run: Run, losses: Mapping[int, Exception]) -> None:
    """Leave word of the processes that were lost, by rank, for those that will take their place.

    A group ends as a whole: where one process is gone, the others end for want of its connection, which is no loss.
    """
    gone = sorted(rank for rank, error in losses.items() if type(error).__module__.startswith("ray."))
    if not run.config_file.is_file() or refused(run):
        return
    forget_failures(run)  # not by one of those who take their place: another of them may have failed by then
    ranks = ", ".join(str(rank + 1) for rank in gone)
    who = f"Training process {ranks}" if len(gone) == 1 else f"Training processes {ranks}" if gone else "A connection"
    text = f"{who} of the Ray cluster {'were' if len(gone) > 1 else 'was'} lost."
    write_bytes(loss_note(run), text.encode())
