"""The pre-flight in the form for a new run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config import RunConfig, with_changes
from core.jobs.tasks import Task
from core.paths import Home, write_json
from core.presets import preset_config
from core.training import preflight_task
from tests.build_data_page import live_task, texts
from tests.build_preflights import built, ended_preflight, finished_preflight, measured
from tests.build_runs import HOSTILE, Plan, build_run

Open = Callable[..., AppTest]
TRY = "preflight"
DEMO = preset_config("demo")
WARM = with_changes(DEMO, {"train.temperature": 0.5})


def figures(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def buttons(at: AppTest) -> list[str]:
    return [button.label for button in at.button if button.key and button.key.startswith("preflight.")]


def test_a_pre_flight_is_offered_before_anything_was_tried(train: Open) -> None:
    at = train()
    assert not at.exception
    assert at.button(key=TRY).label == "Try it first (about a minute)"
    assert not figures(at)


def test_a_result_of_these_settings_is_found_again_with_verdict_and_figures(train: Open, home: Home) -> None:
    finished_preflight(home, DEMO, built(DEMO))
    at = train()
    assert not at.exception
    assert any(said.value.startswith("Go: about") for said in at.success)
    assert figures(at)["One step"] == "8.0 s"
    assert figures(at)["Valid answers"] == "60%"
    assert figures(at)["Memory"] == "4.0 of 20.0 GB"
    assert not buttons(at)


def test_a_reason_against_the_run_is_said_once_with_its_mends(train: Open, home: Home) -> None:
    finished_preflight(home, DEMO, built(DEMO, measured(zero_variance=1.0)))
    at = train()
    said = [error.value for error in at.error if "all completions earn the same" in error.value]
    assert len(said) == 1
    assert said[0].replace("\\", "").startswith("Not yet: in 8 of 8 groups")
    assert "16 completions per group" in buttons(at)


def test_a_mend_changes_the_form_and_the_figures_then_belong_to_other_settings(train: Open, home: Home) -> None:
    finished_preflight(home, DEMO, built(DEMO, measured(truncated=0.3)))
    at = train()
    at.button(key="preflight.truncation.0").click().run()
    assert not at.exception
    assert at.number_input(key="demo.train.max_completion_length").value == 128
    said = [warning.value for warning in at.warning if "belong to other settings" in warning.value]
    assert len(said) == 1
    assert "ax completion length" in said[0]
    assert not any("Go: about" in success.value for success in at.success)
    assert figures(at)["One step"] == "8.0 s"


def test_a_longer_run_of_the_same_settings_keeps_the_figures_and_takes_longer(train: Open, home: Home) -> None:
    finished_preflight(home, DEMO, built(DEMO))
    at = train()
    before = figures(at)["Whole run"]
    at.number_input(key="demo.train.steps").set_value(600).run()
    assert figures(at)["Whole run"] != before
    assert any(said.value.startswith("Go: about 1 h") for said in at.success)


def test_a_live_pre_flight_shows_how_far_it_is_and_can_be_stopped(train: Open, home: Home) -> None:
    arguments: Any = preflight_task.arguments(DEMO)
    task = live_task(home, "preflight", arguments, phase="step 2 of at most 4: writing completions", done=16, total=64)
    at = train()
    assert not at.exception
    assert not [button for button in at.button if button.key == TRY]
    assert any("writing completions, 25%" in bar.text for bar in at.progress)
    at.button(key=f"stop {task.id}").click().run()
    assert task.stop_request.exists()


def test_a_live_pre_flight_of_other_settings_says_so(train: Open, home: Home) -> None:
    arguments: Any = preflight_task.arguments(WARM)
    live_task(home, "preflight", arguments, phase="loading")
    at = train()
    assert "under way belongs to other settings: Temperature" in texts(at).replace("\\", "")


@pytest.mark.parametrize(
    ("state", "said"), [("stopped", "Stopped."), ("failed", "no such model"), ("interrupted", "ended")]
)
def test_a_pre_flight_without_a_result_says_why_and_is_offered_again(
    state: Any, said: str, train: Open, home: Home
) -> None:
    ended_preflight(home, DEMO, state, "no such model" if state == "failed" else "")
    at = train()
    assert not at.exception
    assert said in texts(at)
    assert at.button(key=TRY)


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_pre_flight_of_other_settings_that_has_ended_without_a_result_is_not_called_under_way(
    state: Any, train: Open, home: Home
) -> None:
    ended_preflight(home, WARM, state)
    at = train()
    assert not at.exception
    assert "other settings" not in texts(at)


def test_settings_that_another_version_has_tried_leave_the_form_whole(train: Open, home: Home) -> None:
    task = finished_preflight(home, WARM, built(WARM))
    config = {**WARM.model_dump(mode="json"), "a_setting_of_old": 1}
    request = {"kind": "preflight", "arguments": {"settings": "0", "config": config}}
    write_json(task.folder / "request.json", request)
    at = train()
    assert not at.exception
    assert at.button(key=TRY) and not figures(at)


def test_a_result_that_another_version_has_written_leaves_the_form_whole(train: Open, home: Home) -> None:
    task = ended_preflight(home, DEMO, "finished")
    write_json(task.folder / "result.json", {"figures_of_old": 1})
    at = train()
    assert not at.exception
    assert at.button(key=TRY).label.startswith("Try it first")
    assert not figures(at)


def test_out_of_memory_shows_the_memory_and_the_mends(train: Open, home: Home) -> None:
    finished_preflight(home, DEMO, built(DEMO, None, failure="memory", failure_detail="generating"))
    at = train()
    assert not at.exception
    assert list(figures(at)) == ["Memory"]
    assert "1 prompts per step" in buttons(at)


def test_what_a_scorer_said_is_shown_as_text(train: Open, home: Home) -> None:
    finished_preflight(home, DEMO, built(DEMO, None, failure="scorer", failure_detail=HOSTILE))
    at = train()
    assert not at.exception
    shown = [*at.markdown, *at.caption, *at.warning, *at.error, *at.success]
    assert any("pixel" in element.value for element in shown)
    assert not [element.value for element in shown if "![pixel](" in element.value or "http://" in element.value]


@pytest.mark.usefixtures("seemingly_prepared")
def test_the_button_starts_the_task_for_the_form_as_it_stands(
    train: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, RunConfig]] = []

    def start(_: Home, kind: str, arguments: dict[str, Any]) -> Task:
        task = ended_preflight(home, WARM, "running")
        asked.append((kind, preflight_task.asked(task)))
        assert arguments == preflight_task.arguments(preflight_task.parse_config(arguments["config"]))
        asked.append((kind, preflight_task.parse_config(arguments["config"])))
        return task

    monkeypatch.setattr("core.jobs.supervisor.start_task", start)
    at = train()
    at.number_input(key="demo.train.temperature").set_value(0.5).run()
    at.button(key=TRY).click().run()
    assert not at.exception
    assert asked[-1][0] == "preflight"
    assert asked[-1][1].train.temperature == 0.5


def test_without_prepared_models_it_says_how_to_prepare_them(train: Open, home: Home) -> None:
    at = train()
    at.button(key=TRY).click().run()
    assert not at.exception
    assert any("core prepare" in error.value for error in at.error)
    assert not list(home.tasks.glob("preflight-*"))


@pytest.mark.usefixtures("seemingly_prepared")
def test_while_a_run_is_live_it_is_refused_with_the_reason(
    train: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.places.CORES_FOR_A_RUN", 10_000)
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", lambda: ())
    build_run(home, Plan("running", done=3))
    at = train("new")
    at.button(key=TRY).click().run()
    assert not at.exception
    assert any("is running" in error.value for error in at.error)
    assert not list(home.tasks.glob("preflight-*"))


def test_the_page_stays_quick_with_many_earlier_pre_flights(train: Open, home: Home) -> None:
    for temperature in range(1, 20):
        config = with_changes(DEMO, {"train.temperature": temperature / 10})
        finished_preflight(home, config, built(config))
    finished_preflight(home, DEMO, built(DEMO, ended=time.time()))
    assert figures(train())["One step"] == "8.0 s"
