"""The training runs whose logs lie in `tests/logs/`: what each was asked to do, and reading them.

`python -m tests.record_logs` trains them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config import RunConfig, with_changes
from core.presets import preset_config
from core.reward.formula import PRESETS
from core.runs.events import Metrics, Validation, latest_metrics, read_events
from core.train_config import ALL_PROJECTIONS

LOGS = Path(__file__).parent / "logs"
TAUGHT = "taught"
"""The model of most recordings: a tiny one that `tests.record_logs` first teaches to write the tags."""
SYSTEM = "Reply in this format."

DEMO: Mapping[str, Any] = {
    "train.max_completion_length": 56,
    "train.learning_rate": 1e-3,
    "train.temperature": 0.8,
    "train.validate_every": 0,
    "train.held_out_rows": 0,
}
"""The embedded model with the recommended reward, as in the studio's demo."""
SMALL: Mapping[str, Any] = {
    "model": TAUGHT,
    "prompt.system": SYSTEM,
    "prompt.examples": [],
    "reward.fluency_model": TAUGHT,
    "reward.weights": {"semantic": 0.6, "tags": 0.4},
    "train.prompts_per_step": 4,
    "train.num_generations": 8,
    "train.max_completion_length": 64,
    "train.learning_rate": 3e-3,
    "train.validate_every": 0,
    "train.held_out_rows": 0,
    "adapter.target_modules": ALL_PROJECTIONS,
    "adapter.rank": 8,
    "adapter.alpha": 16,
}
"""The taught model with a reward of similarity and tags."""

_LONG = "[len(answer) / 250 for answer in model_answer]"
_BRIEF = "[max(0.0, 1 - len(completion[0]['content']) / 200) for completion in completions]"
_COUNTED = "[len(answer) % 7 / 2 for answer in model_answer]"
_REPEATED = "[1 - len(set(answer.split())) / (len(answer.split()) or 1) for answer in model_answer]"
_NOT_LONG = "[float(len(answer) < 400) for answer in model_answer]"
_SILENT = "[None for answer in model_answer]"
_WORDS = "[min(1.0, answer.split().count('and') / 6) for answer in model_answer]"


@dataclass(frozen=True)
class Recording:
    """A training run to be recorded.

    Attributes:
        name: of the file, without `.jsonl`.
        note: what is special about the run.
        steps: how many are trained.
        changes: to the demo's configuration, beside those of `base`.
        rewards: custom rewards by name: what each returns, as an expression.
    """

    name: str
    note: str
    steps: int
    base: Mapping[str, Any] = field(default_factory=lambda: SMALL)
    changes: Mapping[str, Any] = field(default_factory=dict)
    rewards: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> RunConfig:
        """The run's configuration; the taught model is named `TAUGHT`."""
        custom = {"reward.custom": [{"name": name} for name in self.rewards]} if self.rewards else {}
        return with_changes(preset_config("demo"), {**self.base, "train.steps": self.steps, **custom, **self.changes})

    @property
    def metrics(self) -> list[Metrics]:
        return latest_metrics(read_events(LOGS / f"{self.name}.jsonl"))

    @property
    def validations(self) -> list[Validation]:
        events = read_events(LOGS / f"{self.name}.jsonl")
        return [Validation.of(event) for event in events if event.kind == "validation"]


def _weights(**weights: float) -> dict[str, Any]:
    return {"reward.weights": weights}


RECORDINGS: Mapping[str, Recording] = {
    recording.name: recording
    for recording in (
        Recording(
            "demo",
            "the demo, learning rate 7e-4, temperature 0.9; learns well",
            17,
            DEMO,
            {"train.steps": 24, "train.learning_rate": 7e-4, "train.temperature": 0.9},
        ),
        Recording("demo_again", "the demo, temperature 0.8; learns well", 14, DEMO, {"train.steps": 24}),
        Recording(
            "demo_48",
            "the demo with 48 tokens an answer; learns well",
            14,
            DEMO,
            {"train.steps": 24, "train.max_completion_length": 48},
        ),
        Recording("control", "the demo with learning rate 0", 12, DEMO, {"train.learning_rate": 0}),
        Recording(
            "frozen",
            "temperature 0.001: a group's answers are all the same",
            8,
            changes={"train.temperature": 0.001},
        ),
        Recording("pulled", "a small pull to the base model, moderate learning rate", 30, changes={"train.beta": 0.04}),
        Recording("limit_16", "at most 16 tokens an answer", 8, changes={"train.max_completion_length": 16}),
        Recording("limit_40", "at most 40 tokens an answer", 10, changes={"train.max_completion_length": 40}),
        Recording(
            "other_tags",
            "tags that the model was never taught",
            8,
            changes={"prompt.tags": {"reasoning": "think", "answer": "reply"}},
        ),
        Recording(
            "notebook",
            "the notebook's reward",
            12,
            changes={"reward": {**PRESETS["notebook"].model_dump(), "fluency_model": TAUGHT}},
        ),
        Recording("cold", "temperature 0.01", 12, changes={"train.temperature": 0.01}),
        Recording(
            "easy_term",
            "a custom reward that every answer earns",
            8,
            changes=_weights(semantic=0.3, tags=0.3, not_long=0.4),
            rewards={"not_long": _NOT_LONG},
        ),
        Recording(
            "big_scores",
            "a custom reward with small weight and large scores, while being invalid costs little",
            12,
            changes={"reward.invalid_reward": 0.5, **_weights(semantic=0.7, tags=0.1, counted=0.2)},
            rewards={"counted": _COUNTED},
        ),
        Recording(
            "no_opinion",
            "a custom reward that never says anything",
            8,
            changes=_weights(semantic=0.5, tags=0.3, silent=0.2),
            rewards={"silent": _SILENT},
        ),
        Recording("rate_high", "learning rate 0.05", 20, changes={"train.learning_rate": 0.05}),
        Recording("rate_rather_high", "learning rate 0.01", 24, changes={"train.learning_rate": 0.01}),
        Recording("rate_low", "learning rate 1e-9", 20, changes={"train.learning_rate": 1e-9}),
        Recording(
            "rate_rather_low",
            "learning rate 2e-6",
            104,
            changes={"train.learning_rate": 2e-6, "train.prompts_per_step": 1},
        ),
        Recording(
            "not_a_number",
            "an adapter whose alpha has far too many zeros",
            6,
            changes={"adapter.alpha": 1e17, "adapter.target_modules": ["q_proj", "v_proj"]},
        ),
        Recording(
            "far_away",
            "learning rate 0.01 in spite of a pull to the base model",
            24,
            changes={"train.learning_rate": 0.01, "train.beta": 0.04},
        ),
        Recording(
            "many_passes",
            "each answer is learned from eight times, with narrow clipping",
            40,
            changes={
                "train.prompts_per_step": 2,
                "train.num_iterations": 8,
                "train.epsilon": 0.05,
                "train.learning_rate": 4e-3,
            },
        ),
        Recording(
            "long_winded",
            "a custom reward that pays for length, and nothing is lost by being cut",
            70,
            changes={"train.prompts_per_step": 2, "reward.invalid_reward": 0.0, **_weights(semantic=0.1, long=0.9)},
            rewards={"long": _LONG},
        ),
        Recording(
            "brief",
            "a custom reward that pays for brevity, and little is lost by being invalid",
            110,
            changes={
                "train.prompts_per_step": 2,
                "train.learning_rate": 4e-3,
                "reward.invalid_reward": 0.0,
                **_weights(semantic=0.1, brief=0.9),
            },
            rewards={"brief": _BRIEF},
        ),
        Recording(
            "repeated",
            "a custom reward that pays for saying the same word again, at temperature 0.5",
            100,
            changes={
                "train.prompts_per_step": 2,
                "train.temperature": 0.5,
                "train.learning_rate": 4e-3,
                **_weights(semantic=0.1, repeated=0.9),
            },
            rewards={"repeated": _REPEATED},
        ),
        Recording(
            "key_words",
            "a custom reward that pays for a frequent word; validated every 5 steps",
            60,
            changes={
                "train.learning_rate": 4e-3,
                "train.validate_every": 5,
                "train.validation_rows": 40,
                **_weights(semantic=0.2, key_words=0.8),
            },
            rewards={"key_words": _WORDS},
        ),
        Recording(
            "memorised",
            "two training questions and similarity alone as reward; validated every 6 steps",
            72,
            changes={
                "train.train_rows": 2,
                "train.prompts_per_step": 2,
                "train.num_generations": 16,
                "train.validate_every": 6,
                "train.validation_rows": 40,
                "train.learning_rate": 4e-3,
                "reward.invalid_reward": 0.0,
                **_weights(semantic=1.0),
            },
        ),
    )
}
