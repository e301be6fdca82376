"""Which questions are chosen, and which columns name types."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from core.compare.comparison import Question
from core.compare.questions import held_out_questions
from core.evaluate.sampling import choose_questions, type_columns, type_of
from core.paths import Home
from core.presets import preset_config


def questions_with(columns: Sequence[Mapping[str, str]]) -> list[Question]:
    return [
        Question(id=f"q{number}", text=f"Why {number}?", columns=dict(cells)) for number, cells in enumerate(columns)
    ]


def of_types(**counts: int) -> list[Question]:
    """So many questions of each type, mixed up, always in the same way."""
    types = [{"type": type_} for type_, count in counts.items() for _ in range(count)]
    random.Random(1).shuffle(types)
    return questions_with(types)


def counted(questions: Sequence[Question]) -> Mapping[str, int]:
    return Counter(type_of(question, "type") for question in questions)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(10, {"a": 6, "b": 3, "c": 1}), (11, {"a": 7, "b": 3, "c": 1}), (1, {"a": 1}), (100, {"a": 60, "b": 30, "c": 10})],
)
def test_each_type_gets_its_part(count: int, expected: Mapping[str, int]) -> None:
    assert counted(choose_questions(of_types(a=60, b=30, c=10), count, "type")) == expected


@pytest.mark.parametrize("count", range(0, 24))
def test_never_more_and_never_fewer_are_chosen_than_asked_for(count: int) -> None:
    asked = of_types(a=7, b=7, c=7)
    chosen = choose_questions(asked, count, "type", seed=3)
    assert len(chosen) == len({question.id for question in chosen}) == min(count, 21)
    sizes = [counted(chosen)[type_] for type_ in "abc"]
    assert max(sizes) - min(sizes) <= 1


def test_the_same_seed_chooses_the_same_questions_whatever_their_order() -> None:
    asked = of_types(a=20, b=10)
    shuffled = random.Random(5).sample(asked, len(asked))
    first, second = (choose_questions(given, 9, "type", seed=4) for given in (asked, shuffled))
    assert sorted(question.id for question in first) == sorted(question.id for question in second)


def test_another_seed_chooses_others() -> None:
    asked = of_types(a=40)
    assert choose_questions(asked, 10, "type", seed=1) != choose_questions(asked, 10, "type", seed=2)


def test_the_chosen_questions_keep_their_order() -> None:
    asked = of_types(a=20, b=10)
    chosen = choose_questions(asked, 9, "type")
    assert chosen == [question for question in asked if question in chosen]


def test_a_larger_sample_holds_the_smaller_one() -> None:
    asked = of_types(a=50)
    assert {q.id for q in choose_questions(asked, 10)} < {q.id for q in choose_questions(asked, 30)}


def test_without_a_column_all_questions_are_alike() -> None:
    assert len(choose_questions(of_types(a=10, b=10), 7)) == 7
    assert choose_questions([], 5) == []


def test_questions_without_a_type_are_a_type_of_their_own() -> None:
    asked = questions_with([{"type": "a"}] * 10 + [{"type": " "}] * 5 + [{}] * 5)
    assert counted(choose_questions(asked, 10, "type")) == {"a": 5, "": 5}


def test_every_question_is_as_likely_as_any_other() -> None:
    asked = of_types(a=20)
    drawn = Counter(question.id for seed in range(2_000) for question in choose_questions(asked, 5, "type", seed))
    assert len(drawn) == 20
    assert all(400 < count < 600 for count in drawn.values())  # 500 on average, 19 the standard deviation


@pytest.mark.parametrize(
    ("cells", "sorts"),
    [
        (["a", "b"] * 5, True),
        (["a"] * 10, False),
        ([str(number) for number in range(10)], False),
        (["a", "b"] * 2 + [""] * 6, False),
        (["a", "b"] * 3 + [""] * 4, True),
        (["a", "x" * 61] * 5, False),
        ([str(number % 30) for number in range(60)], True),
        ([str(number % 31) for number in range(62)], False),
    ],
)
def test_a_column_of_types_has_a_few_short_values(cells: Sequence[str], sorts: bool) -> None:
    assert type_columns(questions_with([{"kind": cell} for cell in cells])) == (["kind"] if sorts else [])


def test_usual_names_come_first() -> None:
    names = ("age", "Question type", "ward", "type", "category")
    asked = questions_with([dict.fromkeys(names, value) for value in ("a", "b") * 3])
    assert type_columns(asked) == ["type", "Question type", "category", "age", "ward"]


def test_the_test_questions_of_the_sample_data_have_a_type(home: Home) -> None:
    asked = held_out_questions(home, preset_config("demo"))
    assert type_columns(asked)[0] == "type"
    assert len(counted(choose_questions(asked, 12, "type"))) > 1
