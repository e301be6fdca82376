"""What the options of TRL and transformers do to the result, in plain words, in the order in which they are offered."""

from __future__ import annotations

from collections.abc import Mapping

LOSS_TYPES: Mapping[str, str] = {
    "dapo": "Every token of the whole step counts the same, so long completions teach as much a token as short ones.",
    "grpo": "As first published: every completion counts the same, so the tokens of a long one teach less each.",
    "dr_grpo": "Divides by the greatest length allowed: completions gain nothing by being longer or shorter.",
    "bnpo": "Every token counts the same within each part of a step that passes through the model at once.",
    "cispo": "Keeps all tokens in the update, also those whose probability moved far, and limits only their weight.",
    "sapo": "Fades tokens out softly as their probability moves, in place of a hard limit.",
    "luspo": "Weighs whole completions by their length; wants importance sampling over the sequence.",
    "vespo": "Weighs whole completions by a smooth curve of how far the policy has moved; wants the level token.",
}
LEVELS: Mapping[str, str] = {
    "token": "Each token has a ratio and a limit of its own.",
    "sequence": "One ratio for a whole completion, as in GSPO: steadier for long completions, with the loss grpo.",
}
SCALINGS: Mapping[str, str] = {
    "group": "Each group's differences are stretched to the same size, so easy and hard questions teach alike.",
    "batch": "The step's differences are stretched together; groups that differ little teach little.",
    "none": "Differences count as they are.",
}
AGGREGATIONS: Mapping[str, str] = {
    "sum_then_normalize": "Weighted scores are added up, then compared in the group: what varies more decides more.",
    "normalize_then_sum": "Each score is compared in the group first, so that a weight means the same for all.",
}
SCHEDULES: Mapping[str, str] = {
    "constant": "The same from the first step to the last.",
    "cosine": "Falls slowly, then faster, then slowly to zero.",
    "linear": "Falls evenly to zero.",
    "constant_with_warmup": "Rises during the warm-up, then stays.",
    "cosine_with_restarts": "Falls along a cosine, once or several times over.",
    "polynomial": "Falls along a polynomial to a small rest.",
    "inverse_sqrt": "Falls with one over the root of the step.",
    "warmup_stable_decay": "Rises, stays, and falls at the end; wants num_decay_steps under further TRL fields.",
    "cosine_with_min_lr": "Falls along a cosine to a rest that lr_scheduler_kwargs names.",
    "cosine_warmup_with_min_lr": "Rises and falls along a cosine to a rest that lr_scheduler_kwargs names.",
    "reduce_lr_on_plateau": "Falls when a value that TRL measures stops improving; runs here have none.",
    "greedy": "Tries larger and smaller rates by a value that TRL measures; runs here have none.",
}
OPTIMIZERS: Mapping[str, str] = {
    "adamw_torch_fused": "AdamW in one pass: the usual choice.",
    "adamw_torch": "AdamW, slower than fused and the same otherwise.",
    "adamw_8bit": "AdamW with its memory in 8 bits, by bitsandbytes: a quarter of the memory; needs a GPU.",
    "paged_adamw_8bit": "The same, moved to the machine's memory when the GPU's runs out.",
    "adamw_bnb_8bit": "Another name for adamw_8bit.",
    "adafactor": "Keeps hardly any memory of its own; learns a little less evenly.",
    "sgd": "Plain gradient descent: no memory of its own, needs a much larger learning rate.",
    "rmsprop": "Scales by recent gradients; older than AdamW.",
    "adagrad": "Scales by all gradients so far, so that learning fades.",
}
TRACKERS: Mapping[str, str] = {
    "mlflow": "MLflow, as in Cloudera AI: where MLFLOW_TRACKING_URI points, else a folder on this machine.",
    "trackio": "Trackio: a local board by Hugging Face.",
    "tensorboard": "TensorBoard files in the run's folder.",
    "wandb": "Weights & Biases: needs a network and WANDB_API_KEY.",
}
OPTIMIZER_PACKAGES: Mapping[str, str] = {
    r"^galore_": "galore_torch",
    r"^apollo_": "apollo_torch",
    r"lomo": "lomo_optim",
    r"^grokadamw$": "grokadamw",
    r"^schedule_free_": "schedulefree",
    r"^stable_adamw$": "optimi",
    r"^adamw_torch_[48]bit$": "torchao",
    r"^adamw_anyprecision$": "torchdistx",
    r"_xla$": "torch_xla",
    r"_npu_": "torch_npu",
    r"^paged_|^ademamix|^lion_|_bnb|^adamw_8bit$": "bitsandbytes",
}
"""Importable packages by the names of the optimisers that need them, as regular expressions."""
