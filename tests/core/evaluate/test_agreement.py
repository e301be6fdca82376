"""Agreement of judges: Krippendorff's alpha and weighted kappa against published examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evaluate.agreement import judge_agreement, ordinal_alpha, weighted_kappa
from core.evaluate.preferences import preferences
from core.evaluate.request import DIMENSIONS, EvaluationRequest
from core.evaluate.results import JudgeAgreement
from core.evaluate.table import score_table
from core.evaluate.verdicts import Verdict
from core.reward.formula import Floats
from tests.build_evaluation import evaluated_request, judges_named, made_up_answer
from tests.build_statistics import all_verdicts

NONE = np.nan


def ratings(table: Sequence[Sequence[int]]) -> Floats:
    """What two raters said whose categories are counted in a table, shape (2, items)."""
    cells = [
        (row, column) for row, counts in enumerate(table) for column, count in enumerate(counts) for _ in range(count)
    ]
    return np.array(cells, dtype=float).T


def agreements(verdicts: Sequence[Verdict], request: EvaluationRequest) -> dict[str, JudgeAgreement]:
    asked = evaluated_request()
    answers = [made_up_answer(q, c) for q in range(12) for c in range(2)]
    table = score_table(asked, answers, request, {one.call: one for one in verdicts}, {})
    return {one.measure: one for one in judge_agreement(request, table, verdicts, preferences(verdicts))}


def two_judges(**changes: object) -> EvaluationRequest:
    values = {"comparison": "c", "judges": judges_named("one", "two"), "methods": ("dimensions",)}
    return EvaluationRequest.model_validate({**values, **changes})


def test_krippendorffs_example_with_missing_values() -> None:
    """Computing Krippendorff's Alpha-Reliability, 2011: four observers, twelve units, ordinal 0.815."""
    said = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
    assert ordinal_alpha(np.array(said)) == pytest.approx(0.815, abs=5e-4)


def test_agrestis_pathologists() -> None:
    """Categorical Data Analysis, second edition, 2002, section 10.5: quadratic weights give 0.78."""
    carcinoma = [[22, 2, 2, 0], [5, 7, 14, 0], [0, 2, 36, 0], [0, 1, 17, 10]]
    assert weighted_kappa(ratings(carcinoma), range(4)) == pytest.approx(0.78, abs=5e-3)


def test_marks_that_nobody_gave_keep_their_distance() -> None:
    """Between 1 and 5 lie three marks; without them a 5 would be next to a 2."""
    said = np.array([[1.0, 2, 5, 5, 1, 2], [2.0, 1, 5, 2, 1, 2]])
    by_hand = 1 - ((1 + 1 + 9) / 6) / np.mean([(a - b) ** 2 for a in said[0] for b in said[1]])
    assert weighted_kappa(said, range(1, 6)) == pytest.approx(by_hand)


def test_uniform_marks_tell_nothing() -> None:
    assert ordinal_alpha(np.full((3, 12), 4.0)) is None
    assert weighted_kappa(np.full((2, 12), 4.0), range(1, 6)) is None


@given(st.lists(st.integers(1, 5), min_size=2, max_size=30).filter(lambda marks: len(set(marks)) > 1))
@settings(max_examples=30, deadline=None)
def test_judges_who_say_the_same_agree_fully(marks: list[int]) -> None:
    said = np.array([marks, marks], dtype=float)
    assert ordinal_alpha(said) == pytest.approx(1.0)
    assert weighted_kappa(said, range(1, 6)) == pytest.approx(1.0)


def test_every_dimension_and_danger_has_its_agreement() -> None:
    request = two_judges()
    found = agreements(all_verdicts(request), request)
    assert set(found) == {*DIMENSIONS, "danger"}
    assert found["accuracy"] == JudgeAgreement(measure="accuracy", judges=2, items=24, alpha=1.0, kappa=1.0)


def test_rubric_items_and_preferences_have_theirs() -> None:
    request = two_judges(methods=("rubric", "pairwise"), safety=False)
    found = agreements(all_verdicts(request), request)
    assert set(found) == {*(f"rubric:{item.id}" for item in request.rubric), "pairwise"}
    assert (found["pairwise"].items, found["pairwise"].alpha) == (12, pytest.approx(1.0))


def test_answers_that_only_one_judge_has_marked_do_not_count() -> None:
    request = two_judges()
    verdicts = [one for one in all_verdicts(request) if one.judge == 0 or one.question < 7]
    assert agreements(verdicts, request)["accuracy"].items == 14


def test_a_few_answers_are_too_few_to_tell() -> None:
    request = two_judges()
    verdicts = [one for one in all_verdicts(request) if one.judge == 0 or one.question < 4]
    found = agreements(verdicts, request)["accuracy"]
    assert (found.items, found.alpha, found.kappa) == (8, None, None)


def test_three_judges_have_alpha_alone() -> None:
    request = two_judges(judges=judges_named("one", "two", "three"))
    found = agreements(all_verdicts(request), request)["fluency"]
    assert (found.judges, found.alpha, found.kappa) == (3, pytest.approx(1.0), None)


def test_one_judge_agrees_with_nobody() -> None:
    request = two_judges(judges=judges_named("one"))
    assert not agreements(all_verdicts(request), request)
