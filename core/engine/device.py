"""What this machine computes on, with which number format, and what writes completions on it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Literal

import torch

from core.config import RunConfig
from core.machine import cpu_cores


@dataclass(frozen=True)
class Compute:
    """Where and how a job computes.

    Attributes:
        device: `cuda` when one is there, else `cpu`.
        dtype: what model weights are held in.
        threads: PyTorch's CPU threads.
        generation: the policy itself, vLLM in this process, or vLLM as a server of its own.
    """

    device: torch.device
    dtype: torch.dtype
    threads: int
    generation: Literal["plain", "vllm", "vllm_server"] = "plain"


def compute_for(config: RunConfig, dtype: str = "") -> Compute:
    """What a run computes with: as `choose_compute`, and vLLM for `auto` where it and a GPU are there.

    Args:
        dtype: the name of the number format that the run has used so far; empty at its first start.
    """
    compute, wanted = choose_compute(dtype), config.train.generation
    if wanted == "auto":
        there = compute.device.type == "cuda" and find_spec("vllm") is not None
        wanted = "vllm" if there else "plain"
    return replace(compute, generation=wanted)


def choose_compute(dtype: str = "") -> Compute:
    """The device and number format that run a training step fastest here, with PyTorch's threads set.

    Args:
        dtype: the name of the number format to use in any case.
    """
    threads = max(cpu_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)
    torch.set_num_threads(threads)
    device = _device()
    return Compute(device, getattr(torch, dtype) if dtype else _fastest_dtype(device), threads)


def fastest_dtype_name() -> str:
    """The name of the number format that `choose_compute` finds by itself."""
    return str(choose_compute().dtype).removeprefix("torch.")


def _device() -> torch.device:
    """The processor, or the GPU of this training process, the first where there is only one process."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    rank = os.environ.get("LOCAL_RANK")
    return torch.device("cuda") if rank is None else torch.device("cuda", int(rank) % torch.cuda.device_count())


def _fastest_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cpu":
        return faster_cpu_dtype()
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def faster_cpu_dtype() -> torch.dtype:
    """bfloat16 when this processor multiplies it faster than float32, which only some do; measured in 0.2 s."""
    return torch.bfloat16 if _matmul_seconds(torch.bfloat16) < _matmul_seconds(torch.float32) else torch.float32


def _matmul_seconds(dtype: torch.dtype, repeats: int = 10) -> float:
    """The best time of a product the size of a small model's update."""
    left, right = torch.ones(512, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return best
