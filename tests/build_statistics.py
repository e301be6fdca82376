"""Results counted from made-up verdicts, without a home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.compare.blind import HumanVote
from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.evaluate.calls import calls_of
from core.evaluate.request import EvaluationRequest, make_evaluation_request
from core.evaluate.results import EvaluationResults
from core.evaluate.statistics import evaluate_results
from core.evaluate.verdicts import Verdict
from tests.build_evaluation import (
    Mark,
    evaluated_request,
    judges_named,
    made_up_answer,
    made_up_metrics,
    made_up_verdict,
    second_is_better,
)


def statistics_request(**changes: Any) -> EvaluationRequest:
    """One judge who is asked for the five dimensions, if nothing else is said."""
    given: dict[str, Any] = {
        "comparison": "compare-1",
        "judges": judges_named("judge-one"),
        "methods": ("dimensions",),
        "resamples": 1_000,
    }
    return make_evaluation_request(**{**given, **changes})


def all_answers(asked: ComparisonRequest) -> list[ComparedAnswer]:
    return [made_up_answer(q, c) for q in range(len(asked.questions)) for c in range(len(asked.candidates))]


def all_verdicts(
    request: EvaluationRequest, asked: ComparisonRequest | None = None, mark: Mark = second_is_better
) -> list[Verdict]:
    """What every judge says of every answer, by default those of `evaluated_request`."""
    asked = asked or evaluated_request()
    calls = [
        call for judge in range(len(request.judges)) for call in calls_of(request, asked, all_answers(asked), judge)
    ]
    return [made_up_verdict(request, call, mark) for call in calls]


def counted(
    request: EvaluationRequest,
    verdicts: Sequence[Verdict] | None = None,
    asked: ComparisonRequest | None = None,
    answers: Sequence[ComparedAnswer] | None = None,
    votes: Sequence[HumanVote] = (),
) -> EvaluationResults:
    """The results of these verdicts, by default `all_verdicts`, and of made-up metrics."""
    asked = asked or evaluated_request()
    said = all_verdicts(request, asked) if verdicts is None else verdicts
    there = all_answers(asked) if answers is None else answers
    metrics = {(one.question, one.candidate): made_up_metrics(one) for one in there if not one.error}
    return evaluate_results(asked, there, request, {one.call: one for one in said}, metrics, votes)
