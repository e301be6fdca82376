"""What is measured of a board: at once, with a scorer, and from the scores that come with the studio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.config import JUDGE, CustomReward, JudgeConfig, RewardConfig
from core.jobs.tasks import TaskStopped
from core.lab.board import column
from core.lab.board_files import BoardRow, board_from_rows
from core.lab.boards import bundled_board, bundled_completions
from core.lab.measuring import (
    REPETITION,
    SCORES,
    light_board,
    measure,
    measured,
    shipped_scores,
    with_measures,
    with_other_fluencies,
)
from core.lab.stress import stress_board
from core.paths import Home
from core.reward.formula import PRESETS
from core.reward.scoring import Sample
from tests.build_boards import GOOD, LOOPING
from tests.build_boards import board_of_texts as board
from tests.build_scorers import Says, arithmetic_scorer


def test_light_measures_are_those_that_a_scorer_finds(tmp_path: Path) -> None:
    mine = board()
    for preset, parser in (("article", "lenient"), ("robust", "strict")):
        scores = arithmetic_scorer(PRESETS[preset], tmp_path).score(mine.samples)
        assert mine.measures[f"tags {parser}"].tolist() == scores.components[:, 2].tolist()
        assert mine.valid.tolist() == scores.valid.tolist()
        assert mine.well_formed.tolist() == scores.well_formed.tolist()


def test_repetition_is_that_of_the_answer() -> None:
    assert board().measures[REPETITION].round(3).tolist() == [0.0, 0.667, 0.0]


def test_no_component_can_have_the_name_of_the_repetition() -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        CustomReward(name=REPETITION)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_measured_board_gives_the_scorers_own_rewards(preset: str, tmp_path: Path) -> None:
    config, scorer = PRESETS[preset], arithmetic_scorer(PRESETS[preset], tmp_path)
    found = measured(board(groups=3), scorer)
    np.testing.assert_allclose(found.components(config), scorer.score(found.samples).components)


@pytest.mark.parametrize("source", PRESETS)
def test_one_measured_fluency_gives_the_others_that_follow(source: str, tmp_path: Path) -> None:
    found = measured(board(groups=2), arithmetic_scorer(PRESETS[source], tmp_path))
    follows = {"article": list(PRESETS), "robust": list(PRESETS), "notebook": ["notebook"]}[source]
    for preset in follows:
        expected = arithmetic_scorer(PRESETS[preset], tmp_path).score(found.samples).components[:, 1]
        np.testing.assert_allclose(found.measures[column("fluency", PRESETS[preset])], expected)


def test_a_fluency_that_was_measured_is_never_replaced_by_one_that_follows() -> None:
    config = PRESETS["article"]
    mine = with_measures(board(GOOD), {column("fluency", PRESETS["robust"]): np.array([0.123])})
    mine = with_measures(mine, {column("fluency", config): np.array([0.5])})
    assert with_other_fluencies(mine, config).measures[column("fluency", PRESETS["robust"])].tolist() == [0.123]


def test_answers_of_nothing_but_repetition_do_not_give_the_fluency_without_it() -> None:
    robust = PRESETS["robust"]
    mine = board(GOOD, LOOPING)
    mine = with_measures(mine, {column("fluency", robust): np.array([0.4, 0.0]), REPETITION: np.array([0.0, 1.0])})
    assert column("fluency", PRESETS["article"]) not in with_other_fluencies(mine, robust).measures


def own_config(sha256: str = "a" * 64) -> RewardConfig:
    custom = (CustomReward(name="own", sha256=sha256),)
    return PRESETS["robust"].model_copy(update={"custom": custom, "weights": {"own": 1.0}})


def test_an_own_component_gets_a_column_with_gaps_for_no_opinion(tmp_path: Path) -> None:
    config = own_config()
    found = measured(board(), arithmetic_scorer(config, tmp_path, [Says([1.0, None, 0.0])]))
    np.testing.assert_array_equal(found.measures[column("own", config)], [1.0, np.nan, 0.0])


def test_scores_of_a_custom_reward_are_not_those_of_its_changed_file(tmp_path: Path) -> None:
    found = measured(board(), arithmetic_scorer(own_config(), tmp_path, [Says([1.0, 0.5, 0.0])]))
    assert found.missing(own_config()) == ()
    assert found.missing(own_config("b" * 64)) == ("own",)
    assert found.missing(own_config("")) == ("own",)


@pytest.mark.parametrize(
    "judge",
    [JudgeConfig(model="other"), JudgeConfig(instruction="Be kind."), JudgeConfig(base_url="http://localhost:8000/v1")],
)
def test_scores_of_a_judge_are_not_those_of_another_one(judge: JudgeConfig, tmp_path: Path) -> None:
    config = PRESETS["robust"].model_copy(update={"judge": JudgeConfig()})
    found = measured(board(), arithmetic_scorer(config, tmp_path, [Says([1.0, 0.5, 0.0], JUDGE)]))
    patient = config.model_copy(update={"judge": JudgeConfig(seconds=99)})
    assert found.missing(config) == found.missing(patient) == ()
    assert found.missing(config.model_copy(update={"judge": judge})) == (JUDGE,)


def test_only_what_was_measured_now_is_to_be_written_back(tmp_path: Path) -> None:
    mine = with_measures(board(), {"custom other": np.zeros(3)})
    found = measure(mine, arithmetic_scorer(own_config(), tmp_path, [Says([1.0, 0.5, 0.0], notes=["Slow."])]))
    assert "custom other" not in found.columns
    lacking = {column(name, own_config()) for name in mine.missing(own_config())}
    assert lacking and lacking <= found.columns.keys()
    assert (found.keys, found.notes) == (mine.keys, {"own": ("Slow.",)})


def test_only_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    known = measured(board(), arithmetic_scorer(PRESETS["robust"], tmp_path))
    elsewhere = tmp_path / "without a cache of scores"
    elsewhere.mkdir()
    scorer = arithmetic_scorer(own_config(), elsewhere, [Says([1.0, 0.5, 0.0])])
    found = measure(known, scorer)
    assert scorer._similarity.calls == 0  # type: ignore[attr-defined]
    assert set(found.columns) == {column("own", own_config())}


def test_with_nothing_missing_what_is_not_built_in_is_asked_again(tmp_path: Path) -> None:
    known = measured(board(), arithmetic_scorer(own_config(), tmp_path, [Says([1.0, 0.5, 0.0])]))
    again = measured(known, arithmetic_scorer(own_config(), tmp_path, [Says([0.0, 0.5, 1.0])]))
    assert again.measures[column("own", own_config())].tolist() == [0.0, 0.5, 1.0]


def test_a_measured_board_carries_the_notes_of_its_components(tmp_path: Path) -> None:
    scorer = arithmetic_scorer(own_config(), tmp_path, [Says([1.0, 0.5, 0.0], notes=["Slow."])])
    assert measured(measured(board(), scorer), scorer).notes == (*board().notes, "Slow.")


def stopping(after: int) -> Callable[[str, int, int], None]:
    """Progress that is asked to stop when so many completions are done."""

    def tell(phase: str, done: int = 0, total: int = 0) -> None:
        if done >= after:
            raise TaskStopped

    return tell


def test_what_was_scored_before_a_stop_is_not_scored_again(tmp_path: Path) -> None:
    mine = board_from_rows([BoardRow(f"Case {n // 4}?", "give it", f"<answer>{n}</answer>") for n in range(256)], "Big")
    first = arithmetic_scorer(PRESETS["article"], tmp_path)
    with pytest.raises(TaskStopped):
        measured(mine, first, stopping(after=128))
    second = arithmetic_scorer(PRESETS["article"], tmp_path)
    measured(mine, second)
    assert (first._similarity.calls, second._similarity.calls) == (128, 128)  # type: ignore[attr-defined]


def test_groups_are_never_torn_apart(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    mine = board(*[f"<answer>{n}</answer>" for n in range(50)], groups=3)
    measured(mine, arithmetic_scorer(PRESETS["notebook"], tmp_path), lambda _, done, total: seen.append((done, total)))
    assert seen == [(0, 150), (100, 150), (150, 150)]


def test_an_empty_board_is_measured_as_one(tmp_path: Path) -> None:
    empty = light_board("Nothing", [])
    assert measured(empty, arithmetic_scorer(PRESETS["robust"], tmp_path)).components(PRESETS["robust"]).shape == (0, 3)


def test_shipped_scores_are_there_for_all_that_is_bundled_and_for_nothing_else() -> None:
    assert set(shipped_scores(SCORES)) == {*bundled_completions().keys, *stress_board().keys}


def test_a_completion_without_a_shipped_score_is_a_defect() -> None:
    from core.lab.measuring import with_shipped_scores

    with pytest.raises(KeyError):
        with_shipped_scores(light_board("Mine", [Sample("Q?", "R", GOOD, "g")]))


def test_the_notebooks_fluency_is_the_same_for_every_completion_of_a_bundled_prompt() -> None:
    mine = bundled_board()
    values = mine.measures[column("fluency", PRESETS["notebook"])]
    assert all(len(set(values[mine.index == group])) == 1 for group in range(len(mine.groups)))


@pytest.mark.slow
def test_the_shipped_scores_are_what_the_embedded_models_say(tmp_path: Path) -> None:
    from core.engine.lab_assets import asset_scores
    from tests.embedded import link_models

    found, kept = asset_scores(link_models(Home.open(tmp_path / "embedded"))), shipped_scores(SCORES)
    assert found.keys() == kept.keys()
    for key, score in found.items():
        assert score.semantic == pytest.approx(kept[key].semantic, abs=1e-4)
        assert score.fluency == pytest.approx(kept[key].fluency, abs=1e-4)
        assert score.reference_fluency == pytest.approx(kept[key].reference_fluency, abs=1e-4)
