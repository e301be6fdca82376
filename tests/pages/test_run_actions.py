"""The buttons of a run on the Train page, and the questions behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import Busy, RunError
from core.jobs import supervisor
from core.paths import Home
from core.runs.events import EventWriter
from core.runs.run import Run
from core.training import control
from tests.build_runs import Plan, build_run

Open = Callable[..., AppTest]


@pytest.fixture
def live(home: Home) -> Run:
    """A run that has saved checkpoint 10 and done 13 steps."""
    return build_run(home, Plan("running", done=13))


def keys(at: AppTest) -> set[str]:
    return {button.key for button in at.button if button.key}


def answer(at: AppTest, opened_by: str, key: str) -> AppTest:
    """Press a button of a question. The driver runs the whole page, so what opened the question is held down."""
    at.button(key=opened_by).click()
    return at.button(key=key).click().run()


def test_a_live_run_is_paused_and_continued_by_one_click_each(train: Open, live: Run) -> None:
    at = train(live.id)
    at.button(key="pause").click().run()
    assert control.pausing(live)
    at.button(key="continue").click().run()
    assert not control.pausing(live)
    assert not at.exception and at.button(key="pause")


def test_stop_and_save_asks_the_job_to_stop_and_offers_only_the_hard_way_then(train: Open, live: Run) -> None:
    at = train(live.id)
    at.button(key="stop").click().run()
    assert any("after checkpoint 10, that is 3 steps, would be lost" in text.value for text in at.markdown)
    answer(at, "stop", "confirm_stop")
    assert live.stop_request.exists()
    at.button(key="stop").click().run()
    assert "confirm_stop" not in keys(at) and at.button(key="confirm_stop_now")


def test_stop_now_ends_the_run_or_says_why_it_cannot(train: Open, live: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run: Run) -> None:
        raise RunError("Its process does not go away.")

    monkeypatch.setattr(supervisor, "stop_now", refuse)
    at = train(live.id)
    at.button(key="stop").click().run()
    answer(at, "stop", "confirm_stop_now")
    assert "does not go away" in at.error[0].value
    monkeypatch.setattr(supervisor, "stop_now", lambda run: supervisor.settle(run, "stopped"))
    answer(at, "stop", "confirm_stop_now")
    assert live.status().state == "stopped"
    assert at.button(key="resume")


def test_a_question_that_is_declined_changes_nothing(train: Open, live: Run) -> None:
    at = train(live.id)
    at.button(key="stop").click().run()
    answer(at, "stop", "keep_running")
    assert live.status().state == "running" and "confirm_stop" not in keys(at)


def test_new_weights_start_from_those_in_force_and_say_when_they_count(train: Open, live: Run) -> None:
    events = EventWriter(live.events)
    events.write("weights", 5, {"weights": {"semantic": 0.9, "fluency": 0.3, "tags": 0.2}, "by": "user"})
    events.close()
    at = train(live.id)
    at.button(key="weights_button").click().run()
    assert at.number_input(key="weights.semantic").value == 0.9
    assert any("step 14 at the earliest" in caption.value for caption in at.caption)
    assert any("Now 0.9; decides " in caption.value for caption in at.caption)
    at.number_input(key="weights.tags").set_value(0.6)
    answer(at, "weights_button", "weights.yes")
    assert control.wanted_weights(live) == {"semantic": 0.9, "fluency": 0.3, "tags": 0.6}


def test_weights_that_are_all_zero_are_refused_in_the_question(train: Open, live: Run) -> None:
    at = train(live.id)
    at.button(key="weights_button").click().run()
    for name in ("semantic", "fluency", "tags"):
        at.number_input(key=f"weights.{name}").set_value(0.0)
    answer(at, "weights_button", "weights.yes")
    assert "at least one weight" in at.error[0].value
    assert control.wanted_weights(live) is None


def test_a_queued_run_leaves_the_queue_by_one_click_and_can_be_resumed(train: Open, home: Home) -> None:
    build_run(home, Plan("running", done=1))
    waiting = build_run(home, Plan("stopped", done=0))
    waiting.write_status(replace(waiting.written_status(), state="queued", ticket=1))
    at = train(waiting.id)
    assert any("Waiting for its turn" in info.value for info in at.info)
    at.button(key="unqueue").click().run()
    assert waiting.status().state == "stopped"
    assert at.button(key="resume")


def test_a_queued_run_says_how_many_wait_before_it(train: Open, home: Home) -> None:
    build_run(home, Plan("running", done=1))
    queued = [build_run(home, Plan("stopped", done=0)) for _ in range(3)]
    for ticket, run in enumerate(queued, start=1):
        run.write_status(replace(run.written_status(), state="queued", ticket=ticket))
    said = [train(run.id).info[0].value for run in queued]
    assert "next to start" in said[0] and "1 run waits before it" in said[1] and "2 runs wait before it" in said[2]


def test_a_resume_on_a_busy_machine_offers_the_queue(train: Open, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Run] = []

    def refuse(home: Home, run: Run) -> None:
        raise Busy("Another run is running.")

    monkeypatch.setattr(supervisor, "resume", refuse)
    monkeypatch.setattr("core.jobs.queue.add", lambda home, run: asked.append(run))
    run = build_run(home, Plan("interrupted", done=23))
    at = train(run.id)
    at.button(key="resume").click().run()
    assert any("Another run is running" in warning.value for warning in at.warning)
    answer(at, "resume", "confirm_queue")
    assert asked == [run]


def test_a_run_that_ran_out_of_memory_can_be_resumed_but_a_clone_is_called_better(train: Open, home: Home) -> None:
    run = build_run(home, Plan("failed", done=7))
    run.write_status(replace(run.written_status(), out_of_memory=True))
    at = train(run.id)
    assert "a clone with less to hold is the better way" in at.button(key="resume").help
    assert "A new run with that change is the better way" in at.error[0].value


def test_clone_opens_the_form_with_the_settings_of_the_run(train: Open, home: Home) -> None:
    run = build_run(home)
    at = train(run.id)
    at.button(key="clone").click().run()
    assert not at.exception
    assert at.title[0].value == "New training run"
    assert at.query_params["clone"] == run.id
