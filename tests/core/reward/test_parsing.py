from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Tags
from core.reward.formula import is_valid
from core.reward.parsing import (
    EMPTY_ANSWER,
    EMPTY_REASONING,
    REPEATED_REASONING,
    REPEATED_TAG,
    TEXT_OUTSIDE,
    WRONG_ORDER,
    parse,
)
from core.reward.text_measures import copies_prompt, repetition, tag_score

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
        ("<Answer>Yes.</Answer>", 0, (TEXT_OUTSIDE,)),
        ("<answer>Yes.</ANSWER>", 0, (TEXT_OUTSIDE,)),
        ("<answer >Yes.</answer>", 0, (TEXT_OUTSIDE,)),
        ("<answer>Yes.", 0, (TEXT_OUTSIDE,)),
        ("Yes.</answer>", 0, (TEXT_OUTSIDE,)),
        ("</answer>Yes.<answer>", 0, (TEXT_OUTSIDE,)),
        ("<answer></answer>", 1, (EMPTY_ANSWER,)),
        ("<answer><answer>Yes.</answer></answer>", 1, (REPEATED_TAG,)),
        ("<answer>Yes <reasoning>so</reasoning> it is.</answer>", 2, (WRONG_ORDER,)),
        ("<reasoning>So <answer>yes.</reasoning></answer>", 2, (WRONG_ORDER,)),
        ("<reasoning>So.<reasoning>So.</reasoning><answer>Yes.</answer>", 2, (REPEATED_TAG,)),
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


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("<reasoning>发热和颈项强直。</reasoning><answer>可能是脑膜炎。</answer>", "可能是脑膜炎。"),
        ("<reasoning>حمى وتيبس الرقبة.</reasoning><answer>التهاب السحايا.</answer>", "التهاب السحايا."),
        ("<reasoning>חום</reasoning><answer>\u200f דלקת קרום המוח \u200f</answer>", "\u200f דלקת קרום המוח \u200f"),
        ("<reasoning>発熱</reasoning>\u3000<answer>髄膜炎です。</answer>", "髄膜炎です。"),
    ],
)
def test_other_scripts_are_text_like_any_other(completion: str, answer: str) -> None:
    parsed = parse(completion, TAGS)
    assert parsed.well_formed
    assert parsed.answer == answer
    assert is_valid(parsed, "What is it?")


@pytest.mark.parametrize(
    ("prompt", "answer", "copied"),
    [
        ("患者发热和颈项强直是什么病", "患者发热和颈项强直是什么病", True),
        ("患者发热和颈项强直是什么病", "可能是细菌性脑膜炎需要立即治疗", False),
        ("ما هو علاج التأق عند البالغين؟", "ما هو علاج التأق عند البالغين", True),
        ("ما هو علاج التأق عند البالغين؟", "أعط الأدرينالين في العضل فورا", False),
    ],
)
def test_copies_are_seen_in_other_scripts(prompt: str, answer: str, copied: bool) -> None:
    assert copies_prompt(answer, prompt) is copied


MILLION = 1_000_000
"""So many characters take a second. Were any tag looked for again from every other, they would take half an hour."""


@pytest.mark.parametrize(
    ("piece", "pairs", "faults"),
    [
        ("<reasoning>", 0, (REPEATED_TAG,)),
        ("<answer>", 0, (REPEATED_TAG,)),
        ("</answer>", 0, (REPEATED_TAG,)),
        ("<reasoning><answer>", 0, (REPEATED_TAG,)),
        ("<answer", 0, (TEXT_OUTSIDE,)),
        ("<", 0, (TEXT_OUTSIDE,)),
        (" ", 0, ()),
        ("<answer>Yes.</answer>", 1, (REPEATED_TAG,)),
        ("脑膜炎 ", 0, (TEXT_OUTSIDE,)),
    ],
)
def test_a_long_completion_of_the_same_thing_is_read_in_one_pass(
    piece: str, pairs: int, faults: tuple[str, ...]
) -> None:
    parsed = parse(piece * (MILLION // len(piece)), TAGS)
    assert (parsed.pairs, parsed.faults) == (pairs, faults)
    assert tag_score(parsed, "strict") == 0.5 * pairs - 0.5 * len(faults)


def test_long_nested_tags_are_one_pair() -> None:
    depth = MILLION // 20
    parsed = parse("<answer>" * depth + "Yes." + "</answer>" * depth, TAGS)
    assert (parsed.answer, parsed.faults) == ("Yes.", (REPEATED_TAG,))


@pytest.mark.parametrize("piece", ["pain ", "痛", "ألم ", "<answer>", "a b c d e f g "])
def test_repetition_and_copies_of_long_texts(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    assert repetition(text) > 0.99
    assert copies_prompt(text, text)
    assert not copies_prompt(text, "Something else entirely is asked here.")


def test_a_long_answer_passes_through() -> None:
    text = "<reasoning>发热 وحمى</reasoning><answer>" + "脑膜炎 " * 30_000 + "</answer>"
    parsed = parse(text, TAGS)
    assert parsed.well_formed
    assert len(parsed.answer or "") > 100_000


def plainly(completion: str, name: str) -> tuple[str | None, str]:
    """The text of the first pair and what is left without any pair, by regular expressions that say what is meant."""
    pair = re.compile(f"<{name}>(.*?)</{name}>", re.DOTALL)
    found = pair.search(completion)
    return None if found is None else found[1], pair.sub("", completion)


pieces = st.sampled_from(
    ["<reasoning>", "</reasoning>", "<answer>", "</answer>", "<answer", "Yes", " ", "\n", "<", ">", "脑"]
)


@settings(deadline=None, max_examples=500)
@given(st.lists(pieces, max_size=14).map("".join))
def test_pairs_are_what_the_obvious_regular_expressions_find(completion: str) -> None:
    def shown(text: str | None) -> str | None:
        return None if text is None else re.sub("</?(?:reasoning|answer)>", " ", text).strip()

    parsed = parse(completion, TAGS)
    reasoning, outside = plainly(completion, "reasoning")
    answer, _ = plainly(completion, "answer")
    assert (parsed.reasoning, parsed.answer) == (shown(reasoning), shown(answer))
    _, outside = plainly(outside, "answer")
    assert (TEXT_OUTSIDE in parsed.faults) == bool(re.sub("</?(?:reasoning|answer)>", "", outside).strip())
