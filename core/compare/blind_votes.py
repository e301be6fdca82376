"""The files of a blind vote; see `core.compare.blind` for what pages call.

<comparison>/votes/
  vote.json              what is asked, with the answers as they are shown; never changed once the vote is open
  <name>-<hash>.jsonl    one rater's ballots, append-only: the latest of each question and pair counts, and taking
                         one back is a record, too
  ended.json             when the vote ended; nothing is written down after it
  results.json           what came of it, see `core.compare.blind_results`
  votes.lock             held by whoever writes
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from core.compare.comparison import Comparison
from core.errors import DataError, RunError
from core.json_lines import LineWriter, finished, objects
from core.lab.vote_files import file_name
from core.locks import locked
from core.paths import storage_error, write_json
from core.settings_base import Settings

LONGEST_REASON = 2000

Choice = Literal["left", "right", "tie", "unsafe"]
Pair = tuple[int, int]
"""Two candidates by their places in the request, the lower one first."""

_LOCK_SECONDS = 10
_BUSY = "Another vote on this comparison is just being written, so this was not kept. Try again in a moment."


class Matter(Settings):
    """One question with the answers of two candidates: what one ballot is about.

    Attributes:
        question: the question's id.
        first, second: the candidates, by their places in the request; the lower place is the first.
        first_text, second_text: what they answered when the vote was opened, tags included; text from models.
    """

    question: str
    first: int = Field(ge=0)
    second: int = Field(ge=0)
    first_text: str
    second_text: str

    @property
    def pair(self) -> Pair:
        return self.first, self.second

    @property
    def key(self) -> tuple[str, int, int]:
        """What names it within the comparison."""
        return self.question, self.first, self.second


class LeftOut(Settings):
    """How many questions, counted once a pair, are not asked, and why.

    Attributes:
        missing: a candidate has not answered.
        failed: an answer ended with an error.
        alike: both answers read the same.
    """

    missing: int = 0
    failed: int = 0
    alike: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is not asked, and why."""
        reasons = {
            "a model has not answered": self.missing,
            "an answer ended with an error": self.failed,
            "both answers read the same": self.alike,
        }
        return tuple(f"{count:,} left out: {reason}." for reason, count in reasons.items() if count)


class BlindVote(Settings):
    """An opened vote: what it asks.

    Attributes:
        opened: when, in seconds since 1970.
        salt: goes into orders and sides, so that nobody can work them out from the page.
        pairs: the pairs of candidates that are voted on.
        matters: what every rater is asked, each in an order of their own.
    """

    opened: float
    salt: str = Field(min_length=1)
    pairs: tuple[Pair, ...] = Field(min_length=1)
    matters: tuple[Matter, ...] = Field(min_length=1)
    left_out: LeftOut = LeftOut()


class Record(Settings):
    """One line of a rater's file.

    Attributes:
        time: seconds since 1970.
        rater: the name as it was typed, or as the proxy has it.
        left: which of the two candidates stood on the left.
        reason: why, in the rater's words; often empty.
        undone: whether this takes the rater's ballot on this question and pair back; its choice then says nothing.
    """

    time: float
    rater: str = Field(min_length=1)
    question: str
    first: int
    second: int
    left: int
    choice: Choice
    reason: str = Field(default="", max_length=LONGEST_REASON)
    undone: bool = False

    @model_validator(mode="after")
    def _left_is_one_of_both(self) -> Self:
        if self.left not in (self.first, self.second):
            raise ValueError("the candidate on the left must be one of the pair")
        return self

    @property
    def key(self) -> tuple[str, int, int]:
        """What it is about, as `Matter.key` names it."""
        return self.question, self.first, self.second


class _End(Settings):
    """When a vote ended, in seconds since 1970."""

    time: float = Field(ge=0, allow_inf_nan=False)


def folder_of(comparison: Comparison) -> Path:
    return comparison.folder / "votes"


@contextmanager
def writing(comparison: Comparison) -> Iterator[None]:
    """Hold the votes of a comparison for the length of a `with` block.

    Raises:
        StorageError: somebody else keeps holding them, or the folder cannot be written.
    """
    folder = folder_of(comparison)
    try:
        folder.mkdir(exist_ok=True)
        with locked(folder / "votes.lock", _LOCK_SECONDS, _BUSY):
            yield
    except OSError as error:
        raise storage_error(error, folder / "votes.lock") or error from error


def write_vote(comparison: Comparison, vote: BlindVote) -> None:
    write_json(_vote_file(comparison), vote.model_dump(mode="json"))


def opened_vote(comparison: Comparison) -> BlindVote | None:
    """What the vote on a comparison asks; None before it is opened.

    Raises:
        DataError: its file is damaged.
    """
    file = _vote_file(comparison)
    try:
        return _read_vote(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise DataError(f"The vote on {comparison.id} is damaged: {file.name} cannot be read. Ask again.") from error


def write_end(comparison: Comparison) -> None:
    write_json(_end_file(comparison), {"time": time.time()})


def ended_at(comparison: Comparison) -> float | None:
    """When the vote ended, in seconds since 1970; None while it is open or before.

    That the file is there ends the vote, so a damaged one does as well, at the time when it was written.
    """
    file = _end_file(comparison)
    try:
        return _End.model_validate_json(file.read_bytes()).time
    except FileNotFoundError:
        return None
    except ValidationError:
        return file.stat().st_mtime


def append(comparison: Comparison, record: Record) -> None:
    """Write one record down, for good when this returns. The caller holds the votes, see `writing`.

    Raises:
        RunError: the vote has ended.
        StorageError: the disk is full.
    """
    if ended_at(comparison) is not None:
        raise RunError("This vote has ended, so nothing was changed. Its results are on this page.")
    lines = LineWriter(folder_of(comparison) / file_name(record.rater))
    try:
        lines.write(record.model_dump(mode="json"), sync=True)
    finally:
        lines.close()


def standing_of(comparison: Comparison, rater: str) -> list[Record]:
    """The ballots of one rater that count, the one that was cast last at the end.

    Raises:
        ConfigError: the rater's name cannot be used.
    """
    return _standing(folder_of(comparison) / file_name(rater))


def all_standing(comparison: Comparison) -> list[list[Record]]:
    """The ballots that count, one list a rater who has any."""
    found = (_standing(file) for file in sorted(folder_of(comparison).glob("*.jsonl")))
    return [records for records in found if records]


def _standing(file: Path) -> list[Record]:
    """The ballots in a file that count, all under the name that stands in it first."""
    try:
        chunk = file.read_bytes()
    except FileNotFoundError:
        return []
    counted: dict[tuple[str, int, int], Record] = {}
    name = ""
    for record in _records(chunk):
        name = name or record.rater
        counted.pop(record.key, None)  # what is cast again is the latest
        if not record.undone:
            counted[record.key] = record.model_copy(update={"rater": name})
    return list(counted.values())


def _records(chunk: bytes) -> Iterator[Record]:
    for line in objects(finished(chunk)):
        try:
            yield Record.model_validate(line)
        except ValidationError:
            continue  # not written by the studio


def _vote_file(comparison: Comparison) -> Path:
    return folder_of(comparison) / "vote.json"


def _end_file(comparison: Comparison) -> Path:
    return folder_of(comparison) / "ended.json"


@lru_cache(maxsize=16)
def _read_vote(file: Path, changed: int) -> BlindVote:
    """The vote in a file that was last changed at `changed`; it holds all answers, and a page asks for it often."""
    return BlindVote.model_validate_json(file.read_bytes())
