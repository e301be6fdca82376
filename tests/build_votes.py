"""Boards of made-up scores, and raters whose taste is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from core.config import RewardConfig
from core.lab.board import Board, column
from core.lab.vote_files import Vote
from core.reward.formula import PRESETS
from core.reward.scoring import Sample

ARTICLE = PRESETS["article"]


def scored_board(groups: int, size: int = 6, seed: int = 0, config: RewardConfig = ARTICLE) -> Board:
    """Groups of valid completions with random scores in [0, 1] for each component of `config`."""
    rows = range(groups * size)
    scores = np.random.default_rng(seed).uniform(size=(len(rows), len(config.components)))
    yes = np.ones(len(rows), dtype=bool)
    return Board(
        title="Made up",
        samples=tuple(
            Sample(f"Question {row // size}?", "Reference.", f"completion {row}", f"group {row // size}")
            for row in rows
        ),
        kinds=("",) * len(rows),
        grades=np.full(len(rows), math.nan),
        valid=yes,
        well_formed=yes,
        measures={column(name, config): scores[:, place] for place, name in enumerate(config.components)},
    )


def taste_votes(
    board: Board,
    taste: Sequence[float],
    pairs_per_group: int,
    seed: int = 0,
    noise: float = 1.0,
    rater: str = "Ada",
    config: RewardConfig = ARTICLE,
) -> list[Vote]:
    """Votes of a rater who prefers by `taste`, a weight for each component, with logistic noise of that scale."""
    random = np.random.default_rng(seed)
    worth = board.components(config) @ np.asarray(taste)
    found = []
    for group in board.groups:
        rows = [row for row, sample in enumerate(board.samples) if sample.group == group]
        pairs = list(combinations(rows, 2))
        for index in random.choice(len(pairs), pairs_per_group, replace=False):
            one, two = pairs[index]
            first = worth[one] - worth[two] + noise * random.logistic() > 0
            winner, loser = (one, two) if first else (two, one)
            found.append(Vote(rater, 0.0, "made-up", group, board.keys[winner], board.keys[loser]))
    return found
