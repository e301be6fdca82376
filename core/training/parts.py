"""In how many parts a step's completions pass through the model, so that they fit into memory.

Fewer and larger parts are faster. The job decides by this, and so does the estimate before a start.

Source: Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models" (2022), for layers without
stored attention scores: 34 bytes for each token and hidden unit of a layer in 16-bit training, 2 when they are computed
again, twice that in 32 bits. On an H200 the update of 64 completions of up to 672 tokens by a model of 135 million
parameters took 34 GB where this says 33.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.train_config import TrainConfig

_LAYER_BYTES = 34
_CHECKPOINTED_BYTES = 2
_LOGIT_BYTES = 16
"""Of each logit: in the model's format, in float32, its probability and its gradient."""
_PART_SHARE = 0.5
"""How much of the free memory a part may take; the estimate is rough."""
_MOST_PARTS = 8
"""In more parts than this, computing activations again is the smaller loss."""


@dataclass(frozen=True)
class DecoderSize:
    """What decides how much memory the update of a decoder needs."""

    layers: int
    hidden: int
    vocabulary: int


@dataclass(frozen=True)
class Parts:
    """How a step's completions go through the model.

    Attributes:
        parts: how many gradient accumulation steps there are; divides the completions of a training process.
        checkpointing: whether activations are computed again in the backward pass.
    """

    parts: int
    checkpointing: bool


def choose_parts(train: TrainConfig, size: DecoderSize, free: float) -> Parts:
    """What the run asks for on a GPU, and what it leaves open chosen so that a part fits.

    Args:
        free: bytes of GPU memory that are free for the update.
    """
    plain = _fewest(train, size, free, checkpointing=False)
    switch = train.gradient_checkpointing
    again = switch == "on" or (switch == "auto" and (plain > _MOST_PARTS or train.backend == "unsloth"))
    needed = _fewest(train, size, free, checkpointing=True) if again else plain
    return Parts(train.gradient_accumulation or needed, again)


def token_bytes(size: DecoderSize, width: int, checkpointing: bool) -> int:
    """Bytes of activations that each token leaves for the backward pass; `width` is that of a number, 2 or 4."""
    kept = _CHECKPOINTED_BYTES * size.layers + _LAYER_BYTES if checkpointing else _LAYER_BYTES * size.layers
    return size.hidden * kept * width // 2


def logit_bytes(train: TrainConfig, size: DecoderSize) -> int:
    """Bytes of the logits of one completion of the greatest length."""
    return train.max_completion_length * size.vocabulary * _LOGIT_BYTES


def divisors(number: int) -> list[int]:
    """Every whole number that divides `number`, the smallest first.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    return [part for part in range(1, number + 1) if number % part == 0]


def _fewest(train: TrainConfig, size: DecoderSize, free: float, checkpointing: bool) -> int:
    """The fewest equal parts that fit; one completion a part when none does."""
    rows, tokens = train.completions_per_process, train.max_prompt_length + train.max_completion_length
    row = tokens * token_bytes(size, 2, checkpointing) + logit_bytes(train, size)
    return next((parts for parts in divisors(rows) if rows // parts * row <= free * _PART_SHARE), rows)
