"""What is measured of a text without a model."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Tags
from core.reward.parsing import parse
from core.reward.text_measures import copies_prompt, fluency, notebook_fluency, repetition, tag_score

QUESTION = "What is the first-line treatment for anaphylaxis in an adult?"


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
