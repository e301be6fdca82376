import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Tags
from core.parsing import parse
from core.rewards import (
    PRESETS,
    advantages,
    combine,
    copies_prompt,
    effective_weights,
    fluency,
    is_valid,
    notebook_fluency,
    repetition,
    tag_score,
)

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


@given(st.floats(0, 30), st.floats(0, 30))
def test_fluency_falls_with_perplexity_and_stays_between_zero_and_one(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert 0 <= fluency(high) <= fluency(low) <= 1


def test_notebook_fluency_is_constant_inside_a_group() -> None:
    assert notebook_fluency([2.0] * 8) == [0.5] * 8


def test_notebook_fluency_stretches_batches_of_eight_over_the_call() -> None:
    assert notebook_fluency([1.0] * 8 + [2.0] * 8 + [3.0] * 8) == pytest.approx(
        [1.0] * 8 + [(math.exp(-2) - math.exp(-3)) / (math.exp(-1) - math.exp(-3))] * 8 + [0.0] * 8
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0.0), ("two words", 0.0), ("a b c a b c", 0.25), ("no no no no no", 2 / 3)],
)
def test_repetition(text: str, expected: float) -> None:
    assert repetition(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("completion", "lenient", "strict"),
    [
        ("<reasoning>a</reasoning><answer>b</answer>", 1.0, 1.0),
        ("<answer>b</answer>", 0.5, 0.5),
        ("nothing", 0.0, -0.5),  # text outside the tags
        ("<reasoning>a</reasoning><answer>b</answer> and more", 1.0, 0.5),
        ("<reasoning></reasoning><answer>b</answer><answer>b</answer> more", 1.0, -0.5),
    ],
)
def test_tag_score(completion: str, lenient: float, strict: float) -> None:
    parsed = parse(completion, Tags())
    assert (tag_score(parsed, "lenient"), tag_score(parsed, "strict")) == (lenient, strict)


QUESTION = "What is the first-line treatment for anaphylaxis in an adult?"


@pytest.mark.parametrize(
    ("answer", "copied"),
    [
        (QUESTION, True),
        ("what is the first line treatment for anaphylaxis", True),
        ("The first-line treatment for anaphylaxis in an adult is intramuscular adrenaline.", False),
        ("Adrenaline.", False),
        ("", False),
    ],
)
def test_copies_are_told_from_answers_that_restate_the_topic(answer: str, copied: bool) -> None:
    assert copies_prompt(answer, QUESTION) is copied


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
