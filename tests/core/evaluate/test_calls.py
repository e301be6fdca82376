"""What a judge has to be asked."""

from __future__ import annotations

from typing import Any

import pytest

from core.compare.comparison import ComparedAnswer
from core.evaluate.calls import calls_of
from core.evaluate.request import EvaluationRequest, JudgeSettings
from core.evaluate.verdicts import Call
from tests.build_evaluation import evaluated_request, made_up_answer


def answers(questions: int, candidates: int) -> list[ComparedAnswer]:
    return [made_up_answer(question, number) for question in range(questions) for number in range(candidates)]


def request_of(*methods: str, **changes: Any) -> EvaluationRequest:
    given: dict[str, Any] = {"comparison": "c", "judges": (JudgeSettings(),), "methods": methods, "safety": False}
    return EvaluationRequest(**{**given, **changes})


def calls(request: EvaluationRequest, questions: int = 1, candidates: int = 2, judge: int = 0) -> list[Call]:
    return calls_of(request, evaluated_request(questions, candidates), answers(questions, candidates), judge)


def test_every_answer_is_judged_once_with_tags_and_once_without() -> None:
    assert calls(request_of("dimensions"), judge=3) == [
        Call(3, "dimensions", 0, 0),
        Call(3, "format", 0, 0),
        Call(3, "dimensions", 0, 1),
        Call(3, "format", 0, 1),
    ]


@pytest.mark.parametrize(
    ("dimensions", "safety", "matters"),
    [
        (("format",), False, ["format"]),
        (("format",), True, ["dimensions", "format"]),
        (("accuracy", "fluency"), False, ["dimensions"]),
    ],
)
def test_only_what_is_wanted_is_asked(dimensions: tuple[str, ...], safety: bool, matters: list[str]) -> None:
    request = request_of("dimensions", dimensions=dimensions, safety=safety)
    assert [call.matter for call in calls(request, candidates=1)] == matters


@pytest.mark.parametrize(("method", "count"), [("rubric", 1), ("pairwise", 0)])
def test_dangers_are_looked_for_whatever_the_method(method: str, count: int) -> None:
    found = calls(request_of(method, safety=True), candidates=1)
    assert [call.matter for call in found] == ["dimensions", *["rubric"] * count]


def test_every_pair_is_shown_in_both_orders() -> None:
    pairs = [(call.candidate, call.other) for call in calls(request_of("pairwise"), candidates=3)]
    assert sorted(pairs) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


def test_calls_go_question_by_question() -> None:
    found = calls(request_of("dimensions", "rubric", "pairwise"), questions=3)
    assert [call.question for call in found] == sorted(call.question for call in found)
    assert len(found) == 3 * (2 * 3 + 2) == len(set(found))


def test_an_answer_that_is_not_whole_or_not_there_is_not_judged() -> None:
    broken = [made_up_answer(0, 0), made_up_answer(0, 1, error="It broke off."), made_up_answer(1, 1)]
    found = calls_of(request_of("rubric", "pairwise"), evaluated_request(2, 2), broken, 0)
    assert found == [Call(0, "rubric", 0, 0), Call(0, "rubric", 1, 1)]


def test_an_empty_answer_is_judged_like_any_other() -> None:
    found = calls_of(request_of("rubric"), evaluated_request(1, 1), [made_up_answer(0, 0, text="")], 0)
    assert found == [Call(0, "rubric", 0, 0)]
