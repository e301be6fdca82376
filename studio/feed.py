"""What a run has written so far, kept up to date by reading only what is new: its curves and its milestones.

The log of a run, `events.jsonl`, is read only for a run of an earlier version that has no curves.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.errors import StudioError
from core.runs.events import Event, EventTail, Metrics, Validation
from core.runs.run import Run
from core.training.coach_reader import Milestones
from core.training.curves import CurveReader, CurveReplay, Points, rebuild
from studio import collector

_KEPT_NOTES = 50
_MANY = 1000
"""Milestones that are kept as objects from which a garbage collection takes long."""
_PATIENCE_SECONDS = 1.0
"""How long a page waits at most for the curves of an older run to be made."""


@dataclass(frozen=True)
class Note:
    """Something the job said in words: an alert, or the error that ended it."""

    step: int
    message: str
    is_error: bool


@dataclass(frozen=True)
class WeightsChange:
    """The reward's weights were changed while the run went on; `weights` are in force from `step` on."""

    step: int
    weights: Mapping[str, float]


class RunFeed:
    """The numbers and notes of one run; shared by every browser that looks at it.

    Attributes:
        notes: the newest alerts and errors.
        last_step: the newest step; 0 before the first.
        last_step_time: when it ended, in seconds since 1970; 0 before the first.
        components: those of the reward; none before the first step.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._maker: threading.Thread | None = None
        self._of_run = CurveReader(run.curves)
        self._begin(EventTail(run.milestones), self._of_run)
        self._older: _OlderRun | None = None
        self.last_step, self.last_step_time = 0, 0.0
        self.components: tuple[str, ...] = ()

    def _begin(self, tail: EventTail, curves: CurveReader) -> None:
        self._tail, self._curves = tail, curves
        self._milestones = Milestones()
        self.notes: list[Note] = []

    def update(self) -> RunFeed:
        """Take in what the job has written since the last call."""
        with self._lock:
            if not self._of_run.begun:
                self._do_without()
            elif self._older is not None:
                self._older = None
                self._begin(EventTail(self._run.milestones), self._of_run)
            new = self._tail.read()
            for event in new:
                if self._older is not None:
                    self._older.take(event)
                self._take(event)
            self.components = self._curves.components  # first: another session that sees a step asks for its scores
            self.last_step, self.last_step_time = self._curves.newest()
        if len(new) >= _MANY:
            collector.leave_out_what_is_there()
        return self

    @property
    def preparing(self) -> bool:
        """Whether the curves of an older run are being made."""
        return self._maker is not None and self._maker.is_alive()

    @property
    def validations(self) -> list[Validation]:
        """In the order of their steps, without those that a resumed run has left behind."""
        return self._milestones.validations

    @property
    def changes(self) -> list[WeightsChange]:
        """Of the reward's weights, likewise."""
        return [WeightsChange(step, weights) for step, weights in self._milestones.changes.items()]

    def earliest(self, count: int) -> list[Metrics]:
        """The metrics of the first `count` steps, in order."""
        return self._curves.metrics(1, count)

    def newest(self, count: int) -> list[Metrics]:
        """The metrics of the last `count` steps, in order."""
        last = self.last_step
        return self._curves.metrics(last - count + 1, last)

    def points(self, first: int, last: int, points: int, columns: Sequence[str]) -> Points:
        """Steps as columns of about `points` rows; see `CurveReader.points`."""
        return self._curves.points(first, last, points, columns)

    def rewards(self, points: int) -> list[float]:
        """The mean reward over the whole run in about so many points."""
        rewards: list[float] = self.points(1, self.last_step, points, ["reward"])["reward"].tolist()
        return rewards

    def _do_without(self) -> None:
        """For a run without curves: make them, or while its job goes on follow its log."""
        if self._older is not None:
            return
        if self._maker is None and not self._run.status().live and self._run.events.exists():
            self._maker = threading.Thread(target=self._make_curves, daemon=True)
            self._maker.start()
            self._maker.join(_PATIENCE_SECONDS)
        if not self.preparing and not self._of_run.begun:
            self._older = _OlderRun()
            self._begin(EventTail(self._run.events), CurveReader(self._older.folder))

    def _make_curves(self) -> None:
        with suppress(StudioError):  # settings that cannot be read, a full disk: the log is then followed instead
            rebuild(self._run)

    def _take(self, event: Event) -> None:
        if event.kind in ("alert", "error"):
            note = Note(event.step, str(event.data.get("message", "")), event.kind == "error")
            self.notes = [*self.notes, note][-_KEPT_NOTES:]
        self._milestones.take(event)


class _OlderRun:
    """Curves of a run that writes none itself, made of its events in a folder that is gone with this object."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._replay: CurveReplay | None = None
        self._early: list[Event] = []

    def take(self, event: Event) -> None:
        """Take in the next event; the first step says which components there are."""
        if self._replay is None:
            self._early.append(event)
            if event.kind != "metrics":
                return
            self._replay = CurveReplay(self.folder, tuple(Metrics.of(event).components))
            for early in self._early[:-1]:
                self._replay.take(early)
        self._replay.take(event)


@st.cache_resource(max_entries=200, show_spinner=False)
def _feed(folder: str, _run: Run) -> RunFeed:
    return RunFeed(_run)


def feed_of(run: Run) -> RunFeed:
    """The run's feed, up to date. It lives in the server, so another tab or a reload does not read it all again."""
    return _feed(str(run.folder), run).update()
