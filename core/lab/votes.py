"""What clinicians prefer: their judgements of completions, given without seeing a score, and what to ask them next."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from random import Random
from typing import Literal, NamedTuple

from core.access import audit
from core.access.permissions import allow_vote
from core.content_hash import content_hash
from core.lab.board import Board
from core.lab.vote_files import Vote, append, file_of, files, latest_votes, rater_name
from core.paths import Home

COMMON_SHARE = 1 / 3
"""The part of the pairs that every rater is asked, without which nobody could say how far raters agree."""


def record_vote(home: Home, vote: Vote) -> None:
    """Keep one judgement of two completions; it replaces the rater's earlier one of the same two.

    Raises:
        AccessDenied: whoever acts now may not vote, or not under this name.
        ConfigError: the rater's name cannot be used, or the completions are not two.
        StorageError: the disk is full or the home cannot be written.
    """
    allow_vote(vote.rater)
    keep_vote(home, vote)
    audit.record(home, "vote.cast", vote.board, rater=vote.rater)


def keep_vote(home: Home, vote: Vote) -> None:
    """As `record_vote`, for what was voted elsewhere, by whoever might do so there."""
    places = [(vote.winner, vote.loser)] if vote.tie else [(vote.winner,), (vote.loser,)]
    append(home, vote.rater, vote.board, vote.group, places, vote.time)


def withdraw_vote(home: Home, vote: Vote) -> None:
    """Take back what a rater said of two completions elsewhere, as if it had never been said; that is a record, too.

    Raises:
        ConfigError: the rater's name cannot be used, or the completions are not two.
        StorageError: the disk is full or the home cannot be written.
    """
    append(home, vote.rater, vote.board, vote.group, [(vote.winner, vote.loser)], vote.time, withdrawn=True)


def record_ranking(home: Home, rater: str, board: str, group: str, keys: Sequence[str | Sequence[str]]) -> None:
    """Keep a rater's order of completions of one group, as one record.

    Args:
        board: the id of the board.
        keys: the completions, the best first; several that are equally good stand together in one sequence.

    Raises:
        AccessDenied: whoever acts now may not vote, or not under this name.
        ConfigError: the rater's name cannot be used, a completion stands there twice, or there are fewer than two.
        StorageError: the disk is full or the home cannot be written.
    """
    allow_vote(rater)
    places = [(place,) if isinstance(place, str) else tuple(place) for place in keys]
    append(home, rater, board, group, places, time.time())
    audit.record(home, "vote.cast", board, rater=rater, ranked=len(places))


def votes(home: Home, rater: str | None = None) -> list[Vote]:
    """Judgements of two completions, rankings taken apart; of several by one rater of the same two the latest.

    Args:
        rater: only this rater's; by default everybody's. Capital letters and needless space make no difference.
    """
    chosen = files(home) if rater is None else [file_of(home, rater)]
    return [vote for file in chosen for vote in latest_votes(file)]


class PlacedVote(NamedTuple):
    """A judgement, and the rows of its two completions on a board."""

    vote: Vote
    winner: int
    loser: int


def votes_on(board: Board, given: Iterable[Vote]) -> list[PlacedVote]:
    """Those of `given` whose two completions stand on `board` in one group, wherever they were judged.

    Completions are found by their keys, so what was said of them holds on every copy of a board, also where groups have
    other names.
    """
    rows: dict[str, dict[str, int]] = {}
    for row, (sample, key) in enumerate(zip(board.samples, board.keys, strict=True)):
        rows.setdefault(key, {}).setdefault(sample.group, row)
    placed = []
    for vote in given:
        winners, losers = rows.get(vote.winner, {}), rows.get(vote.loser, {})
        common = [group for group in winners if group in losers]
        if common:
            group = vote.group if vote.group in common else common[0]
            placed.append(PlacedVote(vote, winners[group], losers[group]))
    return placed


def votes_mark(given: Iterable[Vote]) -> str:
    """Names a set of judgements, in whatever order: another one, a changed one or a missing one gives another mark."""
    return content_hash(sorted(f"{vote.winner} {vote.loser} {vote.tie} {vote.rater}" for vote in given)).hex()[:16]


def raters(home: Home) -> list[str]:
    """Everybody who has judged something, by name."""
    return sorted({found[0].rater for file in files(home) if (found := latest_votes(file))}, key=str.casefold)


@dataclass(frozen=True)
class PairToJudge:
    """Two completions of one group, in the order in which they are shown.

    Attributes:
        group: the group's name.
        left, right: their rows on the board.
        left_key, right_key: what names them for good, see `core.lab.board.sample_key`.
        common: whether every rater is asked this pair.
    """

    group: str
    left: int
    right: int
    left_key: str
    right_key: str
    common: bool

    def vote(self, rater: str, board: str, better: Literal["left", "right", "tie"]) -> Vote:
        """The judgement of this pair by `rater`, now; `board` is the id of the board."""
        winner, loser = (self.right_key, self.left_key) if better == "right" else (self.left_key, self.right_key)
        return Vote(rater_name(rater), time.time(), board, self.group, winner, loser, tie=better == "tie")


def pairs_to_judge(board: Board, home: Home, rater: str, count: int, seed: int = 0) -> tuple[PairToJudge, ...]:
    """At most `count` pairs that this rater has not judged yet, groups taking turns; fewer when there are no more.

    The first third is taken from an order that is the same for every rater, the rest from the rater's own. Nothing here
    depends on a score. The same arguments and votes give the same pairs. Texts that differ in nothing but white space
    are never paired.

    Args:
        count: how many; ask for a session's worth at once, for the third is taken of what is asked for.
        seed: decides which pairs, their order and their sides.

    Raises:
        ConfigError: the rater's name cannot be used.
    """
    who = rater_name(rater).casefold()
    done = {vote.pair for vote in votes(home, rater)}
    sides = Random(f"sides {seed} {who}")
    asked: list[PairToJudge] = []
    shared = ceil(count * COMMON_SHARE)
    for order, total, common in ((f"common {seed}", shared, True), (f"own {seed} {who}", count, False)):
        for rows in _pairs(board, Random(order)):
            if len(asked) >= total:
                break
            pair = _as_shown(board, rows, sides, common)
            names = (min(pair.left_key, pair.right_key), max(pair.left_key, pair.right_key))
            if names not in done:
                done.add(names)
                asked.append(pair)
    return tuple(asked)


def rows_to_rank(board: Board, group: str, rater: str, seed: int = 0) -> tuple[int, ...]:
    """The rows of one group in an order that says nothing, each text once; empty when there is no such group."""
    rows = _different(board, [row for row, sample in enumerate(board.samples) if sample.group == group])
    return tuple(Random(f"rank {seed} {rater_name(rater).casefold()} {group}").sample(rows, len(rows)))


def _as_shown(board: Board, rows: tuple[int, int], sides: Random, common: bool) -> PairToJudge:
    left, right = sides.sample(rows, 2)
    return PairToJudge(board.samples[left].group, left, right, board.keys[left], board.keys[right], common)


def _pairs(board: Board, random: Random) -> Iterator[tuple[int, int]]:
    """Every pair of different texts inside a group, groups taking turns; lazy, for a large group has millions."""
    members: dict[str, list[int]] = {}
    for row, sample in enumerate(board.samples):
        members.setdefault(sample.group, []).append(row)
    turns: list[Iterator[tuple[int, int]]] = []
    for rows in members.values():
        different = _different(board, rows)
        turns.append(_all_pairs(random.sample(different, len(different))))
    random.shuffle(turns)
    while turns:
        drawn = [(turn, list(islice(turn, 1))) for turn in turns]
        turns = [turn for turn, pair in drawn if pair]
        yield from (pair[0] for _, pair in drawn if pair)


def _all_pairs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each pair once, so that every row comes up about equally often early on: neighbours in a circle first."""
    size = len(rows)
    for step in range(1, size // 2 + 1):
        for start in range(size if 2 * step < size else step):
            yield rows[start], rows[(start + step) % size]


def _different(board: Board, rows: Sequence[int]) -> list[int]:
    """The first of `rows` with each text, white space aside."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(" ".join(board.samples[row].completion.split()), row)
    return list(first.values())
