"""Lists what a judge has to be asked, without asking it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.evaluate.request import Dimension, EvaluationRequest
from core.evaluate.verdicts import Call

FORMAT: Dimension = "format"
"""The one dimension that is judged in a call of its own, for it alone shows the tags."""


def tagless_dimensions(request: EvaluationRequest) -> tuple[Dimension, ...]:
    """The dimensions that are judged together in one call, without the tags; none where no dimension is judged."""
    return tuple(name for name in request.dimensions if name != FORMAT) if "dimensions" in request.methods else ()


def calls_of(
    request: EvaluationRequest, asked: ComparisonRequest, answers: Sequence[ComparedAnswer], judge: int
) -> list[Call]:
    """All that one judge has to be asked about these answers, question by question.

    An answer that is not whole is not judged. Dangers are looked for together with the dimensions, and in a call of
    the matter `dimensions` without any where only other methods are chosen.

    Args:
        asked: what was asked of whom.
        answers: the latest of each question and candidate.
        judge: its place in the request.
    """
    there = {(answer.question, answer.candidate) for answer in answers if not answer.error}
    calls = []
    for question in range(len(asked.questions)):
        candidates = [number for number in range(len(asked.candidates)) if (question, number) in there]
        calls += _calls_on_question(request, question, candidates, judge)
    return calls


def _calls_on_question(request: EvaluationRequest, question: int, candidates: Sequence[int], judge: int) -> list[Call]:
    calls = []
    for number in candidates:
        if tagless_dimensions(request) or request.safety:
            calls.append(Call(judge, "dimensions", question, number))
        if "dimensions" in request.methods and FORMAT in request.dimensions:
            calls.append(Call(judge, "format", question, number))
        if "rubric" in request.methods:
            calls.append(Call(judge, "rubric", question, number))
    if "pairwise" in request.methods:
        calls += [Call(judge, "pairwise", question, *pair) for pair in permutations(candidates, 2)]
    return calls
