"""A custom reward as a component: its file runs in a child process; whatever can go wrong there has its sentence."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict

from core.config import Tags
from core.engine.child_process import ChildEnded, ChildProcess, ChildTooSlow
from core.errors import MissingColumn, RewardError
from core.lab.board import in_groups
from core.reward.custom_check import PASSED
from core.reward.custom_files import Source
from core.reward.parsing import parse
from core.reward.scoring import Sample
from core.reward.trial import Frame
from core.secrets import masked
from core.text import one_line

_CHILD = Path(__file__).with_name("reward_child.py")
_MEMORY_SHARE = 0.5
"""How much of this machine's memory the child may address: it must not take the machine down by mistake."""
_FILE_BYTES = 64 * 10**6
"""How long a file may be that the child writes."""
_AT_ONCE = 64
"""Completions that one call scores, at least where there are as many, so that a time limit means the same for a step of
training and for a whole file."""
_LARGEST = 1e6
_START_SECONDS = 60.0
"""How long Python itself may take to start on a busy machine."""
_NAMED = 3
"""How many faulty completions a message names."""
_MESSAGE_LIMIT = 500


class CustomRewardError(RewardError):
    """A custom reward is broken; `frames` are the places in the user's file, the innermost last."""

    def __init__(self, message: str, frames: tuple[Frame, ...] = ()) -> None:
        super().__init__(message)
        self.frames = frames


class _Failure(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: str
    message: str
    frames: tuple[Frame, ...]


class _Answer(BaseModel):
    """One of these, as `core.engine.reward_child` says; text among the values describes what is not a number."""

    model_config = ConfigDict(extra="forbid")

    started: bool = False
    loaded: bool = False
    values: list[float | str | None] | None = None
    returned: str = ""
    missing: list[str] = []
    error: _Failure | None = None


class CustomComponent:
    """A custom reward's file, loaded in a process of its own that ends with this object's `close`.

    After any failure the process is stopped; the next call starts a new one.
    """

    def __init__(self, source: Source, tags: Tags) -> None:
        """Nothing is started yet; `tags` are those by which completions are taken apart."""
        self.name = source.reward.name
        self._source = source
        self._tags = tags
        self._child: ChildProcess | None = None
        self._output = ""

    def start(self) -> None:
        """Load the file, when it is not loaded yet.

        Raises:
            CustomRewardError: it raises, exits or takes too long while it is loaded.
        """
        if self._child is not None:
            return
        memory = int(psutil.virtual_memory().total * _MEMORY_SHARE)
        self._child = ChildProcess(_CHILD, [str(memory), str(_FILE_BYTES)])
        self._ask(None, "to start", _START_SECONDS)
        source = {"path": str(self._source.path), "source": self._source.content.decode("utf-8-sig")}
        self._ask(source, "to load", self._source.reward.seconds)

    def scores(self, samples: Sequence[Sample]) -> list[float | None]:
        """What the function returns for `samples`, called for some whole groups at a time; None for no opinion.

        Raises:
            CustomRewardError: it raises, exits, takes too long, or returns anything but a finite number of a sensible
                size, or None, for each sample.
            MissingColumn: it asks for a column that the samples do not carry.
        """
        found: dict[int, float | None] = {}
        arguments = _arguments(samples, self._tags)
        for rows in _portions(samples):
            values = self._call({name: [given[row] for row in rows] for name, given in arguments.items()}, len(rows))
            found.update(zip(rows, self._checked(values, rows, len(samples)), strict=True))
        return [found[row] for row in range(len(samples))]

    def _call(self, arguments: Mapping[str, list[Any]], count: int) -> list[float | str | None]:
        """What the function returns for these arguments, `count` values of each."""
        self.start()
        task = f"for {count} completion{'' if count == 1 else 's'}"
        answer = self._ask({"arguments": arguments}, task, self._source.reward.seconds)
        if answer.missing:
            self.close()
            raise MissingColumn(
                f"The custom reward {self._source.path.name} asks for {answer.missing[0]!r}, which is neither given to "
                f"every custom reward nor a column of this data. There are {', '.join(arguments)}. Give the argument a "
                "default, or carry the column along when the data is prepared.",
                self.name,
                answer.missing[0],
            )
        if answer.values is None:
            raise self._broken(
                f"returned a value of the type {answer.returned}, not a list. Return a list with one number for each "
                "completion."
            )
        if len(answer.values) != count:
            raise self._broken(
                f"returned a list of length {len(answer.values)} for {count} completions. Return one for each."
            )
        return answer.values

    @property
    def output(self) -> str:
        """What the file has printed since it was loaded, secrets masked, cut to a limit."""
        return self._output if self._child is None else self._child.output

    def notes(self) -> list[str]:
        """Nothing: whatever goes wrong is an error."""
        return []

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()
            self._output = self._child.output
            self._child = None

    def _ask(self, request: Mapping[str, Any] | None, task: str, seconds: float) -> _Answer:
        assert self._child is not None
        try:
            found = self._child.ask(None if request is None else {**request, "seconds": seconds}, seconds)
            answer = _Answer.model_validate(found)
        except ChildTooSlow:
            raise self._broken(
                f"took longer than {seconds:g} s {task} and was stopped. Look for a loop without an end or a pattern "
                "that backtracks, or allow it more time."
            ) from None
        except ChildEnded as ended:
            raise self._broken(_ending(ended.code)) from None
        except ValueError as error:
            raise self._broken("wrote into the studio's own channel. Print to standard output only.") from error
        except BaseException:  # such as a stop by the user
            self.close()
            raise
        if answer.error is not None:
            raise self._raised(answer.error)
        return answer

    def _raised(self, failure: _Failure) -> CustomRewardError:
        frames = tuple(
            Frame(line=frame.line, function=_shown(frame.function), source=_shown(frame.source))
            for frame in failure.frames
        )
        if failure.type == "SystemExit":
            what = "called sys.exit instead of returning its scores"
        else:
            what = f"raised {_shown(failure.type)}" + (f": {_shown(failure.message)}" if failure.message else "")
        where = f" Line {frames[-1].line} is: {frames[-1].source}" if frames else ""
        return self._broken(f"{what}.{where}", frames)

    def _checked(self, values: Sequence[float | str | None], rows: Sequence[int], count: int) -> list[float | None]:
        """The values of one call as they are; `rows` says which of all `count` completions they belong to."""
        scores = [value for value in values if not isinstance(value, str)]
        named = list(zip(rows, values, strict=True))
        odd = [(row, value) for row, value in named if isinstance(value, str) or (value and not math.isfinite(value))]
        if odd:
            raise self._broken(
                f"returned {_listed(odd, count)}, which is no finite number. Return a number, or None for no opinion."
            )
        huge = [(row, value) for row, value in named if not isinstance(value, str) and abs(value or 0.0) > _LARGEST]
        if huge:
            raise self._broken(
                f"returned {_listed(huge, count)}, which is beyond {_LARGEST:,.0f}. The total reward is cut at "
                "-1 and 1; return numbers of about that size."
            )
        return scores

    def _broken(self, what: str, frames: tuple[Frame, ...] = ()) -> CustomRewardError:
        self.close()
        return CustomRewardError(f"The custom reward {self._source.path.name} {what}", frames)


def _portions(samples: Sequence[Sample]) -> Iterator[list[int]]:
    """The rows that are scored in one call: whole groups, together at least `_AT_ONCE` where there are as many."""
    rows: list[int] = []
    for _, group in groupby(in_groups(samples), key=lambda row: samples[row].group):
        rows += group
        if len(rows) >= _AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows


def _arguments(samples: Sequence[Sample], tags: Tags) -> dict[str, list[Any]]:
    """What the function is given, in TRL's form. The prompt is the question alone, the same in training and outside."""
    names = dict.fromkeys(name for sample in samples for name in sample.columns)
    references = [sample.reference for sample in samples]
    parts = [parse(sample.completion, tags) for sample in samples]
    own: list[list[Any]] = [
        [[{"role": "user", "content": sample.question}] for sample in samples],
        [[{"role": "assistant", "content": sample.completion}] for sample in samples],
        [part.plain if part.answer is None else part.answer for part in parts],
        [part.reasoning or "" for part in parts],
        [sample.question for sample in samples],
        references,
        references,
        [sample.group for sample in samples],
    ]
    carried = {name: [sample.columns.get(name, "") for sample in samples] for name in names}
    return {**carried, **dict(zip(PASSED, own, strict=True))}


def _listed(faulty: Sequence[tuple[int, float | str | None]], count: int) -> str:
    """The first of some values with the completions that they were returned for."""
    shown = [f"{_shown(v) if isinstance(v, str) else v} for completion {row + 1}" for row, v in faulty[:_NAMED]]
    more = f" and {len(faulty) - _NAMED} more" if len(faulty) > _NAMED else ""
    return f"{', '.join(shown)}{more} (of {count}, counted from 1)"


def _shown(text: str) -> str:
    """A text that the user's code made, for a message."""
    return one_line(masked(text), _MESSAGE_LIMIT)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended its process with exit code {code}. A reward has to return its scores; take the exit out."
    try:
        name = signal.Signals(-code).name
    except ValueError:  # real-time signals have no name
        name = f"signal {-code}"
    why = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"crashed its process ({name}{why}). Look for what a library does outside Python."
