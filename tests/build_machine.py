"""Machines that are not the one the tests run on."""

from __future__ import annotations

from collections.abc import Mapping

from core.machine import PACKAGES, Gpu, Machine

GIB = 2**30


def machine(gpus: int = 0, memory: int = 80 * GIB, packages: Mapping[str, str | None] | None = None) -> Machine:
    """A machine with that many GPUs; with one, everything that computes on a GPU is installed unless it is left out.

    Args:
        memory: of each GPU, or of the machine when it has none.
        packages: versions that differ from the usual ones.
    """
    usual = dict.fromkeys(PACKAGES, "1.0")
    if not gpus:
        usual = {name: version for name, version in usual.items() if name not in ("vllm", "unsloth", "bitsandbytes")}
        usual["torch"] = "2.13.0+cpu"
    return Machine(
        python="3.11",
        cores=2,
        memory_bytes=memory,
        free_memory_bytes=memory,
        free_disk_bytes=10**12,
        gpus=tuple(Gpu(index, "NVIDIA H200", memory, memory, 9.0) for index in range(gpus)),
        packages=dict.fromkeys(PACKAGES) | usual | dict(packages or {}),
        models={},
    )
