"""Which questions count as the same, and that every machine says so."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from core.data.duplicates import exact_groups, near_groups, normalise
from core.paths import PROJECT

LONG = (
    "A 58-year-old man with hypertension develops abrupt tearing chest pain radiating to the back, with unequal blood "
    "pressures in the arms and a widened mediastinum on the chest radiograph. What is the likely diagnosis?"
)
OTHER = "Which antibiotic is given first to an adult with community-acquired pneumonia who is allergic to penicillin?"
CHINESE = "一位五十八岁的高血压男性患者突然出现撕裂样胸痛并向背部放射，双臂血压不等，最可能的诊断是什么？"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is GOUT?", "what is gout"),
        ("What  is\ngout?", "What is gout?"),
        ("Ｗｈａｔ is gout？", "What is gout?"),
        ("the ﬁrst dose", "The first dose."),
    ],
)
def test_case_width_blanks_and_punctuation_do_not_tell_questions_apart(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("pH < 7.35", "pH > 7.35"), ("HER2+ cancer", "HER2 cancer"), ("कि", "की"), ("dose of 5 mg", "dose of 50 mg")],
)
def test_signs_and_marks_that_carry_meaning_tell_questions_apart(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_exact_groups_stand_in_the_order_of_their_first_members() -> None:
    assert exact_groups(["b", "a", "A!", "c", "B", "a?", "", "  ", "?!"]) == [[0, 4], [1, 2, 5]]


def test_a_changed_age_is_a_near_duplicate_and_another_question_is_not() -> None:
    assert near_groups([OTHER, LONG, LONG.replace("58", "61")]) == [[1, 2]]


def test_chinese_is_compared_without_spaces() -> None:
    changed = CHINESE.replace("五十八", "六十一")
    assert near_groups([CHINESE, changed, "糖尿病患者的首选药物是什么，剂量如何调整？"], threshold=0.8) == [[0, 1]]


def test_short_questions_about_different_things_are_not_near() -> None:
    assert near_groups(["What causes hyperkalaemia?", "What causes hypokalaemia?"]) == []


def test_what_is_linked_through_a_third_is_one_group() -> None:
    words = [f"word{number:02d}" for number in range(60)]
    texts = [" ".join(words[start : start + 50]) for start in (0, 3, 6)]
    assert near_groups([texts[0], texts[2]]) == []
    assert near_groups(texts) == [[0, 1, 2]]


def test_exact_duplicates_are_in_the_groups_and_empty_texts_are_not() -> None:
    assert near_groups([LONG, "", LONG.upper(), "", "?"]) == [[0, 2]]
    assert near_groups([]) == []
    assert near_groups(["a", "a", "b"]) == [[0, 1]]


def test_every_near_pair_among_many_others_is_found() -> None:
    source = random.Random(0)
    vocabulary = [f"word{number}" for number in range(500)]
    texts = [" ".join(source.choices(vocabulary, k=60)) for _ in range(400)]
    near = [" ".join([*text.split()[:30], "changed", *text.split()[31:]]) for text in texts[::2]]
    assert near_groups(texts + near) == [[2 * number, 400 + number] for number in range(200)]


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    near_groups([LONG, OTHER], progress=lambda *words: told.append(words))
    assert told == [("looking for near duplicates", 0, 2)]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_finds_the_same_groups(seed: str) -> None:
    texts = [LONG.replace("58", str(age)) for age in range(20, 60)] + [OTHER, OTHER + " Why?"]
    program = f"from core.data.duplicates import near_groups; print(near_groups({texts!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(near_groups(texts))
