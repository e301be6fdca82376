"""What a reward configuration makes of a board."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.errors import DataError
from core.lab import ordering, weighing
from core.lab.ordering import agreement, ranks
from core.lab.weighing import flips, weigh, why
from core.reward.advantages import Aggregation, advantages
from core.reward.formula import PRESETS, VALIDITY, Floats, combine
from tests.build_boards import ARTICLE, weighted
from tests.build_boards import board_of_scores as board

NOTEBOOK = PRESETS["notebook"]


BOARD = board(
    [[0.8, 0.5, 1.0], [0.2, 0.5, 1.0], [0.4, 0.9, 0.5], [1.0, 1.0, 1.0], [0.1, 0.6, 1.0], [0.1, 0.6, 1.0]],
    "aaaabb",
    valid=[True, True, True, False, True, True],
    grades=[4, 1, 2, 0, 3, 1],
)


def test_a_board_worked_out_by_hand() -> None:
    found = weigh(BOARD, ARTICLE)
    assert found.names == ("semantic", "fluency", "tags", VALIDITY)
    assert found.rewards == pytest.approx([0.7, 0.4, 0.61, -1.0, 0.39, 0.39])
    assert found.ranks.tolist() == [1, 3, 2, 4, 1, 1]
    assert found.contributions[:4] == pytest.approx(
        np.array([[0.4, 0.2, 0.1, 0], [0.1, 0.2, 0.1, 0], [0.2, 0.36, 0.05, 0], [0, 0, 0, -1.0]])
    )
    assert found.zero_variance == 0.5
    assert found.agreement == pytest.approx((6 + 0.5) / 7)  # the two of group b are tied
    assert found.valid == pytest.approx(5 / 6)
    assert found.mean_scores == pytest.approx([2.6 / 6, 4.1 / 6, 5.5 / 6])


def test_clipping_stands_in_the_last_column() -> None:
    found = weigh(board([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], "aa"), weighted(2.0, 0.0, 0.0))
    assert found.contributions.tolist() == [[2.0, 0.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]]


def test_rewards_and_advantages_are_those_of_the_trainer() -> None:
    rewards = combine(BOARD.components(ARTICLE), ARTICLE.weight_vector, BOARD.valid, ARTICLE.invalid_reward)
    for scale in ("group", "batch", "none"):
        found = weigh(BOARD, ARTICLE, scale)
        assert found.rewards.tolist() == rewards.tolist()
        assert found.advantages.tolist() == advantages(rewards, list("aaaabb"), scale).tolist()


@pytest.mark.parametrize("aggregation", ["sum_then_normalize", "normalize_then_sum"])
def test_the_fluency_of_the_notebook_is_dead_and_the_reason_is_told(aggregation: Aggregation) -> None:
    semantic = [0.9, 0.1, 0.5, 0.3, 0.8, 0.2, 0.6, 0.7]
    fluency = [0.9] * 4 + [0.2] * 4  # differs from prompt to prompt, as the reference answers do
    tags = [1.0, 0.5, 1.0, 0.0, 0.5, 1.0, 1.0, 0.5]
    scores = np.column_stack([semantic, fluency, tags])
    found = weigh(board(scores, "aaaabbbb", NOTEBOOK), NOTEBOOK, aggregation=aggregation)
    assert found.verdicts[1] == "dead"
    assert found.effective is not None
    assert found.effective[1] == pytest.approx(0.0)
    assert np.isnan(found.correlation[1]).all()
    assert found.correlation[0, 2] == pytest.approx(found.correlation[2, 0])
    assert "same for every completion of a prompt, because it is taken of the reference answer" in why(
        found, NOTEBOOK, "fluency"
    )


@pytest.mark.parametrize(
    ("scores", "weights", "name", "reason"),
    [
        ([[0.9, 0.5, 1], [0.1, 0.5, 0]], (0.5, 0.4, 0.1), "fluency", "same for all completions of a group"),
        ([[0.9, 0.1, 1], [0.1, 0.8, 0]], (0.5, 0.001, 0.1), "fluency", "weight of 0.001 is too small"),
        ([[0.9, 0.50, 1], [0.1, 0.51, 0]], (0.5, 0.4, 0.1), "fluency", "hardly differ inside a group: by 0.005"),
        ([[0.9, 0.1, 0], [0.1, 0.9, 0]], (0.5, 0.5, 0.1), "fluency", "All completions of a group earn the same"),
        ([[0.9, 0.5, 1], [0.1, 0.5, 0]], (0.5, 0.0, 0.1), "fluency", "Its weight is zero"),
        ([[0.9, 0.5, 1], [0.1, 0.5, 0]], (0.5, 0.0, 0.1), VALIDITY, "Nearly every completion is valid"),
    ],
)
def test_why(scores: list[list[float]], weights: tuple[float, float, float], name: str, reason: str) -> None:
    config = weighted(*weights)
    assert reason in why(weigh(board(scores, "aa"), config), config, name)


def test_a_component_that_validity_drowns_is_told_from_one_that_does_not_differ() -> None:
    made = board([[0.5, 0.5, 1], [0.6, 0.6, 1], [0.5, 0.6, 1], [0.6, 0.5, 1]], "aaaa", valid=[True, True, False, False])
    found = weigh(made, ARTICLE)
    assert found.verdicts[0] == "dead"
    assert "valid decides so much" in why(found, ARTICLE, "semantic")


def test_components_that_cancel_each_other_out_are_told() -> None:
    # the second goes up where the first goes down, and the third decides what is left
    made = board([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.9, 0.1, 1.0], [0.1, 0.9, 1.0]], "aaaa")
    config = weighted(0.5, 0.5, 0.4)
    found = weigh(made, config)
    assert found.verdicts == ("dead", "dead", "dominant", "saturated")
    assert "cancel each other out" in why(found, config, "fluency")


def test_a_group_of_one_and_equal_groups_teach_nothing() -> None:
    found = weigh(board([[0.9, 0.5, 1.0], [0.1, 0.2, 0.5], [0.1, 0.2, 0.5]], "abb"), ARTICLE)
    assert found.advantages.tolist() == [0.0, 0.0, 0.0]
    assert found.ranks.tolist() == [1, 1, 1]
    assert (found.zero_variance, found.effective, found.agreement) == (1.0, None, None)
    assert set(found.verdicts[:3]) == {"dead"}


def test_a_board_without_completions_is_no_error() -> None:
    found = weigh(board(np.zeros((0, 3)), ""), ARTICLE)
    assert (len(found.rewards), found.effective, found.agreement) == (0, None, None)


def test_groups_need_not_stand_together_or_be_of_one_size() -> None:
    mixed = board([[0.1, 0, 0], [0.5, 0, 0], [0.9, 0, 0], [0.2, 0, 0], [0.3, 0, 0]], "abaaa", grades=[1, 1, 2, 3, 0])
    found = weigh(mixed, ARTICLE)
    assert found.ranks.tolist() == [4, 1, 1, 3, 2]
    assert found.agreement == pytest.approx(3 / 6)


def test_a_component_without_an_opinion_decides_nothing() -> None:
    made = board([[0.8, math.nan, 1.0], [0.2, 0.9, 1.0], [0.5, 0.3, 1.0]], "aaa")
    assert weigh(made, ARTICLE).contributions[0, 1] == pytest.approx(0.4 * 0.6)


def test_a_measure_that_is_not_finite_is_refused() -> None:
    for aggregation in ("sum_then_normalize", "normalize_then_sum"):
        with pytest.raises(ValueError, match="not finite"):
            weigh(board([[math.inf, 0.5, 1.0]], "a"), ARTICLE, aggregation=aggregation)


def test_a_component_that_was_not_measured_is_named() -> None:
    with pytest.raises(DataError, match="fluency has not been measured"):
        weigh(BOARD, ARTICLE.model_copy(update={"fluency_model": "another"}))


def test_normalised_first_every_component_is_heard_by_its_weight() -> None:
    """A component of tiny spread is dead in the plain sum and alive where each is divided by its spread first."""
    made = board([[0.9, 0.501, 1], [0.1, 0.503, 1], [0.7, 0.505, 1], [0.3, 0.507, 1]], "aaaa")
    assert weigh(made, ARTICLE).verdicts[1] == "dead"
    assert weigh(made, ARTICLE, aggregation="normalize_then_sum").verdicts[1] in ("balanced", "weak")


def test_correlation_is_taken_inside_groups_and_over_valid_completions() -> None:
    """Over all rows the first two rise together, and the invalid one would turn the sign; inside groups they part."""
    scores = [[0.1, 0.2, 0], [0.2, 0.1, 0], [0.7, 0.9, 0], [0.9, 0.7, 0], [5.0, 5.0, 1]]
    found = weigh(board(scores, "aabbb", valid=[True] * 4 + [False]), ARTICLE).correlation
    assert found[:2, :2] == pytest.approx(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert np.isnan(found[2]).all()


def test_flips_worked_out_by_hand() -> None:
    made = board(np.zeros((5, 3)), "aaabb")
    found = flips(made, np.array([0.9, 0.5, 0.1, 0.4, 0.4]), np.array([0.2, 0.5, 0.1, 0.4, 0.3]))
    assert (found.pairs, found.of) == (1, 4)  # the tie of group b that is broken has not turned round
    assert found.rank_change.tolist() == [-1, 1, 0, 0, -1]
    assert found.new_winners == 1  # in group b the one that is best was best before, beside another


def test_pairs_without_number_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups so large that a slider would wait for them: what needs no pairs is still told."""
    made = board([[0.9, 0, 0], [0.5, 0, 0], [0.1, 0, 0]], "aaa", grades=[2, 1, 0])
    for module in (ordering, weighing):
        monkeypatch.setattr(module, "MOST_PAIRS", 2)
    found = weigh(made, ARTICLE)
    changed = flips(made, found.rewards, -found.rewards)
    assert (found.agreement, changed.pairs, changed.of) == (None, None, 3)
    assert changed.rank_change.tolist() == [-2, 0, 2]


def test_only_graded_completions_count_towards_too_many_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MOST_PAIRS", 2)
    grades = [math.nan] * 4
    made = board([[0.9, 0, 0], [0.5, 0, 0], [0.1, 0, 0], [0.2, 0, 0]], "aaaa", grades=[*grades[:2], 0, 1])
    assert weigh(made, ARTICLE).agreement == 1.0


scores_of_eight = arrays.arrays(np.float64, (8, 3), elements=st.floats(-1, 1))
weights_of_three = st.tuples(*[st.floats(-1, 1)] * 3).filter(any)
valid_of_eight = st.lists(st.booleans(), min_size=8, max_size=8)
groups_of_eight = st.text("abc", min_size=8, max_size=8)


@settings(deadline=None)
@given(scores_of_eight, weights_of_three, valid_of_eight, groups_of_eight)
def test_contributions_add_up_to_rewards_and_shares_to_one(
    scores: Floats, weights: tuple[float, float, float], valid: list[bool], groups: str
) -> None:
    for aggregation in ("sum_then_normalize", "normalize_then_sum"):
        found = weigh(board(scores, groups, valid=valid), weighted(*weights), aggregation=aggregation)
        assert found.contributions.sum(axis=1) == pytest.approx(found.rewards)
        if found.effective is not None:
            assert found.effective.sum() == pytest.approx(1.0)


@settings(deadline=None)
@given(scores_of_eight.map(lambda s: s.round(3)), groups_of_eight, st.floats(0.1, 1.0))
def test_a_common_factor_changes_no_rank(scores: Floats, groups: str, factor: float) -> None:
    made = board(scores, groups)
    found, scaled = (
        weigh(made, weighted(0.5, 0.3, 0.2)),
        weigh(made, weighted(0.5 * factor, 0.3 * factor, 0.2 * factor)),
    )
    assert found.ranks.tolist() == scaled.ranks.tolist()
    assert flips(made, found.rewards, scaled.rewards).pairs == 0


@settings(deadline=None)
@given(arrays.arrays(np.float64, 8, elements=st.floats(-1, 1)), groups_of_eight)
def test_nothing_changes_against_itself_and_everything_against_its_opposite(rewards: Floats, groups: str) -> None:
    made = board(np.zeros((8, 3)), groups)
    same, opposite = flips(made, rewards, rewards), flips(made, rewards, -rewards)
    assert (same.pairs, same.new_winners, same.rank_change.any()) == (0, 0, False)
    values = rewards.round(9)
    strict = [i for i in range(8) for j in range(i) if groups[i] == groups[j] and values[i] != values[j]]
    assert opposite.pairs == len(strict)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5]), min_size=8, max_size=8),
    st.lists(st.sampled_from([0.0, 1.0, 2.0, math.nan]), min_size=8, max_size=8),
    groups_of_eight,
)
def test_ranks_and_agreement_are_those_of_a_plain_count(rewards: list[float], grades: list[float], groups: str) -> None:
    index = np.array([ord(letter) - ord("a") for letter in groups])
    mates = [[j for j in range(8) if groups[j] == groups[i]] for i in range(8)]
    places = [1 + sum(rewards[j] > rewards[i] for j in mates[i]) for i in range(8)]
    assert ranks(np.array(rewards), index).tolist() == places
    points = [
        0.5 if rewards[i] == rewards[j] else float(rewards[i] > rewards[j])
        for i in range(8)
        for j in mates[i]
        if grades[i] > grades[j]
    ]
    found = agreement(np.array(rewards), np.array(grades), index)
    assert found == (pytest.approx(sum(points) / len(points)) if points else None)
