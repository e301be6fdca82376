"""Scores against the length of answers."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluate.differences import Scored
from core.evaluate.lengths import answer_lengths, length_relations, rank_correlation
from core.evaluate.table import ALL_JUDGES, Scale
from core.reward.formula import Floats
from tests.build_evaluation import made_up_answer

TOTAL = Scale("total", "Total", "total", 1, 5, True, ALL_JUDGES, "total")


def relation(scores: Floats, lengths: Floats) -> tuple[int, float | None]:
    (found,) = length_relations([Scored(TOTAL, scores[:, None])], lengths[:, None])
    return found.of, found.rho


def test_spearmans_correlation_of_intelligence_and_television() -> None:
    """The worked example of Wikipedia's article on Spearman's coefficient: rho = -29/165, p = 0.627188."""
    intelligence = np.array([106.0, 100, 86, 101, 99, 103, 97, 113, 112, 110])
    hours = np.array([7.0, 27, 2, 50, 28, 29, 20, 12, 6, 17])
    assert rank_correlation(intelligence, hours) == pytest.approx((-29 / 165, 0.627188), abs=1e-6)


def test_scores_that_rise_with_the_length_correlate_fully() -> None:
    assert relation(np.arange(12.0), np.arange(12.0) ** 2) == (12, pytest.approx(1.0))


def test_missing_scores_and_answers_are_left_out() -> None:
    scores, lengths = np.arange(12.0), np.arange(12.0)
    scores[0], lengths[1] = np.nan, np.nan
    assert relation(scores, lengths) == (10, pytest.approx(1.0))


def test_few_answers_or_equal_ones_tell_nothing() -> None:
    assert relation(np.arange(9.0), np.arange(9.0)) == (9, None)
    assert relation(np.full(12, 3.0), np.arange(12.0)) == (12, None)
    assert relation(np.arange(12.0), np.full(12, 80.0)) == (12, None)


def test_the_length_is_that_of_the_whole_completion_and_errors_have_none() -> None:
    answers = [made_up_answer(0, 0, text="four"), made_up_answer(0, 1, error="Timed out.")]
    found = answer_lengths(answers, questions=2, candidates=2)
    assert found[0, 0] == 4 and np.isnan(found[0, 1]) and np.isnan(found[1]).all()
