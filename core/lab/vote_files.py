"""The files of raters' judgements; see `core.lab.votes` for what pages and the command line call.

Each rater has one file, `<home>/lab/votes/<name>-<hash>.jsonl`, to which judgements are only ever appended. A record
holds places, the best first; completions in one place are equally good. A comparison of two is a ranking of two.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.config import validation_sentence
from core.errors import ConfigError
from core.json_lines import LineWriter, finished, objects
from core.locks import locked
from core.paths import Home, storage_error

_LOCK_SECONDS = 10
_BUSY = "Another judgement under this name is just being written, so this one was not kept. Try again in a moment."
_LONGEST_NAME = 80
_JOINERS = "\u200c\u200d"
"""Characters without a width that names in some scripts need."""


@dataclass(frozen=True)
class Vote:
    """One rater's judgement of two completions of one group.

    Attributes:
        rater: the name as the rater typed it; text from outside.
        time: seconds since 1970.
        board: the id of the board on which they were shown.
        group: the group's name on that board.
        winner, loser: the completions, named by `core.lab.board.sample_key`.
        tie: whether both were found equally good; who is called the winner then says nothing.
    """

    rater: str
    time: float
    board: str
    group: str
    winner: str
    loser: str
    tie: bool = False

    @property
    def pair(self) -> tuple[str, str]:
        """The two completions in an order that does not depend on the judgement."""
        return (self.winner, self.loser) if self.winner < self.loser else (self.loser, self.winner)


Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Judgement(BaseModel):
    """One line of a rater's file."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    time: float
    rater: str = Field(min_length=1)
    board: str
    group: str
    places: tuple[tuple[Key, ...], ...]
    withdrawn: bool = False
    """Whether the rater takes back what was said of these completions before; their order then says nothing."""

    @model_validator(mode="after")
    def _ranks_two_or_more(self) -> Judgement:
        keys = [key for place in self.places for key in place]
        if len(set(keys)) < len(keys):
            raise ValueError("a completion cannot stand in a ranking twice")
        if len(keys) < 2:
            raise ValueError("a judgement needs two different completions or more")
        return self

    def votes(self) -> Iterator[Vote]:
        """Every two completions of the ranking."""
        for place in self.places:
            yield from (self._vote(first, second, tie=True) for first, second in combinations(place, 2))
        for better, worse in combinations(self.places, 2):
            yield from (self._vote(winner, loser, tie=False) for winner, loser in product(better, worse))

    def _vote(self, winner: str, loser: str, tie: bool) -> Vote:
        return Vote(self.rater, self.time, self.board, self.group, winner, loser, tie)


def rater_name(name: str) -> str:
    """The name as it is kept: without needless space.

    Raises:
        ConfigError: it is empty, too long, or holds characters that cannot be seen.

    >>> rater_name("  Dr.  Ada ")
    'Dr. Ada'
    """
    kept = " ".join(unicodedata.normalize("NFC", name).split())
    if not kept:
        raise ConfigError("The rater's name is empty. Type the name of the person who judges.")
    if len(kept) > _LONGEST_NAME:
        raise ConfigError(f"The rater's name has {len(kept)} characters. Use at most {_LONGEST_NAME}.")
    if not all(character.isprintable() or character in _JOINERS for character in kept):
        raise ConfigError("The rater's name holds characters that cannot be seen. Type it again.")
    return kept


def append(
    home: Home,
    rater: str,
    board: str,
    group: str,
    places: Sequence[tuple[str, ...]],
    seconds: float,
    withdrawn: bool = False,
) -> None:
    try:
        judgement = Judgement(
            time=seconds,
            rater=rater_name(rater),
            board=board,
            group=group,
            places=tuple(places),
            withdrawn=withdrawn,
        )
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error
    file = file_of(home, rater)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file.with_suffix(".lock"), _LOCK_SECONDS, _BUSY):
            lines = LineWriter(file)
            try:
                lines.write(judgement.model_dump(mode="json"), sync=True)
            finally:
                lines.close()
    except OSError as error:
        raise storage_error(error, file) or error from error


def file_of(home: Home, rater: str) -> Path:
    """The rater's file."""
    return home.lab / "votes" / file_name(rater)


def file_name(rater: str) -> str:
    """What a file of a rater's judgements is called: safe on any system, whatever the rater's name is.

    Raises:
        ConfigError: the rater's name cannot be used.
    """
    name = rater_name(rater).casefold()
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:32]
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{slug or 'rater'}-{digest}.jsonl"


def files(home: Home) -> list[Path]:
    return sorted((home.lab / "votes").glob("*.jsonl"))


def latest_votes(file: Path) -> list[Vote]:
    """The votes of one file, under the name that stands in it first; an unfinished last line is passed over."""
    try:
        chunk = file.read_bytes()
    except FileNotFoundError:
        return []
    judgements = list(_judgements(objects(finished(chunk))))
    by_pair: dict[tuple[str, str], Vote] = {}
    for judgement in judgements:
        for vote in judgement.votes():
            if judgement.withdrawn:
                by_pair.pop(vote.pair, None)
            else:
                by_pair[vote.pair] = vote
    name = judgements[0].rater if judgements else ""
    return [Vote(name, v.time, v.board, v.group, v.winner, v.loser, v.tie) for v in by_pair.values()]


def _judgements(records: Iterable[dict[str, object]]) -> Iterator[Judgement]:
    for record in records:
        try:
            yield Judgement.model_validate(record)
        except ValidationError:
            continue  # not written by the studio
