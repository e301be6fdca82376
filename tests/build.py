"""Builds the values that tests read: metrics, events, run directories."""

from __future__ import annotations

from typing import Any

from core.runs.events import Metrics


def metrics(step: int, **changes: Any) -> Metrics:
    """Plausible metrics of a training step."""
    values: dict[str, Any] = {
        "reward": 0.3,
        "reward_std": 0.2,
        "components": {"semantic": 0.4, "fluency": 0.3, "tags": 0.8},
        "effective": {"semantic": 0.5, "fluency": 0.1, "tags": 0.2, "validity": 0.2},
        "valid": 0.9,
        "well_formed": 0.8,
        "zero_variance": 0.0,
        "completion_tokens": 30.0,
        "truncated": 0.1,
        "entropy": 1.2,
        "loss": 0.0,
        "grad_norm": 0.3,
        "learning_rate": 1e-3,
        "generate_seconds": 4.0,
        "score_seconds": 0.4,
        "update_seconds": 2.0,
        "step_seconds": 6.4,
    }
    return Metrics(step=step, **(values | changes))
