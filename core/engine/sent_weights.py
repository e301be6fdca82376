"""What a vLLM server is sent of the policy: its weights with the adapter in them.

TRL 1.14 merges the adapter into the weights, hands them to vLLM one by one, and takes the adapter out again. vLLM only
remembers where each of them lies and packs a gigabyte of them at once, the last of them when TRL has come to its end.
By then the adapter is out: a model below a gigabyte writes every completion as the base model would, and never learns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def send_own_copies(generation: Any) -> None:
    """Give vLLM a copy of each weight, as it is while the adapter is in it.

    Args:
        generation: TRL's `VLLMGeneration` of a trainer that uses a server.
    """
    named = generation._iter_named_params

    def copies() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in named():
            yield name, tensor.clone()

    generation._iter_named_params = copies
