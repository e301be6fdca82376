"""Weights fitted to votes of raters whose taste is known."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from core.config import RewardConfig
from core.errors import ConfigError, DataError
from core.jobs.tasks import create_task, perform, silent
from core.lab.board import Board, column
from core.lab.boards import load_board, save_board
from core.lab.fit_result import Fit
from core.lab.fitting import FEWEST_GROUPS, FEWEST_PAIRS, fit, fit_task
from core.lab.rater_agreement import FEWEST_COMMON, kappas
from core.lab.vote_files import Vote
from core.lab.votes import record_vote
from core.paths import PROJECT, Home
from core.reward.formula import combine
from tests.build_votes import ARTICLE, scored_board, taste_votes

TASTE = (6.0, 1.0, 3.0)
CONTRARY = (5.0, -4.0, 0.5)


def vector(found: Fit) -> list[float]:
    return list(found.weights.values())


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


@cache
def fitted(taste: tuple[float, float, float]) -> Fit:
    board = scored_board(groups=30)
    return fit(board, ARTICLE, taste_votes(board, taste, pairs_per_group=8))


@pytest.mark.parametrize("taste", [TASTE, CONTRARY])
def test_many_votes_give_the_rater_s_own_weights_in_the_size_of_the_present_ones(
    taste: tuple[float, float, float],
) -> None:
    found = fitted(taste)
    assert found.enough
    assert cosine(vector(found), taste) > 0.97
    assert sum(map(abs, vector(found))) == pytest.approx(sum(map(abs, ARTICLE.weight_vector)), abs=1e-5)
    assert (found.pairs, found.groups, found.ties, found.invalid, found.gone) == (240, 30, 0, 0, 0)


def test_a_term_that_the_rater_dislikes_gets_a_negative_weight_and_a_sentence() -> None:
    found = fitted(CONTRARY)
    assert found.weights["fluency"] < -0.2
    assert found.better is True
    assert "less of it was preferred" in found.words[1]
    assert "The fitted weights are better." in found.verdict


def test_intervals_hold_the_share_of_new_votes_that_a_fit_foretells() -> None:
    """What is estimated: agreement with votes on prompts from the same source that were never used."""
    unseen = scored_board(groups=300, seed=99)
    new = taste_votes(unseen, TASTE, pairs_per_group=8, seed=99)
    row = {key: number for number, key in enumerate(unseen.keys)}
    held = 0
    for seed in range(8):
        board = scored_board(groups=12, seed=seed)
        found = fit(board, ARTICLE, taste_votes(board, TASTE, pairs_per_group=6, seed=seed))
        rewards = combine(unseen.components(ARTICLE), vector(found), unseen.valid)
        share = np.mean([rewards[row[v.winner]] > rewards[row[v.loser]] for v in new])
        assert found.low is not None
        assert found.high is not None
        assert found.high - found.low < 0.35
        held += bool(found.low <= share <= found.high)
    assert held >= 7  # the binomial chance of fewer, at 95 % each, is 6 %; the seeds are fixed


@pytest.mark.parametrize("seed", [1, 3, 4])
def test_votes_at_random_agree_with_nothing_and_no_weights_are_called_better(seed: int) -> None:
    board = scored_board(groups=12, seed=seed)
    found = fit(board, ARTICLE, taste_votes(board, (0, 0, 0), pairs_per_group=6, seed=100 + seed))
    assert found.agreement == pytest.approx(0.5, abs=0.15)
    assert found.better is not True


def test_weights_that_are_right_already_are_not_called_worse_or_beaten() -> None:
    board = scored_board(groups=12)
    found = fit(board, ARTICLE, taste_votes(board, [12 * w for w in ARTICLE.weight_vector], pairs_per_group=6))
    assert found.better is None
    assert "cannot be told" in found.verdict


def test_a_component_in_another_unit_gets_a_weight_in_that_unit() -> None:
    """Semantic scores ten times as large mean a tenth of the weight; the order of completions stays."""
    board = scored_board(groups=12)
    given = taste_votes(board, TASTE, pairs_per_group=6)
    name = column("semantic", ARTICLE)
    wide = replace(board, measures={**board.measures, name: board.measures[name] * 10})
    plain, scaled = fit(board, ARTICLE, given), fit(wide, ARTICLE, given)
    ratio = (plain.weights["semantic"] / plain.weights["tags"]) / (scaled.weights["semantic"] / scaled.weights["tags"])
    assert ratio == pytest.approx(10, rel=0.01)


def test_a_dead_term_gets_no_weight_and_is_named() -> None:
    board = scored_board(groups=12)
    per_group = np.random.default_rng(0).uniform(size=len(board.groups))[board.index]
    dead = replace(board, measures={**board.measures, column("fluency", ARTICLE): per_group})
    found = fit(dead, ARTICLE, taste_votes(dead, TASTE, pairs_per_group=6))
    assert found.constant == ("fluency",)
    assert found.weights["fluency"] == 0
    assert "did not differ in any pair" in found.words[1]


def test_votes_on_invalid_completions_are_counted_and_change_nothing() -> None:
    board = scored_board(groups=12)
    given = taste_votes(board, TASTE, pairs_per_group=6)
    valid = board.valid.copy()
    valid[::6] = False
    spoilt = replace(board, valid=valid)
    bad = {key for key, good in zip(board.keys, valid, strict=True) if not good}
    kept = [v for v in given if not bad & set(v.pair)]
    found, expected = fit(spoilt, ARTICLE, given), fit(spoilt, ARTICLE, kept)
    assert found.invalid == len(given) - len(kept) > 0
    assert found == expected.model_copy(update={"invalid": found.invalid})
    assert any("invalid" in line for line in found.left_out)


def test_votes_on_completions_that_are_gone_or_equal_in_every_score_are_counted() -> None:
    board = scored_board(groups=12)
    given = taste_votes(board, TASTE, pairs_per_group=6)
    same = Vote("Ada", 0.0, "b", "group 0", board.keys[0], board.keys[1])
    scores = {name: np.where(np.arange(len(board)) == 1, column[0], column) for name, column in board.measures.items()}
    gone = Vote("Ada", 0.0, "b", "group 0", "0" * 16, board.keys[1])
    across = Vote("Ada", 0.0, "b", "group 0", board.keys[0], board.keys[-1])
    found = fit(replace(board, measures=scores), ARTICLE, [*given, same, gone, across])
    assert (found.alike, found.gone) == (1, 2)


def test_no_votes_and_votes_of_another_board_give_a_sentence() -> None:
    board, other = scored_board(groups=6), scored_board(groups=2, seed=1)
    assert not fit(board, ARTICLE, []).enough
    strange = [replace(v, winner="f" * 16) for v in taste_votes(other, TASTE, pairs_per_group=3)]
    found = fit(board, ARTICLE, strange)
    assert (found.enough, found.pairs, found.gone) == (False, 0, 6)
    assert "about weights: 0." in found.verdict


def test_too_few_votes_or_prompts_give_no_weights_but_say_what_is_missing() -> None:
    board = scored_board(groups=12)
    given = taste_votes(board, TASTE, pairs_per_group=6)
    few = fit(board, ARTICLE, given[:: len(given) // (FEWEST_PAIRS - 1)][: FEWEST_PAIRS - 1])
    assert (few.enough, few.weights, few.agreement, few.better) == (False, {}, None, None)
    assert "judge at least 1 more" in few.reason
    narrow = fit(board, ARTICLE, given[: 6 * (FEWEST_GROUPS - 1)])
    assert not narrow.enough
    assert f"Prompts with such judgements: {FEWEST_GROUPS - 1}." in narrow.reason
    assert fit(board, ARTICLE, given[: 6 * FEWEST_GROUPS]).enough
    with pytest.raises(DataError, match="other prompts"):
        narrow.applied(ARTICLE)


def test_a_wide_interval_asks_for_more_votes() -> None:
    board = scored_board(groups=5)
    found = fit(board, ARTICLE, taste_votes(board, (2, 0, 0), pairs_per_group=4, seed=3))
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.3
    assert "with care" in found.reason
    assert "more judgements" in found.verdict


def test_perfect_agreement_is_no_proof_of_certainty() -> None:
    board = scored_board(groups=8)
    found = fit(board, ARTICLE, taste_votes(board, (1, 0, 0), pairs_per_group=6, noise=0.0))
    assert found.agreement == 1
    assert found.low is not None
    assert found.low < 0.9


def test_ties_are_half_a_vote_for_each_side() -> None:
    board = scored_board(groups=10)
    given = taste_votes(board, TASTE, pairs_per_group=8)
    tied = [replace(v, tie=True) if number % 4 == 0 else v for number, v in enumerate(given)]
    turned = [replace(v, winner=v.loser, loser=v.winner) if v.tie else v for v in tied]
    found = fit(board, ARTICLE, tied)
    assert (found.ties, found.pairs) == (20, 60)
    assert vector(fit(board, ARTICLE, turned)) == pytest.approx(vector(found), abs=1e-4)


def test_nothing_but_ties_is_too_few() -> None:
    board = scored_board(groups=10)
    found = fit(board, ARTICLE, [replace(v, tie=True) for v in taste_votes(board, TASTE, pairs_per_group=8)])
    assert (found.enough, found.ties, found.pairs) == (False, 80, 0)


def test_a_rater_who_contradicts_every_vote_of_another_leaves_no_preference() -> None:
    board = scored_board(groups=10)
    ada = taste_votes(board, TASTE, pairs_per_group=6)
    bo = [replace(v, rater="Bo", winner=v.loser, loser=v.winner) for v in ada]
    found = fit(board, ARTICLE, [*ada, *bo])
    assert not found.enough
    assert "favour no component" in found.reason
    (kappa,) = found.kappa
    assert (kappa.same, kappa.pairs) == (0, 60)
    assert kappa.value is not None
    assert kappa.value < -0.5


def test_a_later_vote_on_the_same_pair_counts() -> None:
    board = scored_board(groups=10)
    given = taste_votes(board, TASTE, pairs_per_group=6)
    wrong = [replace(v, winner=v.loser, loser=v.winner) for v in given]
    assert fit(board, ARTICLE, [*wrong, *given]) == fit(board, ARTICLE, given)


def test_the_same_votes_and_seed_give_the_same_fit() -> None:
    board = scored_board(groups=8)
    given = taste_votes(board, TASTE, pairs_per_group=4)
    assert fit(board, ARTICLE, given, seed=5) == fit(board, ARTICLE, given, seed=5)


def test_a_board_that_is_not_measured_is_refused() -> None:
    with pytest.raises(DataError, match="tags has not been measured"):
        fit(scored_board(groups=3), ARTICLE.model_copy(update={"parser": "strict"}), [])


ANSWERS_ADA = "112t21121t21"
ANSWERS_BO = "122t21111t2t"


def said(rater: str, answers: str) -> list[Vote]:
    found = []
    for number, answer in enumerate(answers):
        first, second = f"{number:015x}0", f"{number:015x}1"
        winner, loser = (second, first) if answer == "2" else (first, second)
        found.append(Vote(rater, 0.0, "b", "g", winner, loser, tie=answer == "t"))
    return found


def test_kappa_is_that_of_scikit_learn() -> None:
    (kappa,) = kappas([*said("Bo", ANSWERS_BO), *said("Ada", ANSWERS_ADA)])
    assert (kappa.first, kappa.second, kappa.pairs, kappa.same) == ("Ada", "Bo", 12, 9)
    assert kappa.value == pytest.approx(cohen_kappa_score(list(ANSWERS_ADA), list(ANSWERS_BO)))
    assert "substantial" in kappa.sentence


def test_kappa_needs_common_pairs_that_differ() -> None:
    few = FEWEST_COMMON - 1
    (kappa,) = kappas([*said("Ada", ANSWERS_ADA), *said("Bo", ANSWERS_BO[:few])])
    assert (kappa.pairs, kappa.value) == (few, None)
    assert "too little" in kappa.sentence
    (uniform,) = kappas([*said("Ada", "t" * 20), *said("Bo", "t" * 20)])
    assert (uniform.same, uniform.value) == (20, None)
    (apart,) = kappas([*said("Ada", "1"), replace(said("Bo", "1")[0], winner="f" * 16)])
    assert apart.sentence == "They have judged no pair in common."
    assert kappas(said("Ada", ANSWERS_ADA)) == ()
    assert len(kappas([*said("Ada", "1"), *said("Bo", "1"), *said("Cy", "1")])) == 3


def kept(home: Home, groups: int = 8) -> tuple[str, Board]:
    board = scored_board(groups)
    id_ = save_board(home, "judged", board)
    for rater, seed in (("Ada", 0), ("Bo", 1)):
        for vote in taste_votes(board, TASTE, pairs_per_group=5, rater=rater, seed=seed):
            record_vote(home, replace(vote, board=id_))
    return id_, load_board(home, id_)


def arguments(board: str, config: RewardConfig = ARTICLE, raters: list[str] | None = None) -> dict[str, object]:
    return {"board": board, "reward": config.model_dump(mode="json"), "raters": raters, "seed": 0}


def test_the_task_fits_the_votes_of_the_home_and_its_result_is_plain_json(home: Home) -> None:
    id_, _ = kept(home)
    task = create_task(home, "fit", arguments(id_))
    perform(task, home)
    found = Fit.from_json(task.result())
    assert found.enough
    assert found.pairs == 80
    assert len(found.kappa) == 1
    assert found == Fit.from_json(json.loads(json.dumps(fit_task(home, arguments(id_), silent))))
    assert math.isclose(sum(map(abs, found.applied(ARTICLE).weight_vector)), 1, abs_tol=1e-4)


def test_the_task_takes_one_rater_s_votes(home: Home) -> None:
    id_, _ = kept(home)
    found = Fit.from_json(fit_task(home, arguments(id_, raters=["ada", "Ada "]), silent))
    assert (found.pairs, found.kappa) == (40, ())
    with pytest.raises(ConfigError, match=r"no votes by 'Eve'.* given by: Ada, Bo"):
        fit_task(home, arguments(id_, raters=["Eve"]), silent)


def test_votes_for_another_board_are_not_counted_as_lost(home: Home) -> None:
    id_, board = kept(home)
    record_vote(home, Vote("Ada", 0.0, "elsewhere", "g", "0" * 16, "1" * 16))
    record_vote(home, Vote("Ada", 0.0, id_, "g", "0" * 16, "2" * 16))
    assert Fit.from_json(fit_task(home, arguments(id_), silent)).gone == 1
    copy = save_board(home, "copy", board)  # the same completions under another id: what was said of them still holds
    assert Fit.from_json(fit_task(home, arguments(copy), silent)).pairs == 80


def test_a_bad_reward_is_refused_in_plain_words(home: Home) -> None:
    with pytest.raises(ConfigError, match="at least one weight"):
        fit_task(home, {**arguments("bundled"), "reward": ARTICLE.model_dump() | {"weights": {}}}, silent)


def test_what_pages_import_does_not_load_scikit_learn() -> None:
    code = "import sys, core.lab.votes, core.lab.fitting, core.lab.fit_result; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
