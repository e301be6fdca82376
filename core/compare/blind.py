"""The blind vote: raters judge two answers to a question side by side, without a word on who wrote them.

Whoever opens a vote fixes which pairs of candidates and which questions are asked. Each rater is asked all of them, in
an order and with sides of their own, and comes back to where they stopped. Who wrote what is told only when the vote
has ended, and then no ballot is taken any more.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from core.access import audit
from core.access.permissions import allow, allow_vote
from core.access.starters import starter_of
from core.compare.blind_ballots import Ballot, Verdict, ballot_on, in_order, matters_of, verdict_of
from core.compare.blind_lab import tell_lab
from core.compare.blind_votes import (
    LONGEST_REASON,
    BlindVote,
    Choice,
    Pair,
    Record,
    all_standing,
    append,
    ended_at,
    opened_vote,
    standing_of,
    write_end,
    write_vote,
    writing,
)
from core.compare.comparison import Comparison
from core.errors import ConfigError, RunError
from core.lab.vote_files import rater_name
from core.paths import Home
from core.serving.candidates import Candidate


@dataclass(frozen=True)
class Progress:
    """How many of the ballots of a vote one rater has cast.

    Attributes:
        rater: text from outside.
    """

    rater: str
    judged: int
    total: int


@dataclass(frozen=True)
class HumanVote:
    """One ballot of a vote that has ended, in terms of the candidates.

    Attributes:
        rater: text from outside.
        time: when it was cast, in seconds since 1970.
        question: the question's id.
        pair: the two candidates, by their places in the comparison's request.
        candidates: the same two.
        verdict: which of the two is better, or neither.
        choice: what was clicked.
        left: the candidate that stood on the left, by its place in the request.
        reason: text from outside, often empty.
    """

    rater: str
    time: float
    question: str
    pair: Pair
    candidates: tuple[Candidate, Candidate]
    verdict: Verdict
    choice: Choice
    left: int
    reason: str

    @property
    def winner(self) -> Candidate | None:
        """The better candidate; None for a tie and where both are unsafe."""
        return {"first": self.candidates[0], "second": self.candidates[1]}.get(self.verdict)


def all_pairs(comparison: Comparison) -> tuple[Pair, ...]:
    """Every two candidates of a comparison."""
    return tuple(combinations(range(len(comparison.request().candidates)), 2))


def open_vote(comparison: Comparison, pairs: Sequence[Pair]) -> BlindVote:
    """Open the vote on a comparison; what it asks never changes afterwards.

    Args:
        pairs: which candidates are compared with each other, by their places in the request.

    Raises:
        AccessDenied: whoever acts now may not, and has not made the comparison.
        ConfigError: no pair is named, one is not of this comparison, or nothing could be asked.
        RunError: it has been opened already.
        StorageError: the disk is full.
    """
    allow("vote.open", owner=starter_of(comparison.folder))
    chosen = tuple(dict.fromkeys((min(pair), max(pair)) for pair in pairs))
    if not chosen or not set(chosen) <= set(all_pairs(comparison)):
        raise ConfigError("A vote needs two different models of this comparison. Choose at least one pair.")
    matters, left_out = matters_of(comparison, chosen)
    if not matters:
        raise ConfigError(
            "There is nothing to vote on: it takes two answers to a question, without an error, that do not read the "
            "same. Wait for the answers, or choose other models."
        )
    vote = BlindVote(opened=time.time(), salt=secrets.token_hex(16), pairs=chosen, matters=matters, left_out=left_out)
    with writing(comparison):
        if opened_vote(comparison) is not None:
            raise RunError("A vote on this comparison has been opened already. Load the page again to take part.")
        write_vote(comparison, vote)
    audit.record(audit.home_of(comparison.folder), "vote.open", comparison.id)
    return vote


def being_judged(comparison: Comparison) -> bool:
    """Whether a vote on a comparison is open, so that nobody may be told who wrote what.

    Raises:
        DataError: the vote's file is damaged.
    """
    return opened_vote(comparison) is not None and ended_at(comparison) is None


def ballots(comparison: Comparison, rater: str) -> tuple[Ballot, ...]:
    """Everything that this rater is asked, in the rater's own order; the same at every call.

    Raises:
        ConfigError: the rater's name cannot be used.
        RunError: no vote has been opened.
    """
    vote, who, request = _vote(comparison), rater_name(rater), comparison.request()
    return tuple(ballot_on(request, vote, comparison.id, who, place) for place in range(len(vote.matters)))


def next_ballot(comparison: Comparison, rater: str) -> Ballot | None:
    """The first ballot that this rater has not cast; None when there is none.

    Raises:
        ConfigError: the rater's name cannot be used.
        RunError: no vote has been opened.
    """
    vote, who = _vote(comparison), rater_name(rater)
    done = {record.key for record in standing_of(comparison, who)}
    order = enumerate(in_order(vote, comparison.id, who))
    place = next((place for place, matter in order if matter.key not in done), None)
    return None if place is None else ballot_on(comparison.request(), vote, comparison.id, who, place)


def progress(comparison: Comparison, rater: str) -> Progress:
    """How far one rater is.

    Raises:
        ConfigError: the rater's name cannot be used.
        RunError: no vote has been opened.
    """
    who = rater_name(rater)
    return Progress(who, len(standing_of(comparison, who)), len(_vote(comparison).matters))


def everybody(comparison: Comparison) -> tuple[Progress, ...]:
    """How far everybody is who has cast a ballot, by name.

    Raises:
        RunError: no vote has been opened.
    """
    total = len(_vote(comparison).matters)
    found = [Progress(records[0].rater, len(records), total) for records in all_standing(comparison)]
    return tuple(sorted(found, key=lambda one: one.rater.casefold()))


def cast(home: Home, comparison: Comparison, rater: str, ballot: Ballot, choice: Choice, reason: str = "") -> None:
    """Keep one judgement; it replaces the rater's earlier one of the same question and pair.

    Where the answers stand on a board of the reward lab, all but "both unsafe" count there, too.

    Raises:
        AccessDenied: whoever acts now may not vote, or not under this name.
        ConfigError: the rater's name cannot be used, or the reason is too long.
        RunError: the vote has ended.
        StorageError: the disk is full.
    """
    allow_vote(rater)
    kept, who = reason.strip(), rater_name(rater)
    if len(kept) > LONGEST_REASON:
        raise ConfigError(f"The reason has {len(kept):,} characters. Use at most {LONGEST_REASON:,}.")
    record = Record(
        time=time.time(),
        rater=who,
        question=ballot.matter.question,
        first=ballot.matter.first,
        second=ballot.matter.second,
        left=ballot.left_candidate,
        choice=choice,
        reason=kept,
    )
    with writing(comparison):
        append(comparison, record)
        tell_lab(home, comparison, who, [(ballot.matter, ballot.verdict(choice))])
    audit.record(home, "vote.cast", comparison.id, rater=who)


def undo(home: Home, comparison: Comparison, rater: str) -> bool:
    """Take the rater's last ballot back, so that it is asked again; returns whether there was one.

    Raises:
        AccessDenied: whoever acts now may not vote, or not under this name.
        ConfigError: the rater's name cannot be used.
        RunError: the vote has ended.
        StorageError: the disk is full.
    """
    allow_vote(rater)
    who = rater_name(rater)
    with writing(comparison):
        standing = standing_of(comparison, who)
        if not standing:
            return False
        last = standing[-1]
        append(comparison, last.model_copy(update={"time": time.time(), "rater": who, "reason": "", "undone": True}))
        tell_lab(
            home, comparison, who, [(matter, None) for matter in _vote(comparison).matters if matter.key == last.key]
        )
    audit.record(home, "vote.cast", comparison.id, rater=who, undone=True)
    return True


def end_vote(home: Home, comparison: Comparison) -> None:
    """End the vote for good: no ballot is taken any more, and who wrote what may be told.

    Ballots from before the answers stood on a board of the reward lab are recorded there now.

    Raises:
        AccessDenied: whoever acts now may not, and the comparison is somebody else's.
        RunError: no vote has been opened.
        StorageError: the disk is full.
    """
    allow("vote.end", owner=starter_of(comparison.folder))
    with writing(comparison):
        matters = {matter.key: matter for matter in _vote(comparison).matters}
        if ended_at(comparison) is None:
            write_end(comparison)
    for records in all_standing(comparison):
        said = [(matters[record.key], _verdict(record)) for record in records if record.key in matters]
        tell_lab(home, comparison, records[0].rater, said, only_new=True)
    audit.record(home, "vote.end", comparison.id)


def human_votes(comparison: Comparison) -> list[HumanVote]:
    """What raters have said of the candidates, one a rater, question and pair.

    Raises:
        RunError: the vote has not ended; until then nobody may know.
    """
    if ended_at(comparison) is None:
        raise RunError("The vote on this comparison has not ended. What came of it is told when it has.")
    candidates = comparison.request().candidates
    asked = {matter.key for matter in _vote(comparison).matters}
    return [
        HumanVote(
            rater=record.rater,
            time=record.time,
            question=record.question,
            pair=(record.first, record.second),
            candidates=(candidates[record.first], candidates[record.second]),
            verdict=_verdict(record),
            choice=record.choice,
            left=record.left,
            reason=record.reason,
        )
        for records in all_standing(comparison)
        for record in records
        if record.key in asked
    ]


def _vote(comparison: Comparison) -> BlindVote:
    vote = opened_vote(comparison)
    if vote is None:
        raise RunError("No vote on this comparison has been opened. Open one first.")
    return vote


def _verdict(record: Record) -> Verdict:
    return verdict_of(record.choice, record.left == record.first)
