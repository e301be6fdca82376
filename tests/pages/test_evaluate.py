"""The view Set up of the Evaluate page: whose answers, which judges, what it takes, and the start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.compare.comparison import list_comparisons
from core.errors import RunError
from core.evaluate.evaluation import list_evaluations
from core.evaluate.request import DIMENSIONS, RUBRIC, EvaluationRequest
from core.jobs import supervisor
from core.jobs.tasks import Task, create_task
from core.paths import Home
from tests.build_compare_page import BASE, Open, answered, compare_page, sent, trained_run
from tests.build_evaluate_page import HERE, evaluate_page, without_keys
from tests.build_evaluation import answered_comparison

REMOTE = [f"endpoint:{HERE}#one", f"endpoint:{HERE}#two"]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    without_keys(monkeypatch)


@pytest.fixture
def setup(overview: Callable[[], AppTest]) -> Open:
    """Opens the view Set up with these query parameters."""
    return lambda **address: evaluate_page(overview(), **address)


@pytest.fixture
def started(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The tasks that were started; none of them runs."""
    tasks: list[Task] = []

    def start(home: Home, kind: str, arguments: Any) -> Task:
        tasks.append(create_task(home, kind, arguments))
        return tasks[-1]

    monkeypatch.setattr(supervisor, "start_task", start)
    return tasks


def judged(at: AppTest, url: str = HERE) -> AppTest:
    """The page once a language model at this address is to judge."""
    at.button_group(key="evaluate.who_judges").set_value("models").run()
    at.text_input(key="evaluate.judge.0.url").set_value(url).run()
    assert not at.exception
    return at


def start(at: AppTest, home: Home) -> EvaluationRequest:
    """What is evaluated after a click on Start."""
    at.button(key="evaluate.start").click().run()
    assert not at.exception
    return list_evaluations(home)[0].request()


def test_a_start_asks_test_questions_of_every_kind_and_opens_the_evaluation(
    setup: Open, home: Home, started: list[Task]
) -> None:
    at = judged(setup(**{"with": REMOTE}))
    at.slider(key="evaluate.count").set_value(24).run()
    request = start(at, home)
    (comparison,) = list_comparisons(home)
    asked = comparison.request()
    kinds = Counter(question.columns["type"] for question in asked.questions)
    assert len(asked.questions) == 24 and {question.split for question in asked.questions} == {"test"}
    assert len(kinds) == 12 and set(kinds.values()) == {2}
    assert (request.comparison, request.type_column, request.baseline) == (comparison.id, "type", 0)
    (evaluation,) = list_evaluations(home)
    assert [task.arguments() for task in started] == [{"evaluation": evaluation.id}]
    assert at.query_params["evaluation"] == evaluation.id and at.query_params["view"] == "results"


def test_judges_and_what_they_are_asked_are_kept_as_they_were_chosen(
    setup: Open, home: Home, started: list[Task]
) -> None:
    at = judged(setup(**{"with": REMOTE}))
    at.text_input(key="evaluate.judge.0.model").set_value("some-judge").run()
    at.number_input(key="evaluate.judge.0.concurrent").set_value(3).run()
    at.number_input(key="evaluate.judge.0.per_minute").set_value(50).run()
    at.number_input(key="evaluate.judge.0.input_price").set_value(2.0).run()
    at.button_group(key="evaluate.methods").set_value(["dimensions", "pairwise"]).run()
    at.button_group(key="evaluate.dimensions").set_value(["accuracy", "fluency"]).run()
    at.toggle(key="evaluate.safety").set_value(False).run()
    request = start(at, home)
    (judge,) = request.judges
    assert (judge.model, judge.base_url, judge.concurrent, judge.per_minute) == ("some-judge", HERE, 3, 50)
    assert (judge.input_price, judge.output_price) == (2.0, None)
    assert request.methods == ("dimensions", "pairwise") and request.dimensions == ("accuracy", "fluency")
    assert not request.safety


def test_without_a_key_nobody_judges_and_automatic_metrics_are_named_as_such(
    setup: Open, home: Home, started: list[Task]
) -> None:
    at = setup(**{"with": REMOTE})
    assert "None of these says whether an answer is medically right" in sent(at)
    request = start(at, home)
    assert request.judges == () and request.methods == ()


def test_with_a_key_the_published_judge_is_there_with_its_prices(
    setup: Open, home: Home, started: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something")
    at = setup(**{"with": REMOTE})
    assert next(tile.value for tile in at.metric if tile.label == "Cost, about").startswith("$")
    request = start(at, home)
    (judge,) = request.judges
    assert (judge.model, judge.input_price, judge.output_price) == ("gpt-4o-mini", 0.15, 0.6)
    assert request.methods == ("dimensions",) and request.dimensions == DIMENSIONS and request.safety
    assert "sk-something" not in sent(at)


def test_the_estimate_counts_questions_to_judges_before_the_start(setup: Open) -> None:
    at = judged(setup(**{"with": REMOTE}))
    at.slider(key="evaluate.count").set_value(10).run()
    at.button_group(key="evaluate.methods").set_value(["dimensions", "pairwise"]).run()
    tiles = {tile.label: tile.value for tile in at.metric}
    assert tiles["Answers to ask for"] == "20"
    assert tiles["Questions to judges"] == str(10 * (2 * 2 + 2))
    assert tiles["Cost, about"] == "not known"


def test_a_judge_without_a_key_says_which_variable_and_cannot_start(setup: Open) -> None:
    at = judged(setup(**{"with": REMOTE}), url="")
    assert "GRPO\\_STUDIO\\_JUDGE\\_KEY or OPENAI\\_API\\_KEY" in sent(at)
    assert at.button(key="evaluate.start").disabled


@pytest.mark.parametrize("url", ["http://judge.example/v1", "http://key@127.0.0.1/v1", "no address"])
def test_an_address_that_must_not_be_asked_is_refused_before_the_start(setup: Open, url: str) -> None:
    at = judged(setup(**{"with": REMOTE}), url=url)
    assert at.button(key="evaluate.start").disabled
    assert any(":material/error:" in caption.value for caption in at.caption)


def test_two_judges_that_are_one_are_refused_and_one_can_be_taken_away(
    setup: Open, home: Home, started: list[Task]
) -> None:
    at = judged(setup(**{"with": REMOTE}))
    at.button(key="evaluate.judge.add").click().run()
    assert "Name the model of judge 2" in sent(at) and at.button(key="evaluate.start").disabled
    at.text_input(key="evaluate.judge.1.model").set_value("gpt-4o-mini").run()
    at.text_input(key="evaluate.judge.1.url").set_value(HERE).run()
    assert "a judge is chosen twice" in sent(at)
    at.button(key="evaluate.judge.0.remove").click().run()
    assert [judge.base_url for judge in start(at, home).judges] == [HERE]


def test_a_judge_that_is_asked_nothing_cannot_start(setup: Open) -> None:
    at = judged(setup(**{"with": REMOTE}))
    at.button_group(key="evaluate.methods").set_value([]).run()
    assert not at.exception
    assert "Choose at least one way of judging" in sent(at) and at.button(key="evaluate.start").disabled


def test_which_of_two_is_not_offered_for_one_model(setup: Open, home: Home, started: list[Task]) -> None:
    at = judged(setup(**{"with": REMOTE[:1]}))
    assert "Which of two is better" not in at.button_group(key="evaluate.methods").options
    assert len(list_evaluations(home)) == 0
    assert start(at, home).methods == ("dimensions",)


def test_the_checklist_of_the_studio_is_asked_where_nothing_was_changed(
    setup: Open, home: Home, started: list[Task]
) -> None:
    at = judged(setup(**{"with": REMOTE}))
    at.button_group(key="evaluate.methods").set_value(["rubric"]).run()
    request = start(at, home)
    assert request.rubric == RUBRIC and request.methods == ("rubric",)


def test_answers_that_are_there_are_judged_without_asking_again(setup: Open, home: Home, started: list[Task]) -> None:
    comparison = answered_comparison(home)
    at = judged(setup(batch=comparison.id))
    assert next(tile.value for tile in at.metric if tile.label == "Answers to ask for") == "0"
    at.selectbox(key="evaluate.baseline").select_index(1).run()
    request = start(at, home)
    assert [one.id for one in list_comparisons(home)] == [comparison.id]
    assert (request.comparison, request.baseline, request.type_column) == (comparison.id, 1, "type")


def test_without_a_batch_the_way_leads_to_compare(setup: Open) -> None:
    at = setup(batch="last")
    assert "No batch has been answered yet" in sent(at)
    assert at.button(key="evaluate.compare")


def test_a_start_that_is_refused_says_why_and_can_be_gone_on_with(
    setup: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise RunError("There is no room for it now.")

    monkeypatch.setattr(supervisor, "start_task", refuse)
    at = setup(**{"with": REMOTE})
    at.button(key="evaluate.start").click().run()
    assert not at.exception and "There is no room for it now" in sent(at)
    assert at.button(key="evaluate.resume")


def test_the_newest_trained_model_is_compared_with_its_base_at_first(setup: Open, home: Home) -> None:
    run = trained_run(home)
    at = setup()
    assert at.multiselect(key="compare.candidates").value == [BASE, f"run:{run.id}"]
    assert at.selectbox(key="evaluate.baseline").value == BASE


def test_a_batch_on_compare_leads_to_its_evaluation(overview: Callable[[], AppTest], home: Home) -> None:
    comparison = answered(home)
    at = compare_page(overview(), view="batch", batch=comparison.id)
    at.button(key="compare.evaluate").click().run()
    assert not at.exception
    assert at.selectbox(key="evaluate.batch").value == comparison.id


def test_a_trained_run_leads_to_its_evaluation_against_its_base(train: Open, home: Home) -> None:
    run = trained_run(home)
    at = train(run.id)
    at.button(key="evaluate_run").click().run()
    assert not at.exception
    assert at.multiselect(key="compare.candidates").value == [BASE, f"run:{run.id}"]
    assert at.query_params["under"] == run.id
