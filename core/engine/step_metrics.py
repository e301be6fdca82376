"""What is recorded of a training step, from TRL's logs and from the scores of its completions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import psutil
import torch

from core.engine.group_reward import ScoredStep
from core.reward.advantages import group_spreads
from core.runs.events import Metrics

_FLAT = 1e-4
"""Advantages of a group that differ by less than this teach nothing."""


def step_metrics(
    step: int, logs: Mapping[str, float | None], scored: ScoredStep, seconds: Mapping[str, float]
) -> Metrics:
    """The numbers of a step.

    Args:
        logs: what TRL logs at this step; a number it does not know is missing or None, and becomes NaN.
        scored: the completions that the step has learned from.
        seconds: `generate_seconds`, `score_seconds` and `update_seconds`.
    """

    def logged(name: str) -> float:
        value = logs.get(name)
        return math.nan if value is None else float(value)

    scores, groups = scored.scores, [sample.group for sample in scored.samples]
    truncated = logged("completions/clipped_ratio")
    return Metrics(
        step=step,
        reward=float(scores.rewards.mean()),
        reward_std=float(group_spreads(scores.rewards, groups).mean()),
        components=scores.means(),
        effective=scores.effective_weights(),
        valid=float(scores.valid.mean()),
        well_formed=float(scores.well_formed.mean()),
        zero_variance=float((group_spreads(scores.advantages, groups) < _FLAT).mean()),
        completion_tokens=logged("completions/mean_length"),
        shortest=logged("completions/min_length"),
        longest=logged("completions/max_length"),
        ended_tokens=math.nan if truncated == 1 else logged("completions/mean_terminated_length"),
        truncated=truncated,
        entropy=logged("entropy"),
        kl=logged("kl"),
        clip_low=logged("clip_ratio/low_mean"),
        clip_high=logged("cispo_clip_ratio" if "cispo_clip_ratio" in logs else "clip_ratio/high_mean"),
        loss=logged("loss"),
        grad_norm=logged("grad_norm"),
        learning_rate=logged("learning_rate"),
        step_seconds=sum(seconds.values()),
        generate_seconds=seconds["generate_seconds"],
        score_seconds=seconds["score_seconds"],
        update_seconds=seconds["update_seconds"],
        gpu_bytes=gpu_bytes(),
        host_bytes=float(psutil.Process().memory_info().rss),
    )


def gpu_bytes() -> float:
    """GPU memory that all programs together hold; NaN without a GPU."""
    if not torch.cuda.is_available():
        return math.nan
    free, total = torch.cuda.mem_get_info()
    return float(total - free)
