"""The view Batch of the Compare page: started, followed, stopped, gone on with, read, taken away, judged."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import psutil
import pytest
from streamlit.testing.v1 import AppTest

from core.compare.batch import KIND
from core.compare.comparison import ComparedAnswer, Comparison, list_comparisons
from core.datasets import read_rows
from core.errors import RunError
from core.jobs import supervisor
from core.jobs.folder import Status
from core.jobs.tasks import Task, create_task
from core.paths import Home
from core.presets import preset_config
from studio import compare_batch, compare_results
from studio.compare_open import Opened
from tests.build_compare_page import Open, answered, compare_page, sent
from tests.build_runs import BAD, GOOD, HOSTILE


@pytest.fixture
def batch(overview: Callable[[], AppTest]) -> Open:
    """Opens the view Batch, with a comparison in its address when one is given."""

    def open_batch(comparison: Comparison | None = None, **address: Any) -> AppTest:
        named = {"batch": comparison.id} if comparison else {}
        return compare_page(overview(), view="batch", **named, **address)

    return open_batch


@pytest.fixture
def started(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The tasks that were started; none of them runs."""
    tasks: list[Task] = []

    def start(home: Home, kind: str, arguments: Any) -> Task:
        tasks.append(create_task(home, kind, arguments))
        return tasks[-1]

    monkeypatch.setattr(supervisor, "start_task", start)
    return tasks


def task_of(home: Home, comparison: Comparison, **status: Any) -> Task:
    task = create_task(home, KIND, {"comparison": comparison.id})
    task.write_status(replace(task.written_status(), **status))
    return task


def test_a_batch_asks_as_many_test_questions_as_were_chosen(batch: Open, home: Home, started: list[Task]) -> None:
    at = batch(**{"with": ["endpoint:http://127.0.0.1:9/v1#one", "endpoint:http://127.0.0.1:9/v1#two"]})
    at.slider(key="compare.count").set_value(5).run()
    assert "5 questions to 2 models: 10 answers" in sent(at) and "never trained on" in sent(at)
    at.button(key="compare.start").click().run()
    assert not at.exception
    (comparison,) = list_comparisons(home)
    request = comparison.request()
    held_out = [row.question for row in read_rows(preset_config().data, home) if row.split == "test"]
    assert [question.text for question in request.questions] == held_out[:5]
    assert {question.split for question in request.questions} == {"test"}
    assert [task.arguments() for task in started] == [{"comparison": comparison.id}]
    assert at.query_params["batch"] == comparison.id


def test_a_batch_that_cannot_start_says_why_and_can_be_gone_on_with(
    batch: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise RunError("There is no room for it now.")

    monkeypatch.setattr(supervisor, "start_task", refuse)
    at = batch(**{"with": "endpoint:http://127.0.0.1:9/v1#one"})
    at.button(key="compare.start").click().run()
    assert "There is no room for it now" in sent(at)
    assert at.button(key="compare.batch.resume")


def test_a_batch_under_way_shows_how_far_it_is_and_what_there_is(
    batch: Open, home: Home, live_process: dict[str, Any]
) -> None:
    comparison = answered(home, missing=1)
    task = task_of(home, comparison, state="running", phase="asking", done=3, total=4, **live_process)
    at = batch(comparison)
    (bar,) = at.get("progress")
    assert bar.proto.text.startswith("Asking · 3 of 4 answers") and bar.proto.value == 75
    assert at.dataframe[0].value["Answers"].tolist() == [2, 1]
    at.button(key="compare.batch.stop").click().run()
    assert task.stop_request.exists()


@pytest.fixture
def live_process() -> dict[str, Any]:
    """What a status says of a process that lives."""
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}


def test_a_stopped_batch_keeps_its_answers_and_goes_on_by_one_click(
    batch: Open, home: Home, started: list[Task]
) -> None:
    comparison = answered(home, missing=1)
    task_of(home, comparison, state="stopped", done=3, total=4)
    at = batch(comparison)
    assert "3 of 4 answers are there." in sent(at) and "Stopped" in sent(at)
    at.button(key="compare.batch.resume").click().run()
    assert [task.arguments() for task in started] == [{"comparison": comparison.id}]


def test_answers_that_lost_their_scoring_are_scored_by_one_click(batch: Open, home: Home, started: list[Task]) -> None:
    comparison = answered(home)
    comparison.add([ComparedAnswer(question=1, candidate=1, text=GOOD, unscored="The judge cannot be asked.")])
    task_of(home, comparison, state="finished", done=4, total=4)
    at = batch(comparison)
    assert "4 of 4 answers are there. Without scores: 1." in sent(at)
    assert "The judge cannot be asked." in sent(at)
    button = at.button(key="compare.batch.resume")
    assert button.label == "Score the answers again"
    button.click().run()
    assert [task.arguments() for task in started] == [{"comparison": comparison.id}]


def test_a_batch_stopped_while_it_scored_can_be_gone_on_with(batch: Open, home: Home, started: list[Task]) -> None:
    comparison = answered(home)
    comparison.add([ComparedAnswer(question=1, candidate=1, text=GOOD)])
    task_of(home, comparison, state="stopped", done=4, total=4)
    assert batch(comparison).button(key="compare.batch.resume")


def test_rewards_are_compared_where_both_are_scored_and_what_is_scored_is_counted(home: Home) -> None:
    comparison = answered(home)
    comparison.add([ComparedAnswer(question=0, candidate=0, text=BAD, reward=0.25)])
    comparison.add([ComparedAnswer(question=1, candidate=1, text=GOOD)])
    means = compare_results.means(opened(home, comparison))
    assert means["Answers"].tolist() == [2, 2] and means["Scored"].tolist() == [2, 1]
    assert means["Change"].tolist()[1] == 0.25


def test_results_are_there_after_a_reload(batch: Open, home: Home) -> None:
    at = batch(answered(home))
    means, table = (frame.value for frame in at.dataframe[:2])
    names = ["Remote: one at 127.0.0.1:9", "Remote: two at 127.0.0.1:9"]
    assert means["Model"].tolist() == names
    assert means["Mean reward"].tolist() == [-1.0, 0.5]
    assert means["Change"].tolist()[1] == 1.5
    assert means["Well-formed"].tolist() == [0, 100]
    assert means["Cut off"].tolist() == [100, 0]
    assert means["Mean tokens"].tolist() == [20, 40]
    assert table["Question"].tolist() == ["Why?", "How?"]
    assert table[names[1]].tolist() == [GOOD, GOOD]
    assert table[f"Change: {names[1]}"].tolist() == [1.5, 1.5]
    assert "compare.batch.resume" not in {button.key for button in at.button}


def test_a_question_that_is_clicked_is_read_side_by_side(batch: Open, home: Home) -> None:
    comparison = answered(home)
    at = batch(comparison)
    key = f"compare.results.{comparison.id}"
    at.session_state[key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    at.run()
    assert not at.exception
    texts = [text.value for text in at.text]
    assert "How?" in texts and "Because 1." in texts and BAD in texts
    assert "tokens a second" not in sent(at)


def test_hostile_answers_stay_in_columns_of_text(batch: Open, home: Home) -> None:
    at = batch(answered(home, [HOSTILE, HOSTILE], texts=[HOSTILE, HOSTILE]))
    assert at.dataframe[1].value["Question"].tolist() == [HOSTILE, HOSTILE]
    assert "![pixel]" not in sent(at)


def opened(home: Home, comparison: Comparison) -> compare_results.Results:
    return compare_results.read(home, Opened(comparison, comparison.request()))


def test_the_file_of_answers_calculates_nothing_in_a_spreadsheet(home: Home) -> None:
    comparison = answered(home, ["=1+1", "Why?"], texts=["@SUM(A1)", '-5 mg\nor so, "maybe"'])
    found = pd.read_csv(io.BytesIO(compare_results.csv(opened(home, comparison))))
    assert found["question"].tolist() == ["'=1+1", "'=1+1", "Why?", "Why?"]
    assert found["answer"].tolist() == ["'@SUM(A1)", '\'-5 mg\nor so, "maybe"'] * 2
    assert found["reward"].tolist() == [-1.0, 0.5] * 2
    assert found["score_semantic"].tolist() == [0.5] * 4


def test_means_leave_out_answers_that_failed_and_count_them(home: Home) -> None:
    comparison = answered(home)
    comparison.add([ComparedAnswer(question=1, candidate=1, error="It hung.")])
    means = compare_results.means(opened(home, comparison))
    assert means["Answers"].tolist() == [2, 1] and means["Failed"].tolist() == [0, 1]
    assert means["Mean reward"].tolist() == [-1.0, 0.5]
    assert compare_results.table(opened(home, comparison)).iloc[1, 3] == "It hung."


def test_judge_these_blind_opens_the_vote_on_this_batch_without_a_name(batch: Open, home: Home) -> None:
    comparison = answered(home)
    answered(home, ["Another?", "One?", "More?"])
    at = batch(comparison)
    at.button(key="compare.judge").click().run()
    assert not at.exception
    assert at.query_params["view"] == "blind"
    assert at.selectbox(key="compare.batch.choice").value == comparison.id
    assert "compare.candidates" not in {box.key for box in at.multiselect}


def test_without_a_batch_the_blind_vote_leads_to_one(overview: Callable[[], AppTest]) -> None:
    at = compare_page(overview(), view="blind")
    at.button(key="compare.blind.start").click().run()
    assert at.query_params["view"] == "batch"


def test_answers_are_read_again_only_when_more_have_come(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison, read = answered(home, missing=1), []
    answers = Comparison.answers
    monkeypatch.setattr(Comparison, "answers", lambda self: read.append(self) or answers(self))
    assert [len(opened(home, comparison).answers) for _ in range(3)] == [3, 3, 3]
    assert len(read) == 1
    comparison.add([ComparedAnswer(question=1, candidate=1, text="Late.")])
    assert opened(home, comparison).answers[1, 1].text == "Late."
    assert len(read) == 2


def test_the_file_of_answers_is_made_when_it_is_asked_for(
    batch: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[compare_results.Results] = []
    monkeypatch.setattr(compare_results, "csv", made.append)
    at = batch(answered(home))
    assert at.get("download_button") and not made


def test_the_time_left_follows_the_pace_of_this_task_alone() -> None:
    status = Status("running", started=100.0, done=14, total=40)
    before = [ComparedAnswer(question=number, candidate=0, time=1.0) for number in range(10)]
    fresh = [ComparedAnswer(question=number, candidate=1, time=110.0 + number) for number in range(4)]
    assert compare_batch.seconds_left(status, [*before, *fresh], now=118.0) == 26 * 8 / 4
    assert compare_batch.seconds_left(status, [*before, *fresh[:3]], now=118.0) is None


@pytest.mark.parametrize(
    ("status", "left", "text"),
    [
        (
            Status("running", phase="asking", done=10, total=40),
            90.0,
            "Asking · 10 of 40 answers · about 1 min 30 s left",
        ),
        (Status("running", phase="loading Qwen/Qwen2 40 %"), None, "Loading Qwen/Qwen2 40 %"),
        (Status("starting"), None, "Starting"),
        (Status("stopping", phase="asking", done=1, total=2), 5.0, "Stopping; what has been answered is kept"),
    ],
)
def test_progress_is_told_in_counts_and_time(status: Status, left: float | None, text: str) -> None:
    assert compare_batch.progress_text(status, left) == text
