"""Boards for tests: of made-up scores, and of a few short texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from core.config import RewardConfig
from core.lab.board import Board, column
from core.lab.board_files import BoardRow, board_from_rows
from core.reward.formula import PRESETS, Floats
from core.reward.scoring import Sample

ARTICLE = PRESETS["article"]

GOOD = "<reasoning>Airway.</reasoning><answer>give adrenaline now</answer>"
BAD = "<reasoning>Airway.</reasoning><answer>wait and see</answer>"
LOOPING = "<reasoning>Airway.</reasoning><answer>yes yes yes yes yes</answer> and so on"
BARE = "give adrenaline now"
REFERENCE = "give adrenaline now"


def weighted(semantic: float, fluency: float, tags: float) -> RewardConfig:
    return ARTICLE.model_copy(update={"weights": {"semantic": semantic, "fluency": fluency, "tags": tags}})


def board_of_scores(
    scores: Sequence[Sequence[float]] | Floats,
    groups: Sequence[object],
    config: RewardConfig = ARTICLE,
    valid: Sequence[bool] | None = None,
    grades: Sequence[float] | Floats | None = None,
) -> Board:
    """A board whose component scores under `config` are `scores`; `groups` names the group of each completion."""
    table, rows = np.asarray(scores, dtype=np.float64), range(len(groups))
    kept = np.ones(len(groups), dtype=bool) if valid is None else np.array(valid, dtype=bool)
    return Board(
        title="",
        samples=tuple(Sample("Question?", "Reference.", f"completion {row}", str(groups[row])) for row in rows),
        kinds=("",) * len(groups),
        grades=np.full(len(groups), math.nan) if grades is None else np.array(grades, dtype=np.float64),
        valid=kept,
        well_formed=kept,
        measures={column(name, config): table[:, position] for position, name in enumerate(config.components)},
    )


def board_of_texts(*texts: str, groups: int = 1) -> Board:
    """The same completions, by default `GOOD`, `LOOPING` and `BARE`, for each of so many questions."""
    rows = [
        BoardRow(f"What helps, case {group}?", REFERENCE, text)
        for group in range(groups)
        for text in texts or (GOOD, LOOPING, BARE)
    ]
    return board_from_rows(rows, "Mine")
