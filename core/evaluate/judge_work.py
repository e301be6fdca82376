"""How judges did their work: what came of the calls, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.evaluate.calls import calls_of
from core.evaluate.request import EvaluationRequest, JudgeSettings
from core.evaluate.results import JudgeCount
from core.evaluate.table import judge_names
from core.evaluate.verdicts import Call, Verdict

_MILLION = 1_000_000


def judge_counts(
    comparison: ComparisonRequest,
    answers: Sequence[ComparedAnswer],
    request: EvaluationRequest,
    verdicts: Mapping[Call, Verdict],
) -> tuple[JudgeCount, ...]:
    """Every judge's calls, what came of them, and the tokens and dollars that the verdicts which stand have cost."""
    found = []
    for judge, name in enumerate(judge_names(request.judges)):
        calls = calls_of(request, comparison, answers, judge)
        said = [verdicts[call] for call in calls if call in verdicts]
        found.append(_count(request.judges[judge], name, len(calls), said))
    return tuple(found)


def _count(judge: JudgeSettings, name: str, calls: int, verdicts: Sequence[Verdict]) -> JudgeCount:
    outcomes = [verdict.outcome for verdict in verdicts]
    read = _sum([verdict.input_tokens for verdict in verdicts])
    written = _sum([verdict.output_tokens for verdict in verdicts])
    return JudgeCount(
        judge=name,
        calls=calls,
        given=outcomes.count("given"),
        unreadable=outcomes.count("unreadable"),
        refused=outcomes.count("refused"),
        failed=outcomes.count("failed"),
        input_tokens=read,
        output_tokens=written,
        dollars=_dollars(judge, read, written),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _dollars(judge: JudgeSettings, read: int | None, written: int | None) -> float | None:
    if judge.input_price is None or judge.output_price is None or read is None or written is None:
        return None
    return (read * judge.input_price + written * judge.output_price) / _MILLION
