"""What a user asks of a run of two processes, and what becomes of it when one of them is lost: slow, since each run has
to load everything twice."""

from __future__ import annotations

import time

import pytest
import torch
from safetensors.torch import load_file

from core.config import RunConfig, with_changes
from core.paths import Home
from core.runs.completions import read_completions, step_file
from core.runs.events import latest_metrics, read_events
from core.runs.run import Run
from core.training.control import forget_requests, pause_request
from tests.core.distributed.build import Asked, begin, ended, made, work
from tests.core.distributed.rank_under_test import NOTE, WEIGHTS

pytestmark = pytest.mark.slow
STEPS, SAVED = 6, 2
LONG = 200.0


@pytest.fixture
def config(tiny_config: RunConfig) -> RunConfig:
    changes = {"train.steps": STEPS, "train.save_every": SAVED, "train.processes": 2, "train.held_out_rows": 0}
    return with_changes(tiny_config, changes)


def adapter(run: Run) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(run.adapter / "adapter_model.safetensors")
    return found


def test_a_stop_ends_all_processes_after_the_step_and_a_resume_goes_on(home: Home, config: RunConfig) -> None:
    run = made(home, config)
    assert work(run, home, Asked(step=3, act="stop")) == 0
    assert (run.status().state, run.status().step) == ("stopped", 3)
    assert run.checkpoint_steps()[-1] == 3 and adapter(run)
    forget_requests(run)
    assert work(run, home) == 0
    assert (run.status().state, run.status().step) == ("finished", STEPS)
    assert [m.step for m in latest_metrics(read_events(run.events))] == list(range(1, STEPS + 1))


def test_a_pause_holds_all_processes_until_it_is_taken_back(home: Home, config: RunConfig) -> None:
    run = made(home, config)
    job = begin(run, home, Asked(step=2, act="pause"))
    deadline = time.monotonic() + LONG
    while run.written_status().state != "paused" and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.written_status().step == 2
    pause_request(run).unlink()
    assert ended(job) == 0
    assert run.status().state == "finished"


def test_other_weights_are_in_force_from_the_next_step_on_in_all_processes(home: Home, config: RunConfig) -> None:
    run = made(home, config)
    assert work(run, home, Asked(same_texts=True, step=3, act="weights")) == 0
    told = [(e.step, e.data["weights"]) for e in read_events(run.events) if e.kind == "weights"]
    assert told[1:] == [(3, WEIGHTS)]
    for step in (2, 3):
        weights = run.config().reward.weights if step == 2 else WEIGHTS
        for answer in read_completions(step_file(run, step)):  # of both processes
            expected = sum(weights[name] * score for name, score in answer.components.items())
            assert answer.reward == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_process_ends_the_run_and_a_resume_makes_it_the_same_run(
    rank: int, home: Home, config: RunConfig
) -> None:
    whole, killed = made(home, config), made(home, config)
    assert work(whole, home) == 0
    assert work(killed, home, Asked(step=4, rank=rank, act="kill")) == 2
    status = killed.status()
    assert (status.state, status.step) == ("failed", 3)
    assert "training processes was lost" in status.error
    assert "resume from checkpoint 2" in killed.summary()
    assert work(killed, home) == 0
    one, two = adapter(whole), adapter(killed)
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_error_of_one_process_is_what_the_user_reads(rank: int, home: Home, config: RunConfig) -> None:
    run = made(home, config)
    assert work(run, home, Asked(step=2, rank=rank, act="fail")) == 2
    assert run.status().state == "failed"
    assert run.status().error == "The judge cannot be asked."


def test_what_a_process_notes_of_its_scores_is_told_at_once_and_at_the_end(home: Home, config: RunConfig) -> None:
    run = made(home, config)
    assert work(run, home, Asked(step=3, rank=1, act="note")) == 0
    alerts = [(e.step, e.data["message"]) for e in read_events(run.events) if e.kind == "alert"]
    told = [(step, message) for step, message in alerts if NOTE in message]
    assert told == [(step, f"Training process 2: {NOTE}") for step in (3, STEPS)]


def test_a_spread_model_learns_what_copies_learn_and_goes_on_from_its_checkpoint(home: Home, config: RunConfig) -> None:
    """accelerate takes the processors for GPUs here; parts of the model are put together layer by layer."""
    copies, spread = made(home, config), made(home, with_changes(config, {"train.sharding": "fsdp"}))
    assert work(copies, home, Asked(same_texts=True)) == 0
    assert work(spread, home, Asked(same_texts=True, spread=True, step=4, act="kill")) == 2
    assert (spread.checkpoints / "checkpoint-2" / "pytorch_model_fsdp.bin").is_file()
    assert work(spread, home, Asked(same_texts=True, spread=True)) == 0
    one, two = adapter(copies), adapter(spread)
    assert one.keys() == two.keys()
    assert any(weight.abs().max() > 1e-4 for name, weight in two.items() if "lora_B" in name)
    assert all(torch.allclose(one[name], two[name], atol=2e-5) for name in one)
