"""Averages and paired differences, against published examples, and what may be said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from core.evaluate.differences import FEWEST, Scored, measured, more_questions, sign_test, signed_rank_test
from core.evaluate.results import Average, Difference, Finding, Measure
from core.evaluate.table import ALL_JUDGES, Scale
from core.reward.formula import Floats

DARWIN = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], float)
"""Cross-fertilised less self-fertilised maize, in eighths of an inch: Fisher, The Design of Experiments, 1935."""

MISSING = float("nan")
marks = st.one_of(st.just(MISSING), st.integers(4, 20).map(lambda quarters: quarters / 4))
pairs = st.lists(st.tuples(marks, marks), min_size=1, max_size=40)


def scale(upward: bool | None = True) -> Scale:
    return Scale("total", "Total", "total", 1, 5, upward, ALL_JUDGES, "total")


def measure_of(values: Floats, upward: bool | None = True, baseline: int = 0) -> Measure:
    (found,) = measured([Scored(scale(upward), values)], baseline, seed=0, resamples=1_000)
    return found


def difference_of(differences: list[float] | Floats, upward: bool | None = True) -> Difference:
    """Of a candidate that differs so from a baseline of 3."""
    column = np.asarray(differences, dtype=float)
    (found,) = measure_of(np.column_stack([np.full(len(column), 3.0), 3.0 + column]), upward).differences
    return found


def average_of(values: list[float]) -> Average | None:
    return measure_of(np.array(values)[:, None]).averages[0]


def test_wilcoxon_on_darwins_maize() -> None:
    """The worked example of the test's documentation in scipy, exact: the smaller sum of ranks is 24, p = 0.0413."""
    assert signed_rank_test(DARWIN) == pytest.approx(0.041259765625)


@pytest.mark.parametrize("count", [6, 10, 13, 20])
def test_with_ties_the_signed_rank_test_is_the_one_of_scipy(count: int) -> None:
    from scipy.stats import wilcoxon

    differences = np.random.default_rng(count).choice([-2.0, -1.0, 1.0, 2.0], count)
    assert signed_rank_test(differences) == pytest.approx(wilcoxon(differences).pvalue)


def test_fishers_mean_and_deviation_of_darwins_maize() -> None:
    """Fisher gives a mean of 20.93 and a standard error of 9.746 (The Design of Experiments, 1935, chapter III)."""
    found = difference_of(DARWIN)
    assert found.mean == pytest.approx(20.93, abs=0.005)
    assert found.effect is not None
    assert found.mean / found.effect / 15**0.5 == pytest.approx(9.746, abs=0.001)


def test_the_sign_test_on_legs_of_deer() -> None:
    """Zar's example in Biostatistical Analysis: the hind leg is the longer one in 8 of 10 deer, p = 0.10937."""
    assert sign_test(8, 2) == pytest.approx(0.10937, abs=1e-5)


def test_brysbaerts_number_of_participants() -> None:
    """52 for two conditions within participants, d = 0.4, 80 % power: Journal of Cognition 2, 2019, article 16."""
    assert more_questions(0.4, 0) == 52
    assert more_questions(-0.4, 20) == 32


@pytest.mark.parametrize("effect", [0.01, 0.05, 0.3, 0.7, 0.9])
def test_so_many_questions_have_the_power_and_one_less_has_not(effect: float) -> None:
    needed = more_questions(effect, 0)
    assert needed is not None
    assert TTestPower().power(effect, needed, 0.05) >= 0.8 > TTestPower().power(effect, needed - 1, 0.05)


@pytest.mark.parametrize("effect", [None, 0.0, 1e-6, 0.005])
def test_hopelessly_small_effects_have_no_number_of_questions(effect: float | None) -> None:
    assert more_questions(effect, 10) is None


def test_few_questions_with_a_large_effect_need_the_fewest_that_count() -> None:
    assert more_questions(5.0, 4) == FEWEST - 4
    assert more_questions(5.0, FEWEST) is None


def test_wilsons_interval_of_a_share() -> None:
    """Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263."""
    values = np.array([[1.0]] * 81 + [[0.0]] * 182)
    (measure,) = measured([Scored(replace(scale(), low=0, high=1), values)], 0, seed=0, resamples=1_000)
    found = measure.averages[0]
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize("mark", [1.0, 5.0])
def test_marks_that_never_differ_prove_nothing(mark: float) -> None:
    found = average_of([mark] * 12)
    assert found == Average(mean=mark, deviation=0.0, of=12, low=None, high=None)


def test_a_single_question_has_neither_deviation_nor_interval() -> None:
    assert average_of([4.0]) == Average(mean=4.0, deviation=None, of=1, low=None, high=None)
    found = difference_of([1.0])
    assert (found.low, found.high, found.effect, found.finding) == (None, None, None, "too few")


def test_no_question_at_all() -> None:
    found = measure_of(np.array([[MISSING, 3.0], [2.0, MISSING]]))
    assert found.differences[0].of == 0 and found.differences[0].finding == "too few"
    assert measure_of(np.full((3, 2), MISSING)).averages == (None, None)


@pytest.mark.parametrize(
    ("differences", "finding"),
    [
        ([1.0] * 9, "too few"),
        ([1.0] * 10, "better"),
        ([-1.0] * 10, "worse"),
        ([1.0] * 6 + [-1.0] * 6, "unclear"),
        ([0.0] * 20, "unclear"),
        ([1.0] * 5 + [0.0] * 5, "too few"),
        ([1.0] * 6 + [0.0] * 6, "better"),
    ],
)
def test_what_may_be_said(differences: list[float], finding: Finding) -> None:
    assert difference_of(differences).finding == finding


def test_where_less_is_better_lower_values_win() -> None:
    found = difference_of([-1.0] * 8 + [0.0, 0.5] * 2, upward=False)
    assert found.mean < 0
    assert (found.finding, found.wins, found.losses, found.ties) == ("better", 8, 2, 2)


def test_where_neither_is_better_nothing_is_claimed() -> None:
    found = difference_of([1.0] * 12, upward=None)
    assert (found.finding, found.more_questions) == ("unclear", None)


def test_a_clear_difference_needs_no_more_questions_and_an_unclear_one_does() -> None:
    assert difference_of([1.0, 0.5] * 10).more_questions is None
    unclear = difference_of([1.0, -0.75] * 10)
    assert unclear.finding == "unclear" and unclear.more_questions is not None and unclear.more_questions > 0


def test_rounding_errors_of_means_are_no_differences() -> None:
    thirds = np.array([[(4 + 3 + 3) / 3, 10 / 3 + 4e-16]] * 12)
    (found,) = measure_of(thirds).differences
    assert (found.wins, found.losses, found.ties, found.p) == (0, 0, 12, None)


def test_the_baseline_may_be_any_candidate() -> None:
    values = np.column_stack([np.full(12, 2.0), np.full(12, 3.0), np.full(12, 5.0)])
    found = measure_of(values, baseline=1).differences
    assert [(one.candidate, one.mean) for one in found] == [(0, -1.0), (2, 2.0)]


@given(pairs)
@settings(max_examples=40, deadline=None)
def test_swapping_the_candidates_flips_the_signs(scores: list[tuple[float, float]]) -> None:
    values = np.array(scores)
    (one,), (two,) = measure_of(values).differences, measure_of(values, baseline=1).differences
    assert two.mean == pytest.approx(-one.mean)
    assert (two.wins, two.losses, two.ties, two.of) == (one.losses, one.wins, one.ties, one.of)
    assert (two.p, two.p_sign) == (pytest.approx(one.p), one.p_sign)
    turned: dict[Finding, Finding] = {"better": "worse", "worse": "better"}
    assert two.finding == turned.get(one.finding, one.finding)
    if one.low is not None and one.high is not None:
        assert (two.low, two.high) == pytest.approx((-one.high, -one.low))


@given(st.lists(marks, min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_identical_answers_show_no_difference(scores: list[float]) -> None:
    (found,) = measure_of(np.column_stack([scores, scores])).differences
    assert (found.mean, found.wins, found.losses, found.p, found.p_sign, found.effect) == (0.0, 0, 0, None, None, None)
    assert found.finding in ("unclear", "too few") and found.more_questions is None


@given(pairs)
@settings(max_examples=40, deadline=None)
def test_nothing_is_called_better_whose_interval_holds_zero(scores: list[tuple[float, float]]) -> None:
    (found,) = measure_of(np.array(scores)).differences
    if found.finding in ("better", "worse"):
        assert found.low is not None and found.high is not None and found.of >= FEWEST
        assert found.low > 0 if found.finding == "better" else found.high < 0


@given(pairs)
@settings(max_examples=40, deadline=None)
def test_what_is_missing_is_left_out_and_never_zero(scores: list[tuple[float, float]]) -> None:
    values = np.array(scores)
    whole = values[~np.isnan(values).any(axis=1)]
    found = measure_of(values)
    for column, average in enumerate(found.averages):
        known = values[:, column][~np.isnan(values[:, column])]
        assert (average is None) == (not len(known))
        assert average is None or (average.of, average.mean) == (len(known), pytest.approx(known.mean()))
    assert found.differences == measure_of(whole).differences if len(whole) else found.differences[0].of == 0
