"""Runs answers of different length through a model together.

Everything in a model but attention treats each token by itself, so the next tokens of many answers go through it as one
batch. Attention looks back at what stands before a token, and there each row has keys and values of its own:

    attention(q_i, [K_i; k_i]) = softmax(q_i [K_i; k_i]') [V_i; v_i]        for row i

So no row is padded to another's length, rows come and go between two tokens at no cost, and what a row reads is what it
would read alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel

from core.engine.shared_prompt import supports_shared_prompt

_ATTENTION = "side_by_side"


class Past(Protocol):
    """What a row has read so far, as a reader keeps it."""


class Reader(Protocol):
    """Puts the next tokens of rows through a model, which may have adapters on it."""

    def past(self) -> Past:
        """The past of a new row."""
        ...

    def beginning(self, past: Any, length: int) -> Past | None:
        """A past of its own that holds the first `length` tokens of another one; None where that cannot be had."""
        ...

    def read(self, model: Any, ids: Tensor, pasts: Sequence[Any], **model_arguments: Any) -> Tensor:
        """Read `ids`, shape (rows, T), behind each row's past; returns the logits that follow, (rows, vocabulary)."""
        ...


def reader_for(model: PreTrainedModel) -> Reader:
    """The reader that a base model allows.

    Side by side, where its attention can be exchanged and every layer keeps plain keys and values; else row by row.
    """
    return SideBySide(model) if supports_shared_prompt(model) else RowByRow(model)


class RowPast:
    """Keys and values of one row, with room for more."""

    def __init__(self) -> None:
        self.length = 0
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    def with_new(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write down the keys and values of new tokens, shape (key heads, T, size); returns those of all tokens.

        They count from the moment on when `length` does.
        """
        end = self.length + keys.size(1)
        for kept, new in ((self._keys, keys), (self._values, values)):
            if layer not in kept or kept[layer].size(1) < end:
                kept[layer] = self._larger(kept.get(layer), new, end)
            kept[layer][:, self.length : end] = new
        return self._keys[layer][:, :end], self._values[layer][:, :end]

    def beginning(self, length: int) -> RowPast:
        """A copy of the first `length` tokens."""
        copy = RowPast()
        copy.length = length
        copy._keys = {layer: keys[:, :length].clone() for layer, keys in self._keys.items()}
        copy._values = {layer: values[:, :length].clone() for layer, values in self._values.items()}
        return copy

    def _larger(self, old: Tensor | None, new: Tensor, end: int) -> Tensor:
        """Room for half as many tokens again, so that a long answer is copied a few times only."""
        room = new.new_empty(new.size(0), end + max(end // 2, 64), new.size(2))
        if old is not None:
            room[:, : self.length] = old[:, : self.length]
        return room


class SideBySide:
    """Reads all rows in one pass."""

    def __init__(self, model: PreTrainedModel) -> None:
        model.config._attn_implementation = _ATTENTION

    def past(self) -> RowPast:
        return RowPast()

    def beginning(self, past: RowPast, length: int) -> RowPast:
        return past.beginning(length)

    def read(self, model: Any, ids: Tensor, pasts: Sequence[RowPast], **model_arguments: Any) -> Tensor:
        starts = torch.tensor([past.length for past in pasts], device=ids.device)
        logits: Tensor = model(
            input_ids=ids,
            position_ids=starts[:, None] + torch.arange(ids.size(1), device=ids.device),
            use_cache=False,
            logits_to_keep=1,
            row_pasts=pasts,
            **model_arguments,
        ).logits
        for past in pasts:
            past.length += ids.size(1)
        return logits[:, -1]


class RowByRow:
    """Reads one row after the other, each with transformers' own cache."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._config = model.config

    def past(self) -> DynamicCache:
        return DynamicCache(config=self._config)

    def beginning(self, past: DynamicCache, length: int) -> None:
        """Not every kind of layer can forget its last tokens."""

    def read(self, model: Any, ids: Tensor, pasts: Sequence[DynamicCache], **model_arguments: Any) -> Tensor:
        names = model_arguments.pop("adapter_names", None)
        found = []
        for number, (row, past) in enumerate(zip(ids, pasts, strict=True)):
            of_row = model_arguments if names is None else {**model_arguments, "adapter_names": [names[number]]}
            answer = model(input_ids=row[None], past_key_values=past, use_cache=True, logits_to_keep=1, **of_row)
            found.append(answer.logits[:, -1])
        return torch.cat(found)


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    row_pasts: Sequence[RowPast],
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Each row attends to its own past and to its new tokens; shapes as transformers' attention functions have them.

    Args:
        query: shape (B, heads, T, size).
        key, value: of the new tokens, shape (B, key heads, T, size).
    """
    rows = []
    for number, past in enumerate(row_pasts):
        keys, values = past.with_new(module.layer_idx, key[number], value[number])
        rows.append(_attend_row(query[number], keys, values, scaling))
    return torch.stack(rows).transpose(1, 2).contiguous(), None


def _attend_row(query: Tensor, keys: Tensor, values: Tensor, scaling: float) -> Tensor:
    """From (heads, T, size) to the same; the T new tokens are the last ones of `keys`, and see none after them."""
    heads, length, size = query.shape
    if length == 1:  # the heads that share keys stand where the tokens of a longer piece would
        grouped = query.view(1, keys.size(0), -1, size)
        return scaled_dot_product_attention(grouped, keys[None], values[None], scale=scaling).view(heads, 1, size)
    shared, before = heads // keys.size(0), keys.size(1) - length
    seen = None
    if before:
        seen = torch.ones(length, keys.size(1), dtype=torch.bool, device=query.device).tril(before)
    answer = scaled_dot_product_attention(
        query[None],
        keys.repeat_interleave(shared, 0)[None],
        values.repeat_interleave(shared, 0)[None],
        attn_mask=seen,
        is_causal=seen is None,
        scale=scaling,
    )
    return answer[0]


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Rows see their own past and nothing else, which needs no mask."""


AttentionInterface.register(_ATTENTION, _attend)
AttentionMaskInterface.register(_ATTENTION, _no_mask)
