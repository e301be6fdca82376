"""Base models and adapters as files only: the layers are there, with weights of zero, and nothing heavy is imported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from core.config import with_changes
from core.paths import Home
from core.presets import preset_config
from core.runs.run import CHECKPOINT_LAST_FILE, Run, create_run
from core.serving.adapter_files import CONFIG, WEIGHTS

LAYERS = 2


def save_base(folder: Path, hidden: int = 8, layers: int = LAYERS) -> Path:
    """A model directory with the query projections of a decoder."""
    folder.mkdir(parents=True)
    shape = {"num_attention_heads": 2, "hidden_size": hidden, "num_hidden_layers": layers, "vocab_size": 10}
    (folder / "config.json").write_text(json.dumps(shape))
    matrix = np.zeros((hidden, hidden), np.float32)
    save_file({f"{_layer(number)}.weight": matrix for number in range(layers)}, folder / "model.safetensors")
    return folder


def save_adapter(folder: Path, base: str | Path, rank: int = 4, hidden: int = 8, layers: int = LAYERS) -> Path:
    """An adapter of this base model on its query projections."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps({"base_model_name_or_path": str(base), "r": rank}))
    factors = {}
    for number in range(layers):
        name = f"base_model.model.{_layer(number)}"
        factors[f"{name}.lora_A.weight"] = np.zeros((rank, hidden), np.float32)
        factors[f"{name}.lora_B.weight"] = np.zeros((hidden, rank), np.float32)
    save_file(factors, folder / WEIGHTS)
    return folder


def run_of(home: Home, base: Path, rank: int = 4) -> Run:
    """A run on this base model, that has trained nothing yet."""
    return create_run(home, with_changes(preset_config("demo"), {"model": str(base), "adapter.rank": rank}))


def adapted_run(home: Home, base: Path) -> Run:
    """A run that has left a final adapter and a best one."""
    run = run_of(home, base)
    for folder in (run.adapter, run.best):
        save_adapter(folder, base)
    return run


def save_checkpoint(run: Run, step: int, base: Path) -> Path:
    """A checkpoint of a run, as far as whoever asks its adapter is concerned."""
    folder = save_adapter(run.checkpoints / f"checkpoint-{step}", base)
    (folder / CHECKPOINT_LAST_FILE).write_text("{}")
    return folder


def _layer(number: int) -> str:
    return f"model.layers.{number}.self_attn.q_proj"
