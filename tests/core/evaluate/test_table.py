"""The table of scores: what counts, what is left out, and how judges are taken together."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from core.evaluate.request import EvaluationRequest
from core.evaluate.table import ALL_JUDGES, AUTOMATIC, COLUMNS, judge_names, scales, score_table
from core.evaluate.verdicts import Matter, Outcome, Verdict
from tests.build_evaluation import evaluated_request, judges_named, made_up_answer, made_up_metrics
from tests.build_statistics import statistics_request

TWO = ("accuracy", "format")


def marked(
    question: int,
    candidate: int,
    scores: dict[str, int],
    judge: int = 0,
    matter: Matter = "dimensions",
    outcome: Outcome = "given",
) -> Verdict:
    return Verdict(judge=judge, matter=matter, question=question, candidate=candidate, outcome=outcome, scores=scores)


def table_of(
    verdicts: Sequence[Verdict], request: EvaluationRequest, broken: tuple[int, int] = (-1, -1)
) -> pd.DataFrame:
    """Of two models and three questions, all answered but for one."""
    asked = evaluated_request(questions=3)
    places = [(question, candidate) for question in range(3) for candidate in range(2)]
    answers = [made_up_answer(*place, error="Timed out." if place == broken else "") for place in places]
    return score_table(asked, answers, request, {one.call: one for one in verdicts}, {})


def scores_of(table: pd.DataFrame, measure: str, judge: int = ALL_JUDGES) -> dict[tuple[int, int], float]:
    rows = table[(table["measure"] == measure) & (table["judge"] == judge)]
    return {(row.question, row.candidate): row.score for row in rows.itertuples()}


def test_the_total_is_the_mean_of_the_chosen_dimensions() -> None:
    request = statistics_request(dimensions=TWO)
    table = table_of([marked(0, 0, {"accuracy": 4}), marked(0, 0, {"format": 1}, matter="format")], request)
    assert scores_of(table, "total") == scores_of(table, "total", judge=0) == {(0, 0): 2.5}


@pytest.mark.parametrize("outcome", ["unreadable", "refused", "failed"])
def test_without_all_dimensions_there_is_no_total(outcome: Outcome) -> None:
    request = statistics_request(dimensions=TWO)
    verdicts = [marked(0, 0, {"accuracy": 4}), marked(0, 0, {"format": 1}, matter="format", outcome=outcome)]
    table = table_of(verdicts, request)
    assert scores_of(table, "accuracy") == {(0, 0): 4.0}
    assert not scores_of(table, "format") and not scores_of(table, "total")


def test_the_rubric_is_the_share_of_items_that_are_met() -> None:
    request = statistics_request(methods=("rubric",))
    met = {item.id: int(place < 3) for place, item in enumerate(request.rubric)}
    table = table_of([marked(1, 0, met, matter="rubric"), marked(2, 0, {"reasons": 1}, matter="rubric")], request)
    assert scores_of(table, "rubric") == {(1, 0): 0.5}
    assert scores_of(table, "rubric:reasons") == {(1, 0): 0.0, (2, 0): 1.0}


def test_marks_that_were_not_asked_for_are_none() -> None:
    request = statistics_request(dimensions=("accuracy",))
    stray = [marked(0, 0, {"accuracy": 3, "fluency": 5}), marked(0, 0, {"accuracy": 5}, matter="format")]
    table = table_of(stray, request)
    assert set(table["measure"]) == {"accuracy", "total"} and scores_of(table, "accuracy") == {(0, 0): 3.0}


def test_several_judges_are_averaged_over_those_that_marked_all_answers_to_a_question() -> None:
    request = statistics_request(dimensions=("accuracy",), judges=judges_named("strict", "kind"))
    verdicts = [marked(0, 0, {"accuracy": 2}), marked(0, 1, {"accuracy": 2})]
    verdicts += [marked(0, 0, {"accuracy": 4}, judge=1), marked(0, 1, {"accuracy": 5}, judge=1)]
    verdicts += [marked(1, 0, {"accuracy": 2}), marked(1, 1, {"accuracy": 2}), marked(1, 1, {"accuracy": 5}, judge=1)]
    verdicts += [marked(2, 0, {"accuracy": 2}), marked(2, 1, {"accuracy": 5}, judge=1)]
    found = scores_of(table_of(verdicts, request), "accuracy")
    assert found == {(0, 0): 3.0, (0, 1): 3.5, (1, 0): 2.0, (1, 1): 2.0}


def test_answers_that_ended_with_an_error_have_no_score() -> None:
    request = statistics_request(dimensions=("accuracy",))
    table = table_of([marked(0, 0, {"accuracy": 4}), marked(0, 1, {"accuracy": 4})], request, broken=(0, 1))
    assert scores_of(table, "accuracy") == {(0, 0): 4.0}


def test_automatic_metrics_stand_under_no_judge_and_missing_ones_nowhere() -> None:
    answer = made_up_answer(0, 1)
    request = statistics_request(judges=(), methods=())
    table = score_table(evaluated_request(), [answer], request, {}, {(0, 1): made_up_metrics(answer)})
    assert set(table["judge"]) == {AUTOMATIC}
    assert scores_of(table, "reward", AUTOMATIC) == {(0, 1): 0.375}
    assert "exact_choice" not in set(table["measure"])


def test_nothing_at_all_is_an_empty_table() -> None:
    table = table_of([], statistics_request())
    assert tuple(table.columns) == COLUMNS and not len(table)


def test_measures_of_single_judges_come_last_and_only_where_there_are_several() -> None:
    one, two = statistics_request(), statistics_request(judges=judges_named("a", "b"))
    names = [scale.name for scale in scales(two, table_of([], two))]
    assert names[:2] == ["total", "accuracy"]
    assert names[-12:-10] == ["total@0", "accuracy@0"] and names[-1] == "usefulness@1"
    assert not [scale for scale in scales(one, table_of([], one)) if "@" in scale.name]


def test_judges_of_one_model_are_told_apart_by_their_address() -> None:
    same = (*judges_named("m", url="http://127.0.0.1:1/v1"), *judges_named("m", url="http://127.0.0.1:2/v1"))
    assert judge_names(same) == ("m at http://127.0.0.1:1/v1", "m at http://127.0.0.1:2/v1")
    assert judge_names(judges_named("m", "n")) == ("m", "n")
