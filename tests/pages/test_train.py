"""The Train page: the form, and a run in each of its states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.paths import Home
from core.reward.formula import PRESETS
from core.reward.presets import reward_named, save_preset
from core.runs import list_runs
from studio import forms
from studio.navigation import REWARDS as REWARDS_PAGE
from studio.navigation import TRAIN as TRAIN_PAGE
from tests.build_runs import HOSTILE, Plan, add_step, build_run

Open = Callable[..., AppTest]
TRAIN = str(TRAIN_PAGE.path)
START = "start_training"
REWARDS = str(REWARDS_PAGE.path)


def weights_of(home: Home, preset: str) -> str:
    """How the keys of a reward's widgets begin."""
    return forms.scope("demo", None, reward_named(home, preset))


def tiles(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in reversed(at.metric)}


def table(at: AppTest, column: str) -> pd.DataFrame:
    """The table on the page that has this column."""
    return next(frame.value for frame in at.dataframe if column in frame.value.columns)


def test_an_empty_home_shows_the_form_with_the_demo_chosen(train: Open) -> None:
    at = train()
    assert not at.exception
    assert at.title[0].value == "New training run"
    assert at.get_by_key("run_size").value == "demo"
    assert at.get_by_key("reward_preset").value == "robust"
    assert not at.button(key=START).disabled


def test_start_without_prepared_models_says_how_to_prepare_them(train: Open, home: Home) -> None:
    at = train()
    at.button(key=START).click().run()
    assert not at.exception
    assert "core prepare" in at.error[0].value
    assert not list_runs(home)


@pytest.mark.usefixtures("seemingly_prepared")
def test_start_is_refused_with_the_reason_while_another_run_is_live(
    train: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.CORES_FOR_A_RUN", 10_000)
    monkeypatch.setattr("core.machine.nvidia_gpus", lambda: ())
    live = build_run(home, Plan("running", done=3))
    at = train("new")
    at.button(key=START).click().run()
    assert not at.exception
    assert live.id.replace("-", "\\-") in at.error[0].value
    assert len(list_runs(home)) == 1


def test_another_preset_brings_its_own_weights(train: Open) -> None:
    at = train()
    at.get_by_key("reward_preset").set_value("article").run()
    assert at.number_input(key="demo.article.weight.fluency").value == 0.4


def test_an_advanced_setting_changes_what_will_run(train: Open) -> None:
    at = train()
    at.number_input(key="demo.train.steps").set_value(7).run()
    assert any(text.value.startswith("7 steps") for text in at.markdown)


def test_another_reward_keeps_the_settings_that_do_not_depend_on_it(train: Open) -> None:
    at = train()
    at.number_input(key="demo.train.seed").set_value(11).run()
    at.get_by_key("reward_preset").set_value("article").run()
    assert at.number_input(key="demo.train.seed").value == 11


def test_a_visit_to_the_rewards_page_keeps_what_was_chosen(train: Open) -> None:
    at = train()
    at.get_by_key("run_size").set_value("short").run()
    at.get_by_key("reward_preset").set_value("article").run()
    at.get_by_key("model_source").set_value("Hugging Face id").run()
    at.text_input(key="model_hub_id").set_value("org/model").run()
    at.number_input(key="short.train.seed").set_value(11).run()
    at.number_input(key="short.article.weight.fluency").set_value(0.15).run()
    at.switch_page(REWARDS)
    at.run()
    at.switch_page(TRAIN)
    at.run()
    assert not at.exception
    assert at.text_input(key="model_hub_id").value == "org/model"
    assert at.number_input(key="short.train.seed").value == 11
    assert at.number_input(key="short.article.weight.fluency").value == 0.15


def test_a_saved_reward_that_was_changed_brings_its_new_weights(train: Open, home: Home) -> None:
    save_preset(home, "mine", PRESETS["robust"])
    at = train()
    at.get_by_key("reward_preset").set_value("mine").run()
    changed = {**PRESETS["robust"].weights, "fluency": 0.7}
    save_preset(home, "mine", PRESETS["robust"].model_copy(update={"weights": changed}), replace=True)
    at.run()
    assert at.number_input(key=f"{weights_of(home, 'mine')}.weight.fluency").value == 0.7


def test_a_file_that_changes_is_read_again(train: Open, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("question,answer\na,b\n")
    at = train()
    at.get_by_key("data_source").set_value("File on this machine").run()
    at.text_input(key="data_path").set_value(str(file)).run()
    assert any("1 rows to train on" in caption.value for caption in at.caption)
    file.write_text("question,answer\na,b\nc,d\n")
    at.run()
    assert any("2 rows to train on" in caption.value for caption in at.caption)


def test_a_wrong_setting_is_not_taken_for_missing_data(train: Open) -> None:
    at = train()
    for name in ("semantic", "fluency", "tags"):
        at.number_input(key=f"demo.robust.weight.{name}").set_value(0.0)
    at.run()
    assert at.button(key=START).disabled
    assert not any("choose data" in caption.value for caption in at.caption)


def test_weights_that_are_all_zero_are_refused_before_the_start(train: Open) -> None:
    at = train()
    for name in ("semantic", "fluency", "tags"):
        at.number_input(key=f"demo.robust.weight.{name}").set_value(0.0)
    at.run()
    assert "at least one weight" in at.error[0].value
    assert at.button(key=START).disabled


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("broken.jsonl", b'{"question": "a", "answer": "b"}\n' * 16 + b"{oops\n", "Line 17"),
        ("empty.jsonl", b"", "is empty"),
        ("no_answer.csv", b"question,reply\na,b\n", "has no column 'answer'"),
        ("blank.csv", b"question,answer\na,\n", "have an empty 'answer'"),
        ("binary.csv", b"q,a\nx,\xff\xe9\x9d", "is not UTF\\-8 text"),
    ],
)
def test_a_bad_upload_is_named_with_line_and_remedy(train: Open, name: str, content: bytes, sentence: str) -> None:
    at = train()
    at.get_by_key("data_source").set_value("Upload").run()
    at.file_uploader(key="data_upload").upload(name, content).run()
    assert not at.exception
    assert sentence in at.error[0].value
    assert at.button(key=START).disabled


def test_hostile_column_names_of_an_upload_are_escaped(train: Open) -> None:
    at = train()
    at.get_by_key("data_source").set_value("Upload").run()
    at.file_uploader(key="data_upload").upload("x.csv", b"![p](http://evil.example/p.png)\na\n").run()
    assert "![p](" not in at.error[0].value


def test_an_upload_that_can_be_read_is_counted_and_kept(train: Open, home: Home) -> None:
    at = train()
    at.get_by_key("data_source").set_value("Upload").run()
    at.file_uploader(key="data_upload").upload("mine.csv", b"question,answer\na,b\nc,d\n").run()
    assert not at.error
    assert any("2 rows to train on" in caption.value for caption in at.caption)
    assert [file.suffix for file in home.data.iterdir()] == [".csv"]


def test_a_model_folder_that_is_none_is_refused(train: Open) -> None:
    at = train()
    at.get_by_key("model_source").set_value("Local directory").run()
    assert at.button(key=START).disabled
    at.text_input(key="model_folder").set_value("/nowhere/at all").run()
    at.button(key=START).click().run()
    assert "is not a model" in at.error[0].value


def test_a_finished_run_shows_curves_completions_and_answers_before_and_after(train: Open, home: Home) -> None:
    run = build_run(home)
    at = train(run.id)
    assert not at.exception
    assert len(at.get("echarts_chart")) == 3
    assert tiles(at)["Seconds per step"] == "8.0"
    assert len(table(at, "Completion")) == 8
    held_out = table(at, "Reward after")
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
