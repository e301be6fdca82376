"""Finds the last checkpoint that is whole."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers.trainer_pt_utils import safe_globals

from core.runs.run import Run

_SPREAD_OPTIMIZER = "optimizer.bin"


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
        for name in (_optimizer(folder), "scheduler.pt"):
            torch.load(folder / name, map_location="cpu", weights_only=True)
        with safe_globals():  # as the trainer loads it
            for name in _random_states(processes):
                torch.load(folder / name, map_location="cpu", weights_only=True)
    except (OSError, ValueError, SafetensorError, RuntimeError, EOFError) as error:
        return str(error).strip().partition("\n")[0][:160] or type(error).__name__
    except Exception as error:  # pickle.UnpicklingError and whatever else a damaged archive makes torch.load raise
        return f"{type(error).__name__}"
    return None


def _optimizer(folder: Path) -> str:
    """The file of the optimiser's state; where the model is spread over processes, accelerate names it otherwise."""
    return _SPREAD_OPTIMIZER if (folder / _SPREAD_OPTIMIZER).exists() else "optimizer.pt"


def _random_states(processes: int) -> list[str]:
    return ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
