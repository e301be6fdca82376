"""What is refused of several processes, the GPUs they get, and the settings they are started with."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate.commands.config.config_args import ClusterConfig

from core.config import RunConfig, with_changes
from core.engine.accelerate_group import accelerate_settings
from core.engine.sharding import sharding_settings
from core.engine.vllm_process import environment as server_environment
from core.errors import ConfigError
from core.jobs.places import SERVER_GPUS, Places, environment
from core.machine import Machine
from core.presets import preset_config
from core.training import capabilities
from core.training.memory import estimate_shape
from core.training.model_shape import ModelShape
from core.training.parts import DecoderSize, choose_parts
from tests.build_machine import GIB, machine

LLAMA = ModelShape(8_000_000_000, 32, 4096, 128_256, 1024, {"q_proj": 8192, "v_proj": 5120}, 7_000_000_000)
SIZE = DecoderSize(32, 4096, 128_256)


def config(**changes: Any) -> RunConfig:
    """Two prompts a step, shared by two processes, with some settings of training changed."""
    values = {"prompts_per_step": 2, "processes": 2, **changes}
    return with_changes(preset_config("demo"), {f"train.{name}": value for name, value in values.items()})


def stops(asked: RunConfig, here: Machine) -> list[str]:
    return [one.message for one in capabilities.refusals(asked, here, LLAMA) if one.level == "stop"]


@pytest.mark.parametrize(
    ("changes", "here", "words"),
    [
        ({"prompts_per_step": 3}, machine(), "cannot share evenly"),
        (
            {"prompts_per_step": 4, "processes": 4},
            machine(2),
            "4 training processes need a GPU each, and this machine has 2",
        ),
        ({"generation": "vllm_server"}, machine(2), "has 1 beside the one of the vLLM server"),
        ({"backend": "unsloth"}, machine(2), "one process only"),
        ({"sharding": "fsdp", "processes": 1}, machine(2), "cannot spread"),
        ({"sharding": "fsdp"}, machine(), "needs GPUs"),
        ({"sharding": "fsdp", "quantization": "4bit"}, machine(2), "Quantised weights"),
        ({"sharding": "zero3"}, machine(2, packages={"deepspeed": None}), "deepspeed, which is not installed"),
        ({"gradient_accumulation": 16}, machine(2), "Each training process has 8 completions"),
    ],
)
def test_what_cannot_work_is_refused_and_every_mend_helps(changes: dict[str, Any], here: Machine, words: str) -> None:
    asked = config(**changes)
    refused = [one for one in capabilities.refusals(asked, here, LLAMA) if words in one.message]
    assert refused and refused[0].level == "stop" and refused[0].mends
    for mend in refused[0].mends:
        assert not any(words in message for message in stops(with_changes(asked, mend.changes), here)), mend.label


@pytest.mark.parametrize(
    ("changes", "here"),
    [
        ({}, machine()),
        ({}, machine(2)),
        ({"generation": "vllm_server"}, machine(3)),
        ({"sharding": "fsdp"}, machine(2)),
        ({"sharding": "zero3"}, machine(2, packages={"deepspeed": "0.20"})),
        ({"cluster": "ray", "processes": 2}, machine(1)),
    ],
)
def test_what_works_is_not_refused(changes: dict[str, Any], here: Machine) -> None:
    assert stops(config(**changes), here) == []


def test_a_run_gets_a_gpu_for_each_process_and_the_rest_for_its_server() -> None:
    four = Places(("0", "1", "2", "3"), 64)
    assert four.free(config(), held=[]) == ("0", "1")
    assert four.free(config(), held=[("1",)]) == ("0", "2")
    assert four.free(config(), held=[("0",), ("1",), ("2",)]) is None
    served = config(generation="vllm_server")
    gpus = four.free(served, held=[])
    assert gpus == ("0", "1", "2", "3")
    told = environment(gpus, training=2)
    assert (told["CUDA_VISIBLE_DEVICES"], told[SERVER_GPUS]) == ("0,1", "2,3")
    with pytest.raises(ConfigError, match=r"train.processes is 4.*GPU of its own, and one for the vLLM server"):
        four.free(config(generation="vllm_server", processes=4, prompts_per_step=4), held=[])


def test_a_run_on_a_cluster_elsewhere_takes_no_gpu_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPO_STUDIO_RAY_ADDRESS", "10.0.0.1:6379")
    assert Places(("0",), 8).free(config(cluster="ray"), held=[]) == ()


def test_parts_and_memory_are_those_of_one_process() -> None:
    alone, shared = config(processes=1, prompts_per_step=8), config(processes=2, prompts_per_step=16)
    free = 40 * GIB
    assert choose_parts(shared.train, SIZE, free) == choose_parts(alone.train, SIZE, free)
    one, two = (estimate_shape(asked, LLAMA, machine(2)) for asked in (alone, shared))
    assert two.total == one.total
    spread = estimate_shape(config(processes=2, prompts_per_step=16, sharding="fsdp"), LLAMA, machine(2))
    assert spread.weights == one.weights // 2


def test_processes_of_one_processor_share_its_memory() -> None:
    one = estimate_shape(config(processes=1, prompts_per_step=8), LLAMA, machine())
    two = estimate_shape(config(processes=2, prompts_per_step=16), LLAMA, machine())
    assert two.total == 2 * one.total


def test_accelerate_reads_the_settings_it_is_started_with() -> None:
    read = ClusterConfig(**accelerate_settings(config()))
    assert (read.num_processes, str(read.distributed_type), read.main_process_port) == (
        2,
        "DistributedType.MULTI_GPU",
        0,
    )


def test_zero3_is_told_in_the_terms_of_deepspeed() -> None:
    told = sharding_settings("zero3", torch.float32)["deepspeed"]
    assert told["zero_optimization"]["stage"] == 3
    assert told["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"], "or no adapter could be saved"
    assert sharding_settings("none", torch.float32) == {}


def test_a_vllm_server_is_told_nothing_of_the_training_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_PORT", "TORCHELASTIC_RUN_ID"]
    for name in [*names, "RANKING"]:
        monkeypatch.setenv(name, "1")
    told = server_environment(".")
    assert not set(names) & set(told) and "RANKING" in told
