"""Measures what comes with the reward lab; `scripts/measure_lab.sh` calls it."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from core.config import DEFAULT_TAGS, EMBEDDED_POLICY, EMBEDDED_SIMILARITY, RewardConfig
from core.engine.device import choose_compute
from core.engine.scorers import CausalLanguageModel, load_similarity
from core.jobs.tasks import Tell, silent
from core.lab.board import Board, column
from core.lab.boards import bundled_completions
from core.lab.measuring import SCORES, ShippedScore, measured
from core.lab.stress import stress_board
from core.paths import Home, write_bytes
from core.reward.formula import PRESETS
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Scorer


def asset_scores(home: Home, tell: Tell = silent) -> dict[str, ShippedScore]:
    """What the embedded models say, in float32, of the bundled completions and of the stress set, by `sample_key`."""
    device = choose_compute().device
    similarity = load_similarity(EMBEDDED_SIMILARITY, home, device)
    language = CausalLanguageModel.load(EMBEDDED_POLICY, home, device, torch.float32)
    found: dict[str, ShippedScore] = {}
    with tempfile.TemporaryDirectory() as folder:  # not the home's cache: everything is computed now
        cache = ScoreCache(Path(folder) / "scores.sqlite")
        for board in (bundled_completions(), stress_board()):
            for config in (PRESETS["article"], PRESETS["notebook"]):
                board = measured(board, Scorer(config, DEFAULT_TAGS, similarity, language, cache), tell)
            found |= _by_key(board, PRESETS["article"], PRESETS["notebook"])
        cache.close()
    return found


def _by_key(board: Board, plain: RewardConfig, notebook: RewardConfig) -> Mapping[str, ShippedScore]:
    names = [column("semantic", plain), column("fluency", plain), column("fluency", notebook)]
    rows = zip(*(board.measures[name].tolist() for name in names), strict=True)
    return {key: ShippedScore(*row) for key, row in zip(board.keys, rows, strict=True)}


def measure_assets(home: Home, tell: Tell = silent) -> None:
    """Write assets/lab/scores.csv anew; see `core.lab.measuring`."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["key", "semantic", "fluency", "reference_fluency"])
    for key, score in sorted(asset_scores(home, tell).items()):
        lines.writerow([key, *(f"{value:.6f}" for value in (score.semantic, score.fluency, score.reference_fluency))])
    write_bytes(SCORES, text.getvalue().encode())
