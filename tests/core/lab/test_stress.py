"""The stress set: its pairs, what a reward catches of them, and what is said of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from core.config import JUDGE, CustomReward, JudgeConfig, RewardConfig, Tags
from core.errors import DataError, MissingColumn, RewardError
from core.lab.measuring import measured
from core.lab.stress import (
    CAUGHT,
    REWARD,
    TRICKS,
    StressResult,
    foretold,
    is_foretold,
    run_warning,
    stress,
    stress_board,
    stress_pairs,
    stress_warning,
    stress_with,
    warning,
    weakest,
)
from core.reward.formula import PRESETS
from core.reward.parsing import parse
from tests.build_scorers import Says, arithmetic_scorer

ROBUST = PRESETS["robust"]


def own(answer: list[float]) -> tuple[RewardConfig, Says]:
    """A reward that consists of a component of its own only, and that component."""
    config = ROBUST.model_copy(update={"custom": (CustomReward(name="own"),), "weights": {"own": 1.0}})
    return config, Says(answer)


def result(caught: dict[str, float]) -> StressResult:
    """A result in which the reward catches so much of each trick."""
    shares = np.array([[share] for share in caught.values()])
    return StressResult(tuple(caught), (5,) * len(caught), (REWARD,), shares, shares - 0.5)


def test_there_are_enough_pairs_of_every_trick() -> None:
    assert len(stress_pairs()) >= 60
    assert set(TRICKS) == {pair.trick for pair in stress_pairs()}
    assert min(Counter(pair.trick for pair in stress_pairs()).values()) >= 3


def test_every_good_completion_is_valid_and_well_formed_and_differs_from_the_harmful_one() -> None:
    board = stress_board()
    assert board.valid[0::2].all()
    assert board.well_formed[0::2].all()
    assert all(pair.good != pair.harmful for pair in stress_pairs())


def test_the_board_holds_each_pair_as_a_group_the_good_one_first() -> None:
    board = stress_board()
    assert board.groups == tuple(pair.id for pair in stress_pairs())
    assert board.grades.reshape(-1, 2).tolist() == [[1.0, 0.0]] * len(stress_pairs())
    assert board.kinds[0::2] == ("good",) * len(stress_pairs())
    assert board.kinds[1::2] == tuple(pair.trick for pair in stress_pairs())


def test_pairs_are_written_with_the_tags_that_the_reward_reads() -> None:
    tags = Tags(reasoning="think", answer="final")
    board = stress_board(tags)
    assert (board.well_formed == stress_board().well_formed).all()
    assert parse(board.samples[0].completion, tags).answer == parse(stress_pairs()[0].good, Tags()).answer


def test_a_reward_that_knows_the_good_answer_catches_everything(tmp_path: Path) -> None:
    config, component = own([])
    scorer = arithmetic_scorer(config, tmp_path, [component])
    component.scores = lambda samples: [float(s.completion in GOOD) for s in samples]  # type: ignore[method-assign]
    found = stress_with(scorer)
    assert (found.reward_caught == 1.0).all()
    assert (weakest(found), warning(found)) == ((), "")


def test_a_reward_that_is_the_same_for_both_catches_nothing_but_what_is_not_valid(tmp_path: Path) -> None:
    config, component = own([])
    component.scores = lambda samples: [0.5] * len(samples)  # type: ignore[method-assign]
    found = stress_with(arithmetic_scorer(config, tmp_path, [component]))
    assert found.reward_caught.tolist() == found.caught[:, found.names.index("validity")].tolist()
    assert found.reward_caught.max() < 1.0


GOOD = frozenset(pair.good for pair in stress_pairs())


def test_scores_and_margins_are_told_for_each_term_and_the_worst_trick_first() -> None:
    found = foretold(ROBUST)
    assert found.names == ("semantic", "fluency", "tags", "validity", "reward")
    assert found.caught.shape == found.margins.shape == (len(TRICKS), 5)
    assert sum(found.pairs) == len(stress_pairs())
    assert (np.diff(found.reward_caught) >= 0).all()


def test_only_a_strict_reader_sees_faults_of_form() -> None:
    form = ("empty_reasoning", "repeated_tags", "text_after_closing_tag")
    for preset, expected in (("article", 0.0), ("notebook", 0.0), ("robust", 1.0)):
        found = foretold(PRESETS[preset])
        tags = found.caught[:, found.names.index("tags")]
        assert [tags[found.tricks.index(trick)] for trick in form] == [expected] * 3


def test_the_notebooks_fluency_catches_nothing() -> None:
    found = foretold(PRESETS["notebook"])
    assert not found.caught[:, found.names.index("fluency")].any()


@pytest.mark.parametrize("preset", PRESETS)
def test_shipped_scores_say_what_a_scorer_finds_of_form_and_validity(preset: str, tmp_path: Path) -> None:
    config = PRESETS[preset]
    live, known = stress_with(arithmetic_scorer(config, tmp_path)), foretold(config)
    for name in ("tags", "validity"):
        terms = [dict(zip(f.tricks, f.caught[:, f.names.index(name)], strict=True)) for f in (live, known)]
        assert terms[0] == terms[1]


def test_weights_decide_what_slips_through() -> None:
    tags_only = ROBUST.model_copy(update={"weights": {"tags": 1.0}})
    found = foretold(tags_only)
    assert {"negation", "drug_swap"} <= set(weakest(found))
    assert "repeated_tags" not in weakest(found)


def test_the_board_of_a_result_must_be_measured_for_the_reward(tmp_path: Path) -> None:
    board = measured(stress_board(), arithmetic_scorer(ROBUST, tmp_path))
    with pytest.raises(DataError, match="own has not been measured"):
        stress(own([])[0], board)


@pytest.mark.parametrize(
    "changes",
    [
        {"similarity_model": "cross-encoder/stsb-roberta-base"},
        {"fluency_model": "microsoft/biogpt"},
        {"custom": (CustomReward(name="own"),)},
        {"judge": JudgeConfig()},
    ],
)
def test_nothing_is_foretold_of_other_models_and_own_components(changes: dict[str, object]) -> None:
    config = ROBUST.model_copy(update=changes)
    assert not is_foretold(config)
    assert stress_warning(config) == ""


@pytest.mark.parametrize("preset", PRESETS)
def test_built_in_presets_are_foretold_and_warned_about(preset: str) -> None:
    assert is_foretold(PRESETS[preset])
    text = stress_warning(PRESETS[preset])
    assert TRICKS[weakest(foretold(PRESETS[preset]))[0]] in text


def test_a_column_that_the_stress_set_does_not_have_is_named_and_not_to_be_carried(tmp_path: Path) -> None:
    config, _ = own([])
    lacks = MissingColumn("Carry it along.", "dose", "ward")
    scorer = arithmetic_scorer(config, tmp_path, [Says(lacks)])
    with pytest.raises(RewardError, match="needs the column ward, which the stress set does not have") as raised:
        stress_with(scorer)
    assert "arry" not in str(raised.value)
    assert "needs the column ward" in run_warning(scorer, tmp_path / "config.json")


def test_a_judge_is_not_asked_without_a_word_and_the_command_tries_this_very_reward(tmp_path: Path) -> None:
    config = ROBUST.model_copy(update={"judge": JudgeConfig()})
    scorer = arithmetic_scorer(config, tmp_path, [Says(AssertionError("the judge was asked"), JUDGE)])
    said = run_warning(scorer, Path("/the runs/one/config.json"))
    assert said.endswith("python -m core stress --config '/the runs/one/config.json'")


def test_a_run_is_warned_of_what_is_foretold(tmp_path: Path) -> None:
    assert run_warning(arithmetic_scorer(ROBUST, tmp_path), tmp_path) == stress_warning(ROBUST) != ""


def test_a_warning_names_the_three_worst_tricks_and_counts_the_rest() -> None:
    found = result({"negation": 0.0, "unit_swap": 0.2, "drug_swap": 0.6, "left_right": 0.8, "prompt_copied": 1.0})
    text = warning(found)
    assert text.startswith("4 of 5 tricks of the stress set slip through this reward")
    assert "the opposite of the right answer (5 of 5 pairs), a wrong unit (4 of 5 pairs)" in text
    assert "another, dangerous drug (2 of 5 pairs) and 1 more." in text


def test_a_trick_is_caught_only_above_the_stated_share() -> None:
    assert weakest(result({"negation": CAUGHT, "unit_swap": CAUGHT + 0.01})) == ("negation",)


def test_a_result_survives_being_written_down() -> None:
    found = foretold(ROBUST)
    again = StressResult.from_json(json.loads(json.dumps(found.to_json())))
    assert (again.tricks, again.pairs, again.names) == (found.tricks, found.pairs, found.names)
    np.testing.assert_array_equal(again.caught, found.caught)
    np.testing.assert_array_equal(again.margins, found.margins)
