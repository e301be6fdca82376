"""`python -m core boards`: list, add, sample, measure and delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.commands.cli import main
from core.config import RunConfig
from core.lab.boards import BUNDLED, bundled_board, list_boards, load_board, save_board
from core.paths import Home
from tests.build_boards import BAD, GOOD, board_of_texts


def run(home: Home, *arguments: str) -> int:
    return main(["boards", *arguments, "--home", str(home.root)])


def answer(home: Home, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a verb says as JSON."""
    assert run(home, *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    row = {"question": "What helps?", "answer": "give adrenaline now"}
    file.write_text("\n".join(json.dumps(row | {"completion": text}) for text in (GOOD, BAD)))
    return file


def test_the_bundled_board_stands_first_and_damaged_ones_last(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("broken", "mine"):
        save_board(home, name, board_of_texts())
    (home.lab / "boards" / "broken" / "board.json").write_text("{")
    found = answer(home, capsys, "list")
    assert [row["board"] for row in found] == [BUNDLED, "mine", "broken"]
    assert (found[0]["completions"], found[1]["completions"]) == (len(bundled_board()), 3)
    assert "damaged" in found[2]["problem"]
    assert run(home, "list") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [BUNDLED, "mine", "broken"]


def test_a_file_is_kept_under_its_name(home: Home, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(home, capsys, "add", str(rows), "--name", "ward-a", "--title", "Ward A")["completions"] == 2
    assert load_board(home, "ward-a").title == "Ward A"
    assert answer(home, capsys, "add", str(rows), "--name", "ward-a")["board"] == "ward-a-2"


def test_a_file_with_other_tags_is_read_by_them(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("question,answer,completion\nQ?,give,<think>a</think><final>give</final>\n")
    assert run(home, "add", str(file), "--reasoning-tag", "think", "--answer-tag", "final") == 0
    assert load_board(home, "answers").well_formed.all()


def test_a_kept_board_is_deleted(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    save_board(home, "mine", board_of_texts())
    assert answer(home, capsys, "delete", "mine") == {"deleted": "mine"}
    assert list_boards(home) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["delete", BUNDLED], "cannot be deleted"),
        (["delete", "nothing"], "There is no board 'nothing'"),
        (["add", "/no/such/rows.csv"], "/no/such/rows.csv"),
        (["sample", "--weights", "charm=1"], "no component 'charm'"),
        (["sample", "--prompts", "0"], "prompts is 0"),
        (["measure", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], message: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_fresh_completions_are_written_and_measured_by_options(
    home: Home, tiny_config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(tiny_config.model_dump_json())
    options = ["--model", tiny_config.model, "--prompts", "1", "--completions", "2", "--max-tokens", "4"]
    found = answer(home, capsys, "sample", *options, "--title", "Two", "--config", str(file))
    board = load_board(home, found["board"])
    assert (board.title, len(board), board.missing(tiny_config.reward)) == ("Two", 2, ())


def test_a_kept_board_is_measured_for_the_named_reward(
    home: Home, tiny_config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(tiny_config.model_dump_json())
    kept = save_board(home, "mine", board_of_texts())
    assert answer(home, capsys, "measure", kept, "--config", str(file))["board"] == kept
    assert load_board(home, kept).missing(tiny_config.reward) == ()
