import pytest

from core.config import Tags
from core.parsing import (
    EMPTY_ANSWER,
    EMPTY_REASONING,
    REPEATED_REASONING,
    REPEATED_TAG,
    TEXT_OUTSIDE,
    WRONG_ORDER,
    parse,
)

TAGS = Tags()
GOOD = "<reasoning>Fever and neck stiffness.</reasoning>\n<answer>Meningitis is likely.</answer>"


def test_a_well_formed_completion_has_both_parts_and_no_fault() -> None:
    parsed = parse(GOOD, TAGS)
    assert parsed.well_formed
    assert (parsed.reasoning, parsed.answer) == ("Fever and neck stiffness.", "Meningitis is likely.")
    assert parsed.plain == "Fever and neck stiffness. Meningitis is likely."


@pytest.mark.parametrize(
    ("completion", "pairs", "faults"),
    [
        ("", 0, ()),
        ("Meningitis.", 0, (TEXT_OUTSIDE,)),
        ("<answer>Yes.</answer>", 1, ()),
        ("<reasoning>So.</reasoning>", 1, ()),
        (GOOD + " See a doctor.", 2, (TEXT_OUTSIDE,)),
        (GOOD + GOOD, 2, (REPEATED_TAG,)),
        ("<reasoning> </reasoning><answer>Yes.</answer>", 2, (EMPTY_REASONING,)),
        ("<reasoning>So.</reasoning><answer>\n</answer>", 2, (EMPTY_ANSWER,)),
        ("<answer>Yes.</answer><reasoning>So.</reasoning>", 2, (WRONG_ORDER,)),
        ("<reasoning>So.<answer>Yes.</answer>", 1, (TEXT_OUTSIDE,)),
        ("<REASONING>So.</REASONING><ANSWER>Yes.</ANSWER>", 0, (TEXT_OUTSIDE,)),
        ("<reasoning><answer>Yes.</answer></reasoning>", 2, (WRONG_ORDER,)),
        ("<answer>Yes.", 0, (TEXT_OUTSIDE,)),
        ("<reasoning>It is flu.</reasoning><answer>It is FLU!</answer>", 2, (REPEATED_REASONING,)),
    ],
)
def test_what_is_wrong_is_named(completion: str, pairs: int, faults: tuple[str, ...]) -> None:
    parsed = parse(completion, TAGS)
    assert parsed.pairs == pairs
    assert parsed.faults == faults
    assert not parsed.well_formed


def test_the_first_answer_counts_wherever_it_stands() -> None:
    assert parse("Well <answer>one</answer> or <answer>two</answer>", TAGS).answer == "one"


def test_tag_names_are_settings_and_are_taken_literally() -> None:
    tags = Tags(reasoning="think", answer="final_answer")
    assert parse("<think>a</think><final_answer>b</final_answer>", tags).well_formed
    assert parse(GOOD, tags).pairs == 0


def test_other_scripts_and_long_texts_pass_through() -> None:
    text = "<reasoning>发热 وحمى</reasoning><answer>" + "脑膜炎 " * 30_000 + "</answer>"
    parsed = parse(text, TAGS)
    assert parsed.well_formed
    assert len(parsed.answer or "") > 100_000
