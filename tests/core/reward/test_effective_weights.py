"""Who decides inside a group: advantages of small groups, and the share of each component."""

from __future__ import annotations

import numpy as np
import pytest

from core.reward.advantages import advantages, effective_weights
from core.reward.formula import combine

ARTICLE = [0.5, 0.4, 0.1]


def test_the_order_of_rows_does_not_matter_for_groups() -> None:
    mixed = advantages(np.array([1.0, 0.5, 0.0, 0.1]), ["a", "b", "a", "b"])
    assert mixed[[0, 2]].tolist() == advantages(np.array([1.0, 0.0]), ["a", "a"]).tolist()


def test_equal_rewards_and_groups_of_one_have_no_advantage() -> None:
    assert advantages(np.array([0.3, 0.3, 0.9]), ["a", "a", "b"]).tolist() == [0.0, 0.0, 0.0]


def test_a_component_that_is_constant_in_each_group_carries_nothing() -> None:
    components = np.array([[0.1, 0.9, 1.0], [0.5, 0.9, 0.5], [0.2, 0.1, 1.0], [0.4, 0.1, 1.0]])
    rewards = combine(components, ARTICLE, np.ones(4, dtype=bool))
    shares = effective_weights(components, ARTICLE, rewards, ["a", "a", "b", "b"])
    assert shares is not None
    assert shares[[1, 3]] == pytest.approx(0.0)  # nothing is invalid or clipped either
    assert shares.sum() == pytest.approx(1.0)


def test_validity_carries_what_the_components_do_not() -> None:
    same = np.tile([0.5, 0.5, 1.0], (4, 1))
    rewards = combine(same, ARTICLE, np.array([True, True, False, False]))
    shares = effective_weights(same, ARTICLE, rewards, ["a"] * 4)
    assert shares is not None
    assert shares.tolist() == pytest.approx([0.0, 0.0, 0.0, 1.0])


def test_nothing_varies_means_no_effective_weights() -> None:
    assert effective_weights(np.ones((3, 3)), ARTICLE, np.ones(3), ["a"] * 3) is None
    assert effective_weights(np.zeros((2, 3)), ARTICLE, np.array([1.0, -1.0]), ["a", "b"]) is None
