"""What this machine has: cores, memory, disk, GPUs, package versions. Imports nothing heavy."""

from __future__ import annotations

import csv
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
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
    "deepspeed",
    "ray",
)
_MIB = 2**20
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_QUERY = ("index", "uuid", "name", "memory.total", "memory.free", "compute_cap")


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, as its driver tells it.

    Attributes:
        index: by which the driver counts it.
        memory_bytes, free_bytes: of the GPU's own memory; 0 when the driver does not say.
        capability: NVIDIA's compute capability, such as 9.0; None when the driver does not say.
    """

    index: int
    name: str
    memory_bytes: int
    free_bytes: int
    capability: float | None = None

    @property
    def title(self) -> str:
        """One line about it.

        >>> Gpu(0, "NVIDIA H200", 150_000_000_000, 149_000_000_000).title
        'NVIDIA H200, 139 of 140 GiB free'
        """
        return f"{self.name}, {self.free_bytes / 2**30:.0f} of {self.memory_bytes / 2**30:.0f} GiB free"


@dataclass(frozen=True)
class Machine:
    """What a run could use here.

    Attributes:
        cores: processor cores this process may use.
        memory_bytes, free_memory_bytes: of the machine.
        free_disk_bytes: where the home folder lies.
        gpus: the NVIDIA GPUs that this process may use.
        packages: installed versions; None for what is not installed.
        models: whether each embedded model is prepared.
    """

    python: str
    cores: int
    memory_bytes: int
    free_memory_bytes: int
    free_disk_bytes: int
    gpus: tuple[Gpu, ...]
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

    @property
    def has_cuda(self) -> bool:
        """Whether training runs on a GPU here: there is one, and PyTorch was built for it."""
        return bool(self.gpus) and not (self.packages.get("torch") or "").endswith("+cpu")

    def advice(self) -> list[str]:
        """What this machine can do, and what to do about what it cannot, one sentence each."""
        lines = []
        if self.gpus and not self.has_cuda:
            lines.append(
                "There is a GPU, but PyTorch was installed for processors only: training runs on the processor. Run: "
                "make install"
            )
        elif self.gpus:
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


def nvidia_gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that this process may use; empty when there is no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = [row for row in csv.reader(answer.stdout.splitlines(), skipinitialspace=True) if len(row) == len(_QUERY)]
    return tuple(_gpu(row) for row in _visible(lines, os.environ.get(_VISIBLE)))


def _visible(rows: Sequence[Sequence[str]], named: str | None) -> Sequence[Sequence[str]]:
    """The rows of the GPUs that the environment names by index or by the beginning of their id, in its order.

    A name that is neither, such as that of a part of a GPU, leaves all of them.
    """
    if named is None:
        return rows
    names = [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    found = [row for name in names for row in rows if row[0] == name or (len(name) > 3 and row[1].startswith(name))]
    return found if found or not names else rows


def _gpu(row: Sequence[str]) -> Gpu:
    index, _, name, total, free, capability = row
    return Gpu(int(index), name, _bytes(total), _bytes(free), _number(capability))


def _bytes(mebibytes: str) -> int:
    return int((_number(mebibytes) or 0.0) * _MIB)


def _number(text: str) -> float | None:
    """A number of the driver's answer, which says "[N/A]" where it knows none."""
    try:
        return float(text)
    except ValueError:
        return None
