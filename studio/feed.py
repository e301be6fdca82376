"""What a run has written so far, kept in memory and brought up to date by reading only what is new."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.config import COMPONENTS
from core.events import Event, EventTail, Metrics, MetricsLog
from core.runs import Run

_SHARES = ("well_formed", "valid", "truncated")
_KEPT_NOTES = 50


@dataclass(frozen=True)
class Note:
    """Something the job said in words: an alert, or the error that ended it."""

    step: int
    message: str
    is_error: bool


class RunFeed:
    """The metrics and notes of one run; shared by every browser that looks at it."""

    def __init__(self, run: Run) -> None:
        self._tail = EventTail(run.events)
        self._log = MetricsLog()
        self._frame: pd.DataFrame | None = None
        self._lock = threading.Lock()
        self.notes: list[Note] = []
        self.last_step_time = 0.0
        """When the last training step ended, in seconds since 1970."""

    def update(self) -> RunFeed:
        """Take in what the job has written since the last call."""
        with self._lock:
            for event in self._tail.read():
                self._take(event)
        return self

    def metrics(self) -> list[Metrics]:
        """The metrics of each step, in order."""
        return self._log.metrics()

    def frame(self) -> pd.DataFrame:
        """The metrics as a table, one row a step.

        Columns: step, reward, completion_tokens, truncated, valid, well_formed, and one for each reward component.
        """
        with self._lock:
            if self._frame is None:
                self._frame = _table(self.metrics())
            return self._frame

    def _take(self, event: Event) -> None:
        self._log.take(event)
        if event.kind in ("metrics", "state"):
            self._frame = None
        if event.kind == "metrics":
            self.last_step_time = event.time
        elif event.kind in ("alert", "error"):
            note = Note(event.step, str(event.data.get("message", "")), event.kind == "error")
            self.notes = [*self.notes, note][-_KEPT_NOTES:]


def _table(metrics: list[Metrics]) -> pd.DataFrame:
    columns: dict[str, list[float]] = {
        "step": [m.step for m in metrics],
        "reward": [m.reward for m in metrics],
        "completion_tokens": [m.completion_tokens for m in metrics],
    }
    columns |= {share: [getattr(m, share) for m in metrics] for share in _SHARES}
    names = metrics[-1].components if metrics else COMPONENTS
    columns |= {name: [m.components.get(name, float("nan")) for m in metrics] for name in names}
    return pd.DataFrame(columns)


@st.cache_resource(max_entries=200, show_spinner=False)
def _feed(folder: str, _run: Run) -> RunFeed:
    return RunFeed(_run)


def feed_of(run: Run) -> RunFeed:
    """The run's feed, up to date. It lives in the server, so another tab or a reload does not read the log again."""
    return _feed(str(run.folder), run).update()
