"""Which answers name the right option, and no other."""

from __future__ import annotations

import pytest

from core.evaluate.choices import exact_choice

LISTED = "What is the first treatment?\nA. Rest\nB. Adrenaline\nC. Steroids"


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("B", "B", 1.0),
        ("The answer is B.", "B. Adrenaline", 1.0),
        ("(B)", "(B) Adrenaline", 1.0),
        ("B: adrenaline", "B: Adrenaline", 1.0),
        ("C", "B", 0.0),
        ("A or B", "B", 0.0),
        ("(A) or (B)", "B", 0.0),
        ("Give adrenaline.", "B. Adrenaline", 0.0),
        ("", "B", 0.0),
        ("B. Give vitamin D", "B. Vitamin D", 1.0),
        ("B. Give vitamin D.", "B", 1.0),
        ("A. Hepatitis B.", "A. Hepatitis B", 1.0),
        ("The answer is B, since vitamin D is low.", "B", 1.0),
        ("**B.** Not hepatitis C.", "B.", 1.0),
        ("B is right: vitamin D is low.", "B)", 1.0),
        ("B. Adrenaline\nC. Steroids", "B", 0.0),
        ("B. Adrenaline or C. Steroids", "B", 0.0),
        ("The answer is B or C.", "B", 0.0),
        ("Option A is wrong. The answer is B.", "B", 0.0),
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
    assert exact_choice(answer, reference, LISTED) == score


@pytest.mark.parametrize(
    "reference", ["", "Adrenaline into the thigh", "A drug is given.", "No, beta blockers are harmful here.", "I"]
)
def test_a_reference_that_is_no_choice_gives_no_score(reference: str) -> None:
    assert exact_choice("B", reference, LISTED) is None


@pytest.mark.parametrize(
    ("reference", "question"),
    [
        ("E. coli urinary tract infection", "What explains the fever?"),
        ("E. coli urinary tract infection", "The culture grows E. coli. What is the diagnosis?"),
        ("C. difficile colitis", "Choose:\nA. Salmonella\nB. Shigella"),
        ("A. fumigatus", "Which mould is A. fumigatus like?"),
    ],
)
def test_an_abbreviated_name_is_no_option(reference: str, question: str) -> None:
    assert exact_choice(reference, reference, question) is None


@pytest.mark.parametrize(
    "question", ["Which? A) Rest B) Adrenaline", "Which? (A) Rest (B) Adrenaline", "A: Rest\nB: Go"]
)
def test_options_may_stand_in_a_line_or_below_each_other(question: str) -> None:
    assert exact_choice("B", "B. Adrenaline", question) == 1.0


def test_a_letter_alone_is_a_choice_without_a_list() -> None:
    assert exact_choice("C", "(C)", "Which of the three figures shows it?") == 1.0
