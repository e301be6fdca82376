"""Runs a prompt once for all completions of its group.

The completions of a group share one prompt, yet the usual code reads that prompt again for each of them, and keeps one
copy of its keys and values for each of them too. Here the prompt goes through the model once. Afterwards every
completion token attends to its own completion row by row, and to the prompt in one product for the whole group:

    attention(q, [K_prompt; K_own]) = softmax([q K_prompt'; q K_own']) [V_prompt; V_own]

The result is the same up to rounding, gradients included. On a processor it halves a training step: attending to a few
hundred prompt tokens sixteen times over is most of what generating a token costs there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_ATTENTION = "shared_prompt"


@dataclass(frozen=True)
class SharedPrompt:
    """Keys and values of the distinct prompts of a batch, all but each prompt's last token.

    Attributes:
        keys, values: for each layer, shape (prompts, key heads, P, head size).
        padding: where a prompt is only padding, shape (prompts, 1, 1, P).
        order: the batch's rows sorted by prompt, shape (rows,); None when they are sorted already. Every prompt has
            the same number of rows.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    padding: Tensor
    order: Tensor | None

    def by_prompt(self, rows: Tensor) -> Tensor:
        """From (rows, heads, N, X) to (prompts, heads, rows of a prompt x N, X)."""
        prompts, (_, heads, count, width) = self.padding.size(0), rows.shape
        ordered = rows if self.order is None else rows.index_select(0, self.order)
        split = ordered.view(prompts, -1, heads, count, width)
        return split.transpose(1, 2).reshape(prompts, heads, -1, width)

    def by_row(self, prompts: Tensor, count: int) -> Tensor:
        """The way back: from (prompts, heads, rows of a prompt x N, X) to (rows, heads, N, X), N being `count`."""
        number, heads, _, width = prompts.shape
        rows = prompts.view(number, heads, -1, count, width).transpose(1, 2).reshape(-1, heads, count, width)
        return rows if self.order is None else rows.index_select(0, self.order.argsort())


def supports_shared_prompt(model: PreTrainedModel) -> bool:
    """Whether the model's attention can be exchanged and every layer keeps plain keys and values."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    cache = DynamicCache(config=model.config)
    return bool(base._supports_attention_backend) and all(type(layer) is DynamicLayer for layer in cache.layers)


def read_prompts(model: Any, ids: Tensor, mask: Tensor) -> SharedPrompt:
    """Run each distinct prompt, all but its last token, once.

    Args:
        model: the policy.
        ids, mask: left-padded prompts, shape (rows, P + 1); equal rows are run once.

    Raises:
        ValueError: the prompts have only one token.
    """
    length = ids.size(1)
    if length < 2:
        raise ValueError("a prompt needs at least two tokens to be shared")
    distinct, index = _distinct(torch.cat([ids, mask], dim=1))
    ids, mask = distinct[:, : length - 1], distinct[:, length:-1]
    cache = DynamicCache(config=model.config)
    model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions(mask),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    counts = index.bincount()
    if int(counts.min()) < int(counts.max()):  # groups of different sizes: each row gets a copy of its own
        cache.batch_select_indices(index)
        mask, index = mask[index], torch.arange(len(index), device=index.device)
    return SharedPrompt(
        keys=tuple(layer.keys for layer in cache.layers),
        values=tuple(layer.values for layer in cache.layers),
        padding=(mask == 0)[:, None, None, :],
        order=None if bool((index.diff() >= 0).all()) else index.argsort(stable=True),
    )


def _distinct(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows in the order they first appear, and for each row the number of the one it equals."""
    numbers: dict[tuple[int, ...], int] = {}
    index = [numbers.setdefault(tuple(row), len(numbers)) for row in rows.tolist()]
    return torch.tensor(list(numbers), device=rows.device), torch.tensor(index, device=rows.device)


def continue_prompts(
    model: Any, prompt: SharedPrompt, ids: Tensor, position_ids: Tensor, cache: DynamicCache | None = None
) -> Tensor:
    """The logits that follow each of `ids`, tokens that stand behind their row's shared prompt.

    Args:
        ids, position_ids: shape (rows, T); T is 1 when `cache` holds earlier tokens.
        cache: keys and values of the rows' own tokens so far; the new ones are added.

    Returns:
        Logits, shape (rows, T, vocabulary).
    """
    with _shared_attention(model):
        logits: Tensor = model(
            input_ids=ids,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=cache is not None,
            shared_prompt=prompt,
        ).logits
    return logits


def completion_logits(model: Any, input_ids: Tensor, attention_mask: Tensor, completion_length: int) -> Tensor:
    """The logits that predict each completion token.

    Args:
        input_ids, attention_mask: left-padded prompts followed by right-padded completions, shape (B, P + C).
        completion_length: C.

    Returns:
        Logits, shape (B, C, vocabulary).
    """
    prompt_length = input_ids.size(1) - completion_length
    prompt = read_prompts(model, input_ids[:, :prompt_length], attention_mask[:, :prompt_length])
    behind = slice(prompt_length - 1, -1)
    return continue_prompts(model, prompt, input_ids[:, behind], positions(attention_mask)[:, behind])


def positions(mask: Tensor) -> Tensor:
    """Position of each token counted from the first that is not padding, shape as `mask`."""
    return (mask.long().cumsum(1) - 1).clamp(min=0)


@contextmanager
def _shared_attention(model: Any) -> Iterator[None]:
    config = model.config
    usual = config._attn_implementation
    config._attn_implementation = _ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = usual


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    shared_prompt: SharedPrompt | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention to a shared prompt and to the row's own tokens; shapes as transformers' attention functions have them.

    Args:
        query: shape (B, heads, T, size).
        key, value: of the row's own tokens, shape (B, key heads, S, size); S is T, or T is 1.
    """
    if shared_prompt is None:
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return found
    rows, heads, length, size = query.shape
    key_heads, own = key.size(1), key.size(2)
    prompt_keys, prompt_values = shared_prompt.keys[module.layer_idx], shared_prompt.values[module.layer_idx]
    stacked = query.reshape(rows, key_heads, -1, size) * scaling  # (B, key heads, heads / key heads x T, size)
    count = stacked.size(2)
    to_prompt = shared_prompt.by_prompt(stacked) @ prompt_keys.transpose(-1, -2)
    to_prompt = to_prompt.masked_fill(shared_prompt.padding, float("-inf"))
    to_own = stacked @ key.transpose(-1, -2)
    if length > 1:
        later = torch.ones(length, own, dtype=torch.bool, device=key.device).triu(1)
        to_own = to_own.view(rows, key_heads, -1, length, own).masked_fill(later, float("-inf")).flatten(2, 3)
    scores = torch.cat([shared_prompt.by_row(to_prompt, count), to_own], dim=-1)
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    weights = torch.nn.functional.dropout(weights, dropout)  # the module passes 0 when it is not training
    of_prompt, of_own = weights[..., :-own], weights[..., -own:]
    answer = shared_prompt.by_row(shared_prompt.by_prompt(of_prompt) @ prompt_values, count) + of_own @ value
    return answer.reshape(rows, heads, length, size).transpose(1, 2).contiguous(), None


AttentionInterface.register(_ATTENTION, _attend)
AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
