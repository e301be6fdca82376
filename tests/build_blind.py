"""Comparisons whose answers are made up, and raters who vote as they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.compare.blind import cast, end_vote, next_ballot, open_vote
from core.compare.blind_votes import Choice
from core.compare.comparison import (
    ComparedAnswer,
    Comparison,
    ComparisonRequest,
    Question,
    create_comparison,
)
from core.config import PromptConfig
from core.paths import Home
from core.reward.formula import PRESETS
from core.serving.candidates import Candidate

NAMES = ("before-training", "after-training", "third-model")
PROMPT = PromptConfig(system="Answer with <reasoning> and <answer>.", examples=())


def tagged(text: str) -> str:
    return f"<reasoning>Because of {text}.</reasoning><answer>{text}</answer>"


def build_comparison(
    home: Home, questions: int = 4, candidates: int = 2, replaced: Mapping[tuple[int, int], ComparedAnswer | None] = {}
) -> Comparison:
    """A comparison in which candidate 1 answers question 2 with "answer 2 of 1", and so on.

    Args:
        replaced: what stands in place of an answer, by question and candidate; None for no answer.
    """
    comparison = create_comparison(
        home,
        ComparisonRequest(
            candidates=tuple(Candidate(kind="model", model=name) for name in NAMES[:candidates]),
            questions=tuple(
                Question(id=f"q{number}", text=f"Question number {number}?", reference=f"Reference {number}.")
                for number in range(questions)
            ),
            prompt=PROMPT,
            reward=PRESETS["robust"],
        ),
    )
    usual = {
        (question, candidate): ComparedAnswer(
            question=question, candidate=candidate, text=tagged(f"answer {question} of {candidate}")
        )
        for question in range(questions)
        for candidate in range(candidates)
    }
    comparison.add([answer for answer in {**usual, **replaced}.values() if answer is not None])
    return comparison


def preferring(candidate: int, left: int) -> Choice:
    """The choice that prefers a candidate, when `left` stands on the left."""
    return "left" if candidate == left else "right"


def vote_for(home: Home, comparison: Comparison, rater: str, said: Sequence[int | Choice]) -> None:
    """A rater's next ballots: of each, the candidate that is preferred, or `tie` or `unsafe`."""
    for verdict in said:
        ballot = next_ballot(comparison, rater)
        assert ballot is not None
        choice = verdict if isinstance(verdict, str) else preferring(verdict, ballot.left_candidate)
        cast(home, comparison, rater, ballot, choice)


def ended_vote(home: Home, votes: Mapping[str, Sequence[int | Choice]], questions: int = 4) -> Comparison:
    """A comparison of two whose vote has ended after these ballots of each rater."""
    comparison = build_comparison(home, questions)
    open_vote(comparison, [(0, 1)])
    for rater, said in votes.items():
        vote_for(home, comparison, rater, said)
    end_vote(home, comparison)
    return comparison
