"""Scoring 64 completions with the embedded models: the studio's batches against two other ways, same texts."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from core.config import EMBEDDED_POLICY
from core.engine.device import choose_compute
from core.engine.scorers import CausalLanguageModel, in_length_order
from core.paths import SAMPLE_DATA, Home

COMPLETIONS = 64
ROUNDS = 3


def measure(home: Home) -> dict[str, Any]:
    """Seconds for 64 texts of 5 to 60 words, median of three rounds in turn."""
    model = CausalLanguageModel.load(EMBEDDED_POLICY, home, choose_compute().device, torch.float32)
    texts = _texts()
    rows = model._token_ids(texts)
    ways: dict[str, Callable[[], list[float]]] = {
        "sorted_small_batches": lambda: model.mean_loss(texts),
        "one_by_one": lambda: [model.mean_loss([text])[0] for text in texts],
        "one_padded_batch": lambda: in_length_order(texts, rows, model._batch_loss, batch=COMPLETIONS),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            losses[name] = way()
            seconds[name].append(time.perf_counter() - start)
    median = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    ratio = median["one_by_one"] / median["sorted_small_batches"]
    apart = max(abs(a - b) for a, b in zip(losses["one_by_one"], losses["sorted_small_batches"], strict=True))
    return {
        "completions": COMPLETIONS,
        "seconds": median,
        "one_by_one_over_sorted": round(ratio, 2),
        "one_padded_batch_over_sorted": round(median["one_padded_batch"] / median["sorted_small_batches"], 2),
        "largest_difference_in_loss": apart,
        "met": {"at least 1.5 times faster than one by one": ratio >= 1.5, "same losses": apart < 1e-3},
    }


def _texts() -> list[str]:
    """Answers of the sample data, cut or joined to lengths from 5 to 60 words."""
    rows = [json.loads(line) for line in SAMPLE_DATA.read_text(encoding="utf-8").splitlines()]
    words = " ".join(row["answer"] for row in rows).split()
    lengths = [5 + (index * 23) % 56 for index in range(COMPLETIONS)]
    starts = [sum(lengths[:index]) for index in range(COMPLETIONS)]
    return [" ".join(words[start : start + length]) for start, length in zip(starts, lengths, strict=True)]
