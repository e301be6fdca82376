"""How a model is spread over the training processes of a run, in the terms of transformers' training arguments."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from importlib import import_module
from typing import Any

import torch
from torch.nn import Module
from trl import GRPOConfig

from core.train_config import Sharding

_FSDP: Mapping[str, Any] = {
    "version": 2,
    "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",  # one block of the decoder at a time is put together
    "reshard_after_forward": True,
    "state_dict_type": "FULL_STATE_DICT",  # the adapter in a checkpoint is that of a run of one process
}
_ZERO3: Mapping[str, Any] = {
    "zero_optimization": {
        "stage": 3,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "stage3_gather_16bit_weights_on_model_save": True,
    },
    "bf16": {"enabled": "auto"},
    "fp16": {"enabled": "auto", "loss_scale": 1},  # as it is without DeepSpeed
    "gradient_clipping": "auto",
    "gradient_accumulation_steps": "auto",
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
}


def sharding_settings(sharding: Sharding, dtype: torch.dtype) -> dict[str, Any]:
    """The fields of the training arguments for it; none where each process holds a copy (DDP), as it does by itself.

    Args:
        dtype: what the model's weights are held in. DeepSpeed has to be told, or it takes them for 32 bits wide; of the
            adapter's it then learns in a copy of 32 bits.
    """
    if sharding == "fsdp":
        return {"fsdp": True, "fsdp_config": dict(_FSDP)}
    if sharding == "zero3":
        return {
            "deepspeed": deepcopy(_ZERO3),
            "bf16": dtype is torch.bfloat16,
            "fp16": dtype is torch.float16,
            "ds3_gather_for_generation": False,  # completions too are written without the whole model on a GPU
        }
    return {}


def spread_by_deepspeed(model: Module, args: GRPOConfig) -> None:
    """Give each process its part of a model that lies in the machine's memory, one weight after the other.

    When training begins, DeepSpeed itself would first put the whole of it on each GPU.
    """
    import_module("deepspeed").zero.Init(module=model, config_dict_or_path=args.hf_deepspeed_config.config)
    for buffer in model.buffers():
        buffer.data = buffer.data.to(args.device)
