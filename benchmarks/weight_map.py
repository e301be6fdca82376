"""The weight map of 5,000 points over 1,000 completions: one vectorised pass against a call for each point."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.lab.board import Board, column
from core.lab.ordering import agreement
from core.lab.weight_map import WeightMap, weight_map
from core.paths import Home
from core.reward.formula import PRESETS, combine
from core.reward.scoring import Sample

POINTS = 5000
COMPLETIONS = 1000
GROUP = 8
LOOP_POINTS = 200
"""The loop is timed on so many of the points and its time for all of them worked out from that."""
ROUNDS = 5
CONFIG = PRESETS["robust"]


def measure(home: Home) -> dict[str, Any]:
    """Seconds for the whole map, median of five rounds in turn; `home` is not used."""
    board = _board()
    seconds: dict[str, list[float]] = {"vectorised": [], "loop": []}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = weight_map(board, CONFIG, CONFIG.components, points=POINTS)
        seconds["vectorised"].append(time.perf_counter() - start)
        chosen = np.linspace(0, len(found.points) - 1, LOOP_POINTS).astype(np.intp)
        start = time.perf_counter()
        slow = _loop(board, found, chosen)
        seconds["loop"].append((time.perf_counter() - start) * len(found.points) / LOOP_POINTS)
    median = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    ratio = median["loop"] / median["vectorised"]
    apart = float(np.abs(found.agreement[chosen] - np.array(slow, dtype=np.float64)).max())
    return {
        "points": len(found.points),
        "completions": COMPLETIONS,
        "group": GROUP,
        "pairs": found.pairs,
        "seconds": median,
        "loop_over_vectorised": round(ratio, 1),
        "largest_difference_in_agreement": apart,
        "met": {
            "at most one second": median["vectorised"] <= 1.0,
            "at least 5 times faster than a loop": ratio >= 5,
            "same agreement": apart < 1e-9,
        },
    }


def _loop(board: Board, found: WeightMap, chosen: NDArray[np.intp]) -> list[float | None]:
    """Agreement at some points of the map, with a call of `combine` and one of `agreement` for each."""
    scores = board.components(CONFIG)
    rewards = (
        combine(scores, weights, board.valid, CONFIG.invalid_reward) for weights in found.points[chosen].tolist()
    )
    return [agreement(values, board.grades, board.index) for values in rewards]


def _board() -> Board:
    """Completions whose grade is in part in their scores, one in ten of them invalid."""
    random = np.random.default_rng(0)
    grades = random.integers(0, 5, COMPLETIONS).astype(np.float64)
    semantic = np.clip(grades / 5 + random.normal(0, 0.2, COMPLETIONS), -1, 1)
    scores = [semantic, random.random(COMPLETIONS), random.choice([0.0, 0.5, 1.0], COMPLETIONS)]
    valid = random.random(COMPLETIONS) > 0.1
    return Board(
        title="",
        samples=tuple(Sample("", "", str(row), str(row // GROUP)) for row in range(COMPLETIONS)),
        kinds=("",) * COMPLETIONS,
        grades=grades,
        valid=valid,
        well_formed=valid,
        measures={column(name, CONFIG): values for name, values in zip(CONFIG.components, scores, strict=True)},
    )
