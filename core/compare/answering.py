"""What asking one question and asking many have in common: from an answer to its record, and on to its scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.errors import StudioError
from core.paths import Home
from core.prompts import Message, conversation_text, messages, whole_completion
from core.reward.scoring import Sample
from core.serving.candidates import allow_candidates
from core.serving.client import Answer
from core.serving.scoring import score_answers
from core.serving.server import Server


@dataclass(frozen=True)
class Place:
    """One answer of a comparison: which question, and whose.

    Attributes:
        question, candidate: places in the request, from 0.
    """

    question: int
    candidate: int


def places_to_ask(request: ComparisonRequest, answers: Sequence[ComparedAnswer]) -> list[Place]:
    """The answers that are not there yet, or not whole, ordered by question, then by candidate."""
    whole = {Place(answer.question, answer.candidate) for answer in answers if not answer.error}
    every = (Place(q, c) for q in range(len(request.questions)) for c in range(len(request.candidates)))
    return [place for place in every if place not in whole]


def allow_asking(home: Home, request: ComparisonRequest, missing: Sequence[Place]) -> None:
    """Go on only if whoever acts now may ask everybody who has not answered; who has made the comparison matters not.

    What a task asks is allowed here, before it starts: the task itself may do everything.

    Raises:
        AccessDenied: they may not ask one of them.
    """
    allow_candidates(home, [request.candidates[candidate] for candidate in {place.candidate for place in missing}])


def recorded(place: Place, conversation: Sequence[Message], answer: Answer) -> ComparedAnswer:
    """The record of an answer: the whole completion, with what the model's turn began with."""
    return ComparedAnswer(
        question=place.question,
        candidate=place.candidate,
        text=whole_completion(conversation, answer.text) if answer.text or not answer.error else "",
        tokens=answer.tokens,
        seconds=answer.seconds,
        first_seconds=answer.first_seconds,
        truncated=answer.truncated,
        error=answer.error,
    )


def unanswered(place: Place, error: str) -> ComparedAnswer:
    """The record of a question that could not be asked, and why."""
    return ComparedAnswer(question=place.question, candidate=place.candidate, error=error)


def to_score(answers: Sequence[ComparedAnswer]) -> list[ComparedAnswer]:
    """The whole answers that have no scores yet."""
    return [answer for answer in answers if not answer.error and answer.reward is None]


def sample_of(request: ComparisonRequest, answer: ComparedAnswer) -> Sample:
    """An answer as rewards and boards see it; the answers to one question are a group."""
    question = request.questions[answer.question]
    return Sample(
        question=question.text,
        reference=question.reference,
        completion=answer.text,
        group=question.id,
        prompt=conversation_text(messages(request.prompt, question.text)),
        columns=question.columns,
        tokens=answer.tokens or 0,
    )


def scored(
    home: Home,
    request: ComparisonRequest,
    answers: Sequence[ComparedAnswer],
    look: Callable[[Server], None] = lambda server: None,
) -> list[ComparedAnswer]:
    """The answers with their scores; where they cannot be scored, with the reason.

    Each is scored without regard to the others, so that its reward does not depend on who else was asked.

    Args:
        look: as in `core.serving.scoring.score_answers`.
    """
    now = time.time()
    alone = [_alone(sample_of(request, answer), row) for row, answer in enumerate(answers)]
    try:
        found = score_answers(home, request.reward, request.prompt.tags, alone, request.run, look)
    except StudioError as error:
        return [answer.model_copy(update={"unscored": str(error), "time": now}) for answer in answers]
    return [
        answer.model_copy(update={**score.model_dump(), "unscored": "", "time": now})
        for answer, score in zip(answers, found, strict=True)
    ]


def _alone(sample: Sample, row: int) -> Sample:
    return Sample(
        sample.question,
        sample.reference,
        sample.completion,
        str(row),
        sample.prompt,
        sample.columns,
        sample.tokens,
    )
