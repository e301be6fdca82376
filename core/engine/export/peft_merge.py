"""Merges adapters that are more than products of two factors: by PEFT itself, with the whole model in memory."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from core.engine.export.merge_plan import TooLarge
from core.engine.export.shards import save_pretrained
from core.engine.policy import explained
from core.errors import ModelError, lacks_memory
from core.jobs.tasks import Tell

_FAULTS = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, OSError, SafetensorError)
"""What PEFT raises over adapters that are damaged, made for another model, or of a kind it cannot merge."""
_NOT_ALWAYS_ON = ("alora_invocation_tokens", "arrow_config", "layer_replication")
"""Settings of adapters that change more than weights, so that no merged model would behave the same."""


def merge_with_peft(
    base_folder: Path, adapter_folder: Path, config: PeftConfig, dtype: torch.dtype | None, target: Path, tell: Tell
) -> None:
    """Write the weights of a merged model; arguments as `core.engine.export.merge.merge`.

    Args:
        config: the adapter's.
        dtype: the number format of the new weights; None leaves that of the base model.

    Raises:
        ModelError: the adapter cannot be merged, is damaged or does not fit.
        StorageError: the disk is full.
        TooLarge: a weight is no finite number in this format.
    """
    _refuse_unmergeable(config)
    tell("merging", 0, 0)
    with explained(base_folder.name, "causal language model"):
        model = AutoModelForCausalLM.from_pretrained(base_folder, dtype="auto", use_safetensors=True)
    merged = _merged(model, adapter_folder, config)
    if dtype is not None:
        merged.to(dtype)
    for name, parameter in merged.named_parameters():
        if not torch.isfinite(parameter).all():
            raise TooLarge(name)
    save_pretrained(merged, target)


def _merged(model: PreTrainedModel, folder: Path, config: PeftConfig) -> PreTrainedModel:
    config.inference_mode = True
    try:
        wrapped = PeftModel(model, config)
        found = wrapped.load_adapter(str(folder), "default", torch_device="cpu")
        if found.missing_keys or found.unexpected_keys:
            raise KeyError("its layers are not those of the model")
        merged: PreTrainedModel = wrapped.merge_and_unload(safe_merge=True)
    except _FAULTS as error:
        if lacks_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise ModelError(
            f"The adapter cannot be merged: it belongs to another base model, is damaged, or is of a kind without a "
            f"merge ({reason}). Export the adapter form instead, or choose another checkpoint."
        ) from error
    return merged


def _refuse_unmergeable(config: PeftConfig) -> None:
    kind = getattr(config.peft_type, "value", config.peft_type)
    setting = next((name for name in _NOT_ALWAYS_ON if getattr(config, name, None)), "")
    if config.is_prompt_learning or setting:
        what = f"{kind} with {setting}" if setting else kind
        raise ModelError(
            f"An adapter of this kind ({what}) cannot become part of its base model's weights. Export the adapter form "
            "and use it beside the base model."
        )
