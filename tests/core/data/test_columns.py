"""Question, answer and split columns are found by their names, else by what they hold."""

from __future__ import annotations

import pytest

from core.data.columns import guess_mapping

ROWS = [
    {"a": "What helps against fever?", "b": "Paracetamol lowers the temperature.", "c": "17", "s": "train"},
    {"a": "Is aspirin safe in children?", "b": "No, for fear of Reye syndrome.", "c": "18", "s": "dev"},
]


@pytest.mark.parametrize(
    ("columns", "question", "answer"),
    [
        (["question", "answer"], "question", "answer"),
        (["id", "Question", "Complex_CoT", "Response"], "Question", "Response"),
        (["Frage", "Antwort"], "Frage", "Antwort"),
        (["问题", "答案"], "问题", "答案"),
        (["instruction", "input", "output"], "instruction", "output"),
        (["prompt", "completion"], "prompt", "completion"),
        (["query", "rationale", "solution"], "query", "solution"),
        (["question_id", "answer_type", "question_text", "finalAnswer"], "question_text", "finalAnswer"),
        (["answer", "question"], "question", "answer"),
        (["reasoning_answer", "question", "reference_answer"], "question", "reference_answer"),
        (["prompt", "question", "response", "long_answer"], "question", "long_answer"),
    ],
)
def test_columns_are_found_by_their_names(columns: list[str], question: str, answer: str) -> None:
    found = guess_mapping(columns, [])
    assert found is not None
    assert (found.question, found.answer) == (question, answer)


def test_columns_with_other_names_are_found_by_what_they_hold() -> None:
    found = guess_mapping(["c", "b", "a"], ROWS)
    assert found is not None
    assert (found.question, found.answer, found.split) == ("a", "b", None)


@pytest.mark.parametrize(("name", "found"), [("split", "split"), ("Set", "Set"), ("fold", "fold"), ("group", None)])
def test_a_split_column_is_known_by_name_and_values(name: str, found: str | None) -> None:
    rows = [{"question": "Why?", "answer": "So.", name: row["s"]} for row in ROWS]
    mapping = guess_mapping(["question", "answer", name], rows)
    assert mapping is not None and mapping.split == found


def test_a_column_called_split_with_other_values_is_none() -> None:
    rows = [{"question": "Why?", "answer": "So.", "split": "left"}]
    mapping = guess_mapping(["question", "answer", "split"], rows)
    assert mapping is not None and mapping.split is None


@pytest.mark.parametrize("name", ["Complex_CoT", "reasoning", "rationale", "chain_of_thought", "Explanation"])
def test_reasoning_is_never_the_reference(name: str) -> None:
    rows = [{"question": "Why is that so?", name: "It is a long thought about something else."}]
    assert guess_mapping(["question", name], rows) is None


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ([], []),
        (["a"], ROWS),
        (["c", "s"], ROWS),
        (["x", "y"], []),
        (["b", "t"], [{"b": "No question.", "t": "None here."}]),
    ],
)
def test_nothing_is_guessed_where_nothing_tells_them_apart(columns: list[str], rows: list[dict[str, str]]) -> None:
    assert guess_mapping(columns, rows) is None
