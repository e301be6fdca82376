"""Which answers name the right option, and no other."""

from __future__ import annotations

import pytest

from core.evaluate.choices import exact_choice


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("B", "B", 1.0),
        ("The answer is B.", "B. Adrenaline", 1.0),
        ("(B)", "(B) Adrenaline", 1.0),
        ("C", "B", 0.0),
        ("A or B", "B", 0.0),
        ("(A) or (B)", "B", 0.0),
        ("Give adrenaline.", "B. Adrenaline", 0.0),
        ("", "B", 0.0),
        ("B. Give vitamin D", "B. Vitamin D", 1.0),
        ("Bleeding", "B", 0.0),
        ("Yes.", "yes", 1.0),
        ("**Yes**, there is no contraindication.", "yes", 1.0),
        ("No", "yes", 0.0),
        ("Yes and no", "yes", 0.0),
        ("Of course: maybe", "Maybe.", 1.0),
        ("Hard to say.", "maybe", 0.0),
    ],
)
def test_an_answer_scores_where_it_names_the_right_option_alone(answer: str, reference: str, score: float) -> None:
    assert exact_choice(answer, reference) == score


@pytest.mark.parametrize(
    "reference", ["", "Adrenaline into the thigh", "A drug is given.", "No, beta blockers are harmful here.", "I"]
)
def test_a_reference_that_is_no_choice_gives_no_score(reference: str) -> None:
    assert exact_choice("B", reference) is None
