"""Finds the last checkpoint that is whole."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch.serialization import safe_globals as allowing
from transformers.trainer_pt_utils import safe_globals

from core.runs.run import Run

_SPREAD_OPTIMIZER = "optimizer.bin"
_DEEPSPEED = "latest"
"""DeepSpeed's file that names the folder with what each process holds of adapter and optimiser."""


class _Setting:
    """Stands for the classes that DeepSpeed keeps settings in, so that its files are read without it.

    It reads them itself in a way that would run code that is in them. What can be read with nothing but these allowed
    has none.
    """

    def __new__(cls, *_: object) -> _Setting:
        return super().__new__(cls)


_SETTINGS: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
    (_Setting, "deepspeed.runtime.fp16.loss_scaler.LossScaler"),
    (_Setting, "deepspeed.runtime.zero.config.ZeroStageEnum"),
]


def last_whole_checkpoint(run: Run) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that can be read from end to end, and one sentence about each newer one that cannot."""
    faults: list[str] = []
    for step in reversed(run.checkpoint_steps()):
        folder = run.checkpoints / f"checkpoint-{step}"
        fault = find_fault(folder, run.config().train.processes)
        if fault is None:
            return folder, faults
        aside = folder.with_name(f"damaged-{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}")
        folder.rename(aside)  # a checkpoint of the same step would be written over it
        faults.append(f"Checkpoint {step} cannot be read ({fault}); it is kept as {aside.name} and not used.")
    return None, faults


def checkpoint_step(folder: Path) -> int:
    """The training step after which a checkpoint was written."""
    return int(folder.name.removeprefix("checkpoint-"))


def find_fault(folder: Path, processes: int = 1) -> str | None:
    """What is wrong with a checkpoint, or None when everything that a resume reads can be read.

    Args:
        processes: how many training processes the run has; each keeps its own random numbers.
    """
    try:
        json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
        with safe_open(folder / "adapter_model.safetensors", framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # not a mapping
                tensors.get_tensor(name)
        torch.load(folder / "scheduler.pt", map_location="cpu", weights_only=True)
        with allowing(_SETTINGS):
            for file in _optimizer(folder, processes):
                torch.load(file, map_location="cpu", weights_only=True)
        with safe_globals():  # as the trainer loads it
            for name in _random_states(processes):
                torch.load(folder / name, map_location="cpu", weights_only=True)
    except (OSError, ValueError, SafetensorError, RuntimeError, EOFError) as error:
        return str(error).strip().partition("\n")[0][:160] or type(error).__name__
    except Exception as error:  # pickle.UnpicklingError and whatever else a damaged archive makes torch.load raise
        return f"{type(error).__name__}"
    return None


def _optimizer(folder: Path, processes: int) -> Iterable[Path]:
    """The files of the optimiser's state; where the model is spread over processes, they are called otherwise.

    Raises:
        ValueError: DeepSpeed's are not those of so many processes.
    """
    if not (folder / _DEEPSPEED).exists():
        return [folder / (_SPREAD_OPTIMIZER if (folder / _SPREAD_OPTIMIZER).exists() else "optimizer.pt")]
    part = (folder / _DEEPSPEED).read_text(encoding="utf-8").strip()
    if re.fullmatch(r"global_step\d+", part) is None:
        raise ValueError("latest names no folder of DeepSpeed's")
    files = sorted((folder / part).glob("*.pt"))
    if len(files) != 2 * processes:  # one for the adapter and one for the optimiser
        raise ValueError(f"{part} has {len(files)} of {2 * processes} files")
    return files


def _random_states(processes: int) -> list[str]:
    return ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
