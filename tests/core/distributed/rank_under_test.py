"""A training process as `core.engine.rank` runs it, but for what a test has asked of it; see `build.Asked`."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import RewardError
from core.paths import write_json
from core.reward import scoring
from core.runs.run import Run
from core.training.control import pause_request, weights_request
from tests.core.distributed.build import Asked

TEXTS = (
    "<reasoning>Pain.</reasoning><answer>Give oxygen and adrenaline.</answer>",
    "<reasoning>Pain.</reasoning><answer>Oxygen.</answer>",
    "Well: <answer>the the the the chest</answer>",
    "Give nothing.",
)
NOTE = "The judge gave no verdict."
WEIGHTS = {"semantic": 0.2, "fluency": 0.2, "tags": 0.6}


def change(folder: Path) -> None:
    """Do as was asked from now on."""
    asked = Asked.read(folder)
    # A random policy never writes a tag. All of it is valid here, or every reward were the same and nothing learned.
    scoring.validity = lambda parsed, samples: np.ones(len(samples), dtype=bool)
    if asked.spread:
        _take_processors_for_gpus()
        if Run(folder).config().train.sharding == "zero3":
            _let_deepspeed_do_so()
    _attend_to_steps(Run(folder), asked)
    if asked.same_texts:
        _write_same_texts()


def _attend_to_steps(run: Run, asked: Asked) -> None:
    """Act when a step begins, and write down the advantages that TRL has this process learn from."""
    from core.engine.trainer import RunTrainer

    usual = RunTrainer._generate_and_score_completions

    def attended(self: Any, inputs: Any) -> Any:
        step, rank = self.state.global_step + 1, self.accelerator.process_index
        if (step, rank) == (asked.step, asked.rank):
            _act(run, asked.act)
        found = usual(self, inputs)
        rows = [[row["group"], advantage] for row, advantage in zip(inputs, found["advantages"].tolist(), strict=True)]
        (run.folder / f"advantages-{step}-{rank}.json").write_text(json.dumps(rows), encoding="utf-8")
        return found

    RunTrainer._generate_and_score_completions = attended


def _act(run: Run, act: str) -> None:
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "fail":
        raise RewardError("The judge cannot be asked.")
    if act == "note":
        scoring.Scorer.notes = lambda self: [NOTE]
    elif act == "weights":
        write_json(weights_request(run), WEIGHTS)
    else:
        (run.stop_request if act == "stop" else pause_request(run)).touch()


def _write_same_texts() -> None:
    from core.engine.trainer import RunTrainer, SharedPromptTrainer

    def write(self: Any, prompt_ids: list[list[int]], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        seen: dict[tuple[int, ...], int] = {}
        written = []
        for ids in map(tuple, prompt_ids):
            seen[ids] = seen.get(ids, -1) + 1
            text = TEXTS[(hashlib.sha256(repr(ids).encode()).digest()[0] + seen[ids]) % len(TEXTS)]
            written.append([*self._tokenizer(text)["input_ids"], self._tokenizer.eos_token_id])
        return written, None

    for trainer in (RunTrainer, SharedPromptTrainer):
        trainer._generate_single_turn = write


def _take_processors_for_gpus() -> None:
    import torch
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    def choose(self: Any) -> None:
        self.device = torch.device("cpu")

    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)
    PartialState.set_device = choose


def _let_deepspeed_do_so() -> None:
    """transformers refuses processors to DeepSpeed, which would compile a quicker way for them to talk."""
    from deepspeed.comm import torch as talk

    from core.engine import grpo

    usual = grpo.GRPOConfig
    grpo.GRPOConfig = lambda **settings: usual(**{**settings, "use_cpu": False})
    talk.build_shm_op = lambda: None


if __name__ == "__main__":
    from core.engine import rank

    change(Path(sys.argv[1]))
    sys.exit(rank.main(Path(sys.argv[1]), Path(sys.argv[2])))
