"""A run's settings in the terms of TRL and PEFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import LoraConfig
from trl import GRPOConfig

from core.config import RunConfig
from core.engine.device import Compute
from core.engine.sharding import sharding_settings
from core.engine.trackers import reported_to
from core.engine.vllm_server import vllm_settings
from core.errors import ConfigError
from core.training.parts import Parts


def grpo_config(config: RunConfig, compute: Compute, folder: Path, passes: Parts) -> GRPOConfig:
    """The run's settings in TRL's own terms.

    Args:
        folder: where checkpoints go.

    Raises:
        ConfigError: TRL refuses them.
    """
    train = config.train
    cpu = compute.device.type == "cpu"
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "use_cpu": cpu,
        "bf16": False,  # the weights themselves are held in the chosen format; no autocast
        "gradient_checkpointing": passes.checkpointing,
        "per_device_train_batch_size": train.completions_per_process // passes.parts,
        "gradient_accumulation_steps": passes.parts,
        "num_generations": train.num_generations,
        "max_steps": train.steps,
        "max_completion_length": train.max_completion_length,
        "learning_rate": train.learning_rate,
        "lr_scheduler_type": train.lr_schedule,
        "warmup_steps": train.warmup,
        "optim": train.optimizer,
        "weight_decay": train.weight_decay,
        "adam_beta1": train.adam_beta1,
        "adam_beta2": train.adam_beta2,
        "max_grad_norm": train.max_grad_norm,
        "temperature": train.temperature,
        "top_p": train.top_p,
        "top_k": train.top_k,
        "min_p": train.min_p,
        "repetition_penalty": train.repetition_penalty,
        "beta": train.beta,
        "loss_type": train.loss_type,
        "importance_sampling_level": train.importance_sampling_level,
        "epsilon": train.epsilon,
        "epsilon_high": train.upper_clip,
        "num_iterations": train.num_iterations,
        "scale_rewards": train.scale_rewards,
        "multi_objective_aggregation": train.multi_objective_aggregation,
        "mask_truncated_completions": train.mask_truncated_completions,
        "seed": train.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number must be seen, not averaged away
        "save_strategy": "steps",
        "save_steps": -(-train.save_every // train.num_iterations) * train.num_iterations,  # see RunCallback
        "save_total_limit": train.keep_checkpoints,
        "report_to": reported_to(train.trackers) or "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": not cpu,
        "ddp_find_unused_parameters": False,  # every weight of an adapter is used in every step
        **sharding_settings(train.sharding, compute.dtype),
        **vllm_settings(config, compute),
        **train.trl,
    }
    try:
        return GRPOConfig(**settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"TRL refuses these settings: {error} Correct them, then start again.") from error


def lora_config(config: RunConfig) -> LoraConfig:
    """The adapter in PEFT's own terms."""
    return LoraConfig(
        r=config.adapter.rank,
        lora_alpha=config.adapter.alpha,
        lora_dropout=config.adapter.dropout,
        target_modules=list(config.adapter.target_modules),
        task_type="CAUSAL_LM",
    )
