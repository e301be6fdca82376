"""A live run is asked to wait, to go on, to stop, and what stops it by itself; all through its folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.config import RunConfig, with_changes
from core.engine import reporting, run_callback
from core.engine.memory_errors import memory_errors_told
from core.engine.reporting import Reporter
from core.engine.trainer import SharedPromptTrainer
from core.engine.training import train
from core.errors import Diverged, ModelError, OutOfMemory
from core.jobs import worker
from core.paths import Home
from core.reward import scoring
from core.runs.completions import read_completions, step_file
from core.runs.events import latest_metrics, read_events
from core.runs.run import Run, create_run
from core.training.control import forget_requests, pause_request
from tests.build_training import after_step, trained


@pytest.fixture
def run(home: Home, tiny_config: RunConfig) -> Run:
    return create_run(home, with_changes(tiny_config, {"train.held_out_rows": 0, "train.save_every": 4}))


@pytest.fixture
def signals() -> Iterator[None]:
    """The handlers of a job's process, for the length of a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def while_paused(run: Run, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[str]:
    """Ask for a pause after step 2 and do something while the run waits; returns what its status said then."""
    after_step(monkeypatch, 2, lambda run: pause_request(run).touch())
    said: list[str] = []

    def sleep(seconds: float) -> None:
        said.append(run.written_status().state)
        if len(said) == 3:
            act()
        assert len(said) < 10

    monkeypatch.setattr(run_callback, "time", SimpleNamespace(sleep=sleep))
    return said


def states(run: Run) -> list[tuple[str, int]]:
    return [(event.data["state"], event.step) for event in read_events(run.events) if event.kind == "state"]


def test_a_paused_run_keeps_a_checkpoint_and_goes_on_where_it_was(
    run: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = while_paused(run, monkeypatch, pause_request(run).unlink)
    train(run, home)
    assert said == ["paused"] * 3
    assert states(run) == [("running", 0), ("paused", 2), ("running", 2), ("finished", 4)]
    assert run.checkpoint_steps() == [2, 4]
    assert [metrics.step for metrics in latest_metrics(read_events(run.events))] == [1, 2, 3, 4]


def test_a_paused_run_stops_when_it_is_asked_to(run: Run, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    while_paused(run, monkeypatch, run.stop_request.touch)
    train(run, home)
    assert states(run) == [("running", 0), ("paused", 2), ("stopped", 2)]
    assert run.checkpoint_steps() == [2]
    assert (run.adapter / "adapter_model.safetensors").is_file()


def test_a_paused_run_stops_on_sigterm(run: Run, home: Home, monkeypatch: pytest.MonkeyPatch, signals: None) -> None:
    worker._stop_on_signals(run)
    while_paused(run, monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM))
    train(run, home)
    assert states(run)[-1] == ("stopped", 2)


def test_time_between_a_step_and_the_next_is_no_time_of_either(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0], monotonic=lambda: now[0], time=lambda: now[0])
    monkeypatch.setattr(reporting, "time", clock)
    reporter = Reporter(run)
    for seconds, phase in ((1.0, "generating"), (2.0, "updating"), (4.0, "")):
        now[0] += seconds
        if phase:
            reporter.phase(phase)
    assert reporter.take_seconds() == {"generate_seconds": 2.0, "score_seconds": 0.0, "update_seconds": 4.0}
    now[0] += 100.0  # a checkpoint, or a pause
    reporter.phase("updating")  # of completions that were written before
    now[0] += 8.0
    assert reporter.take_seconds() == {"generate_seconds": 0.0, "score_seconds": 0.0, "update_seconds": 8.0}
    reporter.close()


def with_loss(monkeypatch: pytest.MonkeyPatch, step: int, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Do something to the loss of a step."""
    compute = SharedPromptTrainer.compute_loss

    def compute_loss(self: Any, *args: Any, **kwargs: Any) -> Any:
        loss = compute(self, *args, **kwargs)
        return change(loss) if self.state.global_step + 1 == step else loss

    monkeypatch.setattr(SharedPromptTrainer, "compute_loss", compute_loss)


def test_a_loss_that_is_no_number_ends_the_run_before_broken_weights_are_saved(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(home, with_changes(tiny_config, {"train.held_out_rows": 0, "train.save_every": 1}))
    with_loss(monkeypatch, 3, lambda loss: loss * torch.nan)
    with pytest.raises(Diverged, match="step 3"):
        train(run, home)
    assert run.checkpoint_steps() == [1, 2]
    assert not run.adapter.exists()


def test_a_gpu_that_is_full_is_told_with_what_was_too_large(
    run: Run, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(loss: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with_loss(monkeypatch, 2, full)
    with pytest.raises(OutOfMemory) as raised:
        train(run, home)
    assert str(raised.value) == (
        "The GPU ran out of memory at step 2 while it learned from 4 completions of up to 8 tokens. To make it fit: "
        "pass them through the model in more parts (train.gradient_accumulation); allow shorter completions "
        "(train.max_completion_length is 8); use fewer completions a step (train.num_generations is 2); hold the model "
        "in 4 bits (train.quantization); close other programs that use the GPU; then clone the run."
    )


@pytest.mark.parametrize(
    ("error", "phase", "sentence"),
    [
        (MemoryError(), "scoring", "This machine ran out of memory at step 8 while it scored 4 completions"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "generating", "This machine .* while it wrote 4"),
        (RuntimeError("CUDA error: out of memory"), "loading", "The GPU .* while it loaded the models.*smaller model"),
    ],
)
def test_a_lack_of_memory_of_any_kind_names_what_was_too_large(
    error: Exception, phase: str, sentence: str, tiny_config: RunConfig
) -> None:
    reporter: Any = SimpleNamespace(doing=phase, step=7)
    with pytest.raises(OutOfMemory, match=sentence), memory_errors_told(tiny_config, reporter):
        raise error


def test_memory_that_another_program_gave_back_while_vllm_looked_is_told(tiny_config: RunConfig) -> None:
    reporter: Any = SimpleNamespace(doing="loading", step=0)
    with pytest.raises(ModelError, match="Start the run again"), memory_errors_told(tiny_config, reporter):
        raise AssertionError("Error in memory profiling. Initial free memory 107.2 GiB, current free memory 137.8 GiB.")


def test_any_other_error_is_left_as_it_is(tiny_config: RunConfig) -> None:
    reporter: Any = SimpleNamespace(doing="updating", step=7)
    with pytest.raises(RuntimeError, match="shapes"), memory_errors_told(tiny_config, reporter):
        raise RuntimeError("shapes do not fit")


@pytest.mark.parametrize("request_of", [lambda run: run.stop_request, pause_request], ids=["stop", "pause"])
def test_a_run_waits_until_its_completions_are_used_up_so_that_it_goes_on_as_the_same_run(
    request_of: Callable[[Run], Any], home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "validity", lambda parsed, samples: np.ones(len(samples), dtype=bool))
    changes = {"train.num_iterations": 2, "train.save_every": 3, "train.steps": 6, "train.held_out_rows": 0}
    config = with_changes(tiny_config, {**changes, "train.temperature": 1.3})
    whole, stopped = trained(home, config), create_run(home, config)
    assert whole.checkpoint_steps() == [4, 6], "three is in the midst of a repetition"
    after_step(monkeypatch, 1, lambda run: request_of(run).touch())
    monkeypatch.setattr(run_callback, "time", SimpleNamespace(sleep=lambda seconds: stopped.stop_request.touch()))
    train(stopped, home)
    assert (stopped.written_status().state, stopped.checkpoint_steps()) == ("stopped", [2])
    forget_requests(stopped)
    monkeypatch.setattr(Reporter, "pause_requested", lambda self: False)
    after_step(monkeypatch, 1, lambda run: None)
    train(stopped, home)
    assert stopped.written_status().state == "finished"
    for step in (1, 3, 5):
        assert read_completions(step_file(stopped, step)) == read_completions(step_file(whole, step)) != []
    ends = [load_file(run.adapter / "adapter_model.safetensors") for run in (whole, stopped)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert any(weight.abs().max() > 0 for name, weight in ends[0].items() if "lora_B" in name)
