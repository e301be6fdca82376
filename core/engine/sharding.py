"""How a model is spread over the training processes of a run, in the terms of transformers' training arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    "fp16": {"enabled": "auto"},
    "gradient_clipping": "auto",
    "gradient_accumulation_steps": "auto",
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
}


def sharding_settings(sharding: Sharding) -> dict[str, Any]:
    """The fields of the training arguments for it; none where each process holds a copy (DDP), as it does by itself."""
    if sharding == "fsdp":
        return {"fsdp": True, "fsdp_config": dict(_FSDP)}
    if sharding == "zero3":
        return {"deepspeed": dict(_ZERO3)}
    return {}
