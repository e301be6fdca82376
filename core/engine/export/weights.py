"""Reads the tensors of a model or an adapter from safetensors files, a few rows at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from core.errors import ModelError

MODEL, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATS: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Number formats that are calculated with, by their names in safetensors files."""
_BLOCK = 1 << 22
"""Numbers that are held in float32 at a time, 16 MB of them."""


@dataclass(frozen=True)
class Entry:
    """A tensor as a file's header describes it; `dtype` is safetensors' name of its number format."""

    file: Path
    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


class Weights:
    """The tensors of a folder by name. Only headers are held in memory."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries

    @classmethod
    def of_model(cls, folder: Path) -> Weights:
        """Those of a model, in one file or in several with an index.

        Raises:
            ModelError: it has none, one of its files is missing, or one is damaged.
        """
        files = _model_files(folder)
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise ModelError(
                f"The model in {folder} is not whole: {', '.join(missing[:3])} is missing. It must be in safetensors "
                "form; copy or download it again."
            )
        return cls({name: entry for file in files for name, entry in _entries(file)})

    @classmethod
    def of_file(cls, file: Path) -> Weights:
        """Those of one file.

        Raises:
            ModelError: it is missing or damaged.
        """
        return cls(dict(_entries(file)))

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Some rows of a tensor.

        The file is opened anew each time: pages of it that were read count as this process's memory until it is closed.
        """
        with safe_open(self.entries[name].file, framework="pt") as opened:
            found: torch.Tensor = opened.get_slice(name)[start:stop].clone()
        return found

    def whole(self, name: str) -> torch.Tensor:
        with safe_open(self.entries[name].file, framework="pt") as opened:
            found: torch.Tensor = opened.get_tensor(name).clone()
        return found


def blocks(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Ranges of rows that cover a tensor, each small enough to be held in float32.

    >>> list(blocks((3, 1 << 22)))
    [(0, 1), (1, 2), (2, 3)]
    """
    step = max(1, _BLOCK // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])


def _model_files(folder: Path) -> list[Path]:
    if not (folder / INDEX).is_file():
        return [folder / MODEL]
    try:
        names: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        return [folder / Path(name).name for name in sorted(set(names.values()))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder / INDEX} cannot be read ({error}). Copy or download the model again.") from error


def _entries(file: Path) -> Iterator[tuple[str, Entry]]:
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118  # not a mapping
                found = opened.get_slice(name)
                yield name, Entry(file, str(found.get_dtype()), tuple(found.get_shape()))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} is missing or damaged ({error}). Copy, download or train it again.") from error
