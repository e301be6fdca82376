"""`python -m core fit`, from kept votes to a saved preset."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.commands.cli import main
from core.lab.boards import save_board
from core.lab.votes import record_vote
from core.paths import Home
from core.reward.presets import reward_named, save_preset
from tests.build_votes import ARTICLE, scored_board, taste_votes

TASTE = (6.0, -2.0, 1.0)


@pytest.fixture
def judged(home: Home) -> str:
    """A kept board with Ada's votes."""
    board = scored_board(groups=8)
    id_ = save_board(home, "judged", board)
    for vote in taste_votes(board, TASTE, pairs_per_group=6):
        record_vote(home, replace(vote, board=id_))
    return id_


def run(home: Home, *arguments: str) -> int:
    return main(["fit", "--home", str(home.root), "--preset", "article", *arguments])


def test_weights_are_fitted_said_in_words_and_saved(
    home: Home, judged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, "--board", judged, "--save-preset", "ada") == 0
    printed = capsys.readouterr().out
    assert "Similarity: 0." in printed
    assert "On prompts that it was not fitted to" in printed
    assert "Saved as the preset ada." in printed
    saved = reward_named(home, "ada")
    assert saved.weights["semantic"] > 0.4
    assert saved.weights["fluency"] < 0
    assert saved.parser == ARTICLE.parser


def test_json_holds_the_whole_fit(home: Home, judged: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home, "--board", judged, "--json", "--rater", "Ada") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pairs"], found["groups"], found["enough"], found["saved"]) == (48, 8, True, None)
    assert found["low"] <= found["agreement"] <= found["high"]


def test_present_weights_can_be_given(home: Home, judged: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home, "--board", judged, "--json", "--weights", "semantic=2,tags=-1") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["current_weights"] == {"semantic": 2.0, "fluency": 0.4, "tags": -1.0}
    assert sum(map(abs, found["weights"].values())) == pytest.approx(3.4, abs=1e-4)


def test_too_few_votes_are_said_and_nothing_is_saved(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    id_ = save_board(home, "empty", scored_board(groups=3))
    assert run(home, "--board", id_) == 0
    assert "judge at least 20 more" in capsys.readouterr().out
    assert run(home, "--board", id_, "--save-preset", "ada") == 2
    assert "judge at least 20 more" in capsys.readouterr().err
    assert not list(home.presets.glob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rater", "Eve"], "no votes by 'Eve'"),
        (["--rater", " "], "name is empty"),
        (["--board", "no-such-board"], "no-such-board"),
        (["--preset", "mine"], "Choose one of article, notebook, robust, taken"),
        (["--weights", "semantic"], "give NAME=NUMBER"),
        (["--weights", "charm=1"], "no component 'charm'"),
        (["--weights", "semantic=nan"], "finite"),
        (["--save-preset", "robust"], "of the studio itself"),
        (["--save-preset", "taken"], "already"),
        (["--save-preset", "../x"], "lower-case"),
        (["--seed", "-1"], "--seed is -1"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_and_exit_code_two(
    arguments: list[str], message: str, home: Home, judged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_preset(home, "taken", ARTICLE)
    assert run(home, "--board", judged, *arguments) == 2
    caught = capsys.readouterr()
    assert message in caught.err
    assert caught.err.count("\n") == 1
