"""What an evaluation's folder keeps, and what it refuses."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from core.compare.comparison import delete_comparison, list_comparisons
from core.content_hash import answers_hash
from core.errors import ConfigError, DataError, RunError
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.evaluation import (
    Evaluation,
    comparison_of,
    create_evaluation,
    delete_evaluation,
    evaluations_of,
    find_evaluation,
    judging_alone,
    list_evaluations,
)
from core.evaluate.request import EvaluationRequest, make_evaluation_request
from core.evaluate.results import EvaluationResults
from core.evaluate.verdicts import Call, Verdict
from core.paths import Home
from tests.build_evaluation import answered_comparison, judges_named


@pytest.fixture
def request_(home: Home) -> EvaluationRequest:
    comparison = answered_comparison(home, questions=2)
    return make_evaluation_request(comparison=comparison.id, judges=judges_named("m"), methods=("dimensions",))


@pytest.fixture
def evaluation(home: Home, request_: EvaluationRequest) -> Evaluation:
    return create_evaluation(home, request_)


def verdict(question: int = 0, candidate: int = 0, **changes: Any) -> Verdict:
    values = {"judge": 0, "matter": "dimensions", "question": question, "candidate": candidate, "outcome": "given"}
    return Verdict.model_validate({**values, **changes})


def results(**changes: Any) -> EvaluationResults:
    empty = ("judges", "measures", "types", "dangers", "danger_differences", "preferences", "judge_agreement")
    values: dict[str, Any] = dict.fromkeys((*empty, "human_agreement", "lengths", "limits"), ())
    given = {**values, "candidates": ("<b>one</b>", "two"), "baseline": 0, "questions": 2, **changes}
    return EvaluationResults.model_validate(given)


def test_a_request_comes_back_as_it_was(home: Home, request_: EvaluationRequest) -> None:
    assert create_evaluation(home, request_).request() == request_


def test_the_latest_verdict_of_a_call_counts(evaluation: Evaluation) -> None:
    evaluation.add_verdicts([verdict(outcome="failed", reason="No reply came.")])
    evaluation.add_verdicts([verdict(scores={"accuracy": 4})])
    (kept,) = evaluation.verdicts().values()
    assert (kept.outcome, kept.scores) == ("given", {"accuracy": 4})


def test_verdicts_on_other_calls_stand_beside_each_other(evaluation: Evaluation) -> None:
    evaluation.add_verdicts([verdict(1), verdict(0, 1), verdict(matter="rubric"), verdict(matter="pairwise", other=1)])
    assert list(evaluation.verdicts()) == [
        Call(0, "dimensions", 0, 1),
        Call(0, "dimensions", 1, 0),
        Call(0, "pairwise", 0, 0, 1),
        Call(0, "rubric", 0, 0),
    ]


def test_a_verdict_comes_back_with_all_that_it_says(evaluation: Evaluation) -> None:
    said = verdict(
        scores={"accuracy": 5},
        rationales={"accuracy": "<script>\x00 =1+1"},
        dangers={"dose": True},
        judge_model="m-2024",
        answers_hash=answers_hash(["Rest."]),
        input_tokens=10,
        seconds=0.25,
    )
    evaluation.add_verdicts([said])
    assert evaluation.verdicts()[said.call] == said


def test_half_a_line_and_lines_of_others_are_passed_over(evaluation: Evaluation) -> None:
    evaluation.add_verdicts([verdict(0)])
    with (evaluation.folder / "verdicts.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"something": "else"}\n[1]\n<html>\n{"judge": 0, "matter": "dimensions", "ques')
    assert [call.question for call in evaluation.verdicts()] == [0]
    evaluation.add_verdicts([verdict(1)])
    assert [call.question for call in evaluation.verdicts()] == [0, 1]


def test_writers_at_the_same_time_lose_nothing(evaluation: Evaluation) -> None:
    def write(judge: int) -> None:
        for question in range(10):
            evaluation.add_verdicts([verdict(question, judge=judge, reply="x" * 5_000)])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(evaluation.verdicts()) == 40


def test_the_latest_metrics_of_an_answer_count(evaluation: Evaluation) -> None:
    values = {"rouge_l": 0.5, "exact_choice": None}
    evaluation.add_metrics([AnswerMetrics(question=1, candidate=0, values={"rouge_l": 0.25})])
    evaluation.add_metrics([AnswerMetrics(question=q, candidate=0, values=values) for q in (1, 0)])
    assert [(place, found.values) for place, found in evaluation.metrics().items()] == [
        ((0, 0), values),
        ((1, 0), values),
    ]


def test_results_are_replaced_as_a_whole(evaluation: Evaluation) -> None:
    assert evaluation.results() is None
    evaluation.keep_results(results(limits=("Only one judge was asked.",)))
    evaluation.keep_results(results())
    assert evaluation.results() == results()


@pytest.mark.parametrize("content", ["{", "{}", '{"candidates": [], "later": 1}'])
def test_results_that_are_damaged_or_of_another_version_are_none_and_counted_again(
    evaluation: Evaluation, content: str
) -> None:
    (evaluation.folder / "results.json").write_text(content, encoding="utf-8")
    assert evaluation.results() is None


def test_a_damaged_request_is_said_to_be(evaluation: Evaluation) -> None:
    (evaluation.folder / "request.json").write_text('{"comparison": ""}', encoding="utf-8")
    with pytest.raises(DataError, match="is damaged"):
        evaluation.request()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baseline": 2}, "baseline is 2, but the models are numbered 0 to 1"),
        ({"type_column": "ward"}, "type_column is 'ward', which no question has; there is 'type'"),
    ],
)
def test_what_does_not_fit_the_comparison_is_refused(
    changes: dict[str, Any], said: str, home: Home, request_: EvaluationRequest
) -> None:
    with pytest.raises(ConfigError, match=said):
        create_evaluation(home, request_.model_copy(update=changes))
    assert list_evaluations(home) == []


def test_pairs_of_a_single_model_are_refused(home: Home) -> None:
    comparison = answered_comparison(home, questions=1, candidates=1)
    request = make_evaluation_request(comparison=comparison.id, judges=judges_named("m"), methods=("pairwise",))
    with pytest.raises(ConfigError, match="Pairs need two models"):
        create_evaluation(home, request)


def test_an_evaluation_of_a_comparison_that_is_not_there_is_refused(home: Home, request_: EvaluationRequest) -> None:
    with pytest.raises(DataError, match="There is no comparison"):
        create_evaluation(home, request_.model_copy(update={"comparison": "../runs"}))


def test_the_newest_evaluation_is_the_last(home: Home, request_: EvaluationRequest) -> None:
    made = [create_evaluation(home, request_) for _ in range(3)]
    assert {found.id for found in list_evaluations(home)} == {one.id for one in made}
    assert find_evaluation(home, "last") == list_evaluations(home)[0]


@pytest.mark.parametrize("name", ["none", "../runs", "last", ""])
def test_an_evaluation_that_is_not_there_is_said_to_be(home: Home, name: str) -> None:
    with pytest.raises(DataError, match="There is no evaluation"):
        find_evaluation(home, name)


def test_evaluations_are_found_by_their_comparison(home: Home, evaluation: Evaluation) -> None:
    other = answered_comparison(home, questions=1)
    create_evaluation(home, make_evaluation_request(comparison=other.id))
    asked = comparison_of(home, evaluation)
    assert evaluations_of(home, asked.id) == [evaluation]
    assert evaluations_of(home, "compare-none") == []


def test_a_deleted_evaluation_is_gone_and_its_answers_stay(home: Home, evaluation: Evaluation) -> None:
    asked = comparison_of(home, evaluation)
    delete_evaluation(home, evaluation)
    assert list_evaluations(home) == [] and not evaluation.folder.exists()
    assert len(asked.answers()) == 4


def test_one_that_is_being_judged_is_neither_deleted_nor_judged_twice(home: Home, evaluation: Evaluation) -> None:
    release = judging_alone(evaluation)
    with pytest.raises(RunError, match="being judged"):
        delete_evaluation(home, evaluation)
    with pytest.raises(RunError, match="being judged"):
        judging_alone(evaluation)
    release()
    delete_evaluation(home, evaluation)


def test_a_comparison_is_kept_as_long_as_an_evaluation_is_about_it(home: Home, evaluation: Evaluation) -> None:
    asked = comparison_of(home, evaluation)
    with pytest.raises(RunError, match=f"{evaluation.id} is about.* Delete that evaluation first"):
        delete_comparison(home, asked)
    assert len(asked.answers()) == 4
    delete_evaluation(home, evaluation)
    delete_comparison(home, asked)
    assert list_comparisons(home) == []


def test_a_damaged_evaluation_keeps_no_comparison_from_being_deleted(home: Home, evaluation: Evaluation) -> None:
    asked = comparison_of(home, evaluation)
    (evaluation.folder / "request.json").write_text("{", encoding="utf-8")
    delete_comparison(home, asked)
    assert list_comparisons(home) == []
