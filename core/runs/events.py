"""The event log of a run: `events.jsonl`, written by one job, read by anyone at any time.

One JSON object a line. A reader never waits for the writer, and a last line that is not finished, because the job is
writing it or was killed while it did, is left for the next look.

Kinds of event and what they carry beside `time` (seconds since 1970), `kind` and `step`:

    phase       name, done, total        what the job is busy with
    metrics     see `Metrics`            once a step
    sample      file, best, worst        where the step's completions lie, and the two ends of their ranking
    weights     weights, by              reward weights in force from this step on, and who asked for them
    checkpoint  path                     a checkpoint that has been written whole
    validation  see `Validation`         the validation questions, answered by the policy after this step
    alert       message                  something the user should know
    error       message                  why the run ended
    state       state                    the run changed its state

Weights, validation, alert, error and state stand in `milestones.jsonl` beside it as well, so that what happened in a
run is known without reading the whole log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from core.json_lines import LineWriter, finished, finite, objects
from core.paths import write_bytes

Kind = Literal["phase", "metrics", "sample", "weights", "checkpoint", "validation", "alert", "error", "state"]
_KINDS = frozenset(get_args(Kind))
_MILESTONES = frozenset({"weights", "validation", "alert", "error", "state"})


@dataclass(frozen=True)
class Event:
    """One line of the log; `data` holds what its kind carries."""

    time: float
    kind: str
    step: int
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Metrics:
    """What is measured at a training step.

    Attributes:
        reward: mean reward of the step's completions, in [-1, 1].
        reward_std: mean of the groups' standard deviations.
        components: mean score of each reward component, unweighted.
        effective: share of the within-group variance of the reward that each component, and validity, carries; empty
            when nothing varies.
        valid, well_formed: shares of the completions.
        zero_variance: share of groups whose completions all earned the same, from which nothing is learned.
        completion_tokens, shortest, longest: mean, least and greatest length of a completion.
        ended_tokens: mean length of those that ended by themselves; NaN when none did.
        truncated: share of completions cut at the length limit.
        entropy: mean entropy of the policy's next-token distribution, in nats.
        kl: mean KL divergence from the base model, in nats a token; NaN while `beta` is 0.
        clip_low, clip_high: shares of tokens whose probability ratio was clipped from below and from above.
        loss, grad_norm, learning_rate: of the update.
        generate_seconds, score_seconds, update_seconds, step_seconds: where the time went.
        gpu_bytes: GPU memory in use by all programs at the end of the step; NaN without a GPU.
        host_bytes: memory that the job's process holds.
    """

    step: int
    reward: float
    reward_std: float
    components: Mapping[str, float]
    effective: Mapping[str, float]
    valid: float
    well_formed: float
    zero_variance: float
    completion_tokens: float
    truncated: float
    entropy: float
    loss: float
    grad_norm: float
    learning_rate: float
    generate_seconds: float
    score_seconds: float
    update_seconds: float
    step_seconds: float
    shortest: float = math.nan
    longest: float = math.nan
    ended_tokens: float = math.nan
    kl: float = math.nan
    clip_low: float = math.nan
    clip_high: float = math.nan
    gpu_bytes: float = math.nan
    host_bytes: float = math.nan

    def data(self) -> dict[str, Any]:
        """The fields as an event carries them, without the step."""
        values = asdict(self)
        del values["step"]
        return values

    @classmethod
    def of(cls, event: Event) -> Metrics:
        """The metrics that an event carries; what is missing or was not a number when it was written is NaN."""
        values: dict[str, Any] = {"step": event.step}
        for field in fields(cls)[1:]:
            value = event.data.get(field.name)
            if field.name in ("components", "effective"):
                values[field.name] = {name: _number(score) for name, score in (value or {}).items()}
            else:
                values[field.name] = _number(value)
        return cls(**values)


@dataclass(frozen=True)
class Validation:
    """How the policy answered the validation questions after a step.

    Attributes:
        rows: how many questions were answered.
        reward: mean reward under the weights in force.
        well_formed: share of the answers.
        components: mean score of each component, unweighted.
        file: where the answers lie, in the run's `completions/`.
    """

    step: int
    rows: int
    reward: float
    well_formed: float
    components: Mapping[str, float]
    file: str

    def data(self) -> dict[str, Any]:
        """The fields as an event carries them, without the step."""
        values = asdict(self)
        del values["step"]
        return values

    @classmethod
    def of(cls, event: Event) -> Validation:
        """What an event of this kind carries; a number that was not one when it was written is NaN."""
        data = event.data
        return cls(
            step=event.step,
            rows=int(data["rows"]),
            reward=_number(data["reward"]),
            well_formed=_number(data["well_formed"]),
            components={name: _number(score) for name, score in data["components"].items()},
            file=str(data["file"]),
        )


class EventWriter:
    """Appends events, one whole line in one write, and those that are milestones once more to a log of their own."""

    def __init__(self, path: Path) -> None:
        if path.exists() and not milestones_of(path).exists():
            copy_milestones(path)
        self._lines = LineWriter(path)
        self._milestones = LineWriter(milestones_of(path))

    def write(self, kind: Kind, step: int, data: Mapping[str, Any]) -> None:
        """Append one event; numbers that are not finite become null.

        Raises:
            StorageError: the disk is full.
        """
        record = {"time": round(time.time(), 3), "kind": kind, "step": step, **finite(data)}
        self._lines.write(record)
        if kind in _MILESTONES:
            self._milestones.write(record)

    def close(self) -> None:
        self._lines.close()
        self._milestones.close()


def milestones_of(path: Path) -> Path:
    """Where the milestones of the log `path` lie."""
    return path.with_name("milestones.jsonl")


def copy_milestones(path: Path) -> None:
    """Make the milestones of a log anew, as for one that an earlier version wrote without them.

    Raises:
        StorageError: the disk is full.
    """
    with path.open("rb") as log:
        kept = [line for line in log if any(event.kind in _MILESTONES for event in _events(finished(line)))]
    write_bytes(milestones_of(path), b"".join(kept))


class EventTail:
    """Reads a growing log piece by piece: every call returns what was finished since the last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Event]:
        """The events that have been finished since the last call, in their order."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except FileNotFoundError:
            return []
        whole = finished(chunk)
        self._offset += len(whole)
        return list(_events(whole))


def read_events(path: Path) -> list[Event]:
    """All finished events of a log."""
    return list(each_event(path))


def each_event(path: Path) -> Iterator[Event]:
    """The finished events of a log, one after the other, however long it is."""
    with suppress(FileNotFoundError), path.open("rb") as log:
        for line in log:
            yield from _events(finished(line))


class MetricsLog:
    """The metrics of each step as they are now: a run that is resumed leaves the steps after its checkpoint behind."""

    def __init__(self) -> None:
        self._by_step: dict[int, Metrics] = {}

    def take(self, event: Event) -> None:
        """Take in the next event of the run; kinds that say nothing of metrics are passed over."""
        if event.kind == "metrics":
            self._by_step[event.step] = Metrics.of(event)
        elif event.kind == "state" and event.data.get("state") == "running":
            self._by_step = {step: metrics for step, metrics in self._by_step.items() if step <= event.step}

    def metrics(self) -> list[Metrics]:
        """In the order of their steps."""
        return [self._by_step[step] for step in sorted(self._by_step)]


def latest_metrics(events: Iterable[Event]) -> list[Metrics]:
    """The metrics of each step as they are after the last of `events`."""
    log = MetricsLog()
    for event in events:
        log.take(event)
    return log.metrics()


def _events(chunk: bytes) -> Iterator[Event]:
    for record in objects(chunk):
        try:
            event = Event(record.pop("time"), record.pop("kind"), record.pop("step"), record)
        except KeyError:
            continue
        if event.kind in _KINDS:
            yield event


def _number(value: Any) -> Any:
    return math.nan if value is None else value
