"""Whether a model fits into the memory that is free, asked before a server starts to load it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.errors import ModelError, StudioError
from core.jobs.folder import Status
from core.jobs.places import gpu_names
from core.machine import Gpu, Machine
from core.paths import Home
from core.runs.run import Run, list_runs
from core.serving.candidates import is_gguf
from core.training.memory import Estimate, estimate
from core.training.model_shape import ModelShape, model_shape

_RUNTIME_BYTES = 600_000_000
"""What Python, PyTorch and, on a GPU, CUDA take before any model is there."""
_CACHED_TOKENS = 4096
"""Tokens whose keys and values must find room beside the weights: a long question and its answer."""


@dataclass(frozen=True)
class Need:
    """Bytes that a server takes, and those that are free where it would go.

    Attributes:
        promised: what the run that is going on there has not taken yet, but will.
    """

    needed: int
    free: int
    promised: int
    place: str

    @property
    def fits(self) -> bool:
        return self.needed <= self.free - self.promised


def refuse_too_large(model: str, home: Home, machine: Machine, gpus: Sequence[str]) -> None:
    """Refuse a model whose weights and working room exceed what is free; one of which nothing is known is let through.

    Args:
        model: an embedded name, a folder, a Hugging Face id, or a GGUF file.
        gpus: the GPUs that the server would be given, as `CUDA_VISIBLE_DEVICES` names them.

    Raises:
        ModelError: it does not fit.
    """
    found = need(model, home, machine, gpus)
    if found is None or found.fits:
        return
    run = f", of which the run that is going on needs {found.promised / 1e9:.1f} GB" if found.promised else ""
    raise ModelError(
        f"{Path(model).name} needs about {found.needed / 1e9:.1f} GB of {found.place} to answer and "
        f"{found.free / 1e9:.1f} GB are free{run}. Stop other model servers, wait until a run that is going on has "
        "ended, or choose a smaller model."
    )


def need(model: str, home: Home, machine: Machine, gpus: Sequence[str]) -> Need | None:
    """What a server of this model takes; None when nothing tells the model's size."""
    given = [gpu for name, gpu in zip(gpu_names(machine.gpus), machine.gpus, strict=False) if name in gpus]
    on_gpu = machine.has_cuda and bool(sum(gpu.free_bytes for gpu in given)) and not is_gguf(model)
    needed = _needed(model, home, width=2 if on_gpu else 4)  # without fast 16-bit products one computes in 32 bits
    if needed is None:
        return None
    if on_gpu:
        free = sum(gpu.free_bytes for gpu in given)
        return Need(needed, free, _promised(home, machine, given, gpus), "GPU memory")
    return Need(needed, machine.free_memory_bytes, _promised(home, machine), "memory")


def _needed(model: str, home: Home, width: int) -> int | None:
    """Bytes of the weights and of keys and values, `width` of them a number; a GGUF file is held as it is."""
    if is_gguf(model):
        return Path(model).stat().st_size + _RUNTIME_BYTES
    shape = model_shape(model, home)
    return None if shape is None else width * (shape.parameters + _cached_numbers(shape)) + _RUNTIME_BYTES


def _cached_numbers(shape: ModelShape) -> int:
    return _CACHED_TOKENS * 2 * shape.key_value * shape.layers


def _promised(home: Home, machine: Machine, given: Sequence[Gpu] = (), gpus: Sequence[str] = ()) -> int:
    """What live runs will still take of the machine's memory, or of the GPUs that are given: their estimate less what
    they, or on a GPU all programs, hold already."""
    place, promised = "GPU" if given else "host", 0
    for run, status in ((run, run.status()) for run in list_runs(home)):
        if not status.live or (given and set(gpus).isdisjoint(status.gpus)):
            continue
        found = _estimated(run, home, machine)
        if found is not None and found.place == place:
            held = sum(gpu.memory_bytes - gpu.free_bytes for gpu in given) if given else _held(run, status)
            promised += max(found.total - held, 0)
    return promised


def _estimated(run: Run, home: Home, machine: Machine) -> Estimate | None:
    try:
        found = estimate(run.config(), home, machine)
    except StudioError:  # one whose configuration is damaged cannot be reckoned with
        return None
    return found if isinstance(found, Estimate) else None


def _held(run: Run, status: Status) -> int:
    """The memory that a run's processes take."""
    process = run.process(status)
    try:
        family = [process, *process.children(recursive=True)] if process else []
        return sum(int(one.memory_info().rss) for one in family)
    except psutil.Error:  # it has just ended
        return 0
