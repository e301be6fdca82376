"""What a user would write without the studio: the same GRPO configuration on TRL's own trainer and nothing else.

`python -m benchmarks.bare_trl RUN_DIRECTORY HOME` prints the seconds of each step as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, set_seed
from trl import GRPOTrainer

from core import datasets
from core.engine.backends import load_trainable
from core.engine.before_imports import before_imports
from core.engine.device import compute_for
from core.engine.group_reward import GroupReward
from core.engine.grpo import grpo_config
from core.engine.passes import choose_passes
from core.engine.run_rows import prompt_dataset
from core.engine.scorers import open_scorer
from core.paths import Home
from core.runs.run import Run


class Clock(TrainerCallback):
    """The time from the end of one step to the end of the next."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


def main(run: Run, home: Home) -> None:
    config = run.config()
    before_imports(config, home)  # the same environment as the studio's job
    set_seed(config.train.seed)
    compute = compute_for(config)
    policy = load_trainable(config, home, compute)
    scorer = open_scorer(config.reward, config.prompt.tags, home, compute.device, torch.float32)
    rows = datasets.training_rows(datasets.read_rows(config.data, home))
    rows = datasets.choose(rows, config.train.train_rows, config.train.seed)
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = GRPOTrainer(
            model=policy.model,
            reward_funcs=GroupReward(scorer, config),
            args=grpo_config(config, compute, Path(scratch), choose_passes(config, policy.model, compute)),
            train_dataset=prompt_dataset(config, policy, rows),
            processing_class=policy.tokenizer,
            peft_config=policy.adapter,
            callbacks=[clock],
        )
        trainer.train()
    print(json.dumps([b - a for a, b in zip(clock.ends, clock.ends[1:], strict=False)]))


if __name__ == "__main__":
    main(Run(Path(sys.argv[1])), Home.open(sys.argv[2]))
