"""What the Rewards page tells of a board, without a page."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.config import RewardConfig
from core.lab.board import Board
from core.lab.boards import bundled_board
from core.lab.stress import foretold
from core.lab.weight_map import weight_map
from core.reward.formula import PRESETS
from core.train_config import Aggregation, Scaling
from studio.lab_board import Opened, View, only_valid, view
from studio.lab_map import line_option, ternary
from studio.lab_numbers import change, correlation_table, histogram_option
from studio.lab_ranking import KIND_TITLES, ranking, rows_by_rank, shortened
from studio.lab_stress import built_in, matrix

SCALE: Scaling = "group"
AGGREGATION: Aggregation = "sum_then_normalize"


def look(before: RewardConfig, now: RewardConfig) -> tuple[Board, View]:
    board = bundled_board()
    opened = Opened("bundled", 0, board, only_valid(board))
    return board, view(opened, now, before, SCALE, AGGREGATION)


def reweighed(**weights: float) -> RewardConfig:
    return PRESETS["robust"].model_copy(update={"weights": weights})


def test_nothing_is_told_of_a_change_before_there_was_one() -> None:
    _, found = look(PRESETS["robust"], PRESETS["robust"])
    assert change(found) == ""


def test_a_change_that_turns_nothing_round_is_told_as_such() -> None:
    _, found = look(reweighed(semantic=0.5), reweighed(semantic=0.25))
    assert change(found) == "The last change turned no two answers round."


def test_a_reversed_weight_turns_groups_round() -> None:
    _, found = look(reweighed(semantic=0.5), reweighed(semantic=-0.5))
    assert "another one is best in" in change(found)


def test_every_kind_of_the_bundled_answers_has_a_title() -> None:
    assert set(bundled_board().kinds) <= set(KIND_TITLES)


def test_a_ranking_is_sorted_and_its_parts_add_up() -> None:
    board, found = look(PRESETS["robust"], PRESETS["article"])
    for group in range(len(board.groups)):
        table = ranking(board, found, rows_by_rank(board, found, group))
        assert list(table["Rank"]) == sorted(table["Rank"])
        parts = table[["Similarity", "Fluency", "Tags", "Validity"]].sum(axis=1)
        assert parts.tolist() == pytest.approx(table["Reward"].tolist())


def test_a_huge_completion_is_cut_to_a_cell() -> None:
    assert len(shortened("word " * 20_000)) < 100


def test_valid_answers_alone_are_all_valid_and_lose_no_measure() -> None:
    board = bundled_board()
    part = only_valid(board)
    assert part.valid.all()
    assert len(part) == int(board.valid.sum())
    assert set(part.measures) == set(board.measures)


def test_the_histogram_counts_every_reward_once() -> None:
    rewards = np.array([-1.0, -1.0, 0.0, 0.31, 1.0])
    option = histogram_option(rewards, np.zeros(3))
    assert sum(option["series"][0]["data"]) == 5
    assert sum(option["series"][1]["data"]) == 3


def test_components_that_never_vary_have_no_correlation() -> None:
    _, found = look(PRESETS["notebook"], PRESETS["notebook"])
    table = correlation_table(found.now)
    assert set(table["Fluency"]) == {"–"}
    assert table.loc[0, "Similarity"] == "1.00"


def test_the_map_marks_where_the_weights_are() -> None:
    found = weight_map(bundled_board(), PRESETS["robust"], ("semantic", "fluency", "tags"), 200)
    figure = ternary(found)
    yours = next(trace for trace in figure.data if trace.name == "Yours")
    assert [yours.a[0], yours.b[0], yours.c[0]] == pytest.approx([0.5, 0.3, 0.2], abs=0.06)


def test_the_line_marks_where_the_weights_are() -> None:
    found = weight_map(bundled_board(), PRESETS["robust"], ("semantic", "tags"), 100)
    series = line_option(found)["series"][0]
    assert series["markPoint"]["data"][0]["coord"][0] == pytest.approx(0.5, abs=0.01)
    assert len(series["data"]) == 100


def test_the_stress_matrix_has_a_column_for_each_component_and_the_weakest_trick_on_top() -> None:
    table = matrix(foretold(PRESETS["article"]))
    assert list(table.columns) == ["Trick", "Reward", "Similarity", "Fluency", "Tags", "Validity"]
    assert list(table["Reward"]) == sorted(table["Reward"])
    assert not math.isnan(table["Reward"].sum())


def test_only_built_in_components_are_foretold() -> None:
    reward = PRESETS["robust"].model_copy(update={"fluency_model": "org/other"})
    assert foretold(built_in(reward)).names[:3] == ("semantic", "fluency", "tags")
