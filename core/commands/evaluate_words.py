"""What the verb `evaluate` says, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.evaluate.estimate import Estimate
from core.evaluate.evaluation import Evaluation
from core.evaluate.request import JudgeSettings
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


def estimate_line(judge: JudgeSettings, found: Estimate) -> str:
    """What one judge is to do, and what that costs."""
    tokens = f"about {found.input_tokens} tokens read and {found.output_tokens} written"
    cost = "at a price that is not known" if found.dollars is None else f"about {_dollars(found.dollars)}"
    time = "" if found.seconds is None else f", about {duration(found.seconds)}"
    return f"Judge {one_line(judge.model, 80)}: {found.calls} calls, {tokens}, {cost}{time}."


def _dollars(amount: float) -> str:
    return f"{amount:.2f} US dollars"
