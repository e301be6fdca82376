"""How a policy is trained: the settings of GRPO, of the adapter, and of what writes the completions.

Names are TRL's where TRL has one. Which losses, schedules, optimisers and so on there are is asked of the installed
libraries (`core.training.options`), so such a name is checked by `core.training.capabilities` before a run starts.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.settings_base import Settings

Backend = Literal["trl", "unsloth"]
"""What trains: TRL and PEFT on any machine, or Unsloth's kernels under TRL on an NVIDIA GPU."""
Generation = Literal["auto", "plain", "vllm", "vllm_server"]
"""What writes completions: the policy itself (`plain`), vLLM in the training process (`vllm`), vLLM as a server on
another GPU (`vllm_server`), or vLLM in the process where it is there (`auto`)."""
Quantization = Literal["none", "8bit", "4bit"]
"""How the frozen weights under the adapter are held: as they are, or by bitsandbytes."""
Sharding = Literal["none", "fsdp", "zero3"]
"""How the model is spread over several training processes: a whole copy in each (`none`), or a part in each, by PyTorch
(`fsdp`) or by DeepSpeed (`zero3`)."""
Cluster = Literal["none", "ray"]
"""Where training processes run: on this machine, or on the machines of a Ray cluster."""
Switch = Literal["auto", "on", "off"]
Scaling = Literal["group", "batch", "none"]
"""What advantages are divided by; see `core.reward.advantages`, which computes them as TRL does."""
Aggregation = Literal["sum_then_normalize", "normalize_then_sum"]
"""Whether weighted component scores are added up before or after they are standardised inside their group."""

ALL_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a decoder block, as Llama and its relatives name them."""


class AdapterConfig(Settings):
    """The low-rank adapter that is trained in place of the model's own weights."""

    rank: int = Field(default=16, ge=1, le=512)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = ("q_proj", "v_proj")


class TrainConfig(Settings):
    """One GRPO run. Lengths are in tokens of the policy."""

    backend: Backend = "trl"
    generation: Generation = "auto"
    processes: int = Field(default=1, ge=1, le=1024)
    """Training processes that share a step: one for each GPU; any number on a processor."""
    sharding: Sharding = "none"
    cluster: Cluster = "none"

    steps: int = Field(ge=1, le=1_000_000)
    prompts_per_step: int = Field(default=1, ge=1, le=1024)
    num_generations: int = Field(default=8, ge=2, le=256)
    """Completions in a group: how many answers to one prompt are compared with each other."""
    max_prompt_length: int = Field(default=512, ge=16)
    max_completion_length: int = Field(default=48, ge=8)
    learning_rate: float = Field(default=1e-3, ge=0, le=1)
    lr_schedule: str = "constant"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps over which the learning rate rises from zero."""
    temperature: float = Field(default=1.0, gt=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    """Only this many of the most likely tokens can be chosen; 0 means all."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, gt=0, le=10)

    quantization: Quantization = "none"
    gradient_checkpointing: Switch = "auto"
    """Whether activations are computed again in the backward pass to save memory; `auto` decides by the model."""
    gradient_accumulation: int | None = Field(default=None, ge=1)
    """In how many parts a step's completions pass through the model; None lets the studio choose."""
    vllm_memory: float = Field(default=0.3, gt=0, lt=1)
    """Share of the GPU's memory that vLLM may take."""

    beta: float = Field(default=0.0, ge=0)
    """Weight of the KL divergence from the base model; 0 needs no second pass."""
    loss_type: str = "dapo"
    importance_sampling_level: str = "token"
    epsilon: float = Field(default=0.2, gt=0)
    """How far below one the probability ratio of a token counts."""
    epsilon_high: float | None = Field(default=None, gt=0)
    """How far above one it counts; see `upper_clip`."""
    num_iterations: int = Field(default=1, ge=1, le=64)
    """How often a step's completions are learned from."""
    scale_rewards: Scaling = "group"
    multi_objective_aggregation: Aggregation = "sum_then_normalize"
    mask_truncated_completions: bool = False
    """Whether completions that were cut off are left out of the loss."""
    optimizer: str = "adamw_torch_fused"
    weight_decay: float = Field(default=0.0, ge=0)
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    trl: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Further fields of TRL's GRPOConfig, by name."""

    train_rows: int | None = Field(default=None, ge=1)
    """Train on this many rows, chosen by the seed; None means all of them."""
    held_out_rows: int = Field(default=8, ge=0, le=1000)
    """Questions of the test split that are answered before and after training."""
    validation_rows: int = Field(default=8, ge=0, le=1000)
    """Questions of the validation split that are answered while training goes on."""
    validate_every: int = Field(default=0, ge=0)
    """After how many steps they are; 0 never. The best checkpoint is chosen by them."""
    save_every: int = Field(default=10, ge=1)
    keep_checkpoints: int = Field(default=5, ge=1)
    """How many of the newest checkpoints are kept, beside the best one."""
    trackers: tuple[str, ...] = ()
    """Where TRL reports to as well, such as `tensorboard` or `mlflow`."""
    seed: int = Field(default=0, ge=0, lt=2**32)

    @property
    def upper_clip(self) -> float:
        """`epsilon_high`, or what stands for it: `epsilon`, and 5 for `cispo`, which caps the ratio itself at it
        (ScaleRL, Khatri et al. 2025, takes 4 to 8)."""
        return self.epsilon_high or (5.0 if self.loss_type == "cispo" else self.epsilon)

    @property
    def completions_per_step(self) -> int:
        """How many completions a step samples, scores and learns from."""
        return self.prompts_per_step * self.num_generations

    @property
    def completions_per_process(self) -> int:
        """How many of them one training process samples, scores and learns from: whole groups."""
        return self.completions_per_step // self.processes
