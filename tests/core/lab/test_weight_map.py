"""Agreement over the simplex of the weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.errors import ConfigError, DataError
from core.lab import weight_map as module
from core.lab.board import Board
from core.lab.ordering import agreement
from core.lab.weight_map import simplex, weight_map
from core.reward.formula import combine
from tests.build_boards import ARTICLE, board_of_scores, weighted

THREE = ("semantic", "fluency", "tags")


def random_board(completions: int = 40, seed: int = 0) -> Board:
    """Groups of unequal sizes that do not stand together, some grades missing, some completions invalid."""
    random = np.random.default_rng(seed)
    grades = random.integers(0, 4, completions).astype(np.float64)
    grades[random.random(completions) < 0.2] = math.nan
    scores = random.choice([-1.0, -0.5, 0.0, 0.5, 1.0], (completions, 3))
    groups = random.integers(0, 7, completions).tolist()
    valid = (random.random(completions) > 0.2).tolist()
    return board_of_scores(scores, groups, grades=grades, valid=valid)


@pytest.mark.parametrize("terms", [THREE, ("semantic", "fluency"), ("tags", "semantic")])
@pytest.mark.parametrize("weights", [(0.5, 0.4, 0.1), (2.0, 1.5, 0.5), (0.5, -0.4, 0.1)])
def test_every_point_agrees_as_combine_says(terms: tuple[str, ...], weights: tuple[float, float, float]) -> None:
    """Weights of 4 in all clip many rewards, and one in five completions is invalid: both count at every point."""
    config, made = weighted(*weights), random_board()
    found = weight_map(made, config, terms, points=30)
    for point, agrees in zip(found.points, found.agreement, strict=True):
        full = config.weights | dict(zip(terms, point.tolist(), strict=True))
        rewards = combine(made.components(config), [full[name] for name in THREE], made.valid, config.invalid_reward)
        assert agrees == pytest.approx(agreement(rewards, made.grades, made.index))
    rewards = combine(made.components(config), weights, made.valid, config.invalid_reward)
    assert found.weights_agreement == pytest.approx(agreement(rewards, made.grades, made.index))


def test_blocks_of_points_and_pairs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = weight_map(random_board(), ARTICLE, THREE, points=50)
    monkeypatch.setattr(module, "_POINTS_AT_ONCE", 7)
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", 5)
    assert weight_map(random_board(), ARTICLE, THREE, points=50).agreement == pytest.approx(whole.agreement)


def test_the_component_that_knows_the_order_is_found() -> None:
    grades = np.array([0.0, 1, 2, 0, 1, 2])
    scores = np.column_stack([grades / 2, 1 - grades / 2, np.zeros(6)])
    made = board_of_scores(scores, "aaabbb", grades=grades)
    found = weight_map(made, weighted(0.1, 0.9, 0.0), ("semantic", "fluency"), 11)
    assert (found.agreement[0], found.agreement[-1]) == (0.0, 1.0)  # all fluency; all semantic
    assert found.agreement[5] == 0.5  # in the middle all are tied
    assert found.points[found.best] == pytest.approx([0.6, 0.4])  # the best that is nearest to what there is now
    assert (found.weights_agreement, found.current, found.pairs) == (0.0, 1, 6)


def test_pairs_that_were_judged_take_the_place_of_the_grades_and_no_others_are_compared() -> None:
    """Two wins over others would make the first better than the third, which nobody has said."""
    made = board_of_scores(np.array([[0.9, 0, 0], [0.1, 0, 0], [0.5, 0, 0], [0.2, 0, 0]]), "aaaa")
    judged = [(0, 1), (3, 2)]
    found = weight_map(made, ARTICLE, ("semantic", "fluency"), 11, judged)
    assert (found.pairs, found.weights_agreement) == (2, 0.5)
    turned = weight_map(made, ARTICLE, ("semantic", "fluency"), 11, [(1, 0), (2, 3), (2, 1)])
    assert (turned.pairs, turned.weights_agreement) == (3, pytest.approx(2 / 3))


def test_without_a_judged_pair_there_is_nothing_to_agree_with() -> None:
    with pytest.raises(DataError, match="nothing to agree with"):
        weight_map(random_board(), ARTICLE, THREE, 30, [])


def test_the_other_weights_and_the_total_stay() -> None:
    found = weight_map(random_board(), weighted(0.5, -0.4, 0.1), ("semantic", "tags"), points=20)
    assert found.points.sum(axis=1) == pytest.approx(0.6)
    assert found.points.min() == 0.0
    assert found.weights.tolist() == [0.5, 0.1]


@pytest.mark.parametrize(("points", "close"), [(5000, 5050), (1000, 990), (1, 3), (3, 3)])
def test_a_triangle_has_about_as_many_points_as_asked(points: int, close: int) -> None:
    lattice = simplex(3, points)
    assert len(lattice) == close
    assert lattice.sum(axis=1) == pytest.approx(1.0)
    assert lattice.min() == 0.0
    assert len(np.unique(lattice, axis=0)) == close


def test_a_line_ends_in_its_corners() -> None:
    assert simplex(2, 3).tolist() == [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("weights", "reason"),
    [((0.5, -0.4, 0.1), "weight of Fluency is negative"), ((0.0, 0.0, 0.1), "all zero")],
)
def test_weights_that_have_no_place_on_the_map_say_why(weights: tuple[float, float, float], reason: str) -> None:
    found = weight_map(random_board(), weighted(*weights), ("semantic", "fluency"), points=20)
    assert found.current is None
    assert reason in found.reason
    assert found.points.sum(axis=1) == pytest.approx(found.total)


def test_weights_on_the_map_are_marked_at_the_nearest_point() -> None:
    found = weight_map(random_board(), ARTICLE, THREE, points=5000)
    assert found.current is not None
    assert found.points[found.current] == pytest.approx([0.5, 0.4, 0.1], abs=0.01)
    assert found.reason == ""


@pytest.mark.parametrize("grades", [[math.nan, math.nan, math.nan], [1.0, 2.0, 2.0], [1.0, math.nan, 2.0]])
def test_nothing_to_agree_with_is_told(grades: list[float]) -> None:
    with pytest.raises(DataError, match="nothing to agree with"):
        weight_map(board_of_scores(np.zeros((3, 3)), "abb", grades=grades), ARTICLE, THREE)


def test_too_many_pairs_are_refused_and_many_make_the_map_coarser(monkeypatch: pytest.MonkeyPatch) -> None:
    made = random_board()
    monkeypatch.setattr(module, "MOST_WORK", 2000)
    coarse = weight_map(made, ARTICLE, THREE, points=5000)
    assert len(coarse.points) * coarse.pairs < 4000
    monkeypatch.setattr(module, "MOST_PAIRS", 10)
    with pytest.raises(DataError, match="smaller groups"):
        weight_map(made, ARTICLE, THREE)


@pytest.mark.parametrize("terms", [(), ("semantic",), ("semantic", "semantic"), (*THREE, "judge")])
def test_a_map_has_two_or_three_terms(terms: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="two or three different components"):
        weight_map(random_board(), ARTICLE, terms)


def test_an_unknown_term_is_named() -> None:
    with pytest.raises(ConfigError, match="no component 'length'"):
        weight_map(random_board(), ARTICLE, ("semantic", "length"))
