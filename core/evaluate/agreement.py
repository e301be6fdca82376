"""How far judges agree with each other on the same answers, chance aside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import krippendorff
import numpy as np
import pandas as pd

from core.evaluate.preferences import Matchup, Preference
from core.evaluate.request import EvaluationRequest
from core.evaluate.results import JudgeAgreement
from core.evaluate.table import MARKS, rubric_measure
from core.evaluate.verdicts import Preferred, Verdict
from core.lab.rater_agreement import FEWEST_COMMON
from core.reward.formula import Floats

DANGER, PAIRWISE = "danger", "pairwise"
"""Names of agreement on whether an answer holds any danger, and on which of two is better."""

_Key = TypeVar("_Key", bound=tuple[int, ...])
"""A judge, then what it judged: question and candidate, or question and two candidates."""

_YES_NO = (0, 1)
_SIDES: Mapping[Preferred, int] = {"first": 1, "tie": 0, "second": -1}


def judge_agreement(
    request: EvaluationRequest,
    table: pd.DataFrame,
    verdicts: Iterable[Verdict],
    preferred: Mapping[Matchup, Preference],
) -> tuple[JudgeAgreement, ...]:
    """Agreement on every dimension, item, danger and preference that was judged; none where there is one judge.

    Args:
        table: as `core.evaluate.table.score_table` makes it.
    """
    judges = len(request.judges)
    if judges < 2:
        return ()
    scales: dict[str, Sequence[int]] = {}
    if "dimensions" in request.methods:
        scales.update(dict.fromkeys(request.dimensions, range(MARKS[0], MARKS[1] + 1)))
    if "rubric" in request.methods:
        scales.update({rubric_measure(item.id): _YES_NO for item in request.rubric})
    found = [_agreement(name, _marks(table, name, judges), scale) for name, scale in scales.items()]
    dangers, sides = _dangers(verdicts), {matchup: float(_SIDES[one.preferred]) for matchup, one in preferred.items()}
    if dangers:
        found.append(_agreement(DANGER, _by_judge(dangers, judges), _YES_NO))
    if "pairwise" in request.methods:
        found.append(_agreement(PAIRWISE, _by_judge(sides, judges), sorted(_SIDES.values())))
    return tuple(found)


def _marks(table: pd.DataFrame, measure: str, judges: int) -> Floats:
    """The marks on one measure, shape (judges, answers); NaN where there is none."""
    rows = table[(table["measure"] == measure) & (table["judge"] >= 0)]
    answers = zip(rows["judge"], rows["question"], rows["candidate"], strict=True)
    return _by_judge(dict(zip(answers, rows["score"], strict=True)), judges)


def _dangers(verdicts: Iterable[Verdict]) -> dict[tuple[int, int, int], float]:
    """By judge, question and candidate, whether that judge saw any danger."""
    seen: dict[tuple[int, int, int], float] = {}
    for verdict in verdicts:
        if verdict.outcome == "given" and verdict.matter != "pairwise" and verdict.dangers:
            key = verdict.judge, verdict.question, verdict.candidate
            seen[key] = max(seen.get(key, 0.0), float(any(verdict.dangers.values())))
    return seen


def _by_judge(values: Mapping[_Key, float], judges: int) -> Floats:
    """Values whose keys begin with a judge, shape (judges, what was judged)."""
    items = {item: place for place, item in enumerate(dict.fromkeys(key[1:] for key in values))}
    said = np.full((judges, len(items)), np.nan)
    for key, value in values.items():
        said[key[0], items[key[1:]]] = value
    return said


def _agreement(measure: str, said: Floats, scale: Sequence[int]) -> JudgeAgreement:
    common = said[:, (~np.isnan(said)).sum(axis=0) > 1]
    tellable = common.shape[1] >= FEWEST_COMMON
    return JudgeAgreement(
        measure=measure,
        judges=len(said),
        items=common.shape[1],
        alpha=ordinal_alpha(common) if tellable else None,
        kappa=weighted_kappa(common, scale) if tellable and len(said) == 2 else None,
    )


def ordinal_alpha(said: Floats) -> float | None:
    """Krippendorff's alpha for ordered categories.

    Args:
        said: shape (raters, items), NaN where a rater has not judged an item.

    Returns:
        At most 1, and 0 where raters agree as often as by chance; None where all said the same, which leaves nothing
        to tell agreement from chance.
    """
    judged_twice = said[:, (~np.isnan(said)).sum(axis=0) > 1]
    if len(np.unique(judged_twice[~np.isnan(judged_twice)])) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=said, level_of_measurement="ordinal"))


def weighted_kappa(said: Floats, scale: Sequence[int]) -> float | None:
    """Cohen's kappa of two raters with quadratic weights.

    Args:
        said: shape (2, items), without NaN.
        scale: all categories in their order, one apart, for the weights depend also on those that nobody chose.

    Returns:
        None where both said one and the same of all.
    """
    from sklearn.metrics import cohen_kappa_score

    if len(np.unique(said)) < 2:
        return None
    one, two = said.astype(int)
    return float(cohen_kappa_score(one, two, labels=list(scale), weights="quadratic"))
