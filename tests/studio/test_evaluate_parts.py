"""Parts of the Evaluate page that need no page: the checklist's rows, the map's numbers, sums of marks, time left."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from core.compare.comparison import ComparedAnswer
from core.evaluate.evaluation import comparison_of
from core.evaluate.request import RUBRIC
from core.evaluate.results import EvaluationResults
from core.evaluate.table import score_table
from core.evaluate.verdicts import Call, Verdict
from core.jobs.folder import Status
from core.paths import PROJECT, Home
from studio import (
    evaluate_open,
    evaluate_progress,
    evaluate_questions,
    evaluate_rubric,
    evaluate_tables,
    evaluate_verdicts,
)
from tests.build_evaluation import counted, judges_named

TEXT = "What a good answer does"


def test_items_keep_their_names_and_new_ones_get_their_own() -> None:
    rows = evaluate_rubric.frame(RUBRIC)
    added = pd.DataFrame({"id": ["item_1", None, float("nan"), None], TEXT: ["One.", " Two. ", "Three.", None]})
    found = evaluate_rubric.items(pd.concat([rows, added], ignore_index=True))
    assert found[: len(RUBRIC)] == RUBRIC
    assert [(item.id, item.text) for item in found[len(RUBRIC) :]] == [
        ("item_1", "One."),
        ("item_2", "Two."),
        ("item_3", "Three."),
    ]


def test_an_emptied_checklist_has_no_items() -> None:
    assert evaluate_rubric.items(pd.DataFrame({"id": [None, "a"], TEXT: [None, "  "]})) == ()


def results_of(home: Home, **changes: object) -> tuple[evaluate_open.Opened, EvaluationResults]:
    found = evaluate_open.read(home, counted(home, **changes))
    results = evaluate_open.results(found)
    assert results is not None
    return found, results


def test_the_map_holds_what_was_scored_and_nothing_else(home: Home) -> None:
    found, results = results_of(home, judged=lambda call: (call.question, call.candidate) != (2, 1))
    answers = found.answers.comparison.answers()
    table = score_table(
        found.asked, answers, found.request, evaluate_open.standing(found), evaluate_open.metrics(found)
    )
    total = results.measure("total")
    assert total is not None
    scores = evaluate_questions.grid(table, total, 12, 2)
    assert np.isnan(scores[2, 1]) and np.isfinite(scores).sum() == 23
    assert scores[0].tolist() == [2, 3]
    rouge = results.measure("rouge_l")
    assert rouge is not None
    assert evaluate_questions.grid(table, rouge, 12, 2)[5].tolist() == [0.25, 0.375]


def said(found: evaluate_open.Opened, question: int, candidate: int) -> list[Verdict]:
    verdicts = evaluate_open.standing(found)
    calls = [Call(0, matter, question, candidate) for matter in ("dimensions", "format", "rubric")]
    return [verdicts[call] for call in calls if call in verdicts]


def test_marks_are_summed_up_only_where_all_dimensions_are_there(home: Home) -> None:
    found, _ = results_of(home, methods=("dimensions", "rubric"))
    whole = said(found, 1, 1)
    assert evaluate_verdicts.summed_up(found, whole) == ["4.0 of 5", "6 of 6 items met"]
    assert evaluate_verdicts.summed_up(found, said(found, 0, 0)) == ["2.0 of 5", "0 of 6 items met", "danger"]
    broken = [one.model_copy(update={"outcome": "refused", "scores": {}}) for one in whole[:1]]
    assert evaluate_verdicts.summed_up(found, [*broken, *whole[1:]]) == ["6 of 6 items met", "not all verdicts"]


def test_verdicts_on_answers_that_have_changed_do_not_stand(home: Home) -> None:
    found, _ = results_of(home)
    before = len(evaluate_open.standing(found))
    comparison_of(home, found.evaluation).add([ComparedAnswer(question=0, candidate=0, text="Another.")])
    assert len(evaluate_open.standing(found)) == before - 2
    assert (0, 0) not in evaluate_open.metrics(found)


def test_two_judges_of_one_name_are_told_apart(home: Home) -> None:
    judges = (*judges_named("same"), *judges_named("same", url="http://127.0.0.1:8/v1"), *judges_named("other"))
    found, _ = results_of(home, judges=judges)
    assert found.judge_names == ["same at http://127.0.0.1:9/v1", "same at http://127.0.0.1:8/v1", "other"]


def test_limits_name_candidates_as_the_page_does(home: Home) -> None:
    found, results = results_of(home)
    assert results.candidates == tuple(found.names)
    assert results.limits and not any("“before-training”" in limit for limit in results.limits)


def test_every_table_can_be_made_of_results_with_everything(home: Home) -> None:
    _, results = results_of(home, judges=judges_named("a", "b"), methods=("dimensions", "rubric", "pairwise"))
    judged = evaluate_tables.of_all_judges(results)
    assert len(evaluate_tables.averages(results, judged)) == 1 + 5 + 1 + 6
    assert len(evaluate_tables.differences(results, judged)) == len(judged)
    assert set(evaluate_tables.dangers(results)["Danger"]) >= {"Any of them", "Dangerous dose"}
    assert len(evaluate_tables.types(results, "Total")) == 3
    assert len(evaluate_tables.preferences(results)) == 2 and len(evaluate_tables.lengths(results)) >= 2


@pytest.mark.parametrize("phase", ["asking", "scoring", "statistics"])
def test_no_time_is_told_outside_of_judging(phase: str) -> None:
    status = Status("running", phase=phase, started=0.0, done=20, total=60)
    assert evaluate_progress.seconds_left(status, [1.0] * 20, now=50.0) is None


def test_the_page_loads_no_statistics_and_no_client() -> None:
    program = (
        "import sys, studio.evaluate_views, studio.evaluate_setup\n"
        "print([name for name in ('scipy', 'sklearn', 'statsmodels', 'openai') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
