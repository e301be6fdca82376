import math
from pathlib import Path

import numpy as np
import pytest

from core.config import CustomReward
from core.errors import ModelError, RewardError
from core.reward.formula import PRESETS
from core.reward.scoring import Sample, Scorer
from tests.build_scorers import Says, SharedWords, arithmetic_scorer


def scorer(preset: str, tmp_path: Path) -> Scorer:
    return arithmetic_scorer(PRESETS[preset], tmp_path)


def sample(completion: str, group: str = "g", reference: str = "give adrenaline now") -> Sample:
    return Sample("What helps in anaphylaxis?", reference, completion, group)


GOOD = "<reasoning>Airway.</reasoning><answer>give adrenaline now</answer>"
BAD = "<reasoning>Airway.</reasoning><answer>wait and see</answer>"


def test_the_better_answer_has_the_higher_reward_and_advantage(tmp_path: Path) -> None:
    scores = scorer("article", tmp_path).score([sample(GOOD), sample(BAD)])
    assert scores.rewards[0] > scores.rewards[1]
    assert scores.advantages[0] > 0 > scores.advantages[1]
    assert scores.well_formed.all()


@pytest.mark.parametrize(("preset", "floor"), [("article", -1.0), ("notebook", -0.3), ("robust", -1.0)])
def test_a_completion_without_an_answer_gets_the_floor(preset: str, floor: float, tmp_path: Path) -> None:
    scores = scorer(preset, tmp_path).score([sample(""), sample("give adrenaline now"), sample(GOOD)])
    assert scores.rewards[:2].tolist() == [floor, floor]
    assert scores.valid.tolist() == [False, False, True]


def test_the_notebook_gives_every_completion_of_a_prompt_the_same_fluency(tmp_path: Path) -> None:
    samples = [sample(text, group, f"a reference for {group}") for group in "gh" for text in (GOOD, BAD)]
    assert scorer("notebook", tmp_path).score(samples).components[:, 1].tolist() == [0.5] * 4
    assert len(set(scorer("article", tmp_path).score(samples).components[:2, 1].tolist())) == 2


def test_robust_takes_fluency_away_from_repetition(tmp_path: Path) -> None:
    looping = sample("<reasoning>a</reasoning><answer>yes yes yes yes yes</answer>")
    robust = scorer("robust", tmp_path).score([looping]).components[0, 1]
    article = scorer("article", tmp_path).score([looping]).components[0, 1]
    assert robust == pytest.approx(article / 3)


def test_a_score_is_computed_once_and_then_remembered_across_scorers(tmp_path: Path) -> None:
    first, again = scorer("article", tmp_path), scorer("robust", tmp_path)
    first.score([sample(GOOD), sample(GOOD), sample(BAD)])
    again.score([sample(GOOD), sample(BAD)])
    assert (first._similarity.calls, again._similarity.calls) == (2, 0)  # type: ignore[attr-defined]
    assert (first._language.calls, again._language.calls) == (2, 0)  # type: ignore[attr-defined]


def test_no_samples_give_no_scores(tmp_path: Path) -> None:
    assert scorer("article", tmp_path).score([]).rewards.shape == (0,)


OWN = PRESETS["article"].model_copy(
    update={"custom": (CustomReward(name="own"),), "weights": {"semantic": 0.5, "own": 0.5}}
)


def scored(answer: object, tmp_path: Path) -> np.ndarray:
    """The rewards of a good and a bad completion when a component of its own says `answer`."""
    return arithmetic_scorer(OWN, tmp_path, [Says(answer)]).score([sample(GOOD), sample(BAD)]).rewards


def test_a_component_of_its_own_is_weighed_like_the_others(tmp_path: Path) -> None:
    assert scored([1.0, 0.0], tmp_path).tolist() == [1.0, 0.0]


def test_no_opinion_counts_as_the_mean_of_the_group(tmp_path: Path) -> None:
    assert scored([0.5, None], tmp_path).tolist() == [0.75, 0.25]


@pytest.mark.parametrize("number", [1, True, np.float32(1.0), np.int64(1)])
def test_every_kind_of_number_is_a_score(number: object, tmp_path: Path) -> None:
    assert scored([number, 0.0], tmp_path)[0] == 1.0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([math.nan, 0.5], r"'own' returned nan \(float\) for completion 1"),
        ([0.5, math.inf], r"'own' returned inf \(float\) for completion 2"),
        ([0.5], r"'own' returned 1 score\(s\) for 2 completion\(s\)"),
        ([0.5, 0.5, 0.5], r"'own' returned 3 score\(s\) for 2 completion\(s\)"),
        (["0.5", "high"], r"'own' returned '0.5' \(str\) for completion 1"),
        ("ab", r"'own' returned 'ab' \(str\)"),
        (0.5, r"'own' returned 0.5 \(float\)"),
        (None, r"'own' returned None"),
        (ValueError("no dose"), r"'own' failed \(ValueError: no dose\)"),
        (RewardError("own.py is broken."), r"^own.py is broken.$"),
    ],
)
def test_a_broken_component_is_an_error_and_not_a_bad_reward(answer: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(RewardError, match=message):
        scored(answer, tmp_path)


@pytest.mark.parametrize("found", [[math.nan, 0.5], [0.5], [math.inf, 0.5]])
def test_a_broken_model_is_an_error_and_leaves_nothing_in_the_cache(found: list[float], tmp_path: Path) -> None:
    broken = scorer("article", tmp_path)
    broken._similarity = SharedWords()
    broken._similarity.similarity = lambda pairs: found  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="shared-words"):
        broken.score([sample(GOOD), sample(BAD)])
    assert scorer("article", tmp_path).score([sample(GOOD), sample(BAD)]).components[:, 0].tolist() == [1.0, 0.0]


def test_without_a_reference_similarity_has_no_opinion(tmp_path: Path) -> None:
    scores = scorer("article", tmp_path).score([sample(GOOD, reference=""), sample(BAD, reference="")])
    assert np.isnan(scores.components[:, 0]).all()
    assert np.isfinite(scores.rewards).all()


def test_equal_completions_teach_nothing(tmp_path: Path) -> None:
    scores = scorer("robust", tmp_path).score([sample(GOOD)] * 4)
    assert scores.advantages.tolist() == [0.0] * 4
    assert scores.effective is None


def test_a_group_of_one_has_no_advantage(tmp_path: Path) -> None:
    scores = scorer("robust", tmp_path).score([sample(GOOD), sample(GOOD, "h"), sample(BAD, "h")])
    assert scores.advantages[0] == 0.0
    assert scores.advantages[1] > 0 > scores.advantages[2]


@pytest.mark.parametrize(
    ("completion", "valid", "well_formed"),
    [
        ("<reasoning>a</reasoning><answer>give adrenaline", False, False),
        ("<REASONING>a</REASONING><ANSWER>give adrenaline now</ANSWER>", False, False),
        ("<answer><answer>give adrenaline</answer></answer>", True, False),
        ("<reasoning><answer>give</answer></reasoning><answer>adrenaline</answer>", True, False),
        ("<reasoning>" * 3000 + "</answer>" * 3000, False, False),
        ("<reasoning>حساسية شديدة</reasoning><answer>يعطى الأدرينالين في العضل</answer>", True, True),
        ("<reasoning>过敏性休克</reasoning><answer>立即肌内注射肾上腺素</answer>", True, True),
        ("\x00\u202e<answer>\ud800</answer>", True, False),
    ],
)
@pytest.mark.parametrize("preset", PRESETS)
def test_odd_completions_have_a_finite_reward(
    preset: str, completion: str, valid: bool, well_formed: bool, tmp_path: Path
) -> None:
    scores = scorer(preset, tmp_path).score([sample(completion), sample(GOOD)])
    assert (bool(scores.valid[0]), bool(scores.well_formed[0])) == (valid, well_formed)
    assert np.isfinite(scores.rewards).all()
    assert valid or scores.rewards[0] == PRESETS[preset].invalid_reward


@pytest.mark.parametrize("unit", ["word ", "<reasoning>", "<answer>", "药", "<answer>a</answer>"])
def test_a_hundred_thousand_characters_are_scored(unit: str, tmp_path: Path) -> None:
    endless = (unit * (100_000 // len(unit) + 1))[:100_000]
    scores = scorer("robust", tmp_path).score([sample(f"<answer>{endless}</answer>"), sample(endless), sample(GOOD)])
    assert np.isfinite(scores.rewards).all()
    assert scores.rewards[2] == scores.rewards.max()
