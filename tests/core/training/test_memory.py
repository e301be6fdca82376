"""The memory that a run needs, from shapes that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config import RunConfig, with_changes
from core.paths import Home
from core.presets import preset_config
from core.training import memory
from core.training.memory import Estimate, NoEstimate, estimate, estimate_shape
from core.training.model_shape import ModelShape, model_shape, read_shape, shape_of_name
from tests.build_machine import GIB, machine

LLAMA_8B = ModelShape(
    parameters=8_030_261_248,
    layers=32,
    hidden=4096,
    vocabulary=128_256,
    key_value=1024,
    linear={
        **{"q_proj": 8192, "k_proj": 5120, "v_proj": 5120, "o_proj": 8192},
        **{"gate_proj": 18_432, "up_proj": 18_432, "down_proj": 18_432},
    },
    linear_parameters=6_979_321_856,
)


def article(**changes: Any) -> RunConfig:
    return with_changes(preset_config("article"), changes)


def on_gpu(config: RunConfig, memory_bytes: int = 140 * GIB) -> Estimate:
    return estimate_shape(config, LLAMA_8B, machine(1, memory_bytes))


def test_the_adapter_of_the_articles_run_has_168_million_weights() -> None:
    """167,772,160 is what PEFT counts for rank 64 on all seven projections of Llama 3.1 8B."""
    assert on_gpu(article()).adapter == 167_772_160 * 8


def test_weights_in_four_bits_take_a_quarter_but_for_the_embeddings() -> None:
    small, full = on_gpu(article()).weights, on_gpu(article(**{"train.quantization": "none"})).weights
    assert full == 2 * LLAMA_8B.parameters
    assert 5.4e9 < small < 5.9e9  # 5.7 GB is what bitsandbytes takes of the same model


def test_an_eight_bit_optimiser_remembers_a_quarter() -> None:
    usual = on_gpu(article(**{"train.optimizer": "adamw_torch_fused"})).optimizer
    assert usual == 4 * on_gpu(article()).optimizer


@pytest.mark.parametrize("part", ["activations", "logits"])
def test_more_parts_of_a_step_need_less_memory_in_proportion(part: str) -> None:
    whole = on_gpu(article(**{"train.gradient_accumulation": 1, "train.gradient_checkpointing": "on"}))
    parts = on_gpu(article(**{"train.gradient_accumulation": 5, "train.gradient_checkpointing": "on"}))
    assert getattr(whole, part) == 5 * getattr(parts, part)


def test_computing_activations_again_needs_far_less() -> None:
    plain = on_gpu(article(**{"train.gradient_accumulation": 1, "train.gradient_checkpointing": "off"}))
    again = on_gpu(article(**{"train.gradient_accumulation": 1, "train.gradient_checkpointing": "on"}))
    assert again.activations < plain.activations / 8


def test_vllm_takes_its_share_of_the_gpu() -> None:
    assert on_gpu(article(**{"train.vllm_memory": 0.5}), 80 * GIB).cache == 40 * GIB


def test_the_parts_of_a_step_share_what_the_models_leave_free() -> None:
    """16 GB of weights in a GPU of 26 leave the update 9, of which a part takes half at most."""
    changes = {"train.generation": "plain", "train.quantization": "none", "train.gradient_accumulation": None}
    found = on_gpu(article(**changes, **{"train.max_completion_length": 600}), 24 * GIB)
    assert found.activations + found.logits <= (24 * GIB - found.weights - found.runtime) / 2


def test_a_run_is_set_against_the_gpu_that_is_free() -> None:
    here = machine(2)
    busy = replace(here, gpus=(replace(here.gpus[0], free_bytes=GIB), here.gpus[1]))
    assert estimate_shape(article(), LLAMA_8B, busy) == estimate_shape(article(), LLAMA_8B, here)


def test_a_vllm_server_takes_nothing_of_the_training_gpu() -> None:
    config = article(**{"train.generation": "vllm_server"})
    assert estimate_shape(config, LLAMA_8B, machine(2, 80 * GIB)).cache < 10 * GIB


@pytest.mark.parametrize(
    ("sharding", "generation", "held"),
    [
        ("none", "vllm", 2),
        ("fsdp", "vllm", 1),
        ("fsdp", "plain", 1),
        ("zero3", "plain", 1),
        ("zero3", "vllm", 3),  # its half, and the whole model that vLLM is sent what was learned from
        ("zero3", "vllm_server", 3),
    ],
)
def test_a_model_spread_over_two_gpus_takes_half_of_each_where_it_is_not_put_together(
    sharding: str, generation: str, held: int
) -> None:
    changes = {"train.backend": "trl", "train.quantization": "none", "train.processes": 2}
    config = article(**changes, **{"train.sharding": sharding, "train.generation": generation})
    found = estimate_shape(config, LLAMA_8B, machine(3))
    assert found.weights == held * LLAMA_8B.parameters


def test_the_total_counts_the_larger_of_writing_and_learning() -> None:
    found = on_gpu(article(**{"train.generation": "plain"}))
    standing = found.weights + found.adapter + found.optimizer + found.scorers + found.runtime
    assert found.total == standing + max(found.cache, found.activations + found.logits)


def test_too_little_memory_is_a_warning_with_mends_that_need_less(home: Home) -> None:
    config = with_changes(preset_config("full"), {"model": "org/llama-8B", "train.generation": "plain"})
    here = machine(1, 12 * GIB)
    before = estimate(config, home, here)
    (finding,) = memory.findings(config, home, here)
    assert finding.level == "warning"
    assert [dict(mend.changes) for mend in finding.mends[:2]] == [
        {"model": "smollm2-135m-instruct"},
        {"train.quantization": "4bit"},
    ]
    assert isinstance(before, Estimate)
    for mend in finding.mends:
        after = estimate(with_changes(config, mend.changes), home, here)
        assert isinstance(after, Estimate) and after.total < before.total, mend.label


def test_enough_memory_is_no_finding(home: Home) -> None:
    assert not memory.findings(article(), home, machine(1, 140 * GIB))


def test_a_run_on_the_processor_is_set_against_the_machines_memory() -> None:
    found = estimate_shape(preset_config("demo"), LLAMA_8B, machine(0, 8 * GIB))
    assert (found.place, found.free, found.fits) == ("host", 8 * GIB, False)


def test_computing_activations_again_needs_less_on_the_processor_too() -> None:
    plain, again = (
        estimate_shape(
            with_changes(preset_config("demo"), {"train.gradient_checkpointing": switch}), LLAMA_8B, machine(0, GIB)
        )
        for switch in ("auto", "on")
    )
    assert again.activations < plain.activations / 2


def test_a_model_that_is_only_a_name_without_a_size_cannot_be_estimated(home: Home) -> None:
    found = estimate(with_changes(preset_config("demo"), {"model": "org/model"}), home, machine())
    assert isinstance(found, NoEstimate)
    assert "org/model is not on this machine" in found.reason


def test_a_models_files_tell_its_shape(tiny_models: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_models / "policy")
    shape = read_shape(tiny_models / "policy")
    assert shape is not None and shape.measured
    assert shape.parameters == model.num_parameters()
    assert (shape.layers, shape.hidden, shape.key_value) == (2, 32, 16)
    assert set(shape.linear) == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert shape.linear["up_proj"] == 32 + 64


def test_the_adapter_has_as_many_weights_as_peft_makes(tiny_models: Path, home: Home) -> None:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from core.engine.grpo import lora_config

    config = with_changes(preset_config("full"), {"model": str(tiny_models / "policy"), "adapter.rank": 4})
    made = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_models / "policy"), lora_config(config))
    trained = sum(weight.numel() for weight in made.parameters() if weight.requires_grad)
    found = estimate(config, home, machine())
    assert isinstance(found, Estimate)
    assert found.adapter == trained * 8


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8e9),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.5e9),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 135e6),
        ("org/model", None),
        ("org/phi-4", None),
        ("32B/model", None),
    ],
)
def test_a_name_tells_a_size_when_one_is_in_it(name: str, parameters: float | None) -> None:
    shape = shape_of_name(name)
    assert (None if shape is None else shape.parameters) == parameters


def test_a_folder_with_broken_files_tells_nothing(tmp_path: Path, home: Home) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    assert read_shape(tmp_path) is None
    assert model_shape(str(tmp_path), home) is None
