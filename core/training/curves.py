"""The numbers of a training run by step, so that a run of a million steps is drawn as fast as one of a thousand.

The job appends one record a step (`CurveWriter`); pages and the command line read as many points as they draw
(`CurveReader`). How the files are laid out stands in `core.training.curve_files`. `events.jsonl` is read only to make
the curves of a run that has none, because an earlier version wrote it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.parquet as pq

from core.errors import RunError, StudioError
from core.locks import locked
from core.paths import new_folder
from core.runs.completions import step_file
from core.runs.events import Event, Metrics, copy_milestones, each_event
from core.runs.run import Run
from core.training.curve_files import Columns
from core.training.curve_reader import CurveReader, Points, stretch
from core.training.curve_writer import CurveWriter
from core.training.groups import GroupWriter

__all__ = [
    "CurveReader",
    "CurveReplay",
    "CurveWriter",
    "Points",
    "has_curves",
    "logged_components",
    "metrics_of",
    "open_writers",
    "opened",
    "rebuild",
    "rewards_of",
    "stretch",
]


class CurveReplay:
    """Puts the events of a log into curves, as the job would have done.

    Args:
        folder: where the curves lie, made when it is not there.
        components: the components of the run's reward.
    """

    def __init__(self, folder: Path, components: Sequence[str]) -> None:
        self._writer = CurveWriter(folder, components)
        self._weights: Mapping[str, float] = {}

    @property
    def last_step(self) -> int:
        return self._writer.last_step

    def take(self, event: Event) -> None:
        """Take in the next event of the run; kinds that say nothing of its curves are passed over."""
        if event.kind == "metrics":
            self._writer.append(Metrics.of(event), self._weights, event.time)
        elif event.kind == "weights":
            self._weights = event.data["weights"]
        elif event.kind == "state" and event.data.get("state") == "running":
            self._writer.rewind(event.step)


def open_writers(run: Run, components: Sequence[str], step: int) -> tuple[CurveWriter, GroupWriter]:
    """Where the job of a run writes its curves and its groups, for a job that goes on after `step`; 0 for a new run.

    What is there of later steps is left behind; what is missing of earlier ones is made from the run's events first.
    To be called by the job itself, which holds the lock of the run's writer.

    Raises:
        StorageError: the disk is full.
    """
    whole = Columns.read(run.curves) == Columns.of(components) and CurveReader(run.curves).last_step >= step
    if not whole and run.events.exists():
        _put_in_place(_build(run, components), run.curves)
    curves, groups = CurveWriter(run.curves, components), GroupWriter(run.curves)
    curves.rewind(step)
    groups.rewind(step)
    return curves, groups


def rebuild(run: Run) -> None:
    """Make the curves of a run that is not live anew from its events and its completions.

    Raises:
        RunError: a job is writing the run.
        ConfigError: the run's settings cannot be read.
        StorageError: the disk is full.
    """
    built = _build(run, run.config().reward.components)
    try:
        # Held for the moment of the change only, or a job that is resumed now would be turned away.
        with locked(run.folder / "control" / "writer.lock", 0, f"{run.id} is being written by its job.", RunError):
            _put_in_place(built, run.curves)
            if not run.milestones.exists():
                copy_milestones(run.events)
    finally:
        shutil.rmtree(built, ignore_errors=True)


@contextmanager
def opened(run: Run) -> Iterator[CurveReader]:
    """The curves of a run; of one that has none, because an earlier version wrote it, they are made first.

    While such a run is live they are made in a place of their own that is gone after the `with` block.
    """
    if not has_curves(run) and not run.status().live and run.events.exists():
        with suppress(StudioError):  # its settings cannot be read, or the disk is full: looking is still possible
            rebuild(run)
    if has_curves(run):
        yield CurveReader(run.curves)
        return
    with tempfile.TemporaryDirectory() as folder:
        replay = CurveReplay(Path(folder), logged_components(run))
        for event in each_event(run.events):
            replay.take(event)
        yield CurveReader(Path(folder))


def has_curves(run: Run) -> bool:
    """Whether there are curves that this version can read."""
    return CurveReader(run.curves).begun


def logged_components(run: Run) -> tuple[str, ...]:
    """The components of the reward as the first step in the log has them; none before it."""
    steps = (Metrics.of(event) for event in each_event(run.events) if event.kind == "metrics")
    return next((tuple(metrics.components) for metrics in steps), ())


def metrics_of(run: Run, first: int = 1, last: int | None = None) -> list[Metrics]:
    """What was measured at the steps from `first` to `last`, both included; to the newest when that is None."""
    with opened(run) as curves:
        return curves.metrics(first, curves.last_step if last is None else last)


def rewards_of(run: Run, points: int) -> list[float]:
    """The mean reward over the whole run in about so many points, such as for a sparkline."""
    with opened(run) as curves:
        rewards: list[float] = curves.frame(1, curves.last_step, points, ["reward"])["reward"].tolist()
        return rewards


def _build(run: Run, components: Sequence[str]) -> Path:
    """The curves of a run, made of its events and completions, in a folder beside their place."""
    folder = new_folder(run.folder, ".curves")
    try:
        replay, groups = CurveReplay(folder, components), GroupWriter(folder)
        for event in each_event(run.events):
            replay.take(event)
        for step in range(1, replay.last_step + 1):
            if step_file(run, step).exists():
                table = pq.read_table(step_file(run, step), columns=["group", "reward"])
                groups.append(step, table["group"].to_pylist(), table["reward"].to_numpy())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _put_in_place(built: Path, place: Path) -> None:
    """Exchange the curves of a run."""
    if place.exists():
        shutil.rmtree(place)
    built.rename(place)
