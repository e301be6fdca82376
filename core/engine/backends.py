"""The two ways to train: TRL with PEFT on any machine, and Unsloth's kernels under TRL on an NVIDIA GPU.

Both end in a policy with an adapter and TRL's GRPOTrainer above it; they differ in how the model is loaded. Unsloth
must have been imported before transformers, see `core.engine.before_imports`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from core.config import RunConfig
from core.engine.device import Compute
from core.engine.grpo import lora_config
from core.engine.policy import Policy, explained, load_policy, load_tokenizer
from core.engine.vllm_server import model_length
from core.errors import ConfigError
from core.models import locate
from core.paths import Home


def load_trainable(config: RunConfig, home: Home, compute: Compute) -> Policy:
    """The policy of a run on its device; `policy.adapter` is what TRL puts on it, None where it is there already.

    Raises:
        ModelError: it cannot be found, read or used for chat.
        ConfigError: the adapter names layers that the model does not have.
    """
    if config.train.backend == "unsloth":
        return _load_with_unsloth(config, home, compute)
    return _load_with_peft(config, home, compute)


def _load_with_peft(config: RunConfig, home: Home, compute: Compute) -> Policy:
    whole = config.train.sharding == "none"
    policy = load_policy(config.model, home, compute, quantized(config, compute), whole)
    check_target_modules(config, policy.model)
    return Policy(policy.model, policy.tokenizer, policy.template, adapter=lora_config(config))


def quantized(config: RunConfig, compute: Compute) -> BitsAndBytesConfig | None:
    """How bitsandbytes is to hold the frozen weights, as QLoRA does (Dettmers et al. 2023); None leaves them alone."""
    if config.train.quantization == "none":
        return None
    if config.train.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute.dtype,
    )


def _load_with_unsloth(config: RunConfig, home: Home, compute: Compute) -> Policy:
    fast: Any = import_module("unsloth").FastLanguageModel
    tokenizer, template = load_tokenizer(config.model, home)
    with explained(config.model, "causal language model that Unsloth knows"):
        model, _ = fast.from_pretrained(
            model_name=locate(config.model, home),
            max_seq_length=model_length(config),
            dtype=compute.dtype,
            load_in_4bit=config.train.quantization == "4bit",
            load_in_8bit=config.train.quantization == "8bit",
            fast_inference=compute.generation == "vllm",
            gpu_memory_utilization=config.train.vllm_memory,
            max_lora_rank=config.adapter.rank,
            use_exact_model_name=True,
            random_state=config.train.seed,
        )
        check_target_modules(config, model)
        model = fast.get_peft_model(
            model,
            r=config.adapter.rank,
            lora_alpha=config.adapter.alpha,
            lora_dropout=config.adapter.dropout,
            target_modules=list(config.adapter.target_modules),
            use_gradient_checkpointing="unsloth" if config.train.gradient_checkpointing != "off" else False,
            random_state=config.train.seed,
        )
    return Policy(model, tokenizer, template)


def check_target_modules(config: RunConfig, model: PreTrainedModel) -> None:
    """Raise ConfigError when the adapter names layers that the model does not have."""
    known = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    missing = [name for name in config.adapter.target_modules if name not in known]
    if missing:
        linear = {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        raise ConfigError(
            f"adapter.target_modules names {', '.join(missing)}, which this model does not have. "
            f"Choose from {', '.join(sorted(linear))}."
        )
