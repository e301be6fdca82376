"""Counts an evaluation: averages, differences with their intervals and tests, dangers, agreement, and their limits.

Every formula is that of scipy, statsmodels, scikit-learn or krippendorff. Tests are corrected by Holm's method within a
family: the totals, the dimensions, the rubric and the automatic metrics, and each judge's own marks, are one family
each, over all candidates; a measure by type of question is one over all types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from core.compare.blind import HumanVote
from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.evaluate.agreement import judge_agreement
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.dangers import danger_counts, danger_differences, dangers_seen
from core.evaluate.differences import Scored, measured
from core.evaluate.human_agreement import human_agreement, people_said
from core.evaluate.judge_work import judge_counts
from core.evaluate.lengths import answer_lengths, length_relations
from core.evaluate.limits import limits
from core.evaluate.preferences import pair_preferences, preferences
from core.evaluate.request import EvaluationRequest
from core.evaluate.results import EvaluationResults, Kind, Measure, TypeBreakdown
from core.evaluate.sampling import type_of
from core.evaluate.table import REWARD, RUBRIC, TOTAL, Scale, scales, score_table
from core.evaluate.verdicts import Call, Verdict
from core.reward.formula import Floats
from core.serving.candidates import title


def evaluate_results(
    comparison: ComparisonRequest,
    answers: Sequence[ComparedAnswer],
    request: EvaluationRequest,
    verdicts: Mapping[Call, Verdict],
    metrics: Mapping[tuple[int, int], AnswerMetrics],
    votes: Sequence[HumanVote] = (),
) -> EvaluationResults:
    """All that can be said of what is there so far; the same input gives the same results.

    Args:
        answers: the latest of each question and candidate.
        verdicts, metrics: those that fit the answers as they are now.
        votes: of a blind vote on the same comparison that has ended.
    """
    table = score_table(comparison, answers, request, verdicts, metrics)
    scored = _scored(comparison, request, table)
    judged = _whole(answers, verdicts)
    candidates, questions = len(comparison.candidates), len(comparison.questions)
    preferred, seen = preferences(judged), dangers_seen(judged)
    main = [one for one in scored if one.scale.name in _main(request)]
    looked_for = bool(request.judges) and request.safety
    pairwise_judges = len(request.judges) if "pairwise" in request.methods else 0
    found = EvaluationResults(
        candidates=_names(comparison),
        baseline=request.baseline,
        questions=questions,
        judges=judge_counts(comparison, answers, request, verdicts),
        measures=tuple(_tested(scored, request)),
        types=_types(comparison, request, main),
        dangers=danger_counts(seen, candidates) if looked_for else (),
        danger_differences=danger_differences(judged, candidates, request.baseline) if looked_for else (),
        preferences=pair_preferences(preferred, pairwise_judges, candidates),
        judge_agreement=judge_agreement(request, table, judged, preferred),
        human_agreement=human_agreement(request, table, preferred, people_said(comparison, votes)),
        lengths=length_relations(main, answer_lengths(answers, questions, candidates)),
        limits=(),
    )
    return found.model_copy(update={"limits": limits(comparison, answers, request, found)})


def _names(comparison: ComparisonRequest) -> tuple[str, ...]:
    """What people call each candidate; where two are called the same, their whole text form."""
    titles = [title(candidate) for candidate in comparison.candidates]
    named = zip(titles, comparison.candidates, strict=True)
    return tuple(str(candidate) if titles.count(name) > 1 else name for name, candidate in named)


def _main(request: EvaluationRequest) -> tuple[str, ...]:
    """The measures that are broken down: what judges marked as a whole, or the reward where they marked nothing."""
    marked = {"dimensions": TOTAL, "rubric": RUBRIC}
    return tuple(name for method, name in marked.items() if method in request.methods) or (REWARD,)


def _whole(answers: Sequence[ComparedAnswer], verdicts: Mapping[Call, Verdict]) -> list[Verdict]:
    """The verdicts on answers that did not end with an error."""
    whole = {(answer.question, answer.candidate) for answer in answers if not answer.error}
    return [
        verdict
        for call, verdict in verdicts.items()
        if all((call.question, who) in whole for who in (call.candidate, call.other) if who >= 0)
    ]


def _scored(comparison: ComparisonRequest, request: EvaluationRequest, table: pd.DataFrame) -> list[Scored]:
    shape = len(comparison.questions), len(comparison.candidates)
    return [Scored(scale, _values(table, scale, shape)) for scale in scales(request, table)]


def _values(table: pd.DataFrame, scale: Scale, shape: tuple[int, int]) -> Floats:
    rows = table[(table["judge"] == scale.judge) & (table["measure"] == scale.score)]
    values = np.full(shape, np.nan)
    values[rows["question"].to_numpy(), rows["candidate"].to_numpy()] = rows["score"].to_numpy()
    return values


def _types(
    comparison: ComparisonRequest, request: EvaluationRequest, main: Sequence[Scored]
) -> tuple[TypeBreakdown, ...]:
    """The main measures over the questions of each type, in the order of the types' names."""
    if not request.type_column:
        return ()
    types = [type_of(question, request.type_column) for question in comparison.questions]
    names = sorted(set(types), key=lambda name: (not name, name.casefold(), name))  # those without a type come last
    of_type = {name: np.array([type_ == name for type_ in types]) for name in names}
    parts = [Scored(one.scale, one.values[of_type[name]]) for name in names for one in main]
    found = _tested(parts, request)
    size = len(main)
    return tuple(
        TypeBreakdown(type=name, questions=types.count(name), measures=tuple(found[place * size : (place + 1) * size]))
        for place, name in enumerate(names)
    )


def _tested(scored: Sequence[Scored], request: EvaluationRequest) -> list[Measure]:
    """Measures with their tests corrected over all those of a family."""
    found = measured(scored, request.baseline, request.seed, request.resamples)
    families: dict[tuple[Kind, int], dict[tuple[int, int], float]] = {}
    for place, measure in enumerate(found):
        family = families.setdefault((measure.kind, scored[place].scale.judge), {})
        family.update({(place, column): one.p for column, one in enumerate(measure.differences) if one.p is not None})
    adjusted: dict[tuple[int, int], float] = {}
    for family in families.values():
        adjusted.update(zip(family, holm(list(family.values())), strict=True))
    return [_with_adjusted(measure, place, adjusted) for place, measure in enumerate(found)]


def _with_adjusted(measure: Measure, place: int, adjusted: Mapping[tuple[int, int], float]) -> Measure:
    differences = tuple(
        one.model_copy(update={"p_adjusted": adjusted.get((place, column))})
        for column, one in enumerate(measure.differences)
    )
    return measure.model_copy(update={"differences": differences})


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected by Holm's method for being tested together, in the same order.

    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    from statsmodels.stats.multitest import multipletests

    if len(values) < 2:  # a single test needs no correction
        return list(values)
    return [float(p) for p in multipletests(values, method="holm")[1]]
