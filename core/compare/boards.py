"""The answers of a comparison as a board of the reward lab, so that votes on them feed the fit of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.compare.answering import sample_of
from core.compare.comparison import ComparedAnswer, Comparison, ComparisonRequest
from core.config import RewardConfig
from core.errors import DataError, StudioError
from core.lab.board import Board, column
from core.lab.boards import add_measures, load_board, save_board
from core.lab.measuring import Measured, light_board, with_measures, with_other_fluencies
from core.paths import Home
from core.reward.custom_files import kept_sources, sources
from core.runs.run import find_run
from core.text import one_line

_NAME = "compared"
_TITLE = 80


def keep_board(home: Home, comparison: Comparison) -> str:
    """Keep the whole answers as a board and return its id; the one that is kept already when it holds the same.

    No candidate is named on it, for votes are blind. With the scores of all answers it is measured; without them the
    reward lab measures it, or this does once all have been scored.

    Returns:
        The id; empty while there is no whole answer.

    Raises:
        StorageError: the disk is full or the home cannot be written.
    """
    request = comparison.request()
    answers = [answer for answer in comparison.answers() if answer.text and not answer.error]
    if not answers:
        return ""
    heading = one_line(request.questions[0].text, _TITLE)
    more = f" and {len(request.questions) - 1} more" if len(request.questions) > 1 else ""
    samples = [sample_of(request, answer) for answer in answers]
    light = light_board(f"Compared: {heading}{more}", samples, tags=request.prompt.tags)
    board = _measured(home, request, answers, light)
    known = comparison.board()
    kept = _kept(home, known) if known else None
    if kept is not None and kept.keys == board.keys:
        lacking = {name: scores for name, scores in board.measures.items() if name not in kept.measures}
        if lacking:
            add_measures(home, known, Measured(kept.keys, lacking, notes={}))
        return known
    found = save_board(home, _NAME, board)
    comparison.remember_board(found)
    return found


def _kept(home: Home, board_id: str) -> Board | None:
    try:
        return load_board(home, board_id)
    except DataError:  # deleted meanwhile
        return None


def _measured(home: Home, request: ComparisonRequest, answers: Sequence[ComparedAnswer], board: Board) -> Board:
    """The board with the components' scores when every answer has them."""
    if any(answer.reward is None for answer in answers):
        return board
    try:
        reward = _with_hashes(home, request)
    except StudioError:  # such as a custom reward that has gone since
        return board
    scores = {
        column(name, reward): np.array([_number(answer.components.get(name)) for answer in answers])
        for name in reward.components
    }
    return with_other_fluencies(with_measures(board, {**scores}), reward)


def _with_hashes(home: Home, request: ComparisonRequest) -> RewardConfig:
    """What was measured is named by the texts of the custom rewards as they were."""
    reward = request.reward
    if not reward.custom:
        return reward
    kept = find_run(home, request.run).rewards if request.run else None
    found = kept_sources(kept, reward) if kept else sources(home.rewards, reward)
    return reward.model_copy(update={"custom": tuple(source.reward for source in found)})


def _number(score: float | None) -> float:
    return math.nan if score is None else score
