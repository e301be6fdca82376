"""The Train page: a run in each of its states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.paths import Home
from core.runs.labels import change_label
from tests.build_runs import HOSTILE, Plan, add_step, build_run

Open = Callable[..., AppTest]


def tiles(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in reversed(at.metric)}


def table(at: AppTest, column: str) -> pd.DataFrame:
    """The table on the page that has this column."""
    return next(frame.value for frame in at.dataframe if column in frame.value.columns)


def test_a_finished_run_shows_curves_completions_and_answers_before_and_after(train: Open, home: Home) -> None:
    run = build_run(home)
    at = train(run.id)
    assert not at.exception
    assert len(at.get("echarts_chart")) == 6
    assert tiles(at)["Seconds per step"] == "8.0"
    assert len(table(at, "Completion")) == 8
    at.session_state["run_details"] = "Held-out questions"
    held_out = table(at.run(), "Reward after")
    assert held_out["Reward after"].notna().all()
    assert any(metric.value == "25% → 88%" for metric in at.metric)
    assert at.progress[0].value == 100


def test_effective_weights_call_the_notebooks_fluency_dead(train: Open, home: Home) -> None:
    at = train(build_run(home, Plan(preset="notebook")).id)
    fluency = table(at, "Verdict").set_index("Component").loc["Fluency"]
    assert (fluency["Verdict"], fluency["Weight"]) == (["dead"], 0.4)


def test_the_newest_live_run_is_open_by_default_and_moves(train: Open, home: Home) -> None:
    build_run(home, Plan("finished"))
    run = build_run(home, Plan("running", done=4))
    at = train()
    assert at.selectbox(key="run_choice").value == run.id
    assert at.progress[0].text.startswith("Step 4 of 36 · generating completions, 12 of 48 tokens")
    add_step(run, 5)
    at.run()
    assert at.progress[0].text.startswith("Step 5 of 36")
    assert at.button(key="stop")


def test_what_people_wrote_on_a_run_stands_on_its_page_and_in_the_selector(train: Open, home: Home) -> None:
    run = build_run(home)
    change_label(run, title="Best of June", note=f"Shown at the meeting. {HOSTILE}", add=["keep", "[ward](x)"])
    at = train(run.id)
    assert not at.exception
    assert at.subheader[0].value == "Best of June"
    assert at.selectbox(key="run_choice").options == [f"Best of June · {run.id}"]
    assert any(caption.value == r"keep · \[ward\]\(x\)" for caption in at.caption)
    assert any("Shown at the meeting." in text.value for text in at.text)


def test_archived_runs_are_offered_only_while_they_are_open(train: Open, home: Home) -> None:
    run, other = build_run(home), build_run(home)
    change_label(run, archived=True)
    assert set(train(other.id).selectbox(key="run_choice").options) == {other.id}
    at = train(run.id)
    assert set(at.selectbox(key="run_choice").options) == {run.id, other.id}
    assert any(caption.value == "Archived" for caption in at.caption)


def test_the_settings_of_a_run_are_told_by_their_labels(train: Open, home: Home) -> None:
    at = train(build_run(home).id)
    at.session_state["run_details"] = "Settings"
    told = pd.concat([frame.value for frame in at.run().dataframe if "Setting" in frame.value.columns])
    values = told.set_index("Setting")["Value"]
    assert not at.exception
    assert (values["Steps"], values["Weight of similarity"], values["Give the opening tag"]) == ("36", "0.5", "no")


def test_a_run_that_was_open_by_default_stays_open_when_it_ends(train: Open, home: Home) -> None:
    run = build_run(home, Plan("running", done=4))
    at = train()
    run.write_status(replace(run.written_status(), state="stopped"))
    at.run()
    assert at.selectbox(key="run_choice").value == run.id
    assert at.button(key="resume")


def test_a_run_without_a_step_yet_waits_in_words(train: Open, home: Home) -> None:
    run = build_run(home, Plan("running", done=0, phase="loading"))
    at = train(run.id)
    assert not at.exception
    assert not at.get("echarts_chart")
    assert any("appear with the first training step" in caption.value for caption in at.caption)


def test_a_killed_run_says_where_to_resume(train: Open, home: Home) -> None:
    at = train(build_run(home, Plan("interrupted", done=23)).id)
    assert not at.exception
    assert at.warning[0].value == "Interrupted at step 23 of 36; resume from checkpoint 20."
    assert at.button(key="resume")


def test_a_failed_run_says_why(train: Open, home: Home) -> None:
    at = train(build_run(home, Plan("failed", done=7)).id)
    assert "The disk that holds the run is full" in at.error[0].value


def test_an_address_with_an_unknown_run_says_so_and_offers_the_form(train: Open) -> None:
    at = train("gone")
    assert "There is no run 'gone'" in at.error[0].value
    assert at.title[0].value == "New training run"


def test_a_run_whose_settings_are_broken_is_explained(train: Open, home: Home) -> None:
    run = build_run(home)
    (run.folder / "config.json").write_text("{")
    at = train(run.id)
    assert not at.exception
    assert "is not valid JSON" in at.error[0].value


@pytest.mark.parametrize("good", [HOSTILE, f"<reasoning>{HOSTILE}</reasoning><answer>{HOSTILE}</answer>"])
def test_hostile_text_is_only_ever_shown_as_text(train: Open, home: Home, good: str) -> None:
    run = build_run(home, Plan(good=good, bad=HOSTILE, question=HOSTILE))
    run.log.write_text(HOSTILE)
    at = train(run.id)
    assert not at.exception
    assert any(HOSTILE in text.value for text in at.text)
    rendered = [*at.markdown, *at.caption, *at.warning, *at.error, *at.title, *at.subheader]
    assert not [element.value for element in rendered if "evil.example" in element.value]
