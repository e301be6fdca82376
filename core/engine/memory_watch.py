"""The most memory that a job has taken at one time, beside what was free before it took any."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

import psutil
import torch

from core.training.preflight import Memory

_HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class MemoryWatch:
    """Watches the GPU that a job computes on, or the memory of its process; made before the job loads anything."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._others = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._free, self._total = torch.cuda.mem_get_info(device)
        else:
            there = psutil.virtual_memory()
            self._free, self._total = there.available + psutil.Process().memory_info().rss, there.total

    def look(self) -> None:
        """Note what CUDA and libraries such as vLLM hold beside PyTorch; called while the job is busy."""
        if self._device.type == "cuda":
            taken = self._free - torch.cuda.mem_get_info(self._device)[0]
            self._others = max(self._others, taken - torch.cuda.memory_reserved(self._device))

    def memory(self, estimated: int | None) -> Memory:
        """What was taken until now.

        Args:
            estimated: what was expected, in bytes.
        """
        self.look()
        on_gpu = self._device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(self._device) + self._others if on_gpu else host_peak()
        return Memory(
            place="GPU" if on_gpu else "host",
            peak=peak,
            free=self._free,
            total=self._total,
            estimated=estimated,
        )


def host_peak() -> int:
    """The most memory that this process has held, in bytes.

    Linux tells it of the program itself; what `getrusage` tells there includes the process that started it.
    """
    try:
        found = _HIGH_WATER.search(Path("/proc/self/status").read_text(encoding="ascii"))
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
