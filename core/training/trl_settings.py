"""Further fields of TRL's GRPOConfig that a run may set by name, and those that it may not, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from core.train_config import TrainConfig
from core.training.advice import Finding, Mend
from core.training.options import TrlField, trl_fields

OWN: Mapping[str, str] = {
    "max_steps": "train.steps",
    "num_train_epochs": "train.steps",
    "per_device_train_batch_size": "train.gradient_accumulation",
    "gradient_accumulation_steps": "train.gradient_accumulation",
    "gradient_checkpointing": "train.gradient_checkpointing",
    "generation_batch_size": "train.prompts_per_step",
    "steps_per_generation": "train.prompts_per_step",
    "num_generations": "train.num_generations",
    "max_completion_length": "train.max_completion_length",
    "learning_rate": "train.learning_rate",
    "lr_scheduler_type": "train.lr_schedule",
    "warmup_steps": "train.warmup",
    "optim": "train.optimizer",
    "weight_decay": "train.weight_decay",
    "adam_beta1": "train.adam_beta1",
    "adam_beta2": "train.adam_beta2",
    "max_grad_norm": "train.max_grad_norm",
    "temperature": "train.temperature",
    "top_p": "train.top_p",
    "top_k": "train.top_k",
    "min_p": "train.min_p",
    "repetition_penalty": "train.repetition_penalty",
    "beta": "train.beta",
    "loss_type": "train.loss_type",
    "importance_sampling_level": "train.importance_sampling_level",
    "epsilon": "train.epsilon",
    "epsilon_high": "train.epsilon_high",
    "num_iterations": "train.num_iterations",
    "scale_rewards": "train.scale_rewards",
    "multi_objective_aggregation": "train.multi_objective_aggregation",
    "mask_truncated_completions": "train.mask_truncated_completions",
    "reward_weights": "reward.weights",
    "use_vllm": "train.generation",
    "vllm_mode": "train.generation",
    "vllm_gpu_memory_utilization": "train.vllm_memory",
    "save_steps": "train.save_every",
    "save_total_limit": "train.keep_checkpoints",
    "report_to": "train.trackers",
    "seed": "train.seed",
    "model_init_kwargs": "train.quantization",
}
"""Fields of TRL that settings of the studio stand for, with those settings."""

_RECORD = "the studio keeps the run's record and checkpoints itself, so that nothing is lost"
_DEVICE = "the studio chooses device, number format and processes itself"
_SERVER = "the studio starts and addresses the vLLM server itself"
_EVALUATION = "the studio answers held-out and validation questions itself"
_PUBLISHES = "a run publishes nothing; export the adapter when it has ended"
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("output_dir", "resume_from_checkpoint", "save_strategy", "save_only_model", "save_on_each_node"),
            *("logging_steps", "logging_strategy", "logging_first_step", "logging_nan_inf_filter", "disable_tqdm"),
            *("ignore_data_skip", "load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
            *("enable_jit_checkpoint", "restore_callback_states_from_checkpoint", "include_num_input_tokens_seen"),
        ),
        _RECORD,
    ),
    **dict.fromkeys(
        (
            *("use_cpu", "bf16", "fp16", "bf16_full_eval", "fp16_full_eval", "local_rank", "deepspeed", "debug"),
            *("fsdp", "fsdp_config", "accelerator_config", "parallelism_config", "dataloader_pin_memory"),
            *("ddp_backend", "ddp_broadcast_buffers", "ddp_bucket_cap_mb", "ddp_find_unused_parameters"),
            *("ddp_static_graph", "ddp_timeout", "average_tokens_across_devices", "ds3_gather_for_generation"),
        ),
        _DEVICE,
    ),
    **dict.fromkeys(
        (
            *("vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout"),
            *("vllm_group_port", "vllm_max_model_length", "vllm_tensor_parallel_size"),
        ),
        _SERVER,
    ),
    **dict.fromkeys(
        (
            *("do_train", "do_eval", "do_predict", "eval_strategy", "eval_steps", "eval_delay", "eval_on_start"),
            *("per_device_eval_batch_size", "num_generations_eval", "prediction_loss_only", "batch_eval_metrics"),
            *("eval_accumulation_steps", "eval_do_concat_batches", "eval_use_gather_object", "include_for_metrics"),
        ),
        _EVALUATION,
    ),
    **dict.fromkeys(
        (
            *("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy", "hub_always_push"),
            *("hub_revision", "log_completions_hub_repo"),
        ),
        _PUBLISHES,
    ),
    **dict.fromkeys(
        ("sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps"),
        "the base model under the adapter is the reference",
    ),
    "trust_remote_code": "models bring no code of their own into the studio",
    "remove_unused_columns": "the reward needs every column",
    "auto_find_batch_size": "GRPO needs whole groups; let the studio choose the gradient accumulation",
}
"""Fields of TRL that no run may set, with the reason."""
_PACKAGES: Mapping[str, str] = {"use_liger_kernel": "liger_kernel"}
"""What has to be installed for a field that is switched on."""


def offered() -> Mapping[str, TrlField]:
    """The fields that a run may set by name."""
    return {
        name: field
        for name, field in sorted(trl_fields().items())
        if field.kinds and name not in OWN and name not in REFUSED
    }


def findings(train: TrainConfig) -> list[Finding]:
    """What is wrong with the further fields that `train` sets; the mend leaves the field out."""
    found = []
    for name, value in train.trl.items():
        reason = _reason(name, value)
        if reason:
            rest = {other: kept for other, kept in train.trl.items() if other != name}
            mend = Mend(f"Without {name}", {"train.trl": rest})
            found.append(Finding(f"trl {name}", "stop", f"The further TRL field {name} {reason}.", (mend,)))
    return found


def _reason(name: str, value: bool | int | float | str) -> str:
    """Why a field cannot be set like this; empty when it can."""
    if name in OWN:
        return f"is set by {OWN[name]}. Change it there"
    if name in REFUSED:
        return f"cannot be set: {REFUSED[name]}"
    field = trl_fields().get(name)
    if field is None:
        return "does not exist in the installed TRL. Correct its name"
    package = _PACKAGES.get(name, "")
    if value and package and find_spec(package) is None:
        return f"needs the Python package {package}, which is not installed. Install it, or leave the field out"
    whole_for_number = type(value) is int and float in field.kinds
    if type(value) not in field.kinds and not whole_for_number:
        kinds = " or ".join(kind.__name__ for kind in field.kinds) or "a value that cannot be written here"
        return f"is {value!r}, but TRL wants {kinds}. Correct the value"
    return ""
