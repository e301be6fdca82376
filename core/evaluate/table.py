"""Every score of an evaluation in one long table, and what the measures in it are.

What is missing stays missing: a verdict that is unreadable, refused or not there leaves no row, and never counts as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.calls import FORMAT
from core.evaluate.metrics import METRICS, metric_of, metric_rows
from core.evaluate.request import DIMENSION_TITLES, EvaluationRequest, JudgeSettings
from core.evaluate.results import Kind
from core.evaluate.verdicts import Call, Verdict

AUTOMATIC = -1
"""Stands for a judge where none was asked."""
ALL_JUDGES = -2
"""Stands for the mean of the judges."""

TOTAL, RUBRIC, REWARD = "total", "rubric", "reward"
MARKS = (1, 5)
"""The lowest and the highest mark that a judge may give on a dimension."""

COLUMNS = ("question", "candidate", "judge", "measure", "score")
_ANSWER = ["question", "candidate"]


@dataclass(frozen=True)
class Scale:
    """What a measure is.

    Attributes:
        name, title, kind, low, high, upward: as in `core.evaluate.results.Measure`.
        judge: whose marks these are; `ALL_JUDGES` or `AUTOMATIC` where they are no single judge's.
        score: what the table calls it, the judge apart.
    """

    name: str
    title: str
    kind: Kind
    low: float | None
    high: float | None
    upward: bool | None
    judge: int
    score: str


def score_table(
    comparison: ComparisonRequest,
    answers: Sequence[ComparedAnswer],
    request: EvaluationRequest,
    verdicts: Mapping[Call, Verdict],
    metrics: Mapping[tuple[int, int], AnswerMetrics],
) -> pd.DataFrame:
    """Every score there is, one a row.

    Answers that ended with an error have none. The total is the mean of the chosen dimensions, and `rubric` the share
    of the items that are met; both only where a judge has marked all of them.

    Args:
        verdicts: those that fit the answers as they are now.
        metrics: by question and candidate, those that fit the answers as they are now.

    Returns:
        The columns `question` and `candidate` (places in the comparison), `judge` (a place in the request, `AUTOMATIC`
        or `ALL_JUDGES`), `measure` and `score`. Of several judges, `ALL_JUDGES` is the mean over those that have
        marked every answer to the question that any of them has marked, so that a lenient judge never raises one
        candidate alone; one judge stands there twice.
    """
    judged = _judged(request, verdicts.values())
    automatic = metric_rows(metrics.values()).assign(judge=AUTOMATIC)
    parts = [part for part in (_all_judges(judged), judged, automatic) if len(part)]
    table = pd.concat([_typed(part) for part in parts], ignore_index=True) if parts else _typed(judged)
    whole = {(answer.question, answer.candidate) for answer in answers if not answer.error}
    kept = [
        place in whole and _is_in(comparison, place)
        for place in zip(table["question"], table["candidate"], strict=True)
    ]
    return table.loc[kept].reset_index(drop=True)


def scales(request: EvaluationRequest, table: pd.DataFrame) -> tuple[Scale, ...]:
    """The measures to be shown: what judges were asked, whether anything came of it or not, then what was measured.

    Those of single judges, `accuracy@1` of the judge in place 1, come last where there are several.
    """
    judged = tuple(_judged_scales(request))
    names = judge_names(request.judges)
    single = [_of_judge(scale, place, names[place]) for place in range(len(names)) for scale in judged]
    there = set(table.loc[table["judge"] == AUTOMATIC, "measure"])
    ordered = [name for name in METRICS if name in there] + sorted(there - set(METRICS))
    return (*judged, *(_automatic_scale(name) for name in ordered), *(single if len(names) > 1 else ()))


def judge_names(judges: Sequence[JudgeSettings]) -> tuple[str, ...]:
    """What people call each judge; the address only where a model judges at two of them. Text from outside."""
    models = [judge.model for judge in judges]
    return tuple(
        f"{judge.model} at {judge.base_url or 'the usual address'}" if models.count(judge.model) > 1 else judge.model
        for judge in judges
    )


def _judged_scales(request: EvaluationRequest) -> Iterator[Scale]:
    """What all judges together are asked to mark."""

    def scale(name: str, title: str, kind: Kind, ends: tuple[float, float]) -> Scale:
        return Scale(name, title, kind, *ends, upward=True, judge=ALL_JUDGES, score=name)

    if "dimensions" in request.methods:
        yield scale(TOTAL, "Total", "total", MARKS)
        for dimension in request.dimensions:
            yield scale(dimension, DIMENSION_TITLES[dimension], "dimension", MARKS)
    if "rubric" in request.methods:
        yield scale(RUBRIC, "Items of the rubric met", "rubric", (0, 1))
        for item in request.rubric:
            yield scale(rubric_measure(item.id), item.text, "rubric", (0, 1))


def rubric_measure(item: str) -> str:
    """The name of the measure of one item of the rubric."""
    return f"{RUBRIC}:{item}"


def _of_judge(scale: Scale, judge: int, name: str) -> Scale:
    return replace(scale, name=f"{scale.name}@{judge}", title=f"{scale.title} ({name})", judge=judge)


def _automatic_scale(name: str) -> Scale:
    metric = metric_of(name)
    return Scale(name, metric.title, "automatic", metric.low, metric.high, metric.upward, AUTOMATIC, name)


def _judged(request: EvaluationRequest, verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """The marks of every judge, with the total and the share of items where all of their parts are there."""
    rows = [row for verdict in verdicts if verdict.outcome == "given" for row in _marks(request, verdict)]
    marks = pd.DataFrame(rows, columns=COLUMNS)
    parts: dict[str, list[str]] = {}
    if "dimensions" in request.methods:
        parts[TOTAL] = list(request.dimensions)
    if "rubric" in request.methods:
        parts[RUBRIC] = [rubric_measure(item.id) for item in request.rubric]
    means = [_mean_of(marks, names).assign(measure=name) for name, names in parts.items()] if rows else []
    return pd.concat([marks, *(mean for mean in means if len(mean))], ignore_index=True)[list(COLUMNS)]


def _marks(request: EvaluationRequest, verdict: Verdict) -> Iterator[tuple[int, int, int, str, float]]:
    """The rows of one verdict; marks that were not asked for are none."""
    asked: dict[str, str] = {}
    if verdict.matter == "rubric" and "rubric" in request.methods:
        asked = {item.id: rubric_measure(item.id) for item in request.rubric}
    if verdict.matter in ("dimensions", "format") and "dimensions" in request.methods:
        asked = {name: name for name in request.dimensions if (name == FORMAT) == (verdict.matter == FORMAT)}
    for name, score in verdict.scores.items():
        if name in asked:
            yield verdict.question, verdict.candidate, verdict.judge, asked[name], float(score)


def _mean_of(marks: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The mean of the measures of these names of each answer and judge that has all of them."""
    wide = marks.pivot_table(index=[*_ANSWER, "judge"], columns="measure", values="score").reindex(columns=list(names))
    return wide.mean(axis=1, skipna=False).dropna().rename("score").reset_index()


def _all_judges(judged: pd.DataFrame) -> pd.DataFrame:
    """The mean over judges of every measure, see `score_table`."""
    if not len(judged):
        return judged
    wide = judged.pivot_table(index=["measure", *_ANSWER], columns="judge", values="score")
    marked_all = wide.notna().groupby(level=["measure", "question"]).transform("all")
    return wide.where(marked_all).mean(axis=1).dropna().rename("score").reset_index().assign(judge=ALL_JUDGES)


def _is_in(comparison: ComparisonRequest, place: tuple[int, int]) -> bool:
    question, candidate = place
    return question < len(comparison.questions) and candidate < len(comparison.candidates)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    numbers = {"question": int, "candidate": int, "judge": int, "score": float, "measure": object}
    return table[list(COLUMNS)].astype(numbers)
