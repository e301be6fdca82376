"""What a server takes of the memory, and whether that much is free: asked before one starts, and by vLLM as it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.config import RunConfig, parse_config
from core.errors import ModelError, StudioError
from core.jobs.places import gpu_names
from core.jobs.processes import family_bytes
from core.jobs.room import needing_room
from core.jobs.tasks import Task
from core.machine import Gpu, Machine
from core.paths import Home
from core.runs.run import Run
from core.serving.candidates import is_gguf
from core.training.memory import Estimate, estimate
from core.training.model_shape import ModelShape, model_shape

_RUNTIME_BYTES = 600_000_000
"""What Python, PyTorch and, on a GPU, CUDA take before any model is there."""
_CACHED_TOKENS = 4096
"""Tokens whose keys and values must find room beside the weights: a long question and its answer."""
_VLLM_BYTES = 6_000_000_000
"""What vLLM takes beside weights and keys and values: its graphs, activations and adapters."""
_VLLM_CACHED_TOKENS = 65_536
"""Tokens of all answers that are being written, for which vLLM asks room where there is some."""
_VLLM_MOST = 0.92
"""The share of what is free that vLLM takes at most; it counts a little less as free than the driver does."""


@dataclass(frozen=True)
class Need:
    """What a server takes of the memory where it would go, in bytes.

    Attributes:
        least: that have to be free for it; None when nothing tells the model's size.
        takes: that it will take of those that are free, where it can be told how many.
        free: that are free there now.
        promised: what runs and pre-flights that are going on there have not taken yet, but will.
        place: whose memory it is, for people.
    """

    least: int | None
    takes: int
    free: int
    promised: int
    place: str

    @property
    def fits(self) -> bool:
        return self.least is None or self.least <= self.free - self.promised


def refuse_too_large(model: str, home: Home, machine: Machine, gpus: Sequence[str]) -> None:
    """Refuse a model whose weights and working room exceed what is free; one of which nothing is known is let through.

    Args:
        model: an embedded name, a folder, a Hugging Face id, or a GGUF file.
        gpus: the GPUs that the server would be given, as `CUDA_VISIBLE_DEVICES` names them.

    Raises:
        ModelError: it does not fit.
    """
    found = need(model, home, machine, gpus)
    if found.least is None or found.fits:
        return
    run = f", of which the run that is going on needs {found.promised / 1e9:.1f} GB" if found.promised else ""
    raise ModelError(
        f"{Path(model).name} needs about {found.least / 1e9:.1f} GB of {found.place} to answer and "
        f"{found.free / 1e9:.1f} GB are free{run}. Stop other model servers, wait until a run that is going on has "
        "ended, or choose a smaller model."
    )


def need(model: str, home: Home, machine: Machine, gpus: Sequence[str]) -> Need:
    """What the server that this machine has for the model takes, on these GPUs or, without any, of its memory."""
    given = [gpu for name, gpu in zip(gpu_names(machine.gpus), machine.gpus, strict=False) if name in gpus]
    if not machine.has_cuda or is_gguf(model) or not sum(gpu.free_bytes for gpu in given):
        least, free = _plain_bytes(model, home, width=4), machine.free_memory_bytes  # as processors compute: 32 bits
        return Need(least, least or 0, free, _promised(home, machine), "memory")
    if machine.packages.get("vllm") is not None:
        return vllm_need(model, home, machine, given[0], gpus)
    least, free = _plain_bytes(model, home, width=2), sum(gpu.free_bytes for gpu in given)
    return Need(least, least or 0, free, _promised(home, machine, given, gpus), "GPU memory")


def vllm_need(model: str, home: Home, machine: Machine, gpu: Gpu, gpus: Sequence[str]) -> Need:
    """What vLLM takes of a GPU: it is told how much that may be, so that others find room beside it.

    Args:
        gpus: what `CUDA_VISIBLE_DEVICES` calls the GPU.
    """
    promised = _promised(home, machine, [gpu], gpus)
    most = int(_VLLM_MOST * max(gpu.free_bytes - promised, 0))
    shape = model_shape(model, home)
    if shape is None:
        return Need(None, most, gpu.free_bytes, promised, "GPU memory")
    weights = 2 * shape.parameters + _VLLM_BYTES
    least = int((weights + 2 * _cached_numbers(shape, _CACHED_TOKENS)) / _VLLM_MOST)
    wanted = weights + 2 * _cached_numbers(shape, _VLLM_CACHED_TOKENS)
    return Need(least, min(wanted, most), gpu.free_bytes, promised, "GPU memory")


def _plain_bytes(model: str, home: Home, width: int) -> int | None:
    """Bytes of the weights and of keys and values, `width` of them a number; a GGUF file is held as it is."""
    if is_gguf(model):
        return Path(model).stat().st_size + _RUNTIME_BYTES
    shape = model_shape(model, home)
    if shape is None:
        return None
    return width * (shape.parameters + _cached_numbers(shape, _CACHED_TOKENS)) + _RUNTIME_BYTES


def _cached_numbers(shape: ModelShape, tokens: int) -> int:
    return tokens * 2 * shape.key_value * shape.layers


def _promised(home: Home, machine: Machine, given: Sequence[Gpu] = (), gpus: Sequence[str] = ()) -> int:
    """What live runs and pre-flights will still take of the machine's memory, or of the GPUs that are given: their
    estimate less what they, or on a GPU all programs, hold already."""
    place, promised = "GPU" if given else "host", 0
    for job, status in ((job, job.status()) for job in needing_room(home)):
        if not status.live or (given and set(gpus).isdisjoint(status.gpus)):
            continue
        found = _estimated(job, home, machine)
        if found is not None and found.place == place:
            held = sum(gpu.memory_bytes - gpu.free_bytes for gpu in given)
            promised += max(found.total - (held if given else family_bytes(job.process(status))), 0)
    return promised


def _estimated(job: Run | Task, home: Home, machine: Machine) -> Estimate | None:
    try:
        found = estimate(_config(job), home, machine)
    except StudioError:  # one whose configuration is damaged cannot be reckoned with
        return None
    return found if isinstance(found, Estimate) else None


def _config(job: Run | Task) -> RunConfig:
    """What a run does, or the run that a pre-flight tries."""
    return job.config() if isinstance(job, Run) else parse_config(job.arguments()["config"])
