"""What raters of a blind vote are asked: which questions, in which order, on which side, and how answers are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Literal

from core.compare.blind_votes import BlindVote, Choice, LeftOut, Matter, Pair
from core.compare.comparison import ComparedAnswer, Comparison, ComparisonRequest
from core.config import Tags
from core.reward.parsing import parse, without_tags

Verdict = Literal["first", "second", "tie", "unsafe"]
"""Which of two candidates is better, or neither; the first is the one with the lower place in the request."""


@dataclass(frozen=True)
class Shown:
    """An answer as a rater reads it; text from a model.

    Attributes:
        reasoning: None where the answer, or the one beside it, cannot be taken apart; `answer` then is all of it,
            without its tags.
    """

    reasoning: str | None
    answer: str

    @property
    def words(self) -> tuple[str, ...]:
        """All that can be read, white space aside."""
        return (*(self.reasoning or "").split(), *self.answer.split())


@dataclass(frozen=True)
class Ballot:
    """What a rater is asked.

    Attributes:
        place: how many ballots of the rater's own order come before it.
        question: the question's text.
        left, right: the two answers.
        matter: what it is about, candidates included; never shown.
        left_candidate: whose answer stands on the left; never shown.
    """

    place: int
    question: str
    left: Shown
    right: Shown
    matter: Matter
    left_candidate: int

    def verdict(self, choice: Choice) -> Verdict:
        """What a choice of a side says of the two candidates."""
        return verdict_of(choice, self.left_candidate == self.matter.first)


def verdict_of(choice: Choice, first_is_left: bool) -> Verdict:
    """What a choice of a side says of two candidates.

    >>> verdict_of("left", first_is_left=False)
    'second'
    """
    if choice in ("tie", "unsafe"):
        return choice
    return "first" if (choice == "left") == first_is_left else "second"


@lru_cache(maxsize=2048)
def shown(text: str, tags: Tags) -> Shown:
    """An answer without its tags.

    >>> shown("<reasoning>Fever.</reasoning><answer>Flu.</answer>", Tags())
    Shown(reasoning='Fever.', answer='Flu.')
    >>> shown("<answer>Flu", Tags())
    Shown(reasoning=None, answer='Flu')
    """
    parsed = parse(text, tags)
    if parsed.well_formed and parsed.answer is not None:
        return Shown(parsed.reasoning, parsed.answer)
    return Shown(None, without_tags(text, tags))


def shown_alike(first: str, second: str, tags: Tags) -> tuple[Shown, Shown]:
    """Two answers in one form: taken apart only where both can be, so that the form does not tell who wrote which."""
    one, two = shown(first, tags), shown(second, tags)
    if (one.reasoning is None) == (two.reasoning is None):
        return one, two
    return Shown(None, without_tags(first, tags)), Shown(None, without_tags(second, tags))


def matters_of(comparison: Comparison, pairs: Sequence[Pair]) -> tuple[tuple[Matter, ...], LeftOut]:
    """What a vote on these pairs would ask as things stand, and what it would leave out."""
    request = comparison.request()
    answers = {(answer.question, answer.candidate): answer for answer in comparison.answers()}
    found: list[Matter] = []
    reasons: Counter[str] = Counter()
    for place, question in enumerate(request.questions):
        for pair in pairs:
            one, two = (answers.get((place, candidate)) for candidate in pair)
            reason = _unfit(one, two, request.prompt.tags)
            if reason or one is None or two is None:
                reasons[reason] += 1
                continue
            found.append(
                Matter(question=question.id, first=pair[0], second=pair[1], first_text=one.text, second_text=two.text)
            )
    return tuple(found), LeftOut(**reasons)


def _unfit(one: ComparedAnswer | None, two: ComparedAnswer | None, tags: Tags) -> str:
    """Why two answers cannot be voted on, as a field of `LeftOut`; empty when they can."""
    if one is None or two is None:
        return "missing"
    if one.error or two.error:
        return "failed"
    return "alike" if shown(one.text, tags).words == shown(two.text, tags).words else ""


def in_order(vote: BlindVote, comparison_id: str, rater: str) -> list[Matter]:
    """Everything that a rater is asked, in the rater's own order; the same at every call.

    Args:
        rater: as `core.lab.vote_files.rater_name` gives it; capital letters make no difference.
    """
    return Random(f"order {comparison_id} {vote.salt} {rater.casefold()}").sample(vote.matters, len(vote.matters))


def ballot_on(request: ComparisonRequest, vote: BlindVote, comparison_id: str, rater: str, place: int) -> Ballot:
    """What a rater is asked at a place of the rater's own order; the same at every call."""
    matter = in_order(vote, comparison_id, rater)[place]
    sides = Random(f"sides {comparison_id} {vote.salt} {rater.casefold()} {matter.key}")
    turned = sides.random() < 0.5
    first, second = shown_alike(matter.first_text, matter.second_text, request.prompt.tags)
    return Ballot(
        place=place,
        question=next(question.text for question in request.questions if question.id == matter.question),
        left=second if turned else first,
        right=first if turned else second,
        matter=matter,
        left_candidate=matter.second if turned else matter.first,
    )
