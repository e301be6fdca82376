"""What this machine has: cores, memory, disk, GPUs, package versions. Imports nothing heavy."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from core.models import EMBEDDED, package_version, prepared_folder
from core.paths import Home

PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "sentence-transformers",
    "streamlit",
    "vllm",
    "unsloth",
    "bitsandbytes",
)


@dataclass(frozen=True)
class Machine:
    """What a run could use here.

    Attributes:
        cores: processor cores this process may use.
        memory_bytes, free_memory_bytes: of the machine.
        free_disk_bytes: where the home folder lies.
        gpus: name and memory of each NVIDIA GPU, as its driver tells them.
        packages: installed versions; None for what is not installed.
        models: whether each embedded model is prepared.
    """

    python: str
    cores: int
    memory_bytes: int
    free_memory_bytes: int
    free_disk_bytes: int
    gpus: tuple[str, ...]
    packages: Mapping[str, str | None]
    models: Mapping[str, bool]

    @classmethod
    def inspect(cls, home: Home) -> Machine:
        memory = psutil.virtual_memory()
        return cls(
            python=platform.python_version(),
            cores=cpu_cores(),
            memory_bytes=memory.total,
            free_memory_bytes=memory.available,
            free_disk_bytes=psutil.disk_usage(str(home.root)).free,
            gpus=nvidia_gpus(),
            packages={name: package_version(name) for name in PACKAGES},
            models={name: prepared_folder(name, home) is not None for name in EMBEDDED},
        )

    def advice(self) -> list[str]:
        """What this machine can do, and what to do about what it cannot, one sentence each."""
        lines = []
        if self.gpus:
            lines.append(f"Training runs on {len(self.gpus)} GPU(s).")
        else:
            lines.append("No NVIDIA GPU: training runs on the processor, which is enough for the demo.")
        if not all(self.models.values()):
            lines.append("The embedded models are not prepared. Run: .venv/bin/python -m core prepare")
        if self.memory_bytes < 6e9:
            lines.append("Less than 6 GB of memory: the demo needs about 3 GB free.")
        if self.free_disk_bytes < 2e9:
            lines.append("Less than 2 GB of disk are free: make room before training.")
        missing = [name for name in PACKAGES[:7] if self.packages[name] is None]
        if missing:
            lines.append(f"Not installed: {', '.join(missing)}. Run: make install")
        return lines


def cpu_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def nvidia_gpus() -> tuple[str, ...]:
    """One line for each NVIDIA GPU; empty when there is no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())
