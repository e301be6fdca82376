"""What went wrong in one of a run's training processes, told to whoever started them.

Each process writes its own small file; the earliest one is the cause, since the others fail for want of it.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from core import errors
from core.errors import RewardError, RunError, StudioError
from core.paths import write_json
from core.runs.run import Run

_LOST_PEER = re.compile(
    r"closed by peer|reset by peer|connection refused|broken pipe|nccl|gloo|processgroup|tcpstore|socket timeout",
    re.IGNORECASE,
)
"""What libraries say when it is another process that is gone."""


class FailedElsewhere(Exception):
    """The first process met an error, which it tells itself; this one only ends."""


@dataclass(frozen=True)
class RankFailure:
    """How one training process failed.

    Attributes:
        rank: which one, counted from 0.
        kind: the name of the error's class.
        message: what it said.
        time: when, in seconds since 1970.
    """

    rank: int
    kind: str
    message: str
    time: float

    @property
    def blames_another(self) -> bool:
        """Whether this process only lost the others."""
        return not _studio_error(self.kind) and bool(_LOST_PEER.search(self.message))

    def error(self) -> StudioError:
        """The error as the process that started this one raises it."""
        known = _studio_error(self.kind)
        if known is not None:
            return known(self.message)
        return RunError(f"The job met an error it does not know ({self.kind}: {self.message}). See worker.log.")


_FAILURE = TypeAdapter(RankFailure)


@contextmanager
def failures_told(run: Run, rank: int) -> Iterator[None]:
    """Write down any error that leaves a `with` block; it is raised all the same."""
    try:
        yield
    except FailedElsewhere:
        raise
    except Exception as error:
        failure = RankFailure(rank, type(error).__name__, str(error), time.time())
        folder = _folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"rank-{rank}.json", asdict(failure))
        raise


def forget_failures(run: Run) -> None:
    """Remove what an earlier start has left; whoever starts a run's processes calls this before."""
    shutil.rmtree(_folder(run), ignore_errors=True)


def cause(run: Run) -> StudioError:
    """Why the processes of a run, at least one of which has failed, have ended."""
    found = sorted(_read(run), key=lambda failure: failure.time)
    own = [failure for failure in found if not failure.blames_another]
    if own:
        return own[0].error()
    return RunError(
        f"One of the run's {run.config().train.processes} training processes was lost without a word: it was ended "
        "from outside, the machine had too little memory for it, or its connection broke. What it said last stands in "
        "worker.log."
    )


def refused(run: Run) -> bool:
    """Whether a process met an error that the user has to mend: the same processes started again would meet it too."""
    return any(_studio_error(failure.kind) is not None for failure in _read(run))


def _folder(run: Run) -> Path:
    return run.folder / "control" / "failures"


def _read(run: Run) -> list[RankFailure]:
    found = []
    for file in _folder(run).glob("rank-*.json"):
        try:
            found.append(_FAILURE.validate_json(file.read_bytes()))
        except (OSError, ValidationError):  # it was lost while it wrote this
            continue
    return found


def _studio_error(kind: str) -> type[StudioError] | None:
    """The class of an error a user can mend; None for any other name."""
    found = getattr(errors, kind, None)
    if not (isinstance(found, type) and issubclass(found, StudioError)):
        return None
    return RewardError if found is errors.MissingColumn else found  # that one wants more than a message
