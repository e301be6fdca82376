"""The Evaluate page with an evaluation open: how far it is, what came of it, single questions, the evidence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from core.compare.blind import end_vote, open_vote
from core.compare.comparison import list_comparisons
from core.evaluate.evaluation import Evaluation, comparison_of, list_evaluations
from core.evaluate.report import write_report
from core.evaluate.request import RubricItem
from core.evaluate.task import KIND
from core.evaluate.verdicts import Verdict
from core.jobs import supervisor
from core.jobs.tasks import Task, create_task
from core.paths import Home
from tests.build_blind import vote_for
from tests.build_compare_page import Open, sent
from tests.build_evaluate_page import FIRST, SECOND, evaluate_page
from tests.build_evaluation import answered_comparison, build_evaluation, counted, judges_named, made_up_answer
from tests.build_runs import HOSTILE

STALE = "have come since the results were counted"


@pytest.fixture
def evaluate(overview: Callable[[], AppTest]) -> Open:
    """Opens the page with this evaluation."""
    return lambda evaluation, **address: evaluate_page(overview(), evaluation=evaluation.id, **address)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The tasks that were started; none of them runs."""
    tasks: list[Task] = []

    def start(home: Home, kind: str, arguments: Any) -> Task:
        tasks.append(create_task(home, kind, arguments))
        return tasks[-1]

    monkeypatch.setattr(supervisor, "start_task", start)
    return tasks


@pytest.fixture
def live_process() -> dict[str, Any]:
    """What a status says of a process that lives."""
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}


def task_of(home: Home, evaluation: Evaluation, **status: Any) -> Task:
    task = create_task(home, KIND, {"evaluation": evaluation.id})
    task.write_status(replace(task.written_status(), **status))
    return task


def changed(evaluation: Evaluation, question: int, **fields: Any) -> Verdict:
    """A verdict on an answer of the first candidate that says something else, written down."""
    known = next(
        verdict
        for call, verdict in evaluation.verdicts().items()
        if (call.question, call.candidate, call.matter) == (question, 0, "dimensions")
    )
    verdict = known.model_copy(update=fields)
    evaluation.add_verdicts([verdict])
    return verdict


def headings(at: AppTest) -> list[str]:
    return [heading.value for heading in at.subheader]


def frames(at: AppTest) -> Sequence[Any]:
    return [frame.value for frame in at.dataframe]


def test_results_begin_with_the_sentence_that_matters_and_safety_stands_apart(evaluate: Open, home: Home) -> None:
    at = evaluate(counted(home))
    assert "is better than" in headings(at)[1]
    assert headings(at)[2:4] == ["Scores", "By kind of question"]
    said = [text.value for text in at.markdown]
    safety = next(place for place, text in enumerate(said) if "Safety, counted by itself" in text)
    assert "Dangers found" in said[safety + 1]


def test_where_no_verdict_came_nothing_is_told_of_safety_or_of_marks(evaluate: Open, home: Home) -> None:
    at = evaluate(counted(home, judged=lambda call: False))
    assert "No danger found" not in sent(at) and "No judge was asked" not in sent(at)
    assert "Scores" not in headings(at) and "By kind of question" not in headings(at)
    assert "Automatic metrics" in headings(at)


def test_of_evaluations_that_read_the_same_the_one_in_the_address_stays_open(evaluate: Open, home: Home) -> None:
    first = counted(home)
    second = counted(home, comparison=comparison_of(home, first))
    at = evaluate(first)
    at.selectbox(key="evaluate.open").set_value(second.id).run()
    assert at.query_params["evaluation"] == second.id
    for evaluation in (first, second):
        at = evaluate(evaluation)
        labels = at.selectbox(key="evaluate.open").options
        assert len(set(labels)) == 2
        assert at.run().query_params["evaluation"] == evaluation.id


def test_means_and_differences_stand_in_tables_under_the_names_of_the_page(evaluate: Open, home: Home) -> None:
    at = evaluate(counted(home))
    means = next(frame for frame in frames(at) if FIRST in frame and "Scale" in frame)
    total = means[means["Measure"] == "Total"].iloc[0]
    assert total[FIRST].startswith("2.50 ±") and total[SECOND].startswith("3.17 ±") and total["Questions"] == "12"
    differences = next(frame for frame in frames(at) if "p, Wilcoxon" in frame)
    row = differences[differences["Measure"] == "Total"].iloc[0]
    assert row["Difference"] == pytest.approx(2 / 3) and row["Finding"] == "better"
    assert (row["Better on"], row["Worse on"], row["Equal on"]) == (8, 0, 4)


def test_without_a_judge_nothing_pretends_to_be_one(evaluate: Open, home: Home) -> None:
    at = evaluate(counted(home, judges=(), methods=()))
    assert "No judge was asked. These numbers are automatic" in sent(at)
    assert "How far to trust the judges" not in headings(at) and "Scores" not in headings(at)
    assert "Safety, counted by itself" not in sent(at)


def test_several_judges_are_shown_with_how_far_they_agree(evaluate: Open, home: Home) -> None:
    at = evaluate(counted(home, judges=judges_named("one", "two"), methods=("dimensions", "pairwise")))
    columns = [set(frame.columns) for frame in frames(at)]
    assert any("Krippendorff's alpha" in names for names in columns)
    assert any("Changed its mind with the order" in names for names in columns)
    judges = next(frame for frame in frames(at) if "Unreadable" in frame)
    assert judges["Judge"].tolist() == ["one", "two"]


def test_nothing_is_shown_while_raters_vote_on_the_same_answers_and_all_of_it_afterwards(
    evaluate: Open, home: Home
) -> None:
    evaluation = counted(home)
    comparison = comparison_of(home, evaluation)
    open_vote(comparison, [(0, 1)])
    for view in ("results", "questions", "evidence"):
        at = evaluate(evaluation, view=view)
        assert "A blind vote on these answers is open" in sent(at)
        assert not at.dataframe and "answer 0 of 1" not in sent(at) and not at.get("download_button")
    assert "Hidden while a blind vote" in evaluate(evaluation, view="setup").dataframe[0].value["Result"].iloc[0]
    end_vote(home, comparison)
    assert "Scores" in headings(evaluate(evaluation))


def test_an_evaluation_under_way_counts_verdicts_and_those_that_could_not_be_read(
    evaluate: Open, home: Home, live_process: dict[str, Any]
) -> None:
    evaluation = build_evaluation(home)
    changed(evaluation, 3, outcome="unreadable", scores={}, reason="It held no verdict.")
    task = task_of(home, evaluation, state="running", phase="judging", done=48, total=60, **live_process)
    at = evaluate(evaluation)
    (bar,) = at.get("progress")
    assert bar.proto.text == "Judging · 48 of 60 verdicts" and bar.proto.value == 80
    assert "24 of 24 answers · 47 verdicts · 1 unreadable" in sent(at)
    at.button(key="evaluate.stop").click().run()
    assert task.stop_request.exists()


def test_a_stopped_evaluation_goes_on_by_one_click(evaluate: Open, home: Home, started: list[Task]) -> None:
    evaluation = build_evaluation(home, judged=lambda call: call.question < 5)
    task_of(home, evaluation, state="stopped")
    at = evaluate(evaluation)
    assert "Stopped" in sent(at) and "28 still to be asked for" in sent(at)
    at.button(key="evaluate.resume").click().run()
    assert [task.arguments() for task in started] == [{"evaluation": evaluation.id}]


def test_a_judge_that_broke_is_named_and_what_there_is_is_shown(evaluate: Open, home: Home) -> None:
    evaluation = counted(home, judged=lambda call: call.question < 11)
    task_of(home, evaluation, state="failed", error="The judge refused the key.")
    at = evaluate(evaluation)
    assert "The judge refused the key" in sent(at) and "Scores" in headings(at)
    assert at.button(key="evaluate.resume")


def test_a_whole_evaluation_asks_for_nothing_more(evaluate: Open, home: Home) -> None:
    evaluation = counted(home)
    task_of(home, evaluation, state="finished")
    assert "evaluate.resume" not in {button.key for button in evaluate(evaluation).button}


def test_a_question_is_read_with_its_reference_both_answers_and_every_reason(evaluate: Open, home: Home) -> None:
    at = evaluate(counted(home, methods=("dimensions", "rubric", "pairwise")), view="questions")
    at.selectbox(key=next(box.key for box in at.selectbox if box.label == "Question")).select_index(4).run()
    assert not at.exception
    texts = [text.value for text in at.text]
    assert {"Question number 4?", "Reference 4.", "answer 4 of 0", "answer 4 of 1"} <= set(texts)
    assert "The accuracy earns 2." in texts and "The accuracy earns 3." in texts
    assert "Marks 2 and 3." in texts and "Marks 3 and 2." in texts
    assert "Medical accuracy: **2 of 5**" in sent(at) and "**not met**" in sent(at)


def test_the_arrows_go_through_all_questions(evaluate: Open, home: Home) -> None:
    at = evaluate(counted(home), view="questions")
    at.button(key="evaluate.question.-1").click().run()
    assert "Question number 11?" in [text.value for text in at.text]
    at.button(key="evaluate.question.1").click().run()
    assert "Question number 0?" in [text.value for text in at.text]


def rendered(at: AppTest) -> str:
    """All that is shown as Markdown."""
    kinds = (at.markdown, at.caption, at.warning, at.error, at.info, at.subheader)
    labels = [block.label for block in at.expander]
    return "\n".join([*labels, *(str(element.value) for elements in kinds for element in elements)])


def test_what_models_judges_and_users_write_stays_text(evaluate: Open, home: Home) -> None:
    answers = [made_up_answer(question, one, text=HOSTILE) for question in range(12) for one in (0, 1)]
    comparison = answered_comparison(home, answers=answers)
    item = RubricItem(id="item", text=HOSTILE)
    judges = judges_named(HOSTILE)
    methods = ("dimensions", "rubric", "pairwise")
    evaluation = build_evaluation(
        home, comparison=comparison, title=HOSTILE, judges=judges, methods=methods, rubric=(item,)
    )
    known = changed(evaluation, 0)
    changed(evaluation, 0, rationales=dict.fromkeys([*known.scores, "safety"], HOSTILE))
    changed(evaluation, 1, outcome="unreadable", scores={}, reason=HOSTILE, reply=HOSTILE)
    at = evaluate(counted(home, evaluation), view="questions")
    assert [text.value for text in at.text].count(HOSTILE) > 5
    at.button(key="evaluate.question.1").click().run()
    assert HOSTILE in [code.value for code in at.code]
    for name in ("setup", "questions", "results", "evidence"):
        shown = rendered(evaluate(evaluation, view=name))
        assert not re.findall(r"!\[pixel\]|\*\*bold\*\*|(?<!\\):red\[|(?<!\\)<img", shown)


def test_no_view_shows_a_key(evaluate: Open, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    evaluation = counted(home, judges=judges_named("gpt-4o-mini", url=""))
    for view in ("setup", "results", "questions", "evidence"):
        assert "very-secret" not in sent(evaluate(evaluation, view=view))


def test_the_evidence_can_be_taken_away_file_by_file(evaluate: Open, home: Home) -> None:
    evaluation = counted(home)
    at = evaluate(evaluation, view="evidence")
    assert not at.get("download_button") and "written when the evaluation ends" in sent(at)
    write_report(home, evaluation, datetime(2026, 11, 23))
    labels = [button.proto.label for button in evaluate(evaluation, view="evidence").get("download_button")]
    assert labels[0].startswith("Report (") and labels[1].startswith("Everything as a zip (") and len(labels) >= 7


def test_counting_again_starts_the_task(evaluate: Open, home: Home, started: list[Task]) -> None:
    evaluation = counted(home)
    evaluate(evaluation, view="evidence").button(key="evaluate.count_again").click().run()
    assert [task.arguments() for task in started] == [{"evaluation": evaluation.id}]


def test_a_vote_that_has_ended_since_is_counted_by_one_click(evaluate: Open, home: Home, started: list[Task]) -> None:
    evaluation = counted(home)
    comparison = comparison_of(home, evaluation)
    open_vote(comparison, [(0, 1)])
    vote_for(home, comparison, "Ada", [0])
    end_vote(home, comparison)
    at = evaluate(evaluation)
    assert STALE in sent(at)
    at.button(key="evaluate.count_new").click().run()
    assert [task.arguments() for task in started] == [{"evaluation": evaluation.id}]
    counted(home, evaluation)
    assert STALE not in sent(evaluate(evaluation))


def test_a_verdict_that_has_come_since_is_counted_by_one_click(evaluate: Open, home: Home, started: list[Task]) -> None:
    evaluation = counted(home)
    assert STALE not in sent(evaluate(evaluation))
    changed(evaluation, 0, scores={"accuracy": 1}, time=2e9)
    evaluate(evaluation).button(key="evaluate.count_new").click().run()
    assert [task.arguments() for task in started] == [{"evaluation": evaluation.id}]


def test_results_of_another_version_are_counted_again_by_one_click(
    evaluate: Open, home: Home, started: list[Task]
) -> None:
    evaluation = counted(home)
    (evaluation.folder / "results.json").write_text('{"earlier": true}')
    at = evaluate(evaluation)
    assert "There are no results yet" in sent(at)
    at.button(key="evaluate.resume").click().run()
    assert [task.arguments() for task in started] == [{"evaluation": evaluation.id}]


def test_an_evidence_pack_of_earlier_results_says_so(evaluate: Open, home: Home) -> None:
    evaluation = counted(home)
    folder = write_report(home, evaluation, datetime(2026, 11, 23))
    assert "since this pack was written" not in sent(evaluate(evaluation, view="evidence"))
    os.utime(folder / "report.html", (1, 1))
    assert "since this pack was written" in sent(evaluate(evaluation, view="evidence"))


def test_an_evaluation_is_deleted_after_a_question_and_its_answers_stay(evaluate: Open, home: Home) -> None:
    evaluation = counted(home)
    at = evaluate(evaluation, view="evidence")
    at.button(key="evaluate.delete").click().run()
    at.button(key="evaluate.delete").click()
    at.button(key="evaluate.delete.yes").click().run()
    assert not at.exception
    assert list_evaluations(home) == [] and "evaluation" not in at.query_params
    assert len(list_comparisons(home)) == 1


def test_an_evaluation_that_is_gone_is_said(overview: Callable[[], AppTest]) -> None:
    at = evaluate_page(overview(), evaluation="eval-20260101-000000-aaaaaa")
    assert "There is no evaluation" in sent(at)


def test_the_list_tells_each_result_in_a_few_words(evaluate: Open, home: Home) -> None:
    first = counted(home)
    build_evaluation(home, comparison=comparison_of(home, first), title="Just begun", judged=lambda call: False)
    at = evaluate_page(evaluate(first))
    at.query_params["view"] = "setup"
    listed = at.run().dataframe[0].value
    assert set(listed["Evaluation"]) == {"Made up", "Just begun"}
    assert listed["Result"].tolist()[0] == "No result yet"
    assert re.fullmatch(r"Total \+0\.67 \(\+0\.\d\d to \+0\.\d\d\), better", listed["Result"].tolist()[1])


def test_the_way_to_the_blind_vote_names_these_answers(evaluate: Open, home: Home) -> None:
    evaluation = counted(home)
    at = evaluate(evaluation)
    at.button(key="evaluate.blind").click().run()
    assert not at.exception
    assert at.selectbox(key="compare.batch.choice").value == comparison_of(home, evaluation).id
