"""In how many parts a step's completions pass through the model on this machine."""

from __future__ import annotations

from typing import Any

import torch

from core.config import RunConfig
from core.engine.agreement import from_all
from core.engine.device import Compute
from core.training.parts import DecoderSize, Parts, choose_parts


def choose_passes(config: RunConfig, model: Any, compute: Compute) -> Parts:
    """What the run asks for, and what it leaves open chosen so that a step fits into this machine's memory.

    Args:
        model: the policy, already on its device.
    """
    if compute.device.type == "cpu":
        return Parts(config.train.gradient_accumulation or 1, checkpointing=config.train.gradient_checkpointing == "on")
    shape = model.config
    size = DecoderSize(shape.num_hidden_layers, shape.hidden_size, shape.vocab_size)
    return choose_parts(config.train, size, _free_bytes(config, compute))


def agreed_passes(config: RunConfig, model: Any, compute: Compute) -> Parts:
    """What `choose_passes` finds for the training process with the least free memory; all of them do the same."""
    found = from_all(choose_passes(config, model, compute))
    return max(found, key=lambda passes: (passes.checkpointing, passes.parts))


def _free_bytes(config: RunConfig, compute: Compute) -> float:
    """GPU memory that is left once vLLM has taken its share; under Unsloth it already has."""
    free, total = torch.cuda.mem_get_info(compute.device)
    comes = compute.generation == "vllm" and config.train.backend == "trl"
    share = config.train.vllm_memory if comes else 0.0
    return max(free - share * total, 0.0)
