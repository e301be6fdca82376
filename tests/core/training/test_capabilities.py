"""What is refused before a start, why, and whether the mends that are offered work."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from core.config import RunConfig, with_changes
from core.errors import ConfigError
from core.jobs import supervisor
from core.jobs.places import environment
from core.machine import Machine
from core.paths import PROJECT, Home
from core.presets import SIZES, preset_config
from core.runs.run import list_runs
from core.training import capabilities, trl_settings
from core.training.advice import Finding
from core.training.model_shape import ModelShape
from core.training.options import trl_fields
from tests.build_machine import machine

LLAMA = ModelShape(135_000_000, 30, 576, 49_152, 192, {"q_proj": 1152, "v_proj": 768}, 106_000_000)


def config(**changes: Any) -> RunConfig:
    """The demo with some settings of training changed."""
    return with_changes(preset_config("demo"), {f"train.{name}": value for name, value in changes.items()})


def found(asked: RunConfig, here: Machine, name: str) -> Finding:
    return next(finding for finding in capabilities.refusals(asked, here, LLAMA) if finding.name == name)


def stops(asked: RunConfig, here: Machine) -> list[Finding]:
    return [finding for finding in capabilities.refusals(asked, here, LLAMA) if finding.level == "stop"]


REFUSED: list[tuple[dict[str, Any], Machine, str, str]] = [
    ({"backend": "unsloth"}, machine(), "backend", "needs an NVIDIA GPU"),
    ({"backend": "unsloth"}, machine(1, packages={"unsloth": None}), "backend", "unsloth, which is not installed"),
    ({"backend": "unsloth"}, machine(1, packages={"torch": "2.13.0+cpu"}), "backend", "for processors only"),
    ({"backend": "unsloth", "generation": "vllm_server"}, machine(2), "backend", "cannot feed a vLLM server"),
    ({"generation": "vllm"}, machine(), "generation", "needs an NVIDIA GPU"),
    ({"generation": "vllm"}, machine(1, packages={"vllm": None}), "generation", "vllm, which is not installed"),
    ({"generation": "vllm_server"}, machine(1), "generation", "a GPU of its own"),
    ({"generation": "vllm", "quantization": "8bit"}, machine(1), "generation", "8-bit"),
    ({"generation": "auto", "quantization": "8bit"}, machine(1), "generation", "8-bit"),
    ({"generation": "vllm_server", "quantization": "8bit"}, machine(2), "generation", "8-bit"),
    ({"generation": "vllm_server", "quantization": "4bit"}, machine(2), "generation", "4-bit"),
    ({"quantization": "4bit"}, machine(), "quantisation", "needs an NVIDIA GPU"),
    ({"quantization": "8bit"}, machine(1, packages={"bitsandbytes": None}), "quantisation", "bitsandbytes"),
    ({"optimizer": "adamw_8bit"}, machine(), "optimizer", "needs an NVIDIA GPU"),
    ({"optimizer": "galore_adamw"}, machine(1), "optimizer", "galore_torch"),
    ({"optimizer": "adam"}, machine(), "train.optimizer", "It knows adamw_torch_fused"),
    ({"loss_type": "ppo"}, machine(), "train.loss_type", "It knows dapo, grpo"),
    ({"importance_sampling_level": "word"}, machine(), "train.importance_sampling_level", "token, sequence"),
    ({"lr_schedule": "stairs"}, machine(), "train.lr_schedule", "It knows constant, cosine"),
    ({"lr_schedule": "reduce_lr_on_plateau"}, machine(), "schedule", "measure none"),
    ({"lr_schedule": "cosine_with_min_lr"}, machine(), "schedule", "lr_scheduler_kwargs"),
    ({"gradient_accumulation": 3}, machine(), "parts of a step", "16 completions, which 3 parts"),
    ({"trackers": ("nowhere",)}, machine(), "train.trackers", "does not know 'nowhere'"),
    ({"trackers": ("codecarbon",)}, machine(), "tracker codecarbon", "not installed"),
    ({"loss_type": "vespo", "generation": "vllm"}, machine(1), "vespo with vLLM", "mode of tokens"),
    ({"trl": {"loss": "grpo"}}, machine(), "trl loss", "does not exist"),
    ({"trl": {"loss_type": "grpo"}}, machine(), "trl loss_type", "train.loss_type"),
    ({"trl": {"output_dir": "/tmp"}}, machine(), "trl output_dir", "cannot be set"),
    ({"trl": {"hub_token": "x"}}, machine(), "trl hub_token", "publishes nothing"),
    ({"trl": {"trust_remote_code": True}}, machine(), "trl trust_remote_code", "no code of their own"),
    ({"trl": {"delta": "much"}}, machine(), "trl delta", "TRL wants float"),
    ({"trl": {"top_entropy_quantile": True}}, machine(), "trl top_entropy_quantile", "TRL wants float"),
]


@pytest.mark.parametrize(("changes", "here", "name", "reason"), REFUSED)
def test_what_cannot_be_is_refused_with_the_reason(
    changes: dict[str, Any], here: Machine, name: str, reason: str
) -> None:
    finding = found(config(**changes), here, name)
    assert finding.level == "stop"
    assert reason in finding.message
    assert finding.mends


@pytest.mark.parametrize(("changes", "here", "name", "reason"), REFUSED)
def test_every_mend_takes_its_reason_away(changes: dict[str, Any], here: Machine, name: str, reason: str) -> None:
    asked = config(**changes)
    for mend in found(asked, here, name).mends:
        after = with_changes(asked, mend.changes)
        assert name not in [finding.name for finding in stops(after, here)], mend.label


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"loss_type": "dapo", "importance_sampling_level": "sequence"}, "sampling level"),
        ({"loss_type": "luspo"}, "sampling level"),
        ({"loss_type": "vespo", "importance_sampling_level": "sequence"}, "sampling level"),
        ({"lr_schedule": "constant", "warmup": 0.1}, "schedule"),
        ({"mask_truncated_completions": True, "max_completion_length": 16}, "truncation"),
    ],
)
def test_what_is_unwise_is_a_warning_that_its_mends_end(changes: dict[str, Any], name: str) -> None:
    asked = config(**changes)
    finding = found(asked, machine(), name)
    assert finding.level == "warning"
    for mend in finding.mends:
        names = [left.name for left in capabilities.refusals(with_changes(asked, mend.changes), machine(), LLAMA)]
        assert name not in names


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"])
def test_trl_warns_of_no_loss_and_level_that_is_taken_without_a_warning(
    loss: str, level: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conditions of `GRPOTrainer.__init__` are run from its source."""
    from types import SimpleNamespace

    from trl.trainer import grpo_trainer

    tree = ast.parse(Path(grpo_trainer.__file__).read_text(encoding="utf-8"))
    conditions = [
        node.test
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and "args.importance_sampling_level" in ast.unparse(node.test)
        and "logger.warning" in ast.unparse(node.body[0])
    ]
    assert len(conditions) == 3
    scope = {"args": SimpleNamespace(loss_type=loss, importance_sampling_level=level)}
    warned = any(eval(compile(ast.Expression(test), "trl", "eval"), scope) for test in conditions)
    ours = capabilities.refusals(config(loss_type=loss, importance_sampling_level=level), machine(), LLAMA)
    assert warned == any(finding.name == "sampling level" for finding in ours)


def test_layers_that_the_model_does_not_have_are_refused_with_those_it_has() -> None:
    asked = with_changes(preset_config("demo"), {"adapter.target_modules": ["q_proj", "c_attn"]})
    finding = found(asked, machine(), "trained layers")
    assert "c_attn" in finding.message and "q_proj, v_proj" in finding.message
    assert not stops(with_changes(asked, finding.mends[0].changes), machine())


def test_layers_of_a_model_that_is_not_here_are_not_doubted() -> None:
    asked = with_changes(preset_config("demo"), {"adapter.target_modules": ["c_attn"]})
    assert not capabilities.refusals(asked, machine(), None)


def test_no_layer_at_all_is_refused() -> None:
    asked = with_changes(preset_config("demo"), {"adapter.target_modules": []})
    assert "at least one" in found(asked, machine(), "trained layers").message


@pytest.mark.parametrize("size", ["demo", "short", "full", "recommended"])
@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_sizes_run_on_every_machine(size: str, gpus: int) -> None:
    assert not capabilities.refusals(preset_config(size), machine(gpus))


def test_the_article_runs_on_a_gpu_and_is_mended_to_run_without_one() -> None:
    asked = preset_config("article")
    assert not capabilities.refusals(asked, machine(1))
    while left := stops(asked, machine()):
        asked = with_changes(asked, left[0].mends[0].changes)
    assert asked.train.steps == SIZES["article"].train.steps


def test_refuse_names_the_reason_and_what_works() -> None:
    with pytest.raises(ConfigError, match=r"needs an NVIDIA GPU .* What works here: train\.generation = plain"):
        capabilities.refuse(config(generation="vllm"), machine())


def test_a_run_that_cannot_be_is_refused_before_it_has_a_folder(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.machine.nvidia_gpus", lambda: ())
    with pytest.raises(ConfigError, match="needs an NVIDIA GPU"):
        supervisor.start(home, with_changes(tiny_config, {"train.generation": "vllm"}))
    assert not list_runs(home)


def test_a_job_that_sees_one_gpu_and_has_another_for_its_server_may_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(("0", "1")).items():
        monkeypatch.setenv(name, value)
    assert not stops(config(generation="vllm_server"), machine(1))


def test_refuse_lets_a_warning_pass() -> None:
    capabilities.refuse(config(loss_type="luspo"), machine())


def test_a_further_field_that_trl_knows_is_taken() -> None:
    further = {"delta": 4, "top_entropy_quantile": 0.2, "sapo_temperature_neg": 1.1, "use_bias_correction_kl": False}
    assert not capabilities.refusals(config(trl=further), machine(), LLAMA)


def test_every_field_that_the_engine_sets_is_kept_from_further_fields() -> None:
    sources = [PROJECT / "core/engine/grpo.py", PROJECT / "core/engine/vllm_server.py"]
    known = trl_fields()
    set_there = {
        key.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and key.value in known
    }
    assert {"output_dir", "loss_type", "use_vllm"} <= set_there
    assert not set_there & set(trl_settings.offered())


def test_every_field_that_is_kept_back_exists_in_trl() -> None:
    assert not [name for name in (*trl_settings.OWN, *trl_settings.REFUSED) if name not in trl_fields()]
