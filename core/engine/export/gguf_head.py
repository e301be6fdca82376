"""A GGUF file as something to be written anew: its keys as the bytes they are, and where its weights lie.

A vocabulary of 50,000 entries takes the usual reader seconds; copied as bytes it takes none, and stays exactly what it
was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValue, GGUFValueType, GGUFWriter, Keys
from gguf.gguf_writer import WriterState

from core.engine.serving.gguf_file import HeadReader
from core.errors import ModelError


@dataclass(frozen=True)
class Weight:
    """One tensor of a GGUF file.

    Attributes:
        kind: how its numbers are stored, a `GGMLQuantizationType`.
        shape: as NumPy counts it: the length of a row comes last.
        offset: where its numbers begin in the file.
    """

    name: str
    kind: GGMLQuantizationType
    shape: tuple[int, ...]
    offset: int = 0

    @property
    def width(self) -> int:
        """Numbers of one row."""
        return self.shape[-1]

    @property
    def rows(self) -> int:
        return int(np.prod(self.shape[:-1], dtype=np.int64))


@dataclass(frozen=True)
class GgufHead:
    """What a GGUF file says about its model, and what it holds.

    Attributes:
        architecture: as llama.cpp calls it, such as `llama`.
        layers, heads, key_value_heads, experts: how many of each; 0 experts for a dense model.
        alignment: tensors begin at multiples of so many bytes.
        keys: each key with its value, packed as they stand in the file.
    """

    path: Path
    architecture: str
    layers: int
    heads: int
    key_value_heads: int
    experts: int
    alignment: int
    keys: Mapping[str, bytes]
    weights: tuple[Weight, ...]


class _Reader(HeadReader):
    """Passes over long lists, and finds the weights without reading them."""

    def _build_tensors(self, start_offs: int, fields: list[Any]) -> None:
        GGUFReader._build_tensors(self, start_offs, fields)


class KeptKeysWriter(GGUFWriter):  # type: ignore[misc]
    """A writer whose keys and values come packed, as another file had them."""

    def __init__(self, path: Path, head: GgufHead) -> None:
        super().__init__(path, head.architecture)
        self.data_alignment = head.alignment
        self.kv_data = [{key: GGUFValue(packed, GGUFValueType.STRING) for key, packed in head.keys.items()}]

    def set_number(self, key: str, value: int) -> None:
        """Give a key this value, an unsigned number of 32 bits, in place of the one it had."""
        packed = self._pack_val(key, GGUFValueType.STRING, add_vtype=False)
        packed += self._pack_val(value, GGUFValueType.UINT32, add_vtype=True)
        self.kv_data[0][key] = GGUFValue(bytes(packed), GGUFValueType.STRING)

    def write_kv_data_to_file(self) -> None:
        for key in list(self.kv_data[0]):
            self.fout[0].write(self.kv_data[0][key].value)
        self.state = WriterState.KV_DATA


def read_head(path: Path) -> GgufHead:
    """What a GGUF file of this machine's byte order holds.

    Raises:
        ModelError: it is no GGUF file, or only a part of one.
    """
    try:
        reader = _Reader(path)
    except (ValueError, KeyError, IndexError, OverflowError, OSError) as error:
        raise ModelError(
            f"{path.name} is not a GGUF file that can be read, or only a part of one. Export it again."
        ) from error
    if reader.byte_order != "I" or not reader.tensors:
        raise ModelError(f"{path.name} holds no weights in the byte order of this machine. Export it again here.")
    architecture = str(_value(reader, Keys.General.ARCHITECTURE, ""))

    def number(key: str, default: Any = 0) -> int:
        value = _value(reader, key.format(arch=architecture), default)
        return int(max(value) if isinstance(value, Sequence) else value)

    return GgufHead(
        path=path,
        architecture=architecture,
        layers=number(Keys.LLM.BLOCK_COUNT),
        heads=number(Keys.Attention.HEAD_COUNT),
        key_value_heads=number(Keys.Attention.HEAD_COUNT_KV, number(Keys.Attention.HEAD_COUNT)),
        experts=number(Keys.LLM.EXPERT_COUNT),
        alignment=int(reader.alignment),
        keys=_packed_keys(reader),
        weights=tuple(_weight(tensor) for tensor in reader.tensors),
    )


def _packed_keys(reader: GGUFReader) -> dict[str, bytes]:
    """Each key with its value: the bytes from where it begins to where the next one does."""
    fields = [field for name, field in reader.fields.items() if not name.startswith("GGUF.")]
    ends = [field.offset for field in fields[1:]] + [reader.tensors[0].field.offset]
    return {field.name: bytes(reader.data[field.offset : end]) for field, end in zip(fields, ends, strict=True)}


def _weight(tensor: Any) -> Weight:
    shape = tuple(int(length) for length in reversed(tensor.shape.tolist()))
    return Weight(str(tensor.name), tensor.tensor_type, shape, int(tensor.data_offset))


def _value(reader: GGUFReader, key: str, default: Any) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()
