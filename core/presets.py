"""Training sizes that are known to work, so that a newcomer starts from something that learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.config import PromptConfig, RunConfig
from core.errors import ConfigError
from core.prompts import CONCISE_SYSTEM, EXAMPLES
from core.reward.formula import PRESETS
from core.train_config import AdapterConfig, TrainConfig


@dataclass(frozen=True)
class Size:
    """A named amount of training.

    Attributes:
        title, note: shown to the user; the note is about these very settings, see `size_note`.
        train: the settings of the run.
        adapter: the adapter that is trained.
    """

    title: str
    note: str
    train: TrainConfig
    adapter: AdapterConfig


SIZES: Mapping[str, Size] = {
    "demo": Size(
        title="Demo",
        note="About five minutes on two processor cores. Shows the reward rising and the format being learned.",
        train=TrainConfig(
            steps=18, prompts_per_step=2, max_completion_length=64, learning_rate=1e-3, temperature=1.0, save_every=6
        ),
        adapter=AdapterConfig(),
    ),
    "short": Size(
        title="Short",
        note="A few times the demo, with more prompts a step: a first real impression of a reward.",
        train=TrainConfig(steps=100, prompts_per_step=2, max_completion_length=96, learning_rate=5e-4),
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
            save_every=25,
            held_out_rows=32,
        ),
        adapter=AdapterConfig(
            rank=64,
            alpha=64,
            target_modules=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
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
    return train.prompts_per_step * train.num_generations * train.max_completion_length


def preset_config(size: str = "demo", reward: str = "robust") -> RunConfig:
    """The run configuration of a size with a reward preset, embedded model and sample data."""
    if size not in SIZES:
        raise ConfigError(f"There is no size {size!r}. Choose one of {', '.join(SIZES)}.")
    if reward not in PRESETS:
        raise ConfigError(f"There is no reward preset {reward!r}. Choose one of {', '.join(PRESETS)}.")
    return RunConfig(
        prompt=PromptConfig(system=CONCISE_SYSTEM, examples=EXAMPLES),
        reward=PRESETS[reward],
        train=SIZES[size].train,
        adapter=SIZES[size].adapter,
    )
