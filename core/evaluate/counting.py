"""Counts an evaluation: from all that is on the disk to its statistics, and whether they are still those of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from core.compare.blind import HumanVote
from core.compare.comparison import ComparedAnswer, Comparison
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.evaluation import Evaluation
from core.evaluate.human_agreement import votes_on
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.judging import standing_verdicts
from core.evaluate.metrics import standing_metrics
from core.evaluate.results import EvaluationResults
from core.evaluate.statistics import evaluate_results
from core.evaluate.verdicts import Call, Verdict


def count(evaluation: Evaluation, comparison: Comparison) -> EvaluationResults | None:
    """Count the statistics of what there is, and keep them; None where no question has been answered.

    Raises:
        DataError: the evaluation, its comparison or a vote is damaged.
        StorageError: the disk is full.
    """
    request, asked, answers = evaluation.request(), comparison.request(), comparison.answers()
    if all(answer.error for answer in answers):
        return None
    verdicts = standing_verdicts(JudgeTexts(request, asked, answers), evaluation.verdicts())
    metrics = standing_metrics(answers, evaluation.metrics())
    votes = votes_on(comparison)
    found = evaluate_results(asked, answers, request, verdicts, metrics, votes)
    kept = found.model_copy(update={"basis": basis(answers, verdicts, metrics, votes)})
    evaluation.keep_results(kept)
    return kept


def basis(
    answers: Sequence[ComparedAnswer],
    verdicts: Mapping[Call, Verdict],
    metrics: Mapping[tuple[int, int], AnswerMetrics],
    votes: Iterable[HumanVote],
) -> str:
    """What names all that statistics are counted from: another answer, verdict, metric or vote gives another one.

    Args:
        verdicts, metrics: those that fit the answers as they are.
        votes: of a vote that has ended.
    """
    told = (
        [(one.question, one.candidate, one.time) for one in answers],
        [(call, verdict.time) for call, verdict in verdicts.items()],
        [(place, one.answer_hash, sorted(one.values)) for place, one in metrics.items()],
        sorted((vote.rater, vote.question, vote.pair, vote.time) for vote in votes),
    )
    return hashlib.sha256(repr(told).encode("utf-8", "replace")).hexdigest()
