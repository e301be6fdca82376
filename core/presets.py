"""Training sizes that are known to work, so that a newcomer starts from something that learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.config import PromptConfig, RewardConfig, RunConfig
from core.errors import ConfigError
from core.prompts import CONCISE_SYSTEM, EXAMPLES
from core.reward.formula import PRESETS
from core.train_config import ALL_PROJECTIONS, AdapterConfig, TrainConfig


@dataclass(frozen=True)
class Size:
    """A named amount of training.

    Attributes:
        title, note: shown to the user; the note is about these very settings, see `size_note`.
        train: the settings of the run.
        adapter: the adapter that is trained.
        model: the model that belongs to it; None for the user's own, at first the embedded one.
        reward: the reward that belongs to it; None for the user's own.
    """

    title: str
    note: str
    train: TrainConfig
    adapter: AdapterConfig
    model: str | None = None
    reward: RewardConfig | None = None


SIZES: Mapping[str, Size] = {
    "demo": Size(
        title="Demo",
        note="About five minutes on two processor cores. Shows the reward rising and the format being learned.",
        train=TrainConfig(
            steps=18,
            prompts_per_step=2,
            max_completion_length=64,
            learning_rate=1e-3,
            temperature=1.0,
            validation_rows=4,
            validate_every=6,
            save_every=6,
        ),
        adapter=AdapterConfig(),
    ),
    "short": Size(
        title="Short",
        note="A few times the demo, with more prompts a step: a first real impression of a reward.",
        train=TrainConfig(
            steps=100, prompts_per_step=2, max_completion_length=96, learning_rate=5e-4, validate_every=20
        ),
        adapter=AdapterConfig(),
    ),
    "full": Size(
        title="Full",
        note="Hours on a processor, minutes on a GPU: long completions, a cosine schedule, all projections trained.",
        train=TrainConfig(
            steps=200,
            prompts_per_step=8,
            max_completion_length=256,
            learning_rate=1e-4,
            lr_schedule="cosine",
            warmup=0.1,
            validation_rows=16,
            validate_every=25,
            save_every=25,
            held_out_rows=32,
        ),
        adapter=AdapterConfig(rank=64, alpha=64, target_modules=ALL_PROJECTIONS),
    ),
    "recommended": Size(
        title="Recommended",
        note="What we recommend on an NVIDIA GPU: 64 completions a step, written by vLLM where it is installed, a loss "
        "that treats long and short ones alike, room for rare good tokens, and the best checkpoint chosen by "
        "validation. Without a GPU it works too, in many hours.",
        train=TrainConfig(
            steps=200,
            prompts_per_step=8,
            max_completion_length=256,
            learning_rate=1e-4,
            lr_schedule="constant_with_warmup",
            warmup=0.05,
            loss_type="dapo",
            epsilon_high=0.28,
            validation_rows=32,
            validate_every=20,
            save_every=20,
            held_out_rows=64,
        ),
        adapter=AdapterConfig(rank=64, alpha=64, target_modules=ALL_PROJECTIONS),
        reward=PRESETS["robust"],
    ),
    "article": Size(
        title="Article",
        note="The article's run: Llama-3.1-8B-Instruct in 4 bits with Unsloth and vLLM, LoRA rank 64 on seven "
        "projections, its reward with its two models, 5 completions a prompt, 200 steps. It needs an NVIDIA GPU and a "
        "network. What the article does not tell is our choice: one prompt a step, prompts of at most 512 and "
        "completions of at most 256 tokens, LoRA alpha 64, the loss grpo with a KL weight of 0.04 as in the first "
        "paper on GRPO, how often checkpoints and validation come, and the seed. Choose the data yourself: the "
        "article's is FreedomIntelligence/medical-o1-reasoning-SFT.",
        train=TrainConfig(
            backend="unsloth",
            generation="vllm",
            quantization="4bit",
            steps=200,
            num_generations=5,
            max_completion_length=256,
            learning_rate=5e-6,
            lr_schedule="cosine",
            warmup=0.1,
            optimizer="adamw_8bit",
            weight_decay=0.1,
            max_grad_norm=0.1,
            loss_type="grpo",
            beta=0.04,
            validation_rows=16,
            validate_every=25,
            save_every=25,
            held_out_rows=32,
        ),
        adapter=AdapterConfig(rank=64, alpha=64, target_modules=ALL_PROJECTIONS),
        model="meta-llama/Llama-3.1-8B-Instruct",
        reward=PRESETS["article"].model_copy(
            update={"similarity_model": "cross-encoder/stsb-roberta-base", "fluency_model": "microsoft/biogpt"}
        ),
    ),
}


def size_note(size: str, config: RunConfig) -> str:
    """The note on a size, and how much longer it takes when the steps or limits of `config` are not the size's own.

    Writing completions takes most of the time, so the time is taken to grow with the tokens written at most.

    >>> size_note("demo", preset_config("demo")) == SIZES["demo"].note
    True
    """
    usual, present = SIZES[size].train, config.train
    times = present.steps * _tokens_a_step(present) / (usual.steps * _tokens_a_step(usual))
    if times == 1:
        return SIZES[size].note
    longer = f"{times:.{0 if times >= 3 else 1}f} times as long" if times > 1 else f"{times:.0%} of that time"
    return (
        f"{SIZES[size].note} That is for {usual.steps:,} steps with at most {_tokens_a_step(usual):,} written tokens "
        f"each. Here it is {present.steps:,} steps with at most {_tokens_a_step(present):,}, so expect about {longer}."
    )


def _tokens_a_step(train: TrainConfig) -> int:
    return train.completions_per_step * train.max_completion_length


def preset_config(size: str = "demo", reward: str | None = None) -> RunConfig:
    """The run configuration of a size on the sample data.

    Args:
        reward: the name of a built-in reward preset; None takes the size's own, or else `robust`.

    Raises:
        ConfigError: there is no such size or reward.
    """
    if size not in SIZES:
        raise ConfigError(f"There is no size {size!r}. Choose one of {', '.join(SIZES)}.")
    if reward is not None and reward not in PRESETS:
        raise ConfigError(f"There is no reward preset {reward!r}. Choose one of {', '.join(PRESETS)}.")
    chosen = SIZES[size]
    config = RunConfig(
        prompt=PromptConfig(system=CONCISE_SYSTEM, examples=EXAMPLES),
        reward=PRESETS[reward] if reward else chosen.reward or PRESETS["robust"],
        train=chosen.train,
        adapter=chosen.adapter,
    )
    return config.model_copy(update={"model": chosen.model}) if chosen.model else config
