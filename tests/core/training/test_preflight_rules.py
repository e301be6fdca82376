"""What a pre-flight's figures say: go or no go, how long, and which change of settings would mend it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from core.config import RunConfig, with_changes
from core.presets import SIZES, preset_config
from core.prompts import EXAMPLES, PROMPTS
from core.training.advice import Finding
from core.training.preflight import PreflightResult, ends_at, expected_seconds, settings_hash, steps_of, verdict
from core.training.preflight_rules import GROUPS_WITH_AN_ANSWER, judge, longer_limit
from tests.build_preflights import GIGABYTE, MEMORY, built, measured

DEMO = preset_config("demo")
BARE = with_changes(DEMO, {"prompt": PROMPTS["article"].prompt.model_dump()})
NOON = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))


def found(name: str, config: RunConfig = DEMO, result: PreflightResult | None = None, **changes: Any) -> Finding:
    """What one rule says of a healthy run with these changes of its figures."""
    judged = judge(result or built(config, measured(**changes)), config)
    return next(finding for finding in judged if finding.name == name)


def changes_of(finding: Finding) -> list[dict[str, Any]]:
    return [dict(mend.changes) for mend in finding.mends]


def test_a_healthy_run_is_a_go_without_advice() -> None:
    judged = judge(built(DEMO), DEMO)
    assert {finding.level for finding in judged} == {"ok"}
    assert verdict(judged, 320.0, NOON).go
    assert verdict(judged, 320.0, NOON).sentence == "Go: about 5 min 20 s, ends at 12:05."


def test_a_reason_against_the_run_comes_first_and_is_the_verdict() -> None:
    judged = judge(built(DEMO, measured(truncated=0.4, zero_variance=1.0)), DEMO)
    assert [finding.level for finding in judged[:2]] == ["stop", "warning"]
    said = verdict(judged, 320.0, NOON)
    assert not said.go
    assert said.sentence.startswith("Not yet: in 8 of 8 groups all completions earn the same")


@pytest.mark.parametrize(
    ("figure", "low", "high"),
    [
        ("truncated", 0.24, 0.25),
        ("zero_variance", 0.49, 0.5),
    ],
)
def test_a_share_is_fine_below_its_threshold_and_a_warning_at_it(figure: str, low: float, high: float) -> None:
    name = {"truncated": "truncation"}.get(figure, figure)
    assert found(name, **{figure: low}).level == "ok"
    assert found(name, **{figure: high}).level == "warning"


def test_truncation_offers_a_longer_limit_reckoned_from_the_share_that_is_cut() -> None:
    finding = found("truncation", truncated=0.3)
    assert "19 of 64 completions are cut at 64 tokens" in finding.message
    assert changes_of(finding) == [{"train.max_completion_length": 128}]
    assert found("truncation", truncated=0.9, valid=0.1).level == "stop"
    assert found("truncation", truncated=0.9, valid=0.9).level == "warning"


@pytest.mark.parametrize("limit", [64, 100, 1024])
def test_a_longer_limit_grows_with_what_is_cut_and_at_most_doubles(limit: int) -> None:
    limits = [longer_limit(limit, share) for share in (0.05, 0.1, 0.2, 0.5, 1.0)]
    assert limits == sorted(limits)
    assert limits[0] >= 1.25 * limit
    assert 2 * limit <= limits[-1] < 2 * limit + 8
    assert all(length % 8 == 0 for length in limits)


def test_what_follows_from_missing_tags_is_not_said_again() -> None:
    nothing = measured(opened=0.0, valid=0.0, well_formed=0.0, zero_variance=1.0)
    assert [finding.name for finding in judge(built(BARE, nothing), BARE) if finding.level == "stop"] == ["tags"]
    unread = measured(valid=0.0, well_formed=0.0, zero_variance=1.0)
    assert [finding.name for finding in judge(built(BARE, unread), BARE) if finding.level == "stop"] == ["parsing"]


def test_a_model_that_never_writes_a_tag_is_shown_examples_or_made_to_begin() -> None:
    finding = found("tags", BARE, opened=0.0)
    assert finding.level == "stop"
    shown, begun = changes_of(finding)
    assert shown["prompt.examples"] == [example.model_dump() for example in EXAMPLES]
    assert begun == {"prompt.prefill": True}
    assert with_changes(BARE, shown).prompt.examples == EXAMPLES
    assert found("tags", BARE, opened=0.3).level == "warning"


def test_examples_bring_room_for_the_longer_prompt() -> None:
    tight = with_changes(BARE, {"train.max_prompt_length": 256})
    shown = changes_of(found("tags", tight, opened=0.0))[0]
    assert shown["train.max_prompt_length"] > 255 + 100
    assert "train.max_prompt_length" not in changes_of(found("tags", BARE, opened=0.0))[0]


def test_examples_are_in_the_language_of_the_prompt() -> None:
    chinese = PROMPTS["chinese"].prompt
    config = with_changes(DEMO, {"prompt": chinese.model_copy(update={"examples": ()}).model_dump()})
    shown = changes_of(found("tags", config, opened=0.0))[0]
    assert shown["prompt.examples"] == [example.model_dump() for example in chinese.examples]


def test_a_prefilled_tag_says_nothing_about_the_model() -> None:
    assert found("tags", with_changes(BARE, {"prompt.prefill": True}), opened=1.0).level == "ok"
    finding = found("parsing", with_changes(BARE, {"prompt.prefill": True}), valid=0.0)
    assert {"prompt.prefill": True} not in changes_of(finding)


def test_without_a_readable_answer_the_run_is_no_go() -> None:
    finding = found("parsing", BARE, valid=0.0, well_formed=0.0, truncated=0.95)
    assert finding.level == "stop"
    assert changes_of(finding)[0] == {"train.max_completion_length": 128}


def test_rare_answers_ask_for_groups_large_enough_to_hold_one() -> None:
    assert found("parsing", valid=0.09).level == "ok", "more than half of the groups of 8 have one"
    finding = found("parsing", valid=0.03)
    assert finding.level == "warning"
    size = changes_of(finding)[-1]["train.num_generations"]
    assert 1 - 0.97**size >= GROUPS_WITH_AN_ANSWER > 1 - 0.97 ** (size // 2)


def test_more_completions_leave_every_other_setting_legal() -> None:
    parts = with_changes(DEMO, {"train.prompts_per_step": 3, "train.gradient_accumulation": 6})
    size = changes_of(found("parsing", parts, valid=0.03))[-1]["train.num_generations"]
    assert 3 * size % 6 == 0


def test_more_completions_than_a_group_can_hold_are_not_offered() -> None:
    large = with_changes(DEMO, {"train.num_generations": 64})
    assert found("zero_variance", large, zero_variance=0.6).mends[0].changes == {"train.temperature": 1.2}


def test_equal_rewards_of_a_cold_model_ask_for_a_higher_temperature_first() -> None:
    cold = with_changes(DEMO, {"train.temperature": 0.01})
    finding = found("zero_variance", cold, zero_variance=1.0)
    assert finding.level == "stop"
    assert changes_of(finding) == [{"train.temperature": 1.0}, {"train.num_generations": 16}]
    warm = found("zero_variance", DEMO, zero_variance=0.6)
    assert changes_of(warm) == [{"train.num_generations": 16}, {"train.temperature": 1.2}]


def test_a_component_without_an_opinion_can_be_left_out() -> None:
    silent = {"semantic": 1.0, "fluency": 0.0, "tags": 0.0}
    finding = found("opinions", without_opinion=silent)
    assert finding.level == "stop"
    assert changes_of(finding) == [{"reward.weights.semantic": 0.0}]
    assert found("opinions", without_opinion={**silent, "semantic": 0.2}).level == "warning"
    assert found("opinions", without_opinion={**silent, "semantic": 0.05}).level == "ok"


def test_the_last_component_is_never_left_out() -> None:
    alone = with_changes(DEMO, {"reward.weights": {"semantic": 1.0}})
    assert not found("opinions", alone, without_opinion={"semantic": 1.0}).mends


def test_a_component_without_weight_may_be_silent() -> None:
    config = with_changes(DEMO, {"reward.weights.semantic": 0.0})
    assert found("opinions", config, without_opinion={"semantic": 1.0}).level == "ok"


def test_what_a_scorer_noted_is_passed_on() -> None:
    finding = found("opinions", result=built(DEMO, notes=("3 answers of the judge could not be read.",)))
    assert finding.level == "warning"
    assert "3 answers of the judge could not be read." in finding.message


def test_a_scorer_that_fails_is_no_go_with_its_own_words() -> None:
    judged = judge(built(DEMO, None, failure="scorer", failure_detail="Line 3 of mine.py fails."), DEMO)
    assert (judged[0].name, judged[0].level) == ("scorers", "stop")
    assert "Line 3 of mine.py fails." in judged[0].message


def test_rows_that_are_left_out_ask_for_a_limit_that_fits_the_longest() -> None:
    finding = found("prompts", result=built(DEMO, rows_left_out=40, longest_prompt=700))
    assert changes_of(finding) == [{"train.max_prompt_length": 704}]
    assert found("prompts", result=built(DEMO, rows_left_out=2)).level == "ok"


def test_a_run_of_more_than_a_day_is_a_warning() -> None:
    assert found("time", with_changes(DEMO, {"train.steps": 20_000})).level == "warning"


def out_of_memory(doing: str, place: str = "GPU") -> PreflightResult:
    memory = MEMORY.model_copy(update={"place": place})
    return built(DEMO, None, failure="memory", failure_detail=doing, memory=memory)


@pytest.mark.parametrize(
    ("doing", "first"),
    [
        ("loading", {"train.quantization": "4bit"}),
        ("generating", {"train.prompts_per_step": 1}),
        ("updating", {"train.gradient_accumulation": 16}),
    ],
)
def test_out_of_memory_is_no_go_and_the_first_mend_is_about_what_did_not_fit(doing: str, first: dict[str, Any]) -> None:
    judged = judge(out_of_memory(doing), DEMO)
    assert judged[0].level == "stop"
    assert changes_of(judged[0])[0] == first
    assert not verdict(judged, None, NOON).go


def test_quantisation_is_offered_on_a_gpu_only() -> None:
    offered = [path for change in changes_of(judge(out_of_memory("updating", "host"), DEMO)[0]) for path in change]
    assert "train.quantization" not in offered
    assert "train.gradient_checkpointing" not in offered


def test_every_mend_makes_a_configuration_that_is_allowed() -> None:
    config = with_changes(BARE, {"train.prompts_per_step": 6, "train.gradient_accumulation": 16})
    bad = measured(opened=0.0, valid=0.0, well_formed=0.0, truncated=1.0, zero_variance=1.0)
    for judged in (judge(built(config, bad), config), judge(out_of_memory("updating"), config)):
        for finding in judged:
            for mend in finding.mends:
                train = with_changes(config, mend.changes).train
                assert train.completions_per_step % (train.gradient_accumulation or 1) == 0


def test_memory_that_is_nearly_used_up_is_a_warning_with_the_figures() -> None:
    tight = MEMORY.model_copy(update={"peak": 19 * GIGABYTE})
    finding = found("memory", result=built(DEMO, memory=tight))
    assert finding.level == "warning"
    assert "19.0 GB were taken; 20.0 GB of host memory were free" in finding.message


def test_the_expected_time_counts_loading_steps_saving_validation_and_held_out_questions() -> None:
    changes = {
        "train.steps": 100,
        "train.save_every": 30,
        "train.held_out_rows": 20,
        "train.validate_every": 30,
        "train.validation_rows": 100,
    }
    config = with_changes(DEMO, changes)
    steps, saves, held_out, validations = 100 * 8.0, 5 * 0.5, 2 * 3 * 4.0, 4 * 5 * 4.0
    assert expected_seconds(built(config), config) == pytest.approx(10 + steps + saves + held_out + validations)


def test_without_validation_none_is_counted() -> None:
    config = with_changes(DEMO, {"train.steps": 10, "train.save_every": 100, "train.held_out_rows": 0})
    config = with_changes(config, {"train.validate_every": 0})
    assert expected_seconds(built(config), config) == pytest.approx(10 + 80 + 2 * 0.5)


def test_nothing_measured_means_no_expected_time() -> None:
    assert expected_seconds(out_of_memory("loading"), DEMO) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(320, "at 12:05"), (13 * 3600, "on Monday at 01:00"), (30 * 86_400, "on 22 December at 12:00")],
)
def test_the_end_is_told_as_people_say_it(seconds: float, said: str) -> None:
    assert ends_at(NOON + seconds, NOON) == said


def test_results_belong_to_the_settings_that_change_the_figures() -> None:
    named = with_changes(DEMO, {"name": "x", "train.steps": 99, "train.learning_rate": 1e-5, "train.held_out_rows": 3})
    assert settings_hash(named) == settings_hash(DEMO)
    for changes in ({"train.temperature": 0.9}, {"model": "org/other"}, {"prompt.prefill": True}, {"adapter.rank": 8}):
        assert settings_hash(with_changes(DEMO, changes)) != settings_hash(DEMO)


def test_the_order_of_weights_makes_no_other_settings() -> None:
    weights = dict(reversed(DEMO.reward.weights.items()))
    assert settings_hash(with_changes(DEMO, {"reward.weights": weights})) == settings_hash(DEMO)


@pytest.mark.parametrize("prompts", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("iterations", [1, 2])
def test_at_least_eight_prompts_are_tried_and_completions_written_twice(prompts: int, iterations: int) -> None:
    config = with_changes(DEMO, {"train.prompts_per_step": prompts, "train.num_iterations": iterations})
    rounds = steps_of(config) // iterations
    assert rounds * prompts >= 8
    assert rounds >= 2


@pytest.mark.parametrize("size", SIZES)
def test_a_result_is_the_same_after_a_trip_through_json(size: str) -> None:
    result = built(preset_config(size), notes=("a note",))
    assert PreflightResult.model_validate_json(result.model_dump_json()) == result
