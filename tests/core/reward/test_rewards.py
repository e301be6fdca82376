import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Tags
from core.reward.formula import PRESETS, combine, is_valid
from core.reward.parsing import parse

ARTICLE = [0.5, 0.4, 0.1]


@pytest.mark.parametrize(
    ("components", "weights", "valid", "invalid_reward", "expected"),
    [
        ([0.8, 0.5, 1.0], ARTICLE, True, -1.0, 0.5 * 0.8 + 0.4 * 0.5 + 0.1),  # the published formula by hand
        ([-1.0, 0.0, 0.0], ARTICLE, True, -1.0, -0.5),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], True, -1.0, 1.0),  # clipped above
        ([-1.0, -1.0, -1.0], [1.0, 1.0, 1.0], True, -1.0, -1.0),  # clipped below
        ([1.0, 1.0, 1.0], ARTICLE, False, -1.0, -1.0),  # invalid, however good its scores
        ([1.0, 1.0, 1.0], ARTICLE, False, -0.3, -0.3),  # the notebook's floor
        ([0.5, 0.5, 0.5], [1.0, -1.0, 0.0], True, -1.0, 0.0),  # negative weights are allowed
    ],
)
def test_one_completion(
    components: list[float], weights: list[float], valid: bool, invalid_reward: float, expected: float
) -> None:
    found = combine(np.array([components]), weights, np.array([valid]), invalid_reward)
    assert found.tolist() == pytest.approx([expected])


def test_a_broken_scorer_is_an_error_and_not_a_bad_reward() -> None:
    with pytest.raises(ValueError, match="not finite"):
        combine(np.array([[math.nan, 0.0, 0.0]]), ARTICLE, np.array([True]))


def test_what_a_scorer_says_of_an_invalid_completion_does_not_matter() -> None:
    assert combine(np.array([[math.nan, math.inf, 0.0]]), ARTICLE, np.array([False])).tolist() == [-1.0]


def test_shapes_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="shape"):
        combine(np.zeros((2, 2)), ARTICLE, np.array([True, True]))


@given(st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=20))
def test_rewards_stay_between_minus_one_and_one(rows: list[list[float]]) -> None:
    rewards = combine(np.array(rows), [2.0, -3.0, 1.0], np.ones(len(rows), dtype=bool))
    assert ((rewards >= -1) & (rewards <= 1)).all()


QUESTION = "What is the first-line treatment for anaphylaxis in an adult?"


@pytest.mark.parametrize(
    ("completion", "valid"),
    [
        ("<answer>Give adrenaline.</answer>", True),
        ("Give adrenaline.", False),
        ("<answer> </answer>", False),
        ("", False),
        (f"<reasoning>So.</reasoning><answer>{QUESTION}</answer>", False),
    ],
)
def test_validity(completion: str, valid: bool) -> None:
    assert is_valid(parse(completion, Tags()), QUESTION) is valid


def test_published_presets_have_the_published_weights() -> None:
    for name in ("article", "notebook"):
        assert PRESETS[name].weights == {"semantic": 0.5, "fluency": 0.4, "tags": 0.1}
    assert PRESETS["article"].invalid_reward == -1.0
    assert PRESETS["notebook"].invalid_reward == -0.3
