"""A run that is killed and resumed is the one that was never interrupted: prompts, numbers, completions, weights."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from trl.trainer.utils import RepeatSampler

from core.config import RunConfig, with_changes
from core.engine.data_order import EpochOrder
from core.paths import PROJECT, Home, write_json
from core.runs.completions import Completion, read_completions, step_file
from core.runs.events import Metrics, latest_metrics, read_events
from core.runs.run import Run, create_run
from core.training.best import read_best
from core.training.control import weights_request
from core.training.curves import CurveReader

LONG = 300.0
STEPS, SAVED, KILLED = 8, 4, 6
JOB = """
import os, signal, sys
from pathlib import Path
import numpy as np
from core.jobs import worker
from core.engine.reporting import Reporter
from core.reward import scoring

# A random policy never writes a tag. All of it is valid here, or every reward were the same and nothing learned.
scoring.validity = lambda parsed, samples: np.ones(len(samples), dtype=bool)

done = Reporter.step_done

def die(self, metrics):
    done(self, metrics)
    if metrics.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)

Reporter.step_done = die
sys.exit(worker.main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def work(run: Run, home: Home, killed_at: int = 0) -> int:
    """Run the job in a process of its own that is killed the moment it has recorded a step, 0 for never."""
    command = [sys.executable, "-c", JOB.format(step=killed_at), str(run.folder), str(home.root)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LONG)
    print(done.stdout, done.stderr)
    return done.returncode


def completions(run: Run) -> list[list[Completion]]:
    return [read_completions(step_file(run, step)) for step in range(1, STEPS + 1)]


def numbers(metrics: Metrics) -> Metrics:
    """Without what a clock or the machine says."""
    seconds = {f"{name}_seconds": 0.0 for name in ("generate", "score", "update", "step")}
    return replace(metrics, **seconds, host_bytes=0.0, gpu_bytes=0.0, kl=0.0)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory, tiny_config: RunConfig) -> tuple[Run, Run]:
    """The same run twice: in one go, and killed between two checkpoints."""
    config = with_changes(
        tiny_config,
        {
            "train.steps": STEPS,
            "train.save_every": SAVED,
            "train.train_rows": 6,  # three steps are an epoch, so the checkpoint lies in the middle of the second
            "train.lr_schedule": "cosine",
            "train.warmup": 0.25,
            "train.validate_every": 3,
            "train.validation_rows": 2,
            "train.temperature": 1.3,
            "adapter.dropout": 0.1,
        },
    )
    found = []
    for name in ("whole", "killed"):
        home = Home.open(tmp_path_factory.mktemp(name) / "home")
        run = create_run(home, config)
        write_json(weights_request(run), {"semantic": 0.2, "fluency": 0.2, "tags": 0.6})
        if name == "killed":
            assert work(run, home, KILLED) == -signal.SIGKILL
            assert run.checkpoint_steps() == [SAVED]
        assert work(run, home) == 0
        found.append(run)
    return found[0], found[1]


def test_every_step_has_the_same_prompts_completions_and_rewards(resumed: tuple[Run, Run]) -> None:
    whole, killed = map(completions, resumed)
    assert [[one.group for one in step] for step in whole] == [[one.group for one in step] for step in killed]
    assert whole == killed
    assert len({one.completion for step in whole for one in step}) > STEPS, "the completions must differ to say much"


def test_every_step_has_the_same_numbers(resumed: tuple[Run, Run]) -> None:
    whole, killed = (list(map(numbers, latest_metrics(read_events(run.events)))) for run in resumed)
    assert [m.step for m in killed] == list(range(1, STEPS + 1))
    assert len({m.learning_rate for m in whole}) > 3
    assert repr(whole) == repr(killed)  # NaN is not equal to itself


def test_the_adapters_are_the_same_to_the_last_bit(resumed: tuple[Run, Run]) -> None:
    whole, killed = (load_file(run.adapter / "adapter_model.safetensors") for run in resumed)
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert any(weight.abs().max() > 0 for name, weight in whole.items() if "lora_B" in name)


def test_validation_and_the_best_checkpoint_are_the_same(resumed: tuple[Run, Run]) -> None:
    assert read_best(resumed[0]) == read_best(resumed[1]) is not None
    whole, killed = (
        {event.step: event.data for event in read_events(run.events) if event.kind == "validation"} for run in resumed
    )
    assert whole == killed and list(whole) == [3, 6, 8]


def test_the_curves_have_each_step_once(resumed: tuple[Run, Run]) -> None:
    frames = [CurveReader(run.curves).frame(1, STEPS, STEPS, ["reward", "weight tags"]) for run in resumed]
    assert frames[1]["step"].tolist() == list(range(1, STEPS + 1))
    assert frames[0].equals(frames[1])
    assert set(frames[0]["weight tags"]) == {0.6}


def test_a_resumed_run_starts_with_the_weights_of_its_checkpoint(resumed: tuple[Run, Run]) -> None:
    told = [
        (e.step, e.data["by"], e.data["weights"]["tags"]) for e in read_events(resumed[1].events) if e.kind == "weights"
    ]
    assert told == [(0, "start", 0.2), (1, "user", 0.6), (SAVED, "start", 0.6)]


def order(sampler: RepeatSampler, epochs: int) -> list[list[int]]:
    return [list(sampler) for _ in range(epochs)]


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_an_epoch_that_is_begun_without_those_before_it_has_the_order_of_trl(epoch: int) -> None:
    arguments = {"mini_repeat_count": 2, "batch_size": 2, "repeat_count": 1, "seed": 5}
    expected = order(RepeatSampler(list(range(7)), **arguments), epoch + 2)
    resumed = EpochOrder.like(RepeatSampler(list(range(7)), **arguments))
    resumed.set_epoch(epoch)
    assert list(resumed) == expected[epoch]
    resumed.set_epoch(epoch + 1)
    assert list(resumed) == expected[epoch + 1]
    resumed.set_epoch(0)
    assert list(resumed) == expected[0]
