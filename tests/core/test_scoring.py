from collections.abc import Sequence
from pathlib import Path

import pytest

from core.cache import ScoreCache
from core.config import Tags
from core.rewards import PRESETS
from core.scoring import Sample, Scorer


class SharedWords:
    """Similarity by arithmetic: the share of the reference's words that the text has."""

    name = "shared-words"
    calls = 0

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.calls += len(pairs)
        return [len(set(a.lower().split()) & set(b.lower().split())) / len(set(b.split())) for a, b in pairs]


class ShortIsLikely:
    """A language model by arithmetic: one tenth of a nat for every character."""

    name = "short-is-likely"
    calls = 0

    def mean_loss(self, texts: Sequence[str]) -> list[float]:
        self.calls += len(texts)
        return [len(text) / 10 for text in texts]


def scorer(preset: str, tmp_path: Path) -> Scorer:
    return Scorer(PRESETS[preset], Tags(), SharedWords(), ShortIsLikely(), ScoreCache(tmp_path / "scores.sqlite"))


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
