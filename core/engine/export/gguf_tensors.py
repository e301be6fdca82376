"""The weights of a model on their way into a GGUF file: their names there, their order of rows, their precision."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gguf import MODEL_TENSOR, TENSOR_NAMES, get_tensor_name_map
from numpy.typing import NDArray

from core.engine.export.gguf_architectures import Model, refuse
from core.engine.export.gguf_rope import llama3_factors
from core.engine.export.weights import FLOATS, Weights, blocks
from core.errors import ModelError

_HEAD = "lm_head.weight"
_COMPUTED = re.compile(r"\.rotary_emb\.inv_freq$|\.attention\.masked_bias$")
"""What old models keep beside their weights and everybody computes anew."""
_TURNED = re.compile(r"blk\.\d+\.attn_([qk])\.(?:weight|bias)$")
_BLOCK = re.compile(r"blk\.(\d+)\.(.+)")

_LARGEST: Mapping[str, float] = {name: float(np.finfo(name).max) for name in ("float16", "float32")}

Numbers = NDArray[Any]
"""Of float16 or float32."""


@dataclass(frozen=True)
class TensorPlan:
    """One tensor of the file.

    Attributes:
        name: in GGUF files.
        shape: outermost dimension first, as PyTorch has it.
        dtype: float16 for matrices, float32 for the rest.
        numbers: reads it, in this shape and type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    numbers: Callable[[], Numbers]

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize


def planned(model: Model, source: Weights) -> list[TensorPlan]:
    """What goes into the file, in the order in which it is written.

    Raises:
        ModelError: a tensor is missing, or is one that llama.cpp does not know for this architecture.
    """
    names = get_tensor_name_map(model.architecture.kind, model.layers)
    plans, unknown = [], []
    for name in source.entries:
        if _COMPUTED.search(name) or (name == _HEAD and model.config.tie_word_embeddings):
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            unknown.append(name)
        else:
            plans.append(_plan(model, source, name, target))
    if unknown:
        refuse(f"llama.cpp has no place for its tensor {unknown[0]} ({len(unknown)} of them in all)")
    factors = llama3_factors(model.config, model.head_width)
    if factors is not None:
        name = TENSOR_NAMES[MODEL_TENSOR.ROPE_FREQS] + ".weight"
        plans.append(TensorPlan(name, factors.shape, np.dtype(np.float32), lambda: factors))
    _check_complete(model, {plan.name for plan in plans})
    return sorted(plans, key=lambda plan: _place(plan.name))


def _plan(model: Model, source: Weights, name: str, target: str) -> TensorPlan:
    entry, turned = source.entries[name], _TURNED.fullmatch(target)
    if entry.dtype not in FLOATS:
        refuse(f"the numbers of {name} are {entry.dtype}, and those known are {', '.join(FLOATS)}")
    normalises = target.endswith("norm.weight")
    dtype = np.dtype(np.float32 if len(entry.shape) == 1 or normalises else np.float16)
    shift = model.architecture.norm_shift if normalises else 0.0
    heads = 0
    if turned and model.architecture.permuted:
        heads = model.heads if turned[1] == "q" else model.key_value_heads

    def numbers() -> Numbers:
        values = _read(source, name, dtype, shift)
        return _permuted(values, heads) if heads else values

    return TensorPlan(target, entry.shape, dtype, numbers)


def _read(source: Weights, name: str, dtype: np.dtype[Any], shift: float) -> Numbers:
    """A tensor in the file's precision, converted a few rows at a time.

    Raises:
        ModelError: a number of it is not finite, or too large for float16.
    """
    shape = source.entries[name].shape
    found: Numbers = np.empty(shape, dtype)
    for start, stop in blocks(shape):
        rows = source.rows(name, start, stop)
        values = torch.from_numpy(found[start:stop])
        values.copy_(rows)
        _check_range(rows, name, _LARGEST[dtype.name])
        values += shift
    return found


def _check_range(rows: torch.Tensor, name: str, largest: float) -> None:
    """Refuse numbers that are not finite, or that the file's precision cannot hold."""
    least, most = (float(one) for one in torch.aminmax(rows))
    if not math.isfinite(least + most):
        raise ModelError(f"The tensor {name} holds numbers that are not finite. Choose another checkpoint.")
    if max(-least, most) > largest:
        refuse(f"a weight of {name} is larger than 16-bit floating-point numbers can be")


def _permuted(values: Numbers, heads: int) -> Numbers:
    """Rows of queries or keys, those half a head apart brought together.

    >>> _permuted(np.arange(8, dtype=np.float32), heads=2).tolist()
    [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]
    """
    halves = values.reshape(heads, 2, -1, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


def _check_complete(model: Model, names: Collection[str]) -> None:
    """Refuse a model with a layer that lacks what another one has, or without a beginning or an end."""
    layers: dict[int, set[str]] = defaultdict(set)
    for name in names:
        if found := _BLOCK.fullmatch(name):
            layers[int(found[1])].add(found[2])
    parts = set().union(*layers.values()) or {"attn_q.weight"}
    needed = {f"blk.{layer}.{part}" for layer in range(model.layers) for part in parts}
    needed |= {"token_embd.weight", "output_norm.weight"}
    needed |= set() if model.config.tie_word_embeddings else {"output.weight"}
    if missing := sorted(needed - set(names)):
        raise ModelError(f"{len(missing)} tensors are missing, such as {missing[0]}. Merge or copy the model again.")


def _place(name: str) -> tuple[int, str]:
    """Where a tensor stands in the file: the embedding and what is not in a layer first, then layer by layer."""
    found = _BLOCK.fullmatch(name)
    return (int(found[1]), name) if found else (-1, name)
