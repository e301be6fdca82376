"""What a comparison's folder keeps, and what it refuses."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from core.compare.comparison import (
    ComparedAnswer,
    Comparison,
    ComparisonRequest,
    answering_alone,
    create_comparison,
    delete_comparison,
    find_comparison,
    list_comparisons,
    make_request,
)
from core.errors import ConfigError, DataError, RunError
from core.paths import Home
from tests.build_comparison import endpoint_candidate, request_of


@pytest.fixture
def comparison(home: Home) -> Comparison:
    return create_comparison(home, request_of())


def test_a_request_comes_back_as_it_was(home: Home) -> None:
    request = request_of(title="Ask\n=1+1", run="demo-1")
    assert create_comparison(home, request).request() == request


def test_the_latest_of_an_answer_counts(comparison: Comparison) -> None:
    comparison.add([ComparedAnswer(question=0, candidate=0, text="Rest.")])
    comparison.add([ComparedAnswer(question=0, candidate=0, text="Rest.", reward=0.5, components={"judge": None})])
    (answer,) = comparison.answers()
    assert (answer.reward, answer.components) == (0.5, {"judge": None})


def test_answers_come_by_question_then_by_candidate(comparison: Comparison) -> None:
    comparison.add([ComparedAnswer(question=q, candidate=c) for q, c in [(1, 0), (0, 1), (1, 1), (0, 0)]])
    assert [(a.question, a.candidate) for a in comparison.answers()] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_half_a_line_and_lines_of_others_are_passed_over(comparison: Comparison) -> None:
    comparison.add([ComparedAnswer(question=0, candidate=0, text="Rest.")])
    with (comparison.folder / "answers.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"something": "else"}\n[1]\n{"question": 0, "candidate": 0, "te')
    assert [answer.text for answer in comparison.answers()] == ["Rest."]
    comparison.add([ComparedAnswer(question=0, candidate=1, text="Wait.")])
    assert [answer.text for answer in comparison.answers()] == ["Rest.", "Wait."]


def test_writers_at_the_same_time_lose_nothing(comparison: Comparison) -> None:
    def write(candidate: int) -> None:
        for question in range(10):
            comparison.add([ComparedAnswer(question=question, candidate=candidate, text="x" * 5000)])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(comparison.answers()) == 40


@pytest.mark.parametrize(
    "text", ["<b>x</b>", "![](http://example.org/a.png)", "\x00\x1b[31m", "\n" * 10_000, "x" * 50_000]
)
def test_hostile_text_is_kept_as_it_is(comparison: Comparison, text: str) -> None:
    comparison.add([ComparedAnswer(question=0, candidate=0, text=text)])
    assert comparison.answers()[0].text == text


def test_a_long_question_is_taken(home: Home) -> None:
    request = request_of(questions=["y" * 50_000])
    assert len(create_comparison(home, request).request().questions[0].text) == 50_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"questions": [{"id": "a", "text": " \n "}]}, "type a question"),
        ({"questions": []}, "questions"),
        ({"candidates": []}, "candidates"),
        ({"candidates": [endpoint_candidate(), endpoint_candidate()]}, "chosen twice"),
        ({"questions": [{"id": "a", "text": "Why?"}, {"id": "a", "text": "How?"}]}, "same id"),
        ({"decoding": {"temperature": 3}}, "temperature"),
        ({"decoding": {"max_tokens": 0}}, "max_tokens"),
        ({"decoding": {"top_p": 0}}, "top_p"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_field(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_request(**{**dict(request_of()), **changes})


def test_the_newest_comparison_is_the_last(home: Home) -> None:
    made = [create_comparison(home, request_of()) for _ in range(3)]
    assert {c.id for c in list_comparisons(home)} == {c.id for c in made}
    assert find_comparison(home, "last") == list_comparisons(home)[0]


@pytest.mark.parametrize("name", ["none", "../runs", "last", ""])
def test_a_comparison_that_is_not_there_is_said_to_be(home: Home, name: str) -> None:
    with pytest.raises(DataError, match="There is no comparison"):
        find_comparison(home, name)


def test_a_damaged_request_is_said_to_be(comparison: Comparison) -> None:
    (comparison.folder / "request.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is damaged"):
        comparison.request()


def test_a_deleted_comparison_is_gone(home: Home, comparison: Comparison) -> None:
    delete_comparison(home, comparison)
    assert list_comparisons(home) == [] and not comparison.folder.exists()


def test_one_that_is_being_answered_is_neither_deleted_nor_answered_twice(home: Home, comparison: Comparison) -> None:
    release = answering_alone(comparison)
    with pytest.raises(RunError, match="being answered"):
        delete_comparison(home, comparison)
    with pytest.raises(RunError, match="being answered"):
        answering_alone(comparison)
    release()
    delete_comparison(home, comparison)


def test_the_board_is_remembered(comparison: Comparison) -> None:
    assert comparison.board() == ""
    comparison.remember_board("compared-2")
    assert comparison.board() == "compared-2"


def test_speed_is_that_of_writing_without_the_wait_for_the_first_piece() -> None:
    told = ComparedAnswer(question=0, candidate=0, tokens=11, seconds=7.0, first_seconds=5.0)
    assert told.tokens_per_second == 5.0


@pytest.mark.parametrize("unknown", [{"tokens": None}, {"tokens": 1}, {"first_seconds": None}, {"first_seconds": 7.0}])
def test_speed_is_not_told_where_it_cannot_be_known(unknown: dict[str, float | None]) -> None:
    told = ComparedAnswer(question=0, candidate=0, tokens=11, seconds=7.0, first_seconds=5.0)
    assert told.model_copy(update=unknown).tokens_per_second is None


def test_a_request_is_hashable_enough_to_be_frozen() -> None:
    request: ComparisonRequest = request_of()
    with pytest.raises(ValueError, match="frozen"):
        request.title = "other"  # type: ignore[misc]
