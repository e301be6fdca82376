"""What the coach says of real runs whose logs were recorded; see `tests/logs/README.md`."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from core.config import with_changes
from core.prompts import PROMPTS
from core.training.advice import Finding
from core.training.coach import LOOKS_AT, STARTS_WITH, coach
from core.training.coach_record import Record, change
from tests.recordings import LOGS, RECORDINGS, Recording

HEALTHY = ("demo", "demo_again", "demo_48", "pulled")
TOLD = {
    "control": "learning_rate_low",
    "rate_low": "learning_rate_low",
    "rate_rather_low": "no_progress",
    "rate_high": "learning_rate_high",
    "rate_rather_high": "learning_rate_high",
    "not_a_number": "not_a_number",
    "far_away": "kl_blow_up",
    "many_passes": "clipped",
    "limit_16": "truncation",
    "limit_40": "truncation",
    "other_tags": "invalid",
    "frozen": "zero_variance",
    "cold": "cold",
    "notebook": "dead_term",
    "easy_term": "saturated_term",
    "big_scores": "dominant_term",
    "no_opinion": "no_opinion",
    "long_winded": "length_up",
    "brief": "length_down",
    "repeated": "entropy_collapse",
    "key_words": "hacking",
    "memorised": "overfit",
}


def said(recording: Recording, steps: int | None = None) -> list[Finding]:
    """What the coach says after so many of the recorded steps, or after all."""
    metrics = recording.metrics[:steps]
    validations = [v for v in recording.validations if v.step <= metrics[-1].step]
    return coach(recording.config, metrics, validations)


def finding(name: str) -> Finding:
    """What is said of the pattern that a recording shows."""
    return next(f for f in said(RECORDINGS[name]) if f.name == TOLD[name])


def test_worked_examples_come_in_the_language_of_the_prompt_and_with_room_for_them() -> None:
    recording = RECORDINGS["other_tags"]
    prompt = PROMPTS["chinese"].prompt
    changes = {"prompt.system": prompt.system, "prompt.examples": (), "train.max_prompt_length": 64}
    config = with_changes(recording.config, changes)
    (found,) = [f for f in coach(config, recording.metrics) if f.name == "invalid"]
    mend = next(mend for mend in found.mends if "prompt.examples" in mend.changes)
    assert mend.changes["prompt.examples"] == [example.model_dump() for example in prompt.examples]
    assert mend.changes["train.max_prompt_length"] > 64


@pytest.mark.parametrize("name", TOLD)
def test_no_sentence_names_a_setting_by_its_code_name_or_a_unit_that_nobody_knows(name: str) -> None:
    assert not re.search(r"[a-z]_[a-z]|\bnats\b", finding(name).message)


@pytest.mark.parametrize("name", TOLD)
def test_a_pattern_is_told(name: str) -> None:
    assert finding(name).level != "ok"


@pytest.mark.parametrize("name", TOLD)
def test_hardly_anything_is_told_beside_a_pattern(name: str) -> None:
    assert len(said(RECORDINGS[name])) <= 2


def test_repeated_updates_on_the_same_answers_are_not_taken_for_certainty() -> None:
    recording = RECORDINGS["many_passes"]
    names = {f.name for steps in range(1, len(recording.metrics) + 1) for f in said(recording, steps)}
    assert names == {"clipped"}


def test_a_constant_reward_is_no_repetition_of_the_same_answers() -> None:
    recording = RECORDINGS["demo"]
    metrics = [replace(m, reward=0.5, components={"semantic": math.nan}) for m in recording.metrics]
    assert Record.of(recording.config, metrics, (), ()).written == tuple(metrics)
    repeated = with_changes(recording.config, {"train.num_iterations": 3})
    assert [m.step for m in Record.of(repeated, metrics[:8], (), ()).written] == [1, 4, 7]


def test_clipping_is_seen_where_the_loss_clips_on_one_side_only() -> None:
    recording = RECORDINGS["many_passes"]
    metrics = [replace(m, clip_low=math.nan, clip_high=0.5) for m in recording.metrics]
    assert "clipped" in {found.name for found in coach(recording.config, metrics)}


def test_no_adapter_is_named_as_kept_where_the_weights_were_changed() -> None:
    recording = RECORDINGS["memorised"]
    kept = "The adapter that did best in validation"
    assert kept in finding("memorised").message
    found = coach(recording.config, recording.metrics, recording.validations, [1])
    assert found[0].name == "overfit" and kept not in found[0].message


def test_every_recording_is_either_of_a_healthy_run_or_of_a_pattern() -> None:
    assert {*HEALTHY, *TOLD} == set(RECORDINGS)


def test_every_recording_says_how_it_was_made() -> None:
    readme = (LOGS / "README.md").read_text(encoding="utf-8")
    assert all(f"- `{name}.jsonl`: {recording.note}." in readme for name, recording in RECORDINGS.items())


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_wrong_at_any_step_of_a_run_that_learns(name: str) -> None:
    recording = RECORDINGS[name]
    assert len(recording.metrics) > 10
    for steps in range(1, len(recording.metrics) + 1):
        assert [f for f in said(recording, steps) if f.level != "ok"] == []


@pytest.mark.parametrize("name", ["demo", "demo_again", "demo_48"])
def test_a_run_that_learns_is_told_what_has_improved(name: str) -> None:
    (only,) = said(RECORDINGS[name])
    assert only.name == "going_well"
    assert "mean reward rose" in only.message


def test_a_run_that_does_not_learn_has_nothing_else_wrong_with_it() -> None:
    recording = RECORDINGS["control"]
    names = {f.name for steps in range(1, len(recording.metrics) + 1) for f in said(recording, steps)}
    assert names <= {"steady", "learning_rate_low"}


@pytest.mark.parametrize("name", TOLD)
def test_every_mend_is_a_legal_change_of_the_run(name: str) -> None:
    config = RECORDINGS[name].config
    for told in said(RECORDINGS[name]):
        for mend in told.mends:
            assert with_changes(config, mend.changes) != config


def test_the_cause_is_told_without_its_consequences() -> None:
    recording = RECORDINGS["rate_high"]
    assert recording.metrics[-1].truncated > 0.75
    assert recording.metrics[-1].zero_variance == 1
    assert [f.name for f in said(recording)] == ["learning_rate_high"]


def test_nothing_is_said_before_enough_steps() -> None:
    assert said(RECORDINGS["limit_16"], 4) == []
    assert coach(RECORDINGS["limit_16"].config, []) == []


def test_what_is_not_a_number_is_told_at_once_and_alone() -> None:
    recording = RECORDINGS["demo"]
    broken = replace(recording.metrics[1], loss=math.nan)
    assert [f.name for f in coach(recording.config, [recording.metrics[0], broken])] == ["not_a_number"]


def test_steps_before_the_weights_were_changed_are_not_looked_at() -> None:
    recording = RECORDINGS["rate_high"]
    names = [f.name for f in coach(recording.config, recording.metrics, weights_changed=[10])]
    assert "learning_rate_high" not in names  # from step 10 on it never knew better


@pytest.mark.parametrize("name", ["key_words", "long_winded", "brief"])
def test_the_first_and_the_newest_steps_say_as_much_as_all(name: str) -> None:
    recording = RECORDINGS[name]
    parts = [*recording.metrics[:STARTS_WITH], *recording.metrics[-30:]]
    assert LOOKS_AT >= 30
    assert TOLD[name] in [f.name for f in coach(recording.config, parts, recording.validations)]


def test_truncation_names_limit_tag_and_mend() -> None:
    told = finding("limit_16")
    assert told.level == "stop"
    assert "cut at 16 tokens before </answer>" in told.message
    assert told.mends[0].changes == {"train.max_completion_length": 32}


def test_a_limit_that_cuts_fewer_is_raised_by_less() -> None:
    told = finding("limit_40")
    assert told.level == "warning"
    assert 48 <= told.mends[0].changes["train.max_completion_length"] <= 64  # where the recorded lengths end


def test_the_notebooks_fluency_is_mended_by_measuring_each_answer() -> None:
    assert finding("notebook").mends[0].changes == {"reward.fluency": "answer"}


def test_a_silent_reward_is_left_out() -> None:
    assert finding("no_opinion").mends[0].changes == {"reward.weights.silent": 0.0}


def test_a_trick_is_told_with_what_rose_and_what_fell() -> None:
    similarity = said(RECORDINGS["key_words"], 40)[0].message
    assert "The training reward rose from" in similarity
    assert "but Similarity on the validation questions fell from" in similarity
    form = finding("key_words").message
    assert re.search(r"but well-formed answers on the validation questions fell from 6\d% to 0%", form)


def test_noise_is_hardly_ever_taken_for_a_change() -> None:
    random = np.random.default_rng(0)
    taken = [change(random.normal(size=steps), 0.0).sure for steps in (10, 20, 60) for _ in range(500)]
    assert np.mean(taken) < 0.03


def test_a_slow_rise_in_much_noise_is_seen() -> None:
    random = np.random.default_rng(0)
    seen = [change(np.linspace(-0.5, 0.3, 60) + random.normal(0, 0.2, 60), 0.05).rose for _ in range(100)]
    assert np.mean(seen) > 0.95
