"""In how many parts a step's completions pass through the model, so that they fit into memory.

Fewer and larger parts are faster. What a part needs is estimated from the model's shape, see Korthikanti et al.,
"Reducing Activation Recomputation in Large Transformer Models" (2022): a decoder layer keeps about 34 bytes for each
token and hidden unit in 16-bit training, and 2 when activations are computed again in the backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from core.config import RunConfig
from core.engine.device import Compute

_LAYER_BYTES = 34
_CHECKPOINTED_BYTES = 2
_LOGIT_BYTES = 16
"""Of each logit: in the model's format, in float32, its probability and its gradient."""
_USED_SHARE = 0.5
"""How much of the free memory a part may take; the estimate is rough."""
_MOST_PARTS = 8
"""In more parts than this, computing activations again is the smaller loss."""


@dataclass(frozen=True)
class Passes:
    """How a step's completions go through the model.

    Attributes:
        parts: how many gradient accumulation steps there are; divides the completions of a step.
        checkpointing: whether activations are computed again in the backward pass.
    """

    parts: int
    checkpointing: bool


def choose_passes(config: RunConfig, model: Any, compute: Compute) -> Passes:
    """What the run asks for, and what it leaves open chosen so that a step fits into this machine's memory.

    Args:
        model: the policy, already on its device.
    """
    train = config.train
    rows = train.completions_per_step
    if compute.device.type == "cpu":
        return Passes(train.gradient_accumulation or 1, checkpointing=False)
    free = _free_bytes(config, compute) * _USED_SHARE
    switch = train.gradient_checkpointing
    plain = _parts(rows, row_bytes(config, model, checkpointing=False), free)
    checkpointing = switch == "on" or (switch == "auto" and plain > _MOST_PARTS)
    needed = _parts(rows, row_bytes(config, model, checkpointing=True), free) if checkpointing else plain
    return Passes(train.gradient_accumulation or needed, checkpointing)


def row_bytes(config: RunConfig, model: Any, checkpointing: bool) -> float:
    """Bytes that the update needs for one completion of the greatest length with its prompt."""
    shape = model.config
    tokens = config.train.max_prompt_length + config.train.max_completion_length
    each_layer = _CHECKPOINTED_BYTES if checkpointing else _LAYER_BYTES
    layers = tokens * shape.hidden_size * (each_layer * shape.num_hidden_layers + _LAYER_BYTES)
    logits = config.train.max_completion_length * shape.vocab_size * _LOGIT_BYTES
    return float(layers + logits)


def _parts(rows: int, bytes_of_row: float, free: float) -> int:
    """The fewest equal parts of `rows` that fit; one row a part when none does."""
    fitting = [parts for parts in range(1, rows + 1) if rows % parts == 0 and rows // parts * bytes_of_row <= free]
    return fitting[0] if fitting else rows


def _free_bytes(config: RunConfig, compute: Compute) -> float:
    """GPU memory that is left once vLLM has taken its share; under Unsloth it already has."""
    free, total = torch.cuda.mem_get_info(compute.device)
    comes = compute.generation == "vllm" and config.train.backend == "trl"
    share = config.train.vllm_memory if comes else 0.0
    return max(free - share * total, 0.0)
