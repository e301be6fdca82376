"""What the verb `evaluate` says, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.commands.generate import plain
from core.compare.comparison import ComparisonRequest
from core.evaluate.estimate import Estimate, Estimates
from core.evaluate.evaluation import Evaluation
from core.evaluate.request import EvaluationRequest, JudgeSettings
from core.evaluate.results import EvaluationResults
from core.evaluate.sentences import headline, safety_sentences
from core.text import duration, one_line


def evaluation_record(evaluation: Evaluation, results: EvaluationResults | None) -> dict[str, Any]:
    """An evaluation for programs."""
    known = None if results is None else results.model_dump(mode="json")
    request = evaluation.request().model_dump(mode="json")
    return {"evaluation": evaluation.id, "request": request, "results": known}


def result_lines(results: EvaluationResults) -> Iterator[str]:
    """An evaluation for people."""
    yield from headline(results)
    yield from safety_sentences(results)
    for judge in results.judges:
        wanting = f", {judge.unreadable} unreadable, {judge.refused} refused, {judge.failed} without a reply"
        spent = "" if judge.dollars is None else f", at least {_dollars(judge.dollars)}"
        yield f"Judge {one_line(judge.judge, 80)}: {judge.given} of {judge.calls} verdicts{wanting}{spent}."
    for limit in results.limits:
        yield f"Limit: {limit}"


def estimate_lines(request: EvaluationRequest, asked: ComparisonRequest, found: Estimates) -> Iterator[str]:
    """What is to be asked, and what each judge's part costs, fit for a terminal."""
    to_ask = found.total.answers_to_ask
    yield f"{len(asked.questions)} questions to {len(asked.candidates)} models: {to_ask} answers to ask for."
    for judge, one in zip(request.judges, found.judges, strict=True):
        yield plain(_estimate_line(judge, one))
    if not request.judges:
        yield "No judge: automatic metrics only."


def _estimate_line(judge: JudgeSettings, found: Estimate) -> str:
    tokens = f"about {found.input_tokens} tokens read and {found.output_tokens} written"
    cost = "at a price that is not known" if found.dollars is None else f"about {_dollars(found.dollars)}"
    time = "" if found.seconds is None else f", about {duration(found.seconds)}"
    return f"Judge {one_line(judge.model, 80)}: {found.calls} calls, {tokens}, {cost}{time}."


def _dollars(amount: float) -> str:
    return f"{amount:.2f} US dollars"
