"""What a GGUF file says about its model, and how many answers at once, and how long ones, fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from gguf import GGUFReader, GGUFValueType, Keys

from core.errors import ModelError

LONGEST_CONTEXT = 4096
"""Tokens of a question with its answer that are given room, where the model itself can read as many."""
MOST_SLOTS = 8
"""Answers that are written at once; on two cores more of them are hardly faster than eight."""

_WORKING_BYTES = 400_000_000
"""What Python and the results between two layers take beside weights, keys and values."""
_CACHE_SHARE = 0.25
"""The share of the memory left beside the weights that answers beyond the first may take."""
_CACHE_WIDTH = 2
"""Bytes of one number of a key or a value, which llama.cpp keeps in 16 bits."""
_LONG_LIST = 1024


@dataclass(frozen=True)
class GgufFile:
    """A language model in one file.

    Attributes:
        architecture: as llama.cpp calls it, such as `llama`.
        context: the most tokens the model was made to read.
        cache_bytes: what keys and values of one token take.
        weight_bytes: the size of the file.
    """

    path: Path
    architecture: str
    context: int
    cache_bytes: int
    weight_bytes: int


@dataclass(frozen=True)
class Slots:
    """How many answers are written at once, each with room for `context` tokens of question and answer."""

    count: int
    context: int


class HeadReader(GGUFReader):  # type: ignore[misc]
    """A reader of the head alone: it passes over the weights, and over long lists such as the vocabulary."""

    def _build_tensors(self, start_offs: int, fields: list[Any]) -> None:
        """Leaves the weights to llama.cpp, which knows more kinds of them."""

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list[Any], list[int], list[GGUFValueType]]:
        if GGUFValueType(raw_type) != GGUFValueType.ARRAY:
            return self._whole(orig_offs, raw_type)
        kind = GGUFValueType(int(self._get(orig_offs, np.uint32)[0]))
        length = int(self._get(orig_offs + 4, np.uint64)[0])
        if length <= _LONG_LIST:
            return self._whole(orig_offs, raw_type)
        end = self._end_of_list(orig_offs + 12, kind, length)
        return end - orig_offs, [], [], [GGUFValueType.ARRAY]

    def _whole(self, offset: int, raw_type: int) -> tuple[int, list[Any], list[int], list[GGUFValueType]]:
        return cast("tuple[int, list[Any], list[int], list[GGUFValueType]]", super()._get_field_parts(offset, raw_type))

    def _end_of_list(self, offset: int, kind: GGUFValueType, length: int) -> int:
        """Where a list of texts or numbers that begins at `offset` ends."""
        if kind != GGUFValueType.STRING:
            return offset + length * int(np.dtype(self.gguf_scalar_to_np[kind]).itemsize)
        content = memoryview(self.data)
        order: Literal["big", "little"] = "big" if self.endianess.name == "BIG" else "little"
        for _ in range(length):
            if offset >= len(content):
                raise ValueError("the file ends within a list")
            offset += 8 + int.from_bytes(content[offset : offset + 8], order)
        return offset


def read_gguf(path: Path) -> GgufFile:
    """What the file's head says; the weights themselves are not read.

    Raises:
        ModelError: there is no such file, it is no GGUF file or not all of one, or holds no model that writes text.
    """
    if not path.is_file():
        raise ModelError(f"There is no file {path}. Choose a GGUF file that is there.")
    try:
        reader = HeadReader(path)
    except PermissionError as error:
        raise ModelError(f"{path} may not be read. Change its permissions, or choose another file.") from error
    except (ValueError, KeyError, IndexError, OverflowError, OSError) as error:
        raise ModelError(
            f"{path.name} is not a GGUF file, or only a part of one. Copy or export it again, or choose another."
        ) from error
    return _file(path, reader)


def _file(path: Path, reader: GGUFReader) -> GgufFile:
    kind, architecture = _value(reader, Keys.General.TYPE, "model"), _value(reader, Keys.General.ARCHITECTURE, "")
    writes = _value(reader, Keys.Attention.CAUSAL.format(arch=architecture), True)
    if kind != "model" or not architecture or not writes:
        raise ModelError(
            f"{path.name} holds no language model that writes text (it says: {kind}, {architecture or 'unknown'}). "
            "Choose the GGUF file of a whole language model."
        )
    return GgufFile(
        path=path,
        architecture=str(architecture),
        context=int(_value(reader, Keys.LLM.CONTEXT_LENGTH.format(arch=architecture), 0)) or LONGEST_CONTEXT,
        cache_bytes=_cache_bytes(reader, str(architecture)),
        weight_bytes=path.stat().st_size,
    )


def slots(file: GgufFile, free_bytes: int) -> Slots:
    """As many answers at once as fit without taking much of the memory from others.

    Args:
        free_bytes: of this machine's memory.

    Raises:
        ModelError: there is not even room for one.
    """
    context = min(file.context, LONGEST_CONTEXT)
    each = context * file.cache_bytes
    left = free_bytes - file.weight_bytes - _WORKING_BYTES
    if left < each:
        needed = file.weight_bytes + _WORKING_BYTES + each
        raise ModelError(
            f"{file.path.name} needs about {needed / 1e9:.1f} GB of memory to answer and {free_bytes / 1e9:.1f} GB are "
            "free. Stop other model servers, wait until the run that is going on has ended, or choose a smaller file."
        )
    fitting = int(left * _CACHE_SHARE / each) if each else MOST_SLOTS
    return Slots(max(1, min(MOST_SLOTS, fitting)), context)


def _cache_bytes(reader: GGUFReader, architecture: str) -> int:
    """Bytes of one token's keys and values; 0 for a model without attention, which keeps none."""

    def told(key: str, default: Any = 0) -> Any:
        return _value(reader, key.format(arch=architecture), default)

    layers, heads = int(told(Keys.LLM.BLOCK_COUNT)), _each_layer(told(Keys.Attention.HEAD_COUNT))
    width = int(told(Keys.LLM.EMBEDDING_LENGTH)) // max(heads) if max(heads) else 0
    both = int(told(Keys.Attention.KEY_LENGTH, width)) + int(told(Keys.Attention.VALUE_LENGTH, width))
    pairs = _each_layer(told(Keys.Attention.HEAD_COUNT_KV, heads))
    return _CACHE_WIDTH * both * (sum(pairs) if len(pairs) > 1 else pairs[0] * layers)


def _each_layer(value: Any) -> Sequence[int]:
    """A number that is given once for all layers, or once for each."""
    return [int(one) for one in value] if isinstance(value, Sequence) and value else [int(value or 0)]


def _value(reader: GGUFReader, key: str, default: Any) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()
