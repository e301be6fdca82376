"""Bootstrap intervals of means: against Student's, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.evaluate.intervals import Interval, mean_intervals
from core.reward.formula import Floats

RESAMPLES = 1_000

values = st.lists(st.integers(-8, 8).map(lambda quarters: quarters / 4), min_size=2, max_size=40)


def interval_of(row: Floats, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    (found,) = mean_intervals([row], seed, resamples)
    assert found is not None
    return found


@pytest.mark.parametrize("count", [10, 30, 300])
def test_values_that_look_normal_get_students_interval(count: int) -> None:
    row = 3.0 + 2.0 * stats.norm.ppf((np.arange(count) + 0.5) / count)
    low, high = stats.t.interval(0.95, count - 1, loc=row.mean(), scale=stats.sem(row))
    assert interval_of(row, resamples=10_000) == pytest.approx((low, high), abs=0.05 * (high - low))


@pytest.mark.parametrize("count", [10, 40])
def test_ninety_five_of_a_hundred_intervals_hold_the_truth(count: int) -> None:
    samples = np.random.default_rng(1).normal(loc=0.5, size=(600, count))
    intervals = [found for found in mean_intervals(list(samples), seed=2, resamples=RESAMPLES) if found is not None]
    held = sum(low <= 0.5 <= high for low, high in intervals)
    assert len(intervals) == 600
    assert stats.binomtest(held, 600, 0.95).pvalue > 0.01


def test_with_many_values_it_is_the_plain_percentile_interval() -> None:
    row = np.random.default_rng(3).exponential(size=2_000)
    plain = stats.bootstrap((row,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(4))
    expected = plain.confidence_interval.low, plain.confidence_interval.high
    assert interval_of(row) == pytest.approx(expected, abs=0.01)


def test_rows_of_different_lengths_keep_their_places() -> None:
    rows = [np.arange(20.0), np.array([1.0]), np.arange(5.0), np.array([]), np.arange(20.0) + 100]
    found = mean_intervals(rows, 0, RESAMPLES)
    assert [one is None for one in found] == [False, True, False, True, False]
    assert found[0] is not None and found[4] is not None
    assert found[4] == pytest.approx((found[0][0] + 100, found[0][1] + 100))


def test_an_interval_does_not_depend_on_the_rows_beside_it() -> None:
    rows = list(np.random.default_rng(5).normal(size=(60, 12)))
    assert mean_intervals(rows, 7, RESAMPLES)[33] == interval_of(rows[33], 7)


def test_the_seed_decides_the_interval() -> None:
    row = np.random.default_rng(6).normal(size=30)
    assert interval_of(row, 1) == interval_of(row, 1) != interval_of(row, 2)


def test_equal_values_have_an_interval_without_width() -> None:
    assert interval_of(np.full(3, 0.1)) == (0.1, 0.1)


@given(values)
@settings(max_examples=30, deadline=None)
def test_the_interval_lies_among_the_values(row: list[float]) -> None:
    low, high = interval_of(np.array(row))
    assert min(row) <= low <= high <= max(row)


@given(values)
@settings(max_examples=30, deadline=None)
def test_turning_the_values_round_turns_the_interval_round(row: list[float]) -> None:
    low, high = interval_of(np.array(row))
    assert interval_of(-np.array(row)) == pytest.approx((-high, -low))
