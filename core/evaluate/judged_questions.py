"""Questions with their answers and all that was said of each, as a report tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.compare.comparison import ComparedAnswer, ComparisonRequest, Question
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.request import EvaluationRequest
from core.evaluate.sampling import type_of
from core.evaluate.verdicts import Verdict
from core.serving.candidates import title


@dataclass(frozen=True)
class JudgedAnswer:
    """One answer with all that was said of it.

    Attributes:
        name: of the candidate; text from outside.
        answer: None where there is none.
        metrics: by name; empty where none were taken.
        verdicts: those on this answer alone, by judge and matter.
    """

    candidate: int
    name: str
    answer: ComparedAnswer | None
    metrics: Mapping[str, float | None]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class JudgedQuestion:
    """One question with its answers.

    Attributes:
        number: from 1.
        kind: the kind of question; empty where the evaluation has none.
        pairs: the verdicts on pairs of its answers.
    """

    number: int
    question: Question
    kind: str
    answers: tuple[JudgedAnswer, ...]
    pairs: tuple[Verdict, ...]


def judged_questions(
    request: EvaluationRequest,
    asked: ComparisonRequest,
    answers: Sequence[ComparedAnswer],
    verdicts: Iterable[Verdict],
    metrics: Mapping[tuple[int, int], AnswerMetrics],
) -> tuple[JudgedQuestion, ...]:
    """Every question with its answers, in the order in which they were asked.

    Args:
        answers: the latest of each question and candidate.
        verdicts, metrics: those that fit the answers as they are now.
    """
    by_place = {(answer.question, answer.candidate): answer for answer in answers}
    single: dict[tuple[int, int], list[Verdict]] = {}
    pairs: dict[int, list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda one: one.call):
        if verdict.matter == "pairwise":
            pairs.setdefault(verdict.question, []).append(verdict)
        else:
            single.setdefault((verdict.question, verdict.candidate), []).append(verdict)
    names = [title(candidate) for candidate in asked.candidates]

    def judged(place: int, who: int) -> JudgedAnswer:
        at = place, who
        values = metrics[at].values if at in metrics else {}
        return JudgedAnswer(who, names[who], by_place.get(at), values, tuple(single.get(at, ())))

    return tuple(
        JudgedQuestion(
            number=place + 1,
            question=question,
            kind=type_of(question, request.type_column) if request.type_column else "",
            answers=tuple(judged(place, who) for who in range(len(names))),
            pairs=tuple(pairs.get(place, ())),
        )
        for place, question in enumerate(asked.questions)
    )
