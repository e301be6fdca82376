"""Whether this machine can do what a run asks: what it cannot is refused before the start, with the reason and the
nearest thing that works."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.config import RunConfig
from core.errors import ConfigError
from core.jobs.places import server_gpus
from core.machine import Machine
from core.training import distribution, options, setting_checks, trl_settings
from core.training.advice import Finding, Mend
from core.training.memory import uses_vllm
from core.training.model_shape import ModelShape
from core.training.setting_checks import lacks, stop, unknown

_MASK_MODES = ("token_truncate", "token_mask")


def refusals(config: RunConfig, machine: Machine, shape: ModelShape | None = None) -> list[Finding]:
    """What stands against starting this run here, the reasons to stop first.

    Args:
        shape: of the model, where its files tell it, for the names of its layers.
    """
    found = [
        *_backend(config, machine),
        *distribution.findings(config, machine),
        *_generation(config, machine),
        *_quantization(config, machine),
        *_optimizer(config, machine),
        *_vespo(config, machine),
        *setting_checks.findings(config, shape),
        *trl_settings.findings(config.train),
    ]
    return sorted(found, key=lambda finding: finding.level != "stop")


def refuse(config: RunConfig, machine: Machine, shape: ModelShape | None = None) -> None:
    """Raise the first reason why the run cannot start here.

    Raises:
        ConfigError: what is wrong, and the nearest thing that works.
    """
    for finding in refusals(config, machine, shape):
        if finding.level == "stop":
            raise ConfigError(f"{finding.message}{_advice(finding.mends)}")


def _advice(mends: Sequence[Mend]) -> str:
    """The first mend in words, for whoever has no buttons."""
    changes = "; ".join(f"{path} = {value}" for path, value in mends[0].changes.items()) if mends else ""
    return f" What works here: {changes}." if changes else ""


def _backend(config: RunConfig, machine: Machine) -> Iterable[Finding]:
    train = config.train
    if train.backend != "unsloth":
        return
    reason = lacks(machine, "unsloth", "Training with Unsloth")
    if reason:
        yield stop("backend", reason, Mend("Train with TRL", {"train.backend": "trl"}))
    elif train.generation == "vllm_server":
        yield stop(
            "backend",
            "Unsloth shares its weights with vLLM in its own process and cannot feed a vLLM server.",
            Mend("vLLM in the training process", {"train.generation": "vllm"}),
            Mend("Train with TRL", {"train.backend": "trl"}),
        )


def _generation(config: RunConfig, machine: Machine) -> Iterable[Finding]:
    train = config.train
    if not uses_vllm(train, machine):
        return
    plain = Mend("Written by the model itself", {"train.generation": "plain"})
    in_process = Mend("vLLM in the training process", {"train.generation": "vllm"})
    reason = lacks(machine, "vllm", "Writing completions with vLLM")
    if reason:
        yield stop("generation", reason, plain)
    elif train.generation == "vllm_server" and train.processes == 1 and len(machine.gpus) + len(server_gpus()) < 2:
        yield stop(
            "generation", "A vLLM server needs a GPU of its own, and this machine has one GPU in all.", in_process
        )
    elif train.quantization == "8bit":
        smaller = [] if train.generation == "vllm_server" else [Mend("4-bit weights", {"train.quantization": "4bit"})]
        message = "vLLM cannot take over 8-bit weights, and TRL refuses the two together."
        yield stop("generation", message, *smaller, plain)
    elif train.generation == "vllm_server" and train.quantization == "4bit":
        yield stop(
            "generation",
            "A vLLM server holds the model whole and cannot take over 4-bit weights, which TRL would send it as they "
            "are.",
            in_process,
            plain,
        )


def _quantization(config: RunConfig, machine: Machine) -> Iterable[Finding]:
    asked = config.train.quantization
    reason = lacks(machine, "bitsandbytes", f"Holding weights in {asked}") if asked != "none" else ""
    if reason:
        yield stop("quantisation", reason, Mend("No quantisation", {"train.quantization": "none"}))


def _vespo(config: RunConfig, machine: Machine) -> Iterable[Finding]:
    """TRL raises an error for this pair, see `GRPOTrainer.__init__`."""
    train = config.train
    mode = train.trl.get("vllm_importance_sampling_mode")
    corrected = train.trl.get("vllm_importance_sampling_correction", True)
    if train.loss_type == "vespo" and uses_vllm(train, machine) and corrected and mode not in _MASK_MODES:
        yield stop(
            "vespo with vLLM",
            "With vLLM, TRL takes the loss vespo only when vllm_importance_sampling_mode is a mode of tokens.",
            Mend("token_truncate", {"train.trl": {**train.trl, "vllm_importance_sampling_mode": "token_truncate"}}),
            Mend("Loss dapo", {"train.loss_type": "dapo"}),
        )


def _optimizer(config: RunConfig, machine: Machine) -> Iterable[Finding]:
    asked = config.train.optimizer
    mend = Mend("adamw_torch_fused", {"train.optimizer": "adamw_torch_fused"})
    known = {choice.name: choice for choice in options.optimizers()}
    if asked not in known:
        yield unknown("train.optimizer", asked, options.installed(options.optimizers()), mend)
    elif known[asked].package and known[asked].package != "bitsandbytes":
        message = f"The optimiser {asked} needs the Python package {known[asked].package}, which is not installed."
        yield stop("optimizer", message, mend)
    elif options.needs_bitsandbytes(asked):
        reason = lacks(machine, "bitsandbytes", f"The optimiser {asked}")
        if reason:
            yield stop("optimizer", reason, mend)
