"""Writes the tensors of a model one file after the other, named as transformers names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import split_state_dict_into_shards_factory
from safetensors import SafetensorError
from safetensors.torch import save_file
from transformers import PreTrainedModel

from core.engine.export.weights import INDEX, MODEL
from core.errors import StorageError
from core.jobs.tasks import Tell
from core.paths import disk_full, storage_error, write_json

SHARD_BYTES = 10**9
"""How large a file may become; one whole file is in memory while it is written."""
_ALIGNMENT = 64


@dataclass(frozen=True)
class Planned:
    """A tensor that is going to be written."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numbers(self) -> int:
        return int(torch.Size(self.shape).numel())

    @property
    def bytes(self) -> int:
        return self.numbers * self.dtype.itemsize


def write_shards(
    planned: Sequence[Planned],
    fill: Callable[[Planned, torch.Tensor], None],
    folder: Path,
    tell: Tell,
    limit: int = SHARD_BYTES,
) -> None:
    """Write tensors as `model.safetensors`, or as several files with an index.

    Args:
        planned: in the order in which they are made.
        fill: called for one tensor after the other, to write its numbers into a tensor of its shape and format.
        tell: told how many bytes are made, of how many.
        limit: bytes of a file; a tensor that is larger has a file of its own.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    by_name = {one.name: one for one in planned}
    split = split_state_dict_into_shards_factory(
        by_name,
        get_storage_size=lambda one: one.bytes,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=limit,
    )
    total, done = sum(one.bytes for one in planned), 0
    files = {file: [by_name[name] for name in names] for file, names in split.filename_to_tensors.items()}
    # All files are made in the same memory: freed and taken again tensor by tensor, it would become ever more.
    memory = torch.empty(max(map(_room, files.values()), default=0), dtype=torch.uint8)
    for file, tensors in files.items():
        shard = dict(_laid_out(tensors, memory))
        for one in tensors:
            tell("merging", done, total)
            fill(one, shard[one.name])
            done += one.bytes
        _save(shard, folder / file)
    if split.is_sharded:
        numbers = sum(one.numbers for one in planned)
        metadata = {"total_parameters": numbers, "total_size": total}
        write_json(folder / INDEX, {"metadata": metadata, "weight_map": split.tensor_to_filename})
    tell("merging", total, total)


def _laid_out(tensors: Sequence[Planned], memory: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors one behind the other in a piece of memory, by name; each begins where any number format may."""
    start = 0
    for one in tensors:
        yield one.name, memory[start : start + one.bytes].view(one.dtype).view(one.shape)
        start += _room([one])


def _room(tensors: Sequence[Planned]) -> int:
    return sum(-(-one.bytes // _ALIGNMENT) * _ALIGNMENT for one in tensors)


def save_pretrained(model: PreTrainedModel, folder: Path) -> None:
    """Write a model that is in memory, as transformers does.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    with _faults_told(folder / MODEL):
        model.save_pretrained(folder, max_shard_size=SHARD_BYTES)


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    with _faults_told(file):
        save_file(tensors, file, metadata={"format": "pt"})


@contextmanager
def _faults_told(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise _write_error(error, file) or error from error


def _write_error(error: Exception, file: Path) -> StorageError | None:
    """The plain sentence; safetensors says in its text only what the system said."""
    if isinstance(error, OSError) and error.errno is not None:
        return storage_error(error, file)
    if "os error 28" in str(error) or "os error 122" in str(error):  # no space left; quota exceeded
        return disk_full(file.parent)
    if "os error 13" in str(error) or "os error 30" in str(error):  # permission denied; read-only
        return StorageError(f"{file} cannot be written. Check who owns the folder.")
    return None
