"""What a server takes of the memory: one sum, for whoever asks before it starts and for vLLM as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.config import RunConfig
from core.engine.serving import vllm
from core.errors import ModelError
from core.jobs.folder import JobFolder
from core.jobs.tasks import TRIAL, create_task
from core.machine import Gpu, Machine
from core.paths import Home
from core.presets import preset_config
from core.runs.run import create_run
from core.serving.memory import need, refuse_too_large
from core.training import preflight_task
from tests.build_adapters import save_base
from tests.build_machine import machine

GB = 1_000_000_000
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
UNKNOWN = "someone/unknown"
Begin = Callable[[Home, RunConfig], JobFolder]


def trial(home: Home, config: RunConfig) -> JobFolder:
    return create_task(home, TRIAL, preflight_task.arguments(config))


def begun(home: Home, begin: Begin, gpus: tuple[str, ...] = ()) -> None:
    """A run, or a pre-flight, that is live on these GPUs and has taken next to nothing yet."""
    job, me = begin(home, preset_config("demo")), psutil.Process()
    running = replace(job.written_status(), state="running", pid=me.pid, created=me.create_time(), gpus=gpus)
    job.write_status(running)


@pytest.fixture(autouse=True)
def usual_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def share(model: str, home: Home, here: Machine, monkeypatch: pytest.MonkeyPatch) -> float:
    """The bytes of the first GPU that vLLM is told to take at most."""
    monkeypatch.setattr(Machine, "inspect", lambda home: here)
    return vllm._share(model, home, here.gpus[0]) * here.gpus[0].memory_bytes


@pytest.mark.parametrize("begin", [create_run, trial])
def test_what_a_live_run_or_preflight_will_still_take_of_the_memory_is_promised(
    begin: Begin, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, model = machine(memory=2 * GB), str(save_base(tmp_path / "base-1b"))
    monkeypatch.setattr("core.serving.memory.family_bytes", lambda process: 1_000_000)
    assert need(model, home, here, ()).fits
    begun(home, begin)
    assert not need(model, home, here, ()).fits
    with pytest.raises(ModelError, match="of which the run that is going on needs"):
        refuse_too_large(model, home, here, ())


@pytest.mark.parametrize("memory", [24 * 2**30, 150 * GB])
def test_vllm_takes_what_was_reckoned_with_before_it_was_started(
    memory: int, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine(1, memory)
    asked = need(LLAMA, home, here, ("0",))
    assert asked.fits and asked.takes == pytest.approx(share(LLAMA, home, here, monkeypatch))
    assert asked.takes <= 0.92 * memory


def test_vllm_has_room_for_many_answers_where_there_is_some_and_is_refused_where_not_even_one_fits(
    home: Home,
) -> None:
    large, tight = (need(LLAMA, home, machine(1, memory), ("0",)) for memory in (150 * GB, 23 * GB))
    assert large.least is not None and large.takes > large.least
    assert not tight.fits


@pytest.mark.parametrize("begin", [create_run, trial])
@pytest.mark.parametrize("model", [LLAMA, UNKNOWN])
def test_vllm_leaves_to_a_live_run_on_its_gpu_what_that_will_still_take(
    model: str, begin: Begin, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine(1, 32 * GB)
    begun(home, begin, ("0",))
    promised = need(model, home, here, ("0",)).promised
    assert promised > GB
    assert share(model, home, here, monkeypatch) <= 32 * GB - promised


def test_a_run_on_another_gpu_is_promised_nothing_of_this_one(home: Home) -> None:
    begun(home, create_run, ("1",))
    assert need(LLAMA, home, machine(2), ("0",)).promised == 0


def test_of_a_model_of_which_nothing_is_known_nothing_is_refused(home: Home) -> None:
    refuse_too_large(UNKNOWN, home, machine(), ())
    refuse_too_large(UNKNOWN, home, machine(1), ("0",))


def test_without_vllm_a_gpu_holds_the_model_and_one_answer(home: Home) -> None:
    full = replace(machine(1, packages={"vllm": None}), gpus=(Gpu(0, "GPU", 80 * GB, 9 * GB),))
    found = need(LLAMA, home, full, ("0",))
    assert found.least == found.takes and not found.fits and found.place == "GPU memory"
