"""`python -m core boards VERB`: sample completions that rewards are tried on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.commands.reward_options import add_reward_options, add_tag_options, chosen_reward, chosen_tags
from core.commands.verbs import add_verb, finish_task
from core.config import EMBEDDED_POLICY, SAMPLE
from core.lab.board_files import board_from_file
from core.lab.boards import (
    BUNDLED,
    broken_boards,
    bundled_board,
    delete_board,
    list_boards,
    load_board,
    save_board,
)
from core.paths import Home
from core.text import one_line

_ADDED = "answers"
"""What a board is named that comes from a file."""


def add_board_verbs(parser: argparse.ArgumentParser) -> None:
    """Give `parser`, that of the verb `boards`, its own verbs."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    add_verb(verbs, "list", list_all, "List the boards, the newest first.")
    sub = add_verb(verbs, "add", add, "Keep the completions of a file as a board.")
    sub.add_argument(
        "file", metavar="FILE", type=Path, help="rows with question, answer, completion, [group], [kind], [grade]"
    )
    sub.add_argument("--name", default=_ADDED, metavar="NAME", help=f"its id, with a number if taken ({_ADDED})")
    sub.add_argument("--title", default="", metavar="TEXT", help="what it is called (default: the file's name)")
    add_tag_options(sub)
    _sample_options(add_verb(verbs, "sample", sample, "Write fresh completions with a model and measure them."))
    sub = add_verb(verbs, "measure", measure, "Measure a board for a reward; the bundled one and a run's as a copy.")
    sub.add_argument("board", metavar="ID", help=f"{BUNDLED!r}, run:RUN:STEP, or the id of a kept board")
    add_reward_options(sub)
    sub = add_verb(verbs, "delete", delete, "Delete a kept board; votes on its completions stay.")
    sub.add_argument("board", metavar="ID", help="the id of a kept board")


def _sample_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help=f"who answers (default: {EMBEDDED_POLICY})")
    parser.add_argument("--run", metavar="RUN", help="a run whose trained adapter answers, or 'last'")
    parser.add_argument("--data", metavar="DATA", help=f"where the questions are from (default: {SAMPLE!r})")
    parser.add_argument("--prompts", type=int, metavar="N", help="how many questions (default: 8)")
    parser.add_argument("--completions", type=int, metavar="N", help="how many answers to each (default: 8)")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="the longest answer (default: as in training)")
    parser.add_argument("--temperature", type=float, metavar="T", help="of the answers (default: as in training)")
    parser.add_argument("--seed", type=int, metavar="S", help="chooses questions and answers (default: 0)")
    parser.add_argument("--title", metavar="TEXT", help="what the board is called")
    add_reward_options(parser)


def list_all(options: argparse.Namespace, home: Home) -> Any:
    """All boards: the bundled one, then those kept, then the damaged ones with what is wrong with them."""
    rows = list(_rows(home))
    if not options.json:
        print(*map(_line, rows), sep="\n")
    return rows


def _rows(home: Home) -> Iterator[dict[str, Any]]:
    bundled = bundled_board()
    yield {"board": BUNDLED, "title": bundled.title, "completions": len(bundled), "groups": len(bundled.groups)}
    for kept in list_boards(home):
        yield {"board": kept.id, **kept.about.model_dump(mode="json", exclude={"tags", "notes", "measured_notes"})}
    for broken in broken_boards(home):
        yield {"board": broken.id, "problem": broken.reason}


def _line(row: dict[str, Any]) -> str:
    if "problem" in row:
        return f"{row['board']:24} {row['problem']}"
    return f"{row['board']:24} {row['completions']:6d} in {row['groups']:4d} groups  {one_line(row['title'])}"


def add(options: argparse.Namespace, home: Home) -> Any:
    """Keep the completions of a file as a board."""
    board = board_from_file(options.file, options.title, chosen_tags(options))
    return _made(save_board(home, options.name, board), options, home)


def sample(options: argparse.Namespace, home: Home) -> Any:
    """Write fresh completions with a model and measure them for a reward."""
    names = ("model", "run", "data", "prompts", "completions", "max_tokens", "temperature", "seed", "title")
    asked = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    reward = chosen_reward(options, home)[0].model_dump(mode="json")
    return _made(finish_task(home, "sample", {**asked, "reward": reward})["board"], options, home)


def measure(options: argparse.Namespace, home: Home) -> Any:
    """Measure a board for a reward."""
    reward = chosen_reward(options, home)[0].model_dump(mode="json")
    return _made(finish_task(home, "measure", {"board": options.board, "reward": reward})["board"], options, home)


def _made(board_id: str, options: argparse.Namespace, home: Home) -> Any:
    """Say which board there is now, and what the user should know of it."""
    board = load_board(home, board_id)
    if not options.json:
        print(f"{board_id}: {len(board)} completions in {len(board.groups)} groups.", *board.notes, sep="\n")
    return {"board": board_id, "completions": len(board), "groups": len(board.groups), "notes": list(board.notes)}


def delete(options: argparse.Namespace, home: Home) -> Any:
    """Delete a kept board."""
    delete_board(home, options.board)
    if not options.json:
        print(f"{options.board} is deleted.")
    return {"deleted": options.board}
