"""A run in one line, as lists show it, and which runs a search finds."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.config import RunConfig
from core.errors import StudioError
from core.jobs.folder import State, Status
from core.runs.labels import Label, read_label
from core.runs.run import Run
from core.runs.stamps import PerRun
from core.training.best import read_best
from core.training.curves import CurveReader, has_curves

COMPARED_STEPS = 10
"""Over how many steps the mean rewards at the start and at the end are taken, at most."""

_MAY_CHANGE_ALONE = ("starting", "running", "paused", "stopping", "interrupted")
"""States that are told by whether a process lives, so that no file says when they change."""
_BEGINNING = r"(?<![a-z0-9])"
"""Before the first letter of a word; every character begins a word where words are written without spaces."""


@dataclass(frozen=True)
class RunLine:
    """What there is to say about a run in one line.

    Attributes:
        config: None when it cannot be read.
        first, last: mean reward of the first and of the last steps; None before the first step.
        best: mean reward on the validation questions at the best step; None when there was no validation.
    """

    run: Run
    status: Status
    label: Label
    config: RunConfig | None
    first: float | None
    last: float | None
    best: float | None

    @property
    def title(self) -> str:
        """What people call the run: what they wrote on it, else the name it was started with. Text from outside."""
        return self.label.title or (self.config.name if self.config else "")

    @property
    def model(self) -> str:
        """The model's name without its folder or organisation."""
        return Path(self.config.model).name if self.config else ""

    @property
    def data(self) -> str:
        """The name of the data set or file."""
        return (self.config.data.prepared or Path(self.config.data.path).name) if self.config else ""

    @property
    def reward(self) -> str:
        """The name of the reward preset."""
        return self.config.reward.preset if self.config else ""


def line_of(run: Run) -> RunLine:
    """A run in one line; one whose settings or label are damaged is listed all the same."""
    config, label = None, Label()
    try:
        config = run.config()
        label = read_label(run)
    except StudioError:
        pass
    return _line(run, config, label)


def _whole_line(run: Run) -> RunLine:
    """Likewise; raises a StudioError for a run that is damaged."""
    return _line(run, run.config(), read_label(run))


def _line(run: Run, config: RunConfig | None, label: Label) -> RunLine:
    first, last = ends(CurveReader(run.curves)) if has_curves(run) else (None, None)
    best = read_best(run)
    return RunLine(run, run.status(), label, config, first, last, best.reward if best else None)


def ends(curves: CurveReader) -> tuple[float | None, float | None]:
    """The mean reward of the first steps and of as many last ones: half of a short run, ten of a longer one."""
    steps = curves.last_step
    if not steps:
        return None, None
    count = max(1, min(COMPARED_STEPS, steps // 2))
    return _mean(curves, 1, count), _mean(curves, steps - count + 1, steps)


def _mean(curves: CurveReader, first: int, last: int) -> float | None:
    rewards = [metrics.reward for metrics in curves.metrics(first, last)]
    return sum(rewards) / len(rewards) if rewards else None


def present_lines(runs: Sequence[Run]) -> list[RunLine]:
    """Runs in one line each; one is read again only when something in its folder has changed."""
    return [_present(run) for run in runs]


def _present(run: Run) -> RunLine:
    try:
        line = _kept_line(run)
    except StudioError:
        return line_of(run)  # every time anew: who corrects its files by hand does not change the folder
    # no file says when the state of these changes
    return replace(line, status=run.status()) if line.status.state in _MAY_CHANGE_ALONE else line


_kept_line = PerRun(_whole_line, lambda run: run.curves)


@dataclass(frozen=True)
class Search:
    """Which runs are wanted. What is empty does not narrow the search.

    Attributes:
        text: words, or beginnings of words, that all stand somewhere in the run's id, title, tags, model, data or
            reward, in any case. Not any part of a word: ids are full of digits.
        states: the run is in one of these.
        tags: the run has all of these.
        archived: whether runs that were put away are found as well.
    """

    text: str = ""
    states: Collection[State] = ()
    tags: Collection[str] = ()
    archived: bool = False

    def finds(self, line: RunLine) -> bool:
        """Whether this run is wanted."""
        if line.label.archived and not self.archived:
            return False
        if self.states and line.status.state not in self.states:
            return False
        about = (line.run.id, line.title, *line.label.tags, line.model, line.data, line.reward)
        text = "\n".join(about).casefold()
        words = self.text.casefold().split()
        return set(self.tags) <= set(line.label.tags) and all(
            re.search(_BEGINNING + re.escape(word), text) for word in words
        )


def all_tags(lines: Sequence[RunLine]) -> list[str]:
    """Every tag that some run has, in the order of the alphabet."""
    return sorted({tag for line in lines for tag in line.label.tags}, key=str.casefold)
