"""The Train page: the form for a new run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from core.config import EMBEDDED_POLICY
from core.paths import Home
from core.presets import SIZES
from core.reward.formula import PRESETS
from core.reward.presets import reward_named, save_preset
from core.runs.run import list_runs
from studio import state, train_questions
from studio.navigation import REWARDS as REWARDS_PAGE
from studio.navigation import TRAIN as TRAIN_PAGE
from tests.build_runs import Plan, build_run

Open = Callable[..., AppTest]
TRAIN = str(TRAIN_PAGE.path)
START = "start_training"
QUEUE = "queue_training"
REWARDS = str(REWARDS_PAGE.path)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has no GPU, wherever the tests run."""
    monkeypatch.setattr("core.machine.nvidia_gpus", lambda: ())


@pytest.fixture
def clone(train: Open) -> Callable[..., AppTest]:
    """Opens the form with the settings of a run and changes, as the address says it."""

    def open_clone(run_id: str, changes: object) -> AppTest:
        at = train("new")
        at.query_params["clone"] = run_id
        at.query_params["changes"] = changes if isinstance(changes, str) else json.dumps(changes)
        return at.run()

    return open_clone


def weights_of(home: Home, preset: str) -> str:
    """How the keys of a reward's widgets begin."""
    return train_questions.scope("demo", None, reward_named(home, preset))


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
    monkeypatch.setattr("core.jobs.places.CORES_FOR_A_RUN", 10_000)
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", lambda: ())
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


def save_model(folder: Path, layers: tuple[str, ...]) -> Path:
    """A folder that looks like a model with these linear layers, with weights of a handful of numbers."""
    folder.mkdir()
    config = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 8}
    (folder / "config.json").write_text(json.dumps(config))
    weights = {f"model.layers.0.mlp.{name}.weight": np.zeros((4, 4), dtype=np.float32) for name in layers}
    save_file(weights, folder / "model.safetensors")
    return folder


def test_what_this_machine_cannot_do_is_refused_and_one_click_mends_it(train: Open) -> None:
    at = train()
    at.selectbox(key="demo.train.generation").set_value("vllm").run()
    assert "needs an NVIDIA GPU" in at.error[0].value
    assert at.button(key=START).disabled and at.button(key=QUEUE).disabled
    at.button(key="refused.generation.0").click().run()
    assert at.selectbox(key="demo.train.generation").value == "plain"
    assert not at.error
    assert not at.button(key=START).disabled


def test_only_parts_that_divide_the_completions_are_offered(train: Open) -> None:
    at = train()
    at.number_input(key="demo.train.num_generations").set_value(6).run()
    parts = at.selectbox(key="demo.train.gradient_accumulation")
    assert parts.options == ["auto", "1", "2", "3", "4", "6", "12"]


def test_parts_that_no_longer_divide_the_completions_are_let_go(train: Open) -> None:
    at = train()
    at.selectbox(key="demo.train.gradient_accumulation").set_value(8).run()
    at.number_input(key="demo.train.num_generations").set_value(5).run()
    assert at.selectbox(key="demo.train.gradient_accumulation").value is None
    assert not at.error


def test_every_group_of_settings_changes_the_configuration(clone: Callable[..., AppTest], home: Home) -> None:
    at = clone(build_run(home).id, {})
    prefix = at.number_input[0].key.removesuffix("train.steps")
    at.number_input(key=f"{prefix}train.steps").set_value(3)
    at.selectbox(key=f"{prefix}train.gradient_checkpointing").set_value("on")
    at.selectbox(key=f"{prefix}train.loss_type").set_value("dr_grpo")
    at.number_input(key=f"{prefix}train.epsilon_high").set_value(0.28)
    at.selectbox(key=f"{prefix}train.lr_schedule").set_value("cosine")
    at.multiselect(key=f"{prefix}adapter.target_modules").set_value(["q_proj"])
    at.toggle(key=f"{prefix}prompt.prefill").set_value(True).run()
    shown = differences(at)
    assert shown["Steps"] == ("36", "3")
    assert shown["Gradient checkpointing"] == ("auto", "on")
    assert shown["Loss"] == ("dapo", "dr_grpo")
    assert shown["Epsilon high (above)"] == ("not set", "0.28")
    assert shown["Learning-rate schedule"] == ("constant", "cosine")
    assert shown["Trained layers"] == ("q_proj, v_proj", "q_proj")
    assert len(shown) == 7


def test_another_reward_than_a_clones_own_brings_its_own_weights(clone: Callable[..., AppTest], home: Home) -> None:
    at = clone(build_run(home, Plan(preset="article")).id, {"reward.weights.semantic": 0.9})
    prefix = at.number_input[0].key.removesuffix("clone.train.steps")
    at.get_by_key(f"{prefix}reward_preset").set_value("article").run()
    assert not at.exception
    assert at.number_input(key=f"{prefix}clone.article.weight.semantic").value == PRESETS["article"].weights["semantic"]
    assert any("Reward of a valid completion: 0.5 × similarity" in text.value for text in at.markdown)


def differences(at: AppTest) -> dict[str, tuple[str, str]]:
    """What the form shows to differ from the run that is cloned."""
    frame = next(frame.value for frame in at.dataframe if "That run" in frame.value.columns)
    return {row["Setting"]: (row["That run"], row["This run"]) for _, row in frame.iterrows()}


def test_a_clone_starts_from_that_runs_settings_with_the_changes(clone: Callable[..., AppTest], home: Home) -> None:
    run = build_run(home, Plan(preset="article", seed=4))
    at = clone(run.id, {"train.max_completion_length": 256, "adapter.target_modules": ["q_proj"]})
    assert not at.exception
    assert differences(at) == {
        "Max completion length": ("64", "256"),
        "Trained layers": ("q_proj, v_proj", "q_proj"),
    }
    assert at.number_input[0].value == 36
    assert any("0.5 × similarity + 0.4 × fluency + 0.1 × tags" in text.value for text in at.markdown)


def test_a_clone_of_other_data_names_it(clone: Callable[..., AppTest], home: Home, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("q,a\nx,y\nz,w\n")
    run = build_run(home)
    data = {"path": str(file), "question": "q", "answer": "a"}
    at = clone(run.id, {"data": data, "model": "org/model"})
    assert not at.exception
    assert any("2 rows to train on" in caption.value for caption in at.caption)
    assert "org/model" in [text.value for text in at.text_input]


def test_a_clone_leaves_the_forms_own_answers_alone(clone: Callable[..., AppTest], train: Open, home: Home) -> None:
    at = clone(build_run(home).id, {"train.steps": 99})
    at.button(key="no_clone").click().run()
    assert at.number_input(key="demo.train.steps").value == SIZES["demo"].train.steps
    assert "clone" not in at.query_params


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ("{", "changes that cannot be read"),
        ("[1]", "changes that cannot be read"),
        ({"no.such.setting": 1}, "There is no setting"),
        ({"train.steps": "many"}, "integer"),
        ({"train.steps": {"a": 1}}, "integer"),
        ({"train": 3}, "train"),
    ],
)
def test_an_address_with_changes_that_cannot_be_is_explained(
    clone: Callable[..., AppTest], home: Home, changes: object, sentence: str
) -> None:
    at = clone(build_run(home).id, changes)
    assert not at.exception
    assert sentence in at.error[0].value
    assert at.get_by_key("run_size").value == "demo"


def test_an_address_with_an_unknown_run_to_clone_is_explained(clone: Callable[..., AppTest]) -> None:
    at = clone("gone", {})
    assert not at.exception
    assert "no run" in at.error[0].value


def test_the_address_of_a_clone_holds_run_and_changes() -> None:
    query = state.clone_query("demo-1", {"train.steps": 5})
    assert query == {"run": "new", "clone": "demo-1", "changes": '{"train.steps": 5}'}


def test_the_articles_size_brings_its_model_and_its_reward(train: Open) -> None:
    at = train()
    at.get_by_key("run_size").set_value("article").run()
    assert not at.exception
    assert at.text_input(key="model_hub_id").value == "meta-llama/Llama-3.1-8B-Instruct"
    assert at.get_by_key("reward_preset").value == "article"
    assert at.text_input(key="article.article.reward.fluency_model").value == "microsoft/biogpt"
    assert at.button(key=START).disabled  # there is no GPU


def test_one_click_mends_everything_that_stops_a_run(train: Open) -> None:
    at = train()
    at.get_by_key("run_size").set_value("article").run()
    at.button(key="mend_all").click().run()
    assert not at.exception
    assert not at.error
    assert not at.button(key=START).disabled
    assert at.selectbox(key="article.train.quantization").value == "none"


def test_a_mend_can_name_another_model(train: Open) -> None:
    at = train()
    at.get_by_key("model_source").set_value("Hugging Face id").run()
    at.text_input(key="model_hub_id").set_value("org/model-900B").run()
    at.button(key="refused.memory.0").click().run()
    assert at.get_by_key("model_source").value == "Embedded"


def test_a_change_without_a_widget_is_shown_and_can_be_taken_back(clone: Callable[..., AppTest], home: Home) -> None:
    at = clone(build_run(home).id, {})
    at.session_state["form.pending"] = {"prompt.examples": [], "train.steps": 5}
    at.run()
    assert not at.exception
    assert any("Worked examples" in caption.value for caption in at.caption)
    assert at.number_input[0].value == 5
    assert "Steps" in differences(at) and len(differences(at)) > 1
    at.button(key="take_back").click().run()
    assert list(differences(at)) == ["Steps"]


def test_a_change_without_a_widget_stays_out_of_the_clone_of_another_run(
    clone: Callable[..., AppTest], home: Home
) -> None:
    at = clone(build_run(home).id, {})
    at.session_state["form.pending"] = {"prompt.examples": []}
    at.run()
    assert differences(at)
    at.query_params["clone"] = build_run(home, Plan(seed=4)).id
    at.run()
    assert not at.exception
    assert not [button for button in at.button if button.key == "take_back"]
    assert any("Nothing differs" in caption.value for caption in at.caption)


def test_the_clone_of_a_named_run_gets_a_name_of_its_own(clone: Callable[..., AppTest], home: Home) -> None:
    at = clone(build_run(home).id, {"name": "Tuesday"})
    assert "Tuesday (clone)" in [field.value for field in at.text_input]


def test_the_name_of_a_run_cannot_be_longer_than_a_run_takes(train: Open) -> None:
    assert train().text_input(key="run_name").max_chars == 120
    assert len(train_questions.clone_name("x" * 120)) == 120


def test_a_wrong_further_field_is_named_beside_the_buttons_and_leaves_the_reward_to_be_changed(
    train: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.data_editor", lambda *_, **__: further_fields(("delta", "much")))
    at = train()
    assert not at.exception
    right = [column for column in at.columns if any(button.key == START for button in column.button)][-1]
    assert "delta is 'much'" in right.error[0].value.replace("\\", "")
    assert at.number_input(key="demo.robust.weight.tags")
    assert at.button(key=START).disabled


def further_fields(*lines: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=["Field", "Value"])


def test_further_trl_fields_are_still_there_after_a_visit_to_another_page(
    train: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as typing:
        typing.setattr("streamlit.data_editor", lambda *_, **__: further_fields(("delta", "4")))
        at = train()
    at.switch_page(REWARDS)
    at.run()
    at.switch_page(TRAIN)
    at.run()
    assert not at.exception
    assert any(caption.value.startswith("delta") for caption in at.caption)


def test_an_upload_is_still_chosen_after_a_visit_to_another_page(train: Open) -> None:
    at = train()
    at.get_by_key("data_source").set_value("Upload").run()
    at.file_uploader(key="data_upload").upload("mine.csv", b"question,answer\na,b\nc,d\n").run()
    at.switch_page(REWARDS)
    at.run()
    at.switch_page(TRAIN)
    at.run()
    assert not at.exception
    assert any("Still chosen: mine" in caption.value.replace("\\", "") for caption in at.caption)
    assert any("2 rows to train on" in caption.value for caption in at.caption)
    at.file_uploader(key="data_upload").upload("other.csv", b"question,answer\na,b\n").run()
    assert any("1 rows to train on" in caption.value for caption in at.caption)


def test_further_trl_fields_of_a_clone_are_kept(clone: Callable[..., AppTest], home: Home) -> None:
    at = clone(build_run(home).id, {"train.trl": {"delta": 4.0}})
    assert not at.exception and not at.error
    assert differences(at) == {"Further TRL fields: delta": ("–", "4.0")}


def test_a_field_that_the_studio_sets_itself_is_refused_and_taken_out(
    clone: Callable[..., AppTest], home: Home
) -> None:
    at = clone(build_run(home).id, {"train.trl": {"delta": 4.0, "output_dir": "/elsewhere"}})
    assert "output\\_dir cannot be set" in at.error[0].value
    at.button(key="refused.trl output_dir.0").click().run()
    assert not at.error
    assert list(differences(at)) == ["Further TRL fields: delta"]


def test_a_model_that_a_size_has_brought_goes_with_it(train: Open) -> None:
    at = train()
    at.get_by_key("run_size").set_value("article").run()
    at.get_by_key("run_size").set_value("demo").run()
    assert at.get_by_key("model_source").value == "Embedded"
    assert not at.button(key=START).disabled


def test_a_reward_that_a_size_has_brought_goes_with_it(train: Open) -> None:
    at = train()
    at.get_by_key("run_size").set_value("article").run()
    at.get_by_key("run_size").set_value("demo").run()
    assert at.get_by_key("reward_preset").value == "robust"


def test_what_was_chosen_before_a_size_brought_its_own_comes_back(train: Open, home: Home) -> None:
    save_preset(home, "mine", PRESETS["robust"])
    at = train()
    at.get_by_key("reward_preset").set_value("mine").run()
    at.get_by_key("model_source").set_value("Hugging Face id").run()
    at.text_input(key="model_hub_id").set_value("org/model").run()
    for size in ("article", "recommended", "short"):
        at.get_by_key("run_size").set_value(size).run()
    assert not at.exception
    assert at.get_by_key("reward_preset").value == "mine"
    assert at.text_input(key="model_hub_id").value == "org/model"


def test_a_reward_that_was_chosen_after_the_size_stays_with_another_size(train: Open) -> None:
    at = train()
    at.get_by_key("run_size").set_value("recommended").run()
    at.get_by_key("reward_preset").set_value("article").run()
    at.get_by_key("run_size").set_value("short").run()
    assert at.get_by_key("reward_preset").value == "article"


def test_a_model_of_the_users_own_stays_with_another_size(train: Open) -> None:
    at = train()
    at.get_by_key("model_source").set_value("Hugging Face id").run()
    at.text_input(key="model_hub_id").set_value("org/model").run()
    at.get_by_key("run_size").set_value("short").run()
    assert at.text_input(key="model_hub_id").value == "org/model"


def test_the_layers_that_are_offered_are_the_models_own(train: Open, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", ("c_fc", "c_proj"))
    at = train()
    at.get_by_key("model_source").set_value("Local directory").run()
    at.text_input(key="model_folder").set_value(str(folder)).run()
    assert at.multiselect(key="demo.adapter.target_modules").options[:2] == ["c_fc", "c_proj"]
    assert "Trained layers" in at.error[0].value
    at.button(key="refused.trained layers.0").click().run()
    assert at.multiselect(key="demo.adapter.target_modules").value == ["c_fc", "c_proj"]
    assert not at.error


def test_the_memory_that_a_run_needs_is_shown_before_the_start(train: Open) -> None:
    at = train()
    parts = next(frame.value for frame in at.dataframe if "GB" in frame.value.columns)
    assert parts.set_index("What")["GB"]["Model weights"] > 0


def test_a_model_whose_size_is_not_known_is_said_to_be_unknown(train: Open) -> None:
    at = train()
    at.get_by_key("model_source").set_value("Hugging Face id").run()
    at.text_input(key="model_hub_id").set_value("org/model").run()
    assert any("is known only once" in caption.value for caption in at.caption)


@pytest.mark.usefixtures("seemingly_prepared")
def test_a_run_can_wait_in_the_queue_while_another_is_live(
    train: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.places.CORES_FOR_A_RUN", 10_000)
    build_run(home, Plan("running", done=3))
    at = train("new")
    at.text_input(key="run_name").set_value("Tuesday").run()
    at.button(key=QUEUE).click().run()
    assert not at.exception
    waiting = [run for run in list_runs(home) if run.status().state == "queued"]
    assert [run.config().name for run in waiting] == ["Tuesday"]
    assert waiting[0].config().model == EMBEDDED_POLICY
