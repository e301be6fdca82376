"""The results as a whole: families of tests, breakdowns, counts of judges, and nothing made up where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.compare.comparison import ComparisonRequest
from core.evaluate.request import DIMENSIONS
from core.evaluate.results import EvaluationResults
from core.evaluate.statistics import holm
from core.evaluate.verdicts import Outcome
from core.serving.candidates import Candidate
from tests.build_evaluation import TYPES, evaluated_request, judges_named, made_up_answer
from tests.build_statistics import all_answers, all_verdicts, counted, statistics_request


def many(questions: int = 30, candidates: int = 2) -> ComparisonRequest:
    return evaluated_request(questions, candidates)


def mean_of(results: EvaluationResults, name: str, candidate: int) -> float:
    measure = results.measure(name)
    assert measure is not None
    average = measure.averages[candidate]
    assert average is not None
    return average.mean


def test_holms_method_on_four_tests() -> None:
    """The example of Wikipedia's article on the Holm-Bonferroni method: the first and the fourth are rejected."""
    found = holm([0.01, 0.04, 0.03, 0.005])
    assert [p <= 0.05 for p in found] == [True, False, False, True]
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_tests_need_no_correction() -> None:
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None)
def test_corrected_values_are_never_smaller_and_keep_their_order(values: list[float]) -> None:
    found = np.array(holm(values))
    assert (found >= np.array(values)).all() and (found <= 1).all()
    assert (np.diff(found[np.argsort(values)]) >= 0).all()


def test_means_are_those_of_the_marks() -> None:
    results = counted(statistics_request())
    expected = np.mean([2 + question % 2 + (question % 3 != 2) for question in range(12)])
    assert mean_of(results, "total", 1) == pytest.approx(expected)
    assert mean_of(results, "fluency", 0) == pytest.approx(2.5)


def test_the_same_input_gives_the_same_results() -> None:
    request = statistics_request(type_column="type")
    assert counted(request).model_dump_json() == counted(request).model_dump_json()


def test_the_order_of_the_verdicts_does_not_matter() -> None:
    request = statistics_request(judges=judges_named("one", "two"), methods=("dimensions", "rubric", "pairwise"))
    verdicts = all_verdicts(request)
    assert counted(request, verdicts[::-1]) == counted(request, verdicts)


def test_results_survive_being_written_down() -> None:
    results = counted(statistics_request(type_column="type", methods=("dimensions", "rubric", "pairwise")))
    assert EvaluationResults.model_validate_json(results.model_dump_json()) == results


def test_the_total_is_tested_alone_and_the_dimensions_together() -> None:
    results = counted(statistics_request())
    for name, tests in (("total", 1), ("accuracy", len(DIMENSIONS))):
        measure = results.measure(name)
        assert measure is not None
        (found,) = measure.differences
        assert found.p is not None and found.p_adjusted == pytest.approx(min(1.0, tests * found.p))


def test_more_candidates_make_a_larger_family() -> None:
    measure = counted(statistics_request(), asked=many(candidates=3)).measure("total")
    assert measure is not None
    better, same = measure.differences
    assert better.p is not None and better.p_adjusted == pytest.approx(better.p)
    assert (same.p, same.p_adjusted) == (None, None)


def test_types_split_the_questions_and_are_tested_together() -> None:
    results = counted(statistics_request(type_column="type"), asked=many())
    assert [(one.type, one.questions) for one in results.types] == [(name, 10) for name in sorted(TYPES)]
    drug = next(one for one in results.types if one.type == "drug_interaction").measures[0]
    (found,) = drug.differences
    assert (drug.name, found.mean, found.of, found.finding) == ("total", 1.0, 10, "better")
    assert found.p is not None and found.p_adjusted == pytest.approx(2 * found.p)


def test_questions_of_no_type_come_last() -> None:
    asked = many()
    untyped = asked.questions[0].model_copy(update={"columns": {}})
    results = counted(
        statistics_request(type_column="type"),
        asked=asked.model_copy(update={"questions": (untyped, *asked.questions[1:])}),
    )
    assert (results.types[-1].type, results.types[-1].questions) == ("", 1)


def test_without_a_column_there_is_no_breakdown() -> None:
    assert not counted(statistics_request()).types


@pytest.mark.parametrize("outcome", ["unreadable", "refused", "failed"])
def test_a_missing_verdict_is_counted_as_missing_and_never_as_zero(outcome: Outcome) -> None:
    request = statistics_request()
    verdicts = [
        one.model_copy(update={"outcome": outcome, "scores": {}}) if one.question == 0 else one
        for one in all_verdicts(request)
    ]
    results, without = counted(request, verdicts), counted(request, [one for one in verdicts if one.question])
    assert results.measures == without.measures
    (judge,) = results.judges
    assert (judge.calls, judge.given, getattr(judge, outcome)) == (48, 44, 4)


def test_what_judges_cost_is_told_by_the_entered_prices() -> None:
    (priced,) = (judge.model_copy(update={"input_price": 0.15, "output_price": 0.6}) for judge in judges_named("m"))
    (judge,) = counted(statistics_request(judges=(priced,))).judges
    assert (judge.input_tokens, judge.output_tokens) == (48 * 500, 48 * 80)
    assert judge.dollars == pytest.approx((48 * 500 * 0.15 + 48 * 80 * 0.6) / 1e6)
    assert counted(statistics_request()).judges[0].dollars is None


def test_without_judges_there_are_automatic_measures_alone() -> None:
    results = counted(statistics_request(judges=(), methods=(), type_column="type"))
    assert {measure.kind for measure in results.measures} == {"automatic"}
    assert not results.judges and not results.dangers and not results.judge_agreement and not results.preferences
    assert {measure.name for one in results.types for measure in one.measures} == {"reward"}
    assert {one.measure for one in results.lengths} == {"reward"}


def test_nothing_answered_yet_is_no_crash_and_no_number() -> None:
    results = counted(statistics_request(type_column="type"), [], answers=[])
    assert all(average is None for measure in results.measures for average in measure.averages)
    assert all(one.share is None for one in results.dangers)


def test_a_single_question_can_be_counted() -> None:
    results = counted(statistics_request(methods=("dimensions", "pairwise")), asked=many(1))
    measure = results.measure("total")
    assert measure is not None and measure.differences[0].finding == "too few"


def test_a_single_candidate_has_averages_alone() -> None:
    results = counted(statistics_request(), asked=many(candidates=1))
    assert all(not measure.differences for measure in results.measures)
    assert mean_of(results, "total", 0) == 2.5


def test_answers_that_ended_with_an_error_count_nowhere() -> None:
    request, asked = statistics_request(methods=("dimensions", "pairwise")), many(12)
    answers = [made_up_answer(0, 0, error="Timed out."), *all_answers(asked)[1:]]
    results = counted(request, answers=answers)
    assert results.dangers[0].count == 0 and results.dangers[0].share is not None
    assert results.dangers[0].share.of == 11
    (pair,) = results.preferences
    assert pair.wins_first + pair.wins_second + pair.ties == 11


def test_candidates_of_one_title_are_told_apart() -> None:
    folders = tuple(Candidate(kind="model", model=f"/models/{place}/merged") for place in "ab")
    results = counted(statistics_request(), asked=many().model_copy(update={"candidates": folders}))
    assert results.candidates == ("model:/models/a/merged", "model:/models/b/merged")


def test_dangers_change_no_mean() -> None:
    request = statistics_request()
    safe = [one.model_copy(update={"dangers": dict.fromkeys(one.dangers, False)}) for one in all_verdicts(request)]
    dangerous, harmless = counted(request), counted(request, safe)
    assert dangerous.dangers[0].count == 1 and harmless.dangers[0].count == 0
    assert dangerous.measures == harmless.measures


@given(st.lists(st.tuples(*[st.integers(1, 5)] * 2), min_size=12, max_size=12), st.sets(st.integers(0, 23), max_size=8))
@settings(max_examples=5, deadline=None)
def test_turning_the_baseline_round_turns_every_difference_round(
    marks: list[tuple[int, int]], missing: set[int]
) -> None:
    request = statistics_request(dimensions=("accuracy",))
    verdicts = all_verdicts(request, mark=lambda judge, question, candidate, name: marks[question][candidate])
    known = [one for one in verdicts if 2 * one.question + one.candidate not in missing]
    for one, two in zip(
        counted(request, known).measures,
        counted(request.model_copy(update={"baseline": 1}), known).measures,
        strict=True,
    ):
        assert two.averages == one.averages
        assert two.differences[0].mean == pytest.approx(-one.differences[0].mean)
        assert (two.differences[0].wins, two.differences[0].ties) == (
            one.differences[0].losses,
            one.differences[0].ties,
        )
