"""Tells the reward lab what raters of a blind vote prefer, so that weights can be fitted to it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from core.compare.blind_ballots import Verdict
from core.compare.blind_votes import Matter
from core.compare.comparison import Comparison
from core.lab.board import sample_key
from core.lab.vote_files import Vote
from core.lab.votes import keep_vote, votes, withdraw_vote
from core.paths import Home
from core.reward.scoring import Sample

Said = tuple[Matter, Verdict | None]
"""What a rater says of two answers; None when that is taken back."""


def tell_lab(home: Home, comparison: Comparison, rater: str, said: Iterable[Said], only_new: bool = False) -> None:
    """Record what a rater says of answers that stand on a board of the reward lab; nothing where there is no board.

    That both answers are unsafe says nothing of which one should earn more, so it counts as taken back.

    Args:
        only_new: leave alone what the lab has a vote on.

    Raises:
        ConfigError: the rater's name cannot be used.
        StorageError: the disk is full.
    """
    board = comparison.board()
    if not board:
        return
    questions = {question.id: question for question in comparison.request().questions}
    known = {vote.pair for vote in votes(home, rater)}
    for matter, verdict in said:
        question = questions[matter.question]
        first, second = (
            sample_key(Sample(question.text, question.reference, text, question.id))
            for text in (matter.first_text, matter.second_text)
        )
        winner, loser = (second, first) if verdict == "second" else (first, second)
        vote = Vote(rater, time.time(), board, question.id, winner, loser, tie=verdict == "tie")
        if verdict in ("first", "second", "tie"):
            if not (only_new and vote.pair in known):
                keep_vote(home, vote)
        elif vote.pair in known:
            withdraw_vote(home, vote)
