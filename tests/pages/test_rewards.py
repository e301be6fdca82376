"""The Rewards page: sliders, presets, votes, and what is brought to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.config import RewardConfig
from core.jobs import supervisor
from core.jobs.tasks import Task, create_task, perform
from core.lab.board import column
from core.lab.boards import BUNDLED, bundled_board, list_boards, save_board
from core.lab.measuring import light_board, with_measures
from core.lab.stress import foretold
from core.lab.votes import pairs_to_judge, record_vote, votes
from core.paths import PROJECT, Home, write_json
from core.reward.custom_files import add_custom, custom_reward, templates
from core.reward.formula import PRESETS
from core.reward.presets import all_presets, save_preset
from core.reward.ready import with_missing_hashes
from core.reward.scoring import Sample
from studio import lab_preferences, lab_state
from tests.build_runs import HOSTILE, Plan, build_run

REWARDS = str(PROJECT / "pages" / "rewards.py")
TRAIN = str(PROJECT / "pages" / "train.py")


@pytest.fixture
def rewards(overview: Callable[[], AppTest]) -> Callable[[], AppTest]:
    """Opens the Rewards page."""

    def open_rewards() -> AppTest:
        at = overview()
        at.switch_page(REWARDS)
        return at.run()

    return open_rewards


def ranking(at: AppTest) -> pd.DataFrame:
    frame: pd.DataFrame = next(frame.value for frame in at.dataframe if "Rank" in frame.value.columns)
    return frame


def shares(at: AppTest) -> list[str]:
    """What the bars say, in the order of the components, validity last."""
    return [bar.proto.text for bar in at.get("progress")]


def weight(at: AppTest, name: str) -> float:
    return float(at.slider(key=f"lab.weight.{name}").value)


def test_the_first_look_ranks_bundled_answers_under_the_recommended_reward(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    assert not at.exception
    assert at.get_by_key("lab.preset").value == "robust"
    assert list(ranking(at)["Reward"]) == sorted(ranking(at)["Reward"], reverse=True)
    assert len(ranking(at)) == 8
    assert not at.button(key="lab.save").disabled


def test_the_parts_of_a_ranking_add_up_to_its_rewards(rewards: Callable[[], AppTest]) -> None:
    table = ranking(rewards())
    parts = table[["Similarity", "Fluency", "Tags", "Validity"]].sum(axis=1)
    assert parts.tolist() == pytest.approx(table["Reward"].tolist())


def test_notebook_shows_its_fluency_dead_and_says_why(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.get_by_key("lab.preset").set_value("notebook").run()
    assert weight(at, "fluency") == 0.4
    assert "0 %" in shares(at)[1] and "dead" in shares(at)[1]
    assert any("the same for every completion of a prompt" in caption.value for caption in at.caption)


def test_notebook_fluency_is_dead_among_all_answers_too(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.get_by_key("lab.preset").set_value("notebook")
    at.radio(key="lab.among").set_value("all").run()
    assert "dead" in shares(at)[1]


def test_what_an_invalid_completion_earns_is_changed_alone(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.slider(key="lab.weight.tags").set_value(-0.35).run()
    at.slider(key="lab.invalid.0").set_value(-0.5).run()
    assert weight(at, "tags") == -0.35
    assert at.slider(key="lab.invalid.0").value == -0.5


def test_the_bars_say_of_which_completions_they_are(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    said = " ".join(caption.value for caption in at.caption)
    assert "**among valid completions**" in said
    assert "**over all completions**" in said
    at.radio(key="lab.among").set_value("all").run()
    assert "among valid completions" not in " ".join(caption.value for caption in at.caption)


def test_a_moved_slider_turns_the_ranking_and_marks_what_moved(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    before = ranking(at)
    at.slider(key="lab.weight.semantic").set_value(-1.0).run()
    after = ranking(at)
    assert list(after["Completion"]) != list(before["Completion"])
    assert any(move.startswith("▲") for move in after["Move"])
    assert set(before["Move"]) == {""}


def test_weights_that_are_all_zero_are_explained_and_nothing_breaks(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    for name in ("semantic", "fluency", "tags"):
        at.slider(key=f"lab.weight.{name}").set_value(0.0)
    at.run()
    assert not at.exception
    assert "Every weight is zero" in at.error[0].value


def test_weights_are_kept_when_another_page_is_visited(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.slider(key="lab.weight.tags").set_value(-0.35).run()
    at.switch_page(TRAIN).run()
    at.switch_page(REWARDS).run()
    assert weight(at, "tags") == -0.35


def test_a_saved_preset_is_offered_on_the_train_page(rewards: Callable[[], AppTest], home: Home) -> None:
    at = rewards()
    at.slider(key="lab.weight.tags").set_value(-0.25)
    at.text_input(key="lab.save.name").set_value("ward-three")
    at.button(key="lab.save").click().run()
    assert not at.error
    assert all_presets(home)["ward-three"].weights["tags"] == -0.25
    at.switch_page(TRAIN).run()
    at.get_by_key("reward_preset").set_value("ward-three").run()
    assert not at.exception
    (tags,) = [field for field in at.number_input if str(field.key).endswith(".weight.tags")]
    assert tags.value == -0.25


def test_a_name_that_is_taken_is_refused_in_words(rewards: Callable[[], AppTest], home: Home) -> None:
    save_preset(home, "mine", PRESETS["robust"])
    at = rewards()
    at.text_input(key="lab.save.name").set_value("mine")
    at.button(key="lab.save").click().run()
    assert "There is a preset" in at.error[0].value


def test_a_changed_preset_of_ones_own_can_be_updated(rewards: Callable[[], AppTest], home: Home) -> None:
    save_preset(home, "mine", PRESETS["robust"])
    at = rewards()
    at.get_by_key("lab.preset").set_value("mine").run()
    at.slider(key="lab.weight.semantic").set_value(0.9).run()
    at.button(key="lab.update").click().run()
    assert all_presets(home)["mine"].weights["semantic"] == 0.9


def test_the_train_page_warns_of_what_slips_through_a_reward(train: Callable[..., AppTest], home: Home) -> None:
    form_only = RewardConfig(weights={"tags": 1.0}, parser="lenient", fluency="answer")
    save_preset(home, "form-only", form_only)
    at = train()
    at.get_by_key("reward_preset").set_value("form-only").run()
    assert any("stress set" in warning.value for warning in at.warning)


def test_the_train_page_says_when_a_reward_has_not_been_through_the_stress_test(
    train: Callable[..., AppTest], home: Home
) -> None:
    with_length(home)
    at = train()
    at.get_by_key("reward_preset").set_value("with-length").run()
    assert not at.exception
    assert any("has not been through the stress test" in caption.value for caption in at.caption)


def test_a_stress_test_counts_for_the_preset_that_the_reward_is_saved_as(
    train: Callable[..., AppTest], home: Home
) -> None:
    tested = with_missing_hashes(home, with_length(home))
    task = create_task(home, "stress", {"reward": tested.model_dump(mode="json", exclude={"preset"})})
    write_json(task.folder / "result.json", foretold(PRESETS["robust"]).to_json())
    task.write_status(replace(task.written_status(), state="finished"))
    at = train()
    at.get_by_key("reward_preset").set_value("with-length").run()
    assert any("slip through" in warning.value for warning in at.warning)


def test_a_run_is_not_offered_when_the_file_of_a_custom_reward_is_gone(
    train: Callable[..., AppTest], home: Home
) -> None:
    with_length(home)
    (home.rewards / "brevity.py").unlink()
    at = train()
    at.get_by_key("reward_preset").set_value("with-length").run()
    assert not at.exception
    assert "brevity" in at.error[0].value
    assert at.button(key="start_training").disabled


def test_what_was_measured_with_a_custom_reward_is_found_when_it_is_saved(
    rewards: Callable[[], AppTest], home: Home
) -> None:
    measured = with_missing_hashes(home, with_length(home))
    board = light_board("Measured", [Sample("q", "a", f"<answer>{text}</answer>", "g") for text in ("one", "two")])
    names = [column(name, measured) for name in ("semantic", "fluency", "brevity")]
    save_board(home, "measured", with_measures(board, {name: np.array([0.2, 0.8]) for name in names}))
    at = rewards()
    at.selectbox(key="lab.board").set_value("measured").run()
    at.get_by_key("lab.preset").set_value("with-length").run()
    assert len(ranking(at)) == 2
    at.text_input(key="lab.save.name").set_value("another-name")
    at.button(key="lab.save").click().run()
    assert len(ranking(at)) == 2


def with_length(home: Home) -> RewardConfig:
    """A saved preset with a custom reward in it."""
    example = next(example for example in templates() if example.name == "length_band")
    add_custom(home, "brevity", example.source)
    changed = {"custom": (custom_reward(home, "brevity"),), "weights": {**PRESETS["robust"].weights, "brevity": 0.2}}
    return save_preset(home, "with-length", PRESETS["robust"].model_copy(update=changed))


def test_a_vote_is_kept_at_once_and_the_next_pair_is_asked(rewards: Callable[[], AppTest], home: Home) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("preferences").run()
    at.text_input(key="lab.rater").set_value("Dr. Ada").run()
    asked = [text.value for text in at.text]
    at.button(key="lab.votes.left.0").click().run()
    assert len(votes(home, "Dr. Ada")) == 1
    assert [text.value for text in at.text] != asked


def test_a_second_click_on_a_judged_pair_neither_votes_again_nor_passes_over_the_next(
    rewards: Callable[[], AppTest], home: Home
) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("preferences").run()
    at.text_input(key="lab.rater").set_value("Dr. Ada").run()
    late = at.button(key="lab.votes.left.0")
    late.click().run()
    given = votes(home)
    late.click().run()
    assert not at.exception
    assert votes(home) == given
    assert any("Pair 2 of" in bar for bar in shares(at))


def test_a_late_answer_to_a_pair_that_is_behind_the_rater_is_passed_over(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "session_state", {})
    board = bundled_board()
    first, second = pairs_to_judge(board, home, "Ada", 2)
    lab_state.ask_pairs("bundled", "Ada", (first, second))
    for answer in ("left", "right"):
        lab_preferences._judge(home, "bundled", "Ada", 0, first, answer)
    assert [vote.winner for vote in votes(home)] == [first.left_key]
    assert lab_state.judged("bundled", "Ada") == 1


def test_votes_count_on_a_measured_copy_of_the_bundled_answers(rewards: Callable[[], AppTest], home: Home) -> None:
    judge_all(home, 4)
    save_board(home, "copy", bundled_board(), source=BUNDLED)
    at = rewards()
    at.selectbox(key="lab.board").set_value("copy").run()
    at.get_by_key("lab.view").set_value("preferences").run()
    at.text_input(key="lab.rater").set_value("Ada").run()
    assert any("4 judgements by you" in bar for bar in shares(at))
    at.get_by_key("lab.votes.way").set_value("Fit weights").run()
    assert any("On these answers: Ada: 4." in caption.value for caption in at.caption)


def judge_all(home: Home, count: int, rater: str = "Ada") -> None:
    """Judge some pairs of the bundled answers, the left one better."""
    for pair in pairs_to_judge(bundled_board(), home, rater, count):
        record_vote(home, pair.vote(rater, BUNDLED, "left"))


@pytest.mark.parametrize("changed", ["weights", "votes"])
def test_a_fit_for_other_weights_or_votes_is_marked_and_its_weights_are_not_offered(
    changed: str, rewards: Callable[[], AppTest], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_all(home, 40)
    monkeypatch.setattr(supervisor, "start_task", finished_fit)
    at = rewards()
    at.get_by_key("lab.view").set_value("preferences").run()
    at.get_by_key("lab.votes.way").set_value("Fit weights").run()
    at.button(key="lab.fit.start").click().run()
    assert not at.exception
    assert at.button(key="lab.fit.use")
    assert not at.warning
    if changed == "votes":
        judge_all(home, 1)
        at.run()
    else:
        at.get_by_key("lab.view").set_value("weights").run()
        at.slider(key="lab.weight.tags").set_value(-0.5).run()
        at.get_by_key("lab.view").set_value("preferences").run()
        at.get_by_key("lab.votes.way").set_value("Fit weights").run()
    assert "Fit again" in at.warning[0].value
    assert "lab.fit.use" not in [button.key for button in at.button]


def finished_fit(home: Home, kind: str, arguments: Mapping[str, Any]) -> Task:
    """The task of a fit, performed at once and here."""
    task = create_task(home, kind, arguments)
    perform(task, home)
    task.write_status(replace(task.written_status(), state="finished"))
    return task


def test_names_of_raters_are_no_markdown(rewards: Callable[[], AppTest], home: Home) -> None:
    judge_all(home, 1, "![x](https://evil.example/p.png)")
    at = rewards()
    at.get_by_key("lab.view").set_value("preferences").run()
    told = at.text_input(key="lab.rater").help
    assert "evil.example" in told.replace("\\", "")
    assert "](" not in told


def test_the_map_compares_the_pairs_that_a_rater_judged_and_says_how_many(
    rewards: Callable[[], AppTest], home: Home
) -> None:
    judge_all(home, 5)
    at = rewards()
    at.get_by_key("lab.view").set_value("map").run()
    at.selectbox(key="lab.map.order").set_value("Ada").run()
    assert not at.exception
    assert any("the 5 pairs that Ada has judged" in caption.value for caption in at.caption)


def test_a_preset_is_not_deleted_before_it_is_confirmed(rewards: Callable[[], AppTest], home: Home) -> None:
    save_preset(home, "mine", PRESETS["robust"])
    at = rewards()
    at.get_by_key("lab.preset").set_value("mine").run()
    at.button(key="lab.delete").click().run()
    assert "mine" in all_presets(home)
    at.run()
    assert "mine" in all_presets(home)


def test_a_skipped_pair_leaves_no_vote(rewards: Callable[[], AppTest], home: Home) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("preferences").run()
    at.text_input(key="lab.rater").set_value("Dr. Ada").run()
    at.button(key="lab.votes.skip.0").click().run()
    assert not votes(home)
    assert any("Pair 2 of" in bar for bar in shares(at))


def test_judging_is_blind_to_scores_and_kinds(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("preferences").run()
    at.text_input(key="lab.rater").set_value("Dr. Ada").run()
    assert not at.dataframe
    shown = " ".join(element.value for element in (*at.markdown, *at.caption))
    assert not any(word in shown for word in ("Unsafe", "Hedged", "reward 0", "Rank 1"))


def test_a_ranking_is_kept_with_those_without_a_place_behind_it(rewards: Callable[[], AppTest], home: Home) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("preferences").run()
    at.text_input(key="lab.rater").set_value("Dr. Ada")
    at.get_by_key("lab.votes.way").set_value("Rank a group").run()
    best = next(button for button in at.button if button.label == "Best")
    best.click().run()
    at.button(key="lab.rank.keep").click().run()
    given = votes(home, "Dr. Ada")
    assert len({vote.winner for vote in given if not vote.tie}) == 1
    assert sum(not vote.tie for vote in given) == 7


def test_a_rater_without_a_name_is_asked_for_it(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("preferences").run()
    assert "name first" in at.info[0].value


def test_a_bad_upload_says_which_line_is_wrong(rewards: Callable[[], AppTest], home: Home) -> None:
    at = rewards()
    rows = (
        b'{"question": "q", "answer": "a", "completion": "one"}\n{"question": "", "answer": "a", "completion": "b"}\n'
    )
    at.file_uploader(key="lab.add.file").upload("answers.jsonl", rows)
    at.button(key="lab.add.use_file").click().run()
    assert not at.exception
    assert "line 2" in at.error[0].value
    assert not list_boards(home)


def test_pasted_answers_become_a_board_that_is_to_be_measured(rewards: Callable[[], AppTest], home: Home) -> None:
    at = rewards()
    at.get_by_key("lab.add.way").set_value("Paste answers").run()
    at.text_input(key="lab.add.question").set_value(HOSTILE)
    at.text_area(key="lab.add.answers").set_value(f"<answer>{HOSTILE}</answer>\n\n<answer>No.</answer>")
    at.button(key="lab.add.use_paste").click().run()
    assert not at.exception
    assert len(list_boards(home)) == 1
    assert at.button(key="lab.measure")
    assert not any("evil.example/p.png)" in markdown.value for markdown in at.markdown)


def test_a_bad_upload_is_named_as_its_owner_knows_it(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.file_uploader(key="lab.add.file").upload("ward 3.csv", b"question,completion\nq,c\n")
    at.button(key="lab.add.use_file").click().run()
    assert "ward 3.csv" in at.error[0].value.replace("\\", "")


def test_pasting_nothing_asks_for_a_question_and_an_answer(rewards: Callable[[], AppTest], home: Home) -> None:
    at = rewards()
    at.get_by_key("lab.add.way").set_value("Paste answers").run()
    at.button(key="lab.add.use_paste").click().run()
    assert "Type the question" in at.error[0].value
    assert not list_boards(home)


def test_bundled_completions_carry_their_mark_and_others_do_not(rewards: Callable[[], AppTest], home: Home) -> None:
    save_board(home, "mine", light_board("Mine", [Sample("q", "a", text, "g") for text in ("one", "two")]))
    at = rewards()
    assert "Sample text written for GRPO Studio. Not for clinical use." in [caption.value for caption in at.caption]
    at.selectbox(key="lab.board").set_value("mine").run()
    assert not any("Sample text" in caption.value for caption in at.caption)


def test_completions_of_ones_own_are_not_deleted_before_it_is_confirmed(
    rewards: Callable[[], AppTest], home: Home
) -> None:
    save_board(home, "mine", light_board("Mine", [Sample("q", "a", text, "g") for text in ("one", "two")]))
    at = rewards()
    assert "lab.add.delete" not in [button.key for button in at.button]
    at.selectbox(key="lab.board").set_value("mine").run()
    at.button(key="lab.add.delete").click().run()
    assert list_boards(home)
    at.run()
    assert list_boards(home)


def test_a_runs_completions_are_ranked_at_any_step(rewards: Callable[[], AppTest], home: Home) -> None:
    run = build_run(home, Plan("finished", done=5, bad=HOSTILE))
    at = rewards()
    at.selectbox(key="lab.board").set_value(f"run:{run.id}").run()
    at.get_by_key(f"lab.step.run:{run.id}").set_value(3).run()
    assert not at.exception
    assert len(ranking(at)) == 8


def test_a_custom_reward_gets_a_slider_and_has_to_be_measured(rewards: Callable[[], AppTest], home: Home) -> None:
    example = next(example for example in templates() if example.name == "length_band")
    add_custom(home, "brevity", example.source)
    at = rewards()
    at.get_by_key("lab.view").set_value("custom").run()
    at.button(key="lab.custom.in.brevity").click().run()
    at.get_by_key("lab.view").set_value("weights").run()
    assert not at.exception
    assert weight(at, "brevity") == 0.2
    assert at.button(key="lab.measure")


def test_a_custom_reward_that_has_changed_can_be_taken_in_its_new_text(
    rewards: Callable[[], AppTest], home: Home
) -> None:
    example = next(example for example in templates() if example.name == "length_band")
    add_custom(home, "brevity", example.source)
    at = rewards()
    at.get_by_key("lab.view").set_value("custom").run()
    at.button(key="lab.custom.in.brevity").click().run()
    (home.rewards / "brevity.py").write_text(f"{example.source}\n# changed\n")
    at.run()
    at.button(key="lab.custom.again.brevity").click().run()
    assert not at.exception
    assert "lab.custom.again.brevity" not in [button.key for button in at.button]


def test_a_file_that_is_no_reward_is_listed_with_its_line(rewards: Callable[[], AppTest], home: Home) -> None:
    (home.rewards / "broken.py").write_text("def reward(completions, **kwargs)\n    return []\n")
    at = rewards()
    at.get_by_key("lab.view").set_value("custom").run()
    assert any("Line 1" in error.value for error in at.error)


def test_the_judge_is_a_component_while_it_is_switched_on(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("custom").run()
    at.toggle(key="lab.judge.on").set_value(True).run()
    at.text_input(key="lab.judge.model").set_value("local-model").run()
    at.get_by_key("lab.view").set_value("weights").run()
    assert weight(at, "judge") == 0.3
    at.get_by_key("lab.view").set_value("custom").run()
    at.toggle(key="lab.judge.on").set_value(False).run()
    at.get_by_key("lab.view").set_value("weights").run()
    assert not at.exception
    assert "lab.weight.judge" not in [slider.key for slider in at.slider]


def test_the_stress_test_shows_the_weakest_trick_first(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("stress").run()
    table = next(frame.value for frame in at.dataframe if "Trick" in frame.value.columns)
    assert list(table["Reward"]) == sorted(table["Reward"])
    assert not at.exception


def test_the_weight_map_is_drawn_for_three_and_for_two_components(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("map").run()
    assert at.get("plotly_chart")
    at.get_by_key("lab.map.terms.semantic.fluency.tags").set_value(["semantic", "fluency"]).run()
    assert not at.exception
    assert at.get("echarts_chart")


def test_the_best_weights_of_the_map_move_the_sliders(rewards: Callable[[], AppTest]) -> None:
    at = rewards()
    at.get_by_key("lab.view").set_value("map").run()
    at.button(key="lab.map.use").click().run()
    at.get_by_key("lab.view").set_value("weights").run()
    moved = {name: weight(at, name) for name in ("semantic", "fluency", "tags")}
    assert moved != PRESETS["robust"].weights
    assert sum(moved.values()) == pytest.approx(1.0, abs=0.02)


def test_the_measuring_of_a_board_is_followed_by_whoever_looks(rewards: Callable[[], AppTest], home: Home) -> None:
    me = psutil.Process()
    task = create_task(home, "measure", {"board": "bundled"})
    task.write_status(replace(task.written_status(), state="running", pid=me.pid, created=me.create_time()))
    at = rewards()
    at.get_by_key("lab.view").set_value("custom").run()
    at.toggle(key="lab.judge.on").set_value(True).run()
    at.get_by_key("lab.view").set_value("weights").run()
    assert at.button(key=f"stop {task.id}")
    assert "lab.measure" not in [button.key for button in at.button]


def test_the_measuring_of_other_answers_does_not_stand_for_that_of_these(
    rewards: Callable[[], AppTest], home: Home
) -> None:
    save_board(home, "mine", light_board("Mine", [Sample("q", "a", text, "g") for text in ("one", "two")]))
    me = psutil.Process()
    task = create_task(home, "measure", {"board": "bundled"})
    task.write_status(replace(task.written_status(), state="running", pid=me.pid, created=me.create_time()))
    at = rewards()
    at.selectbox(key="lab.board").set_value("mine").run()
    assert at.button(key="lab.measure")
    assert f"stop {task.id}" not in [button.key for button in at.button]


def test_answers_of_which_none_is_valid_are_explained(rewards: Callable[[], AppTest], home: Home) -> None:
    board = light_board("Nothing valid", [Sample("q", "a", text, "g") for text in ("one", "two")])
    names = [column(name, PRESETS["robust"]) for name in ("semantic", "fluency")]
    save_board(home, "invalid", with_measures(board, {name: np.array([0.2, 0.8]) for name in names}))
    at = rewards()
    at.selectbox(key="lab.board").set_value("invalid").run()
    assert not at.exception
    assert any("All completions of a group earn the same" in caption.value for caption in at.caption)


def test_a_group_of_one_and_an_endless_completion_are_shown(rewards: Callable[[], AppTest], home: Home) -> None:
    board = light_board("Alone", [Sample("q", "a", f"<answer>{'word ' * 25_000}</answer>", "g")])
    names = [column(name, PRESETS["robust"]) for name in ("semantic", "fluency")]
    save_board(home, "alone", with_measures(board, {name: np.full(1, 0.5) for name in names}))
    at = rewards()
    at.selectbox(key="lab.board").set_value("alone").run()
    assert not at.exception
    assert any("single completion" in warning.value for warning in at.warning)
    assert len(ranking(at)) == 1
