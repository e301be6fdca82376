"""Tells in a sentence what did not fit into memory, and what would make it smaller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.config import RunConfig
from core.engine.reporting import Reporter
from core.errors import ModelError, OutOfMemory, lacks_memory

_PROFILING = "Error in memory profiling"
"""What vLLM says when the GPU's free memory grows while it looks."""


@contextmanager
def memory_errors_told(config: RunConfig, reporter: Reporter) -> Iterator[None]:
    """Turn a lack of memory into an error that says what was too large.

    Raises:
        OutOfMemory: the GPU or the machine has too little.
        ModelError: vLLM could not find out how much memory it may take.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(_sentence(config, reporter, gpu=True)) from error
    except AssertionError as error:
        if _PROFILING not in str(error):
            raise
        raise ModelError(
            "Another program gave GPU memory back just when vLLM measured how much it may take. Start the run again."
        ) from error
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise OutOfMemory(_sentence(config, reporter, gpu="CUDA" in str(error))) from error


def _sentence(config: RunConfig, reporter: Reporter, gpu: bool) -> str:
    what, mends = _too_large(config, reporter.doing)
    where = "The GPU" if gpu else "This machine"
    if config.train.quantization == "none" and gpu:
        mends.append("hold the model in 4 bits (train.quantization)")
    mends.append("close other programs that use the GPU" if gpu else "close other programs")
    return (
        f"{where} ran out of memory at step {reporter.step + 1} while {what}. To make it fit: {'; '.join(mends)}; then "
        "clone the run."
    )


def _too_large(config: RunConfig, phase: str) -> tuple[str, list[str]]:
    """What the job was doing, and which settings make that smaller, the best first."""
    train = config.train
    completions = f"{train.completions_per_step} completions of up to {train.max_completion_length} tokens"
    shorter = f"allow shorter completions (train.max_completion_length is {train.max_completion_length})"
    fewer = f"use fewer completions a step (train.num_generations is {train.num_generations})"
    if phase == "generating":
        return f"it wrote {completions}", [shorter, fewer]
    if phase == "scoring":
        return f"it scored {completions}", [fewer, "choose smaller scoring models (reward.fluency_model)"]
    if phase == "updating":
        parts = "pass them through the model in more parts (train.gradient_accumulation)"
        return f"it learned from {completions}", [parts, shorter, fewer]
    return "it loaded the models", ["choose a smaller model (model)"]
