"""A model that DeepSpeed spreads over two processes (ZeRO-3): it learns what copies learn, and a checkpoint with code
in it is found out before DeepSpeed reads it.

Runs are slow, since each has to load everything twice. accelerate and DeepSpeed take the processors for GPUs.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from core.config import RunConfig, with_changes
from core.engine.checkpoints import find_fault
from core.paths import Home
from core.runs.completions import AFTER
from core.runs.events import latest_metrics, read_events
from core.runs.export import export_run
from core.runs.run import Run
from core.training.best import read_best
from core.training.control import forget_requests
from tests.core.distributed.build import Asked, made, work

STEPS, SAVED = 6, 2
OWN = "global_step2"


@pytest.fixture(scope="module")
def config(tiny_config: RunConfig) -> RunConfig:
    changes = {"steps": STEPS, "save_every": SAVED, "processes": 2, "validate_every": 2, "validation_rows": 3}
    return with_changes(tiny_config, {f"train.{name}": value for name, value in changes.items()})


@pytest.fixture(scope="module")
def by_deepspeed() -> Iterator[None]:
    """Skips where DeepSpeed is not installed; else tells it that it runs on processors."""
    pytest.importorskip("deepspeed", reason="DeepSpeed is not installed: ZeRO-3 cannot be tried.")
    patch = pytest.MonkeyPatch()
    patch.setenv("DS_ACCELERATOR", "cpu")
    yield
    patch.undo()


@pytest.fixture(scope="module")
def copies(by_deepspeed: None, tmp_path_factory: pytest.TempPathFactory, config: RunConfig) -> Run:
    """A run whose processes have a copy of the model each."""
    home = Home.open(tmp_path_factory.mktemp("copies") / "home")
    run = made(home, config)
    assert work(run, home, Asked(same_texts=True)) == 0
    return run


@pytest.fixture(scope="module")
def spread(by_deepspeed: None, tmp_path_factory: pytest.TempPathFactory, config: RunConfig) -> Run:
    """The same run with a part of the model in each process, one of which was lost in the fourth step; resumed."""
    home = Home.open(tmp_path_factory.mktemp("spread") / "home")
    run = made(home, with_changes(config, {"train.sharding": "zero3"}))
    assert work(run, home, Asked(same_texts=True, spread=True, step=4, rank=1, act="kill")) == 2
    assert run.checkpoint_steps() == [2], "it goes on from here"
    assert work(run, home, Asked(same_texts=True, spread=True)) == 0
    return run


def weights(folder: Path) -> Mapping[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "adapter_model.safetensors")
    return found


@pytest.mark.slow
def test_it_learns_what_copies_learn_over_a_resume(copies: Run, spread: Run) -> None:
    one, two = (list(latest_metrics(read_events(run.events))) for run in (copies, spread))
    assert [m.step for m in two] == list(range(1, STEPS + 1))
    for name in ("reward", "loss", "grad_norm", "learning_rate"):
        assert [getattr(m, name) for m in two] == pytest.approx([getattr(m, name) for m in one], rel=1e-3), name


@pytest.mark.slow
def test_the_adapter_has_the_whole_weights_of_copies(copies: Run, spread: Run) -> None:
    one, two = weights(copies.adapter), weights(spread.adapter)
    assert one.keys() == two.keys()
    assert any(weight.abs().max() > 1e-4 for name, weight in two.items() if "lora_B" in name)
    assert all(torch.allclose(one[name], two[name], atol=2e-5) for name in one)


@pytest.mark.slow
def test_peft_puts_the_adapter_on_the_model(spread: Run) -> None:
    base = AutoModelForCausalLM.from_pretrained(spread.config().model, dtype=torch.float32)
    tokens = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        before = base(tokens).logits.clone()
        after = PeftModel.from_pretrained(base, spread.adapter)(tokens).logits
    assert not torch.allclose(before, after)


@pytest.mark.slow
def test_the_best_adapter_is_kept_whole(spread: Run) -> None:
    best, kept = read_best(spread), weights(spread.best)
    assert best is not None and best.step % 2 == 0, "the steps that are validated"
    assert {name: weight.shape for name, weight in kept.items()} == {
        name: weight.shape for name, weight in weights(spread.adapter).items()
    }
    assert any(weight.abs().max() > 1e-4 for name, weight in kept.items() if "lora_B" in name)


@pytest.mark.slow
def test_its_checkpoint_is_whole_for_just_these_processes(spread: Run) -> None:
    folder = spread.checkpoints / f"checkpoint-{STEPS}"
    assert find_fault(folder, processes=2) is None
    assert find_fault(folder, processes=3) is not None


@pytest.mark.slow
def test_an_exported_run_holds_its_checkpoint_without_scripts(spread: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(export_run(spread, tmp_path / "run.zip", checkpoints=True)) as archive:
        names = archive.namelist()
    assert sum(f"checkpoint-{STEPS}/global_step{STEPS}/" in name and name.endswith(".pt") for name in names) == 4
    assert not [name for name in names if name.endswith(".py")]


@pytest.mark.slow
def test_a_stop_saves_the_adapter_and_a_resume_goes_on(by_deepspeed: None, home: Home, config: RunConfig) -> None:
    run = made(home, with_changes(config, {"train.sharding": "zero3"}))
    assert work(run, home, Asked(same_texts=True, spread=True, step=3, act="stop")) == 0
    assert (run.status().state, run.status().step) == ("stopped", 3)
    assert run.checkpoint_steps()[-1] == 3 and all(weight.numel() for weight in weights(run.adapter).values())
    forget_requests(run)
    assert work(run, home, Asked(same_texts=True, spread=True)) == 0
    assert (run.status().state, run.status().step) == ("finished", STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["zero3", "fsdp"])
def test_a_run_that_was_lost_after_its_last_step_ends_as_if_it_was_not(
    sharding: str, by_deepspeed: None, home: Home, config: RunConfig
) -> None:
    run = made(home, with_changes(config, {"train.sharding": sharding, "train.steps": 2}))
    assert work(run, home, Asked(same_texts=True, spread=True)) == 0
    before = weights(run.adapter)
    shutil.rmtree(run.adapter)
    (run.completions / AFTER).unlink()
    assert work(run, home, Asked(same_texts=True, spread=True)) == 0
    after = weights(run.adapter)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert (run.completions / AFTER).exists()
    assert [m.step for m in latest_metrics(read_events(run.events))] == [1, 2]


class Code:
    """A pickle that makes a folder when it is read as one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> object:
        return os.mkdir, (str(self._folder),)


class LossScaler:
    """Stands for DeepSpeed's of this name: how a loss is scaled."""

    __module__ = "deepspeed.runtime.fp16.loss_scaler"

    def __init__(self) -> None:
        self.cur_scale, self.dynamic = 1.0, False


class DynamicLossScaler(LossScaler):
    """Stands for DeepSpeed's of this name, which no run here uses."""

    __module__ = "deepspeed.runtime.fp16.loss_scaler"


class ZeroStageEnum(int, Enum):
    """Stands for DeepSpeed's of this name: what is spread."""

    __module__ = "deepspeed.runtime.zero.config"

    weights = 3


def keep_in_optimizers(folder: Path, state: Mapping[str, object]) -> None:
    """Write the files of the optimiser's state with this in them, as a process does that has DeepSpeed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("deepspeed", LossScaler.__module__, ZeroStageEnum.__module__):
            patch.setitem(sys.modules, name, ModuleType(name))
        for known in (LossScaler, DynamicLossScaler, ZeroStageEnum):
            setattr(sys.modules[known.__module__], known.__name__, known)
        for file in (folder / OWN).glob("*optim*"):
            torch.save({**torch.load(file), **state}, file)


def checkpoint(folder: Path) -> Path:
    """What two processes keep, in the files that DeepSpeed and the trainer write."""
    (folder / OWN).mkdir(parents=True)
    (folder / "trainer_state.json").write_text("{}", encoding="utf-8")
    (folder / "latest").write_text(OWN, encoding="utf-8")
    save_file({"weight": torch.ones(2)}, folder / "adapter_model.safetensors")
    for name in ("scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"):
        torch.save({"state": 1}, folder / name)
    for rank in (0, 1):
        torch.save({"module": torch.ones(2)}, folder / OWN / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
        torch.save({"state": torch.ones(2)}, folder / OWN / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    return folder


def test_a_checkpoint_with_all_its_parts_is_whole(tmp_path: Path) -> None:
    assert find_fault(checkpoint(tmp_path / "checkpoint-2"), processes=2) is None


def test_a_checkpoint_with_deepspeeds_settings_in_it_is_whole_and_read_without_deepspeed(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint-2")
    keep_in_optimizers(folder, {"loss_scaler": LossScaler(), "zero_stage": ZeroStageEnum.weights})
    assert find_fault(folder, processes=2) is None


def test_a_checkpoint_with_another_class_of_deepspeeds_in_it_is_not_used(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint-2")
    keep_in_optimizers(folder, {"loss_scaler": DynamicLossScaler()})
    assert find_fault(folder, processes=2) == "UnpicklingError"


def test_a_checkpoint_that_lacks_a_part_is_not_used(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint-2")
    next((folder / OWN).glob("*rank_1*optim*")).unlink()
    assert find_fault(folder, processes=2) == "global_step2 has 3 of 4 files"


def test_a_checkpoint_with_a_part_cut_off_is_not_used(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint-2")
    part = next((folder / OWN).glob("*rank_1*optim*"))
    part.write_bytes(part.read_bytes()[:-40])
    assert find_fault(folder, processes=2) is not None


def test_a_checkpoint_with_code_in_it_is_not_used_and_the_code_not_run(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint-2")
    torch.save({"state": Code(tmp_path / "ran")}, next((folder / OWN).glob("*rank_0*optim*")))
    assert find_fault(folder, processes=2) is not None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["../elsewhere", "", "/tmp", "global_step2/.."])
def test_a_checkpoint_that_names_another_folder_is_not_used(name: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint-2")
    (folder / "latest").write_text(name, encoding="utf-8")
    assert find_fault(folder, processes=2) == "latest names no folder of DeepSpeed's"
