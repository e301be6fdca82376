"""A merged model with its weights held in 4 bits by bitsandbytes, as QLoRA holds them (Dettmers et al. 2023)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from core.engine.export.model_files import copy_tokenizer, make_folder
from core.engine.export.shards import save_pretrained
from core.engine.policy import explained
from core.errors import ConfigError
from core.jobs.tasks import Tell, silent


def merged_4bit(merged_folder: Path, target: Path, tell: Tell = silent) -> None:
    """Write a merged model once more, its linear layers in 4 bits (NF4). It is held in a GPU's memory meanwhile.

    Args:
        merged_folder: as `core.engine.export.merge.merge` wrote it.
        target: a folder that is made here, in one that is there. It is whole when this has returned.
        tell: told the phase `merging to 4 bits`.

    Raises:
        ConfigError: this machine has no GPU that PyTorch can use, or bitsandbytes is not installed.
        ModelError: the merged model cannot be loaded.
        StorageError: the disk is full, or the folder cannot be written.
        RunError: the target is there already.
    """
    _refuse_elsewhere()
    make_folder(target)
    tell("merging to 4 bits", 0, 2)
    dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    wanted = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    with explained(merged_folder.name, "causal language model"):
        model = AutoModelForCausalLM.from_pretrained(
            merged_folder, dtype="auto", use_safetensors=True, quantization_config=wanted, device_map={"": 0}
        )
    tell("merging to 4 bits", 1, 2)
    save_pretrained(model, target)
    copy_tokenizer(merged_folder, None, target)
    tell("merging to 4 bits", 2, 2)


def _refuse_elsewhere() -> None:
    if not torch.cuda.is_available():
        reason = "needs an NVIDIA GPU, and PyTorch finds none on this machine"
    elif find_spec("bitsandbytes") is None:
        reason = "needs the Python package bitsandbytes, which is not installed; run make install on this machine"
    else:
        return
    raise ConfigError(f"A merged model in 4 bits {reason}. Choose GGUF q4_k_m, which any machine can make.")
