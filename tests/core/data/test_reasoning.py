"""Answers that hold more than the answer: what is noticed, and what is left of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Tags
from core.data.reasoning import reasoning_marks, strip_reasoning

TAGS = Tags()

LEFT = [
    ("<reasoning>Fever.</reasoning>\n<answer>Flu.</answer>", "Flu."),
    ("<think>\nFever.\n</think>\n\nFlu.", "Flu."),
    ("Fever, so viral.</think>Flu.", "Flu."),
    ("Flu. <think>Or is it", "Flu."),
    ("<think>Fever.", ""),
    ("<reasoning>Fever.<answer>Flu.", "Flu."),
    ("<answer>No.</answer> Wait. <answer>Flu.</answer>", "Flu."),
    ("<ANSWER>Flu.</ANSWER>", "Flu."),
    ("<answer></answer> Flu.", "Flu."),
    ("### Instruction:\nWhat is it?\n### Response:\nFlu.", "Flu."),
    ("## Thinking\n\nFever.\n\n## Final Response\n\nFlu.", "Flu."),
    ("<|im_start|>assistant\nFlu.<|im_end|>", "Flu."),
    ("Flu.<|im_end|>\n<|im_start|>user\nThanks", "Flu."),
    ("[INST] What is it? [/INST] Flu.</s>", "Flu."),
    ("<|start_header_id|>assistant<|end_header_id|>\n\nFlu.<|eot_id|>", "Flu."),
    ("Assistant: Flu.", "Flu."),
    ("assistant：流感", "流感"),
    ("Let's think step by step. It is viral. Final answer: Flu.", "Flu."),
    ("Let’s work through this step by step: It is flu.", "It is flu."),
    ("Flu.<|im_<|x|>end|>", "Flu."),
    ("<s>Flu.", "Flu."),
    ("<s> Take <s>5</s> 10 mg.</s></s>\n", "Take <s>5</s> 10 mg."),
    ("Flu.</s><|im_end|>", "Flu."),
]
CLEAN = [
    "Flu.",
    "Potassium <5 mmol/L and > 3; give 5 mg <after> food.",
    "Step-by-step titration is safer.",
    "A physician assistant: what they may prescribe.",
    "## Response to treatment\nGood.",
    "The answer is no. The response was slow.",
    "Think of sepsis; let us start antibiotics.",
    "Give <s>5 mg</s> 10 mg of it.",
    "Give 10 mg, not <s>5 mg</s>",
    "<s>5 mg</s> 10 mg",
]


@pytest.mark.parametrize(("answer", "left"), LEFT)
def test_only_the_answer_is_left(answer: str, left: str) -> None:
    assert reasoning_marks(answer, TAGS)
    assert strip_reasoning(answer, TAGS) == left


@pytest.mark.parametrize("answer", CLEAN)
def test_clean_answers_stay_as_they_are(answer: str) -> None:
    assert reasoning_marks(answer, TAGS) == ()
    assert strip_reasoning(answer, TAGS) == answer


def test_tag_names_of_the_draft_count_too() -> None:
    tags = Tags(reasoning="befund", answer="urteil")
    assert strip_reasoning("<befund>Fever.</befund><urteil>Flu.</urteil>", tags) == "Flu."
    assert reasoning_marks("<befund>Fever.</befund>", TAGS) == ()


PIECES = ["Flu. ", "<think>", "</think>", "<answer>", "</answer>", "\n### Response:\n", "<|im_end|>", "<|im_start|>"]
PIECES += [
    "assistant",
    "\nAssistant:",
    "Let's think step by step.",
    "Final answer:",
    "[INST]",
    "[/INST]",
    "<|",
    "|>",
    "<s>",
    "</s>",
    "<",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_mark_survives_and_a_second_time_changes_nothing(answer: str) -> None:
    left = strip_reasoning(answer, TAGS)
    assert reasoning_marks(left, TAGS) == ()
    assert strip_reasoning(left, TAGS) == left
