"""A custom reward as a component: its file runs in a child process; whatever can go wrong there has its sentence."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from core.config import CustomReward
from core.custom_rewards import PASSED, Source, source_of
from core.engine.child_process import ChildEnded, ChildProcess, ChildTooSlow, masked
from core.errors import RewardError
from core.paths import Home
from core.reward_trial import Frame
from core.scoring import Sample
from core.text import one_line

_CHILD = Path(__file__).with_name("reward_child.py")
_MEMORY_BYTES = 16 * 2**30
"""How much the child may address: enough for a small model, too little to take the machine down by mistake."""
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

    def __init__(self, source: Source) -> None:
        self.name = source.reward.name
        self._source = source
        self._child: ChildProcess | None = None
        self._output = ""

    @classmethod
    def open(cls, reward: CustomReward, home: Home) -> Self:
        """Read, check and load the file of `reward`.

        Raises:
            RewardError: it is missing, has changed, cannot be used, or fails while it is loaded.
        """
        component = cls(source_of(home, reward))
        component.start()
        return component

    def start(self) -> None:
        """Load the file, when it is not loaded yet.

        Raises:
            CustomRewardError: it raises, exits or takes too long while it is loaded.
        """
        if self._child is not None:
            return
        self._child = ChildProcess(_CHILD, [str(_MEMORY_BYTES)])
        self._ask(None, "to start", _START_SECONDS)
        source = {"path": str(self._source.path), "source": self._source.content.decode("utf-8-sig")}
        self._ask(source, "to load", self._source.reward.seconds)

    def scores(self, samples: Sequence[Sample]) -> list[float | None]:
        """What the function returns for `samples`, all in one call; None where it has no opinion.

        Raises:
            CustomRewardError: it raises, exits, takes too long, or returns anything but a finite number or None for
                each sample.
        """
        if not samples:
            return []
        self.start()
        arguments = _arguments(samples)
        task = f"for {len(samples)} completion{'' if len(samples) == 1 else 's'}"
        answer = self._ask({"arguments": arguments}, task, self._source.reward.seconds)
        if answer.missing:
            raise self._broken(
                f"asks for {answer.missing[0]!r}, which is neither given to every custom reward nor a column of this "
                f"data. There are {', '.join(arguments)}. Give the argument a default, or carry the column along when "
                "the data is prepared."
            )
        if answer.values is None:
            raise self._broken(
                f"returned a value of the type {answer.returned}, not a list. Return a list with one number for each "
                "completion."
            )
        return self._checked(answer.values, len(samples))

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

    def _checked(self, values: Sequence[float | str | None], count: int) -> list[float | None]:
        if len(values) != count:
            raise self._broken(f"returned a list of length {len(values)} for {count} completions. Return one for each.")
        faulty = [
            f"{_shown(value) if isinstance(value, str) else value} for completion {row}"
            for row, value in enumerate(values, start=1)
            if isinstance(value, str) or (value is not None and not math.isfinite(value))
        ]
        if faulty:
            more = f" and {len(faulty) - _NAMED} more" if len(faulty) > _NAMED else ""
            raise self._broken(
                f"returned {', '.join(faulty[:_NAMED])}{more} (of {count}, counted from 1), which is no finite number. "
                "Return a number, or None for no opinion."
            )
        return [value for value in values if not isinstance(value, str)]

    def _broken(self, what: str, frames: tuple[Frame, ...] = ()) -> CustomRewardError:
        self.close()
        return CustomRewardError(f"The custom reward {self._source.path.name} {what}", frames)


def _arguments(samples: Sequence[Sample]) -> dict[str, list[Any]]:
    """What the function is given, in TRL's form. The prompt is the question alone, the same in training and outside."""
    names = dict.fromkeys(name for sample in samples for name in sample.columns)
    references = [sample.reference for sample in samples]
    own: list[list[Any]] = [
        [[{"role": "user", "content": sample.question}] for sample in samples],
        [[{"role": "assistant", "content": sample.completion}] for sample in samples],
        [sample.question for sample in samples],
        references,
        references,
        [sample.group for sample in samples],
    ]
    carried = {name: [sample.columns.get(name, "") for sample in samples] for name in names}
    return {**carried, **dict(zip(PASSED, own, strict=True))}


def _shown(text: str) -> str:
    """A text that the user's code made, for a message."""
    return one_line(masked(text), _MESSAGE_LIMIT)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended its process with exit code {code}. A reward has to return its scores; take the exit out."
    name = signal.Signals(-code).name
    why = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"crashed its process ({name}{why}). Look for what a library does outside Python."
