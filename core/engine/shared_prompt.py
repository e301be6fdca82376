"""Runs a prompt once for all completions of its group.

The completions of a group share one prompt, yet the usual code reads that prompt again for each of them, both when it
generates and when it computes the loss. Here the prompt goes through the model once, its keys and values are repeated
for the group, and only the completions go through row by row. The result is the same up to rounding, gradients
included, since repeating is differentiable. With a worked example in the prompt it saves most of the arithmetic.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


def supports_shared_prompt(model: PreTrainedModel) -> bool:
    """Whether every layer of the model keeps plain keys and values that can be repeated."""
    cache = DynamicCache(config=model.config)
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def prompt_cache(model: Any, ids: Tensor, mask: Tensor) -> DynamicCache:
    """Run each distinct prompt, all but its last token, once.

    Args:
        model: the policy.
        ids, mask: left-padded prompts, shape (B, P); equal rows are run once.

    Returns:
        Keys and values of the prompts but for their last token, repeated back to B rows.
    """
    rows = torch.cat([ids, mask], dim=1)
    distinct, index = torch.unique(rows, dim=0, return_inverse=True)
    length = ids.size(1)
    ids, mask = distinct[:, :length], distinct[:, length:]
    cache = DynamicCache(config=model.config)
    if length > 1:
        model(
            input_ids=ids[:, :-1],
            attention_mask=mask[:, :-1],
            position_ids=positions(mask)[:, :-1],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache.batch_select_indices(index)
    return cache


def completion_logits(model: Any, input_ids: Tensor, attention_mask: Tensor, completion_length: int) -> Tensor:
    """The logits that predict each completion token.

    Args:
        input_ids, attention_mask: left-padded prompts followed by right-padded completions, shape (B, P + C).
        completion_length: C.

    Returns:
        Logits, shape (B, C, vocabulary).
    """
    prompt_length = input_ids.size(1) - completion_length
    cache = prompt_cache(model, input_ids[:, :prompt_length], attention_mask[:, :prompt_length])
    start = prompt_length - 1
    logits: Tensor = model(
        input_ids=input_ids[:, start:-1],
        attention_mask=attention_mask[:, :-1],
        position_ids=positions(attention_mask)[:, start:-1],
        past_key_values=cache,
        use_cache=True,
    ).logits
    return logits


def positions(mask: Tensor) -> Tensor:
    """Position of each token counted from the first that is not padding, shape as `mask`."""
    return (mask.long().cumsum(1) - 1).clamp(min=0)
