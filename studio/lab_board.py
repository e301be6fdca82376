"""The sample completions of the Rewards page: read once, and weighed once for each reward."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from core.config import RewardConfig
from core.errors import ConfigError
from core.lab.board import Board
from core.lab.boards import RUN, boards_folder, bundled_board, load_board
from core.lab.weighing import Flips, Weighed, flips, weigh
from core.paths import Home
from core.train_config import Aggregation, Scaling
from studio import lab_state

_KEPT_BOARDS = 8
_KEPT_WEIGHINGS = 64


@dataclass(frozen=True)
class Opened:
    """A board that is looked at.

    Attributes:
        id: what `core.lab.boards.load_board` calls it.
        version: changes when its files do.
        valid: the valid completions of the board alone.
    """

    id: str
    version: int
    board: Board
    valid: Board


@dataclass(frozen=True)
class View:
    """What the sliders make of a board.

    Attributes:
        reward: as the sliders stand.
        before: the reward that it is compared with.
        now, then: the board under each of the two.
        among_valid: the valid completions alone under `reward`.
        changed: what differs between them.
        groups: how many groups the board has.
    """

    reward: RewardConfig
    before: RewardConfig
    now: Weighed
    then: Weighed
    among_valid: Weighed
    changed: Flips
    groups: int


def open_board(home: Home, board_id: str) -> Opened:
    """The board of this id; it is read again only when its files have changed.

    Raises:
        StudioError: it is not there, or broken.
    """
    version = _version(home, board_id)
    board, valid = _read(str(home.root), board_id, version)
    return Opened(board_id, version, board, valid)


def _version(home: Home, board_id: str) -> int:
    """When the files of a board were last changed; a kept one changes when it is measured, a run's when it goes on."""
    run_id, _, _ = board_id.removeprefix(RUN).rpartition(":")
    folder = home.runs / run_id / "completions" if board_id.startswith(RUN) else boards_folder(home) / board_id
    return max((file.stat().st_mtime_ns for file in folder.glob("*.parquet")), default=0)


@st.cache_resource(max_entries=_KEPT_BOARDS, show_spinner=False)
def _read(root: str, board_id: str, version: int) -> tuple[Board, Board]:
    board = load_board(Home(Path(root)), board_id)
    valid = only_valid(board)
    for each in (board, valid):
        _ = each.index, each.groups, each.keys  # computed once, and not while somebody waits for a slider
    gc.freeze()  # a collection would walk all completions each time
    return board, valid


def only_valid(board: Board) -> Board:
    """The valid completions of a board."""
    rows = np.flatnonzero(board.valid)
    return replace(
        board,
        samples=tuple(board.samples[row] for row in rows),
        kinds=tuple(board.kinds[row] for row in rows),
        grades=board.grades[rows],
        valid=board.valid[rows],
        well_formed=board.well_formed[rows],
        measures={name: values[rows] for name, values in board.measures.items()},
    )


def whose_grades(board: Board) -> str:
    """Who gave the grades of a board, in a sentence; measured copies of the bundled one have its grades."""
    if board.keys == bundled_board().keys:
        return "They are the project's own grades; no clinical body has reviewed them."
    return "They are the grades that came with these answers."


def _weighed(named: tuple[object, ...], board: Board, reward: RewardConfig, scale: Scaling, by: Aggregation) -> Weighed:
    """A board under a reward; taken from memory when somebody has looked at it before."""
    return _weigh((*named, len(board), reward.model_dump_json(), scale, by), board, reward, scale, by)


@st.cache_resource(max_entries=_KEPT_WEIGHINGS, show_spinner=False)
def _weigh(
    named: tuple[object, ...], _board: Board, _reward: RewardConfig, _scale: Scaling, _aggregation: Aggregation
) -> Weighed:
    return weigh(_board, _reward, _scale, _aggregation)


def view(opened: Opened, reward: RewardConfig, before: RewardConfig, scale: Scaling, aggregation: Aggregation) -> View:
    """What `reward` makes of the board, and what has changed since `before`.

    A reward that needs measures which this board lacks cannot be compared with; nothing has changed then.

    Raises:
        DataError: a component of `reward` has not been measured on this board.
    """
    if opened.board.missing(before):
        before = reward
    named = (opened.id, opened.version)
    now = _weighed(named, opened.board, reward, scale, aggregation)
    then = _weighed(named, opened.board, before, scale, aggregation)
    return View(
        reward=reward,
        before=before,
        now=now,
        then=then,
        among_valid=_weighed((*named, "valid"), opened.valid, reward, scale, aggregation),
        changed=flips(opened.board, then.rewards, now.rewards),
        groups=len(opened.board.groups),
    )


def reward_of_sliders() -> RewardConfig:
    """The reward as the sliders stand.

    Raises:
        ConfigError: every weight is zero.
    """
    reward, weights = lab_state.reward(), lab_state.weights()
    if not any(weights.values()):
        raise ConfigError("Every weight is zero, so every answer earns the same. Move at least one slider.")
    return reward.model_copy(update={"weights": weights})
