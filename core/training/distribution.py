"""Whether a run's step can be shared out among several training processes the way it asks, here."""

from __future__ import annotations

import os
from collections.abc import Iterable

from core.config import RunConfig
from core.jobs.places import RAY_ADDRESSES, server_gpus
from core.machine import Machine
from core.training.advice import Finding, Mend
from core.training.parts import divisors
from core.training.setting_checks import lacks, stop


def findings(config: RunConfig, machine: Machine) -> list[Finding]:
    """What stands against it, with the nearest thing that works."""
    shared = [*_groups(config), *_gpus(config, machine), *_backend(config), *_sharding(config, machine)]
    return [*shared, *_cluster(config, machine)]


def _groups(config: RunConfig) -> Iterable[Finding]:
    """A process scores whole groups, so that custom rewards and the judge see a prompt's completions together."""
    prompts, processes = config.train.prompts_per_step, config.train.processes
    if prompts % processes == 0:
        return
    rounded = -(-prompts // processes) * processes
    fewer = _most(prompts, processes)
    yield stop(
        "prompts of a process",
        f"A step has {prompts} prompt(s), which {processes} training processes cannot share evenly.",
        Mend(f"{rounded} prompts a step", {"train.prompts_per_step": rounded}),
        Mend(f"{fewer} process(es)", {"train.processes": fewer}),
    )


def _gpus(config: RunConfig, machine: Machine) -> Iterable[Finding]:
    train = config.train
    if train.processes == 1 or train.cluster != "none" or not machine.has_cuda:
        return
    served = train.generation == "vllm_server"
    room = len(machine.gpus) + len(server_gpus()) - served
    if train.processes > room:
        beside = " beside the one of the vLLM server" if served else ""
        fewer = _most(train.prompts_per_step, room)
        yield stop(
            "training processes",
            f"{train.processes} training processes need a GPU each, and this machine has {room}{beside}.",
            Mend(f"{fewer} process(es)", {"train.processes": fewer}),
        )


def _backend(config: RunConfig) -> Iterable[Finding]:
    if config.train.backend == "unsloth" and config.train.processes > 1:
        yield stop(
            "backend",
            "Unsloth trains with one process only.",
            Mend("Train with TRL", {"train.backend": "trl"}),
            Mend("One process", {"train.processes": 1}),
        )


def _sharding(config: RunConfig, machine: Machine) -> Iterable[Finding]:
    train = config.train
    if train.sharding == "none":
        return
    copies = Mend("A whole copy in each process", {"train.sharding": "none"})
    if train.processes == 1:
        yield stop("sharding", "One training process cannot spread the model over several.", copies)
    elif train.quantization != "none":
        yield stop(
            "sharding",
            "Quantised weights cannot be spread over processes here.",
            Mend("No quantisation", {"train.quantization": "none"}),
            copies,
        )
    elif (
        train.sharding == "zero3"
        and train.cluster == "none"
        and (reason := lacks(machine, "deepspeed", "Spreading the model by DeepSpeed"))
    ):
        yield stop("sharding", reason, Mend("Spread by PyTorch (fsdp)", {"train.sharding": "fsdp"}), copies)
    elif not machine.has_cuda and train.cluster == "none":
        yield stop("sharding", "Spreading the model needs GPUs and this machine has none.", copies)


def _cluster(config: RunConfig, machine: Machine) -> Iterable[Finding]:
    train = config.train
    if train.cluster == "none":
        return
    here = Mend("On this machine", {"train.cluster": "none"})
    if machine.packages.get("ray") is None:
        yield stop(
            "cluster",
            "Training on a Ray cluster needs the Python package ray, which is not installed. Install "
            "requirements-cluster.txt.",
            here,
        )
    elif train.backend == "unsloth":
        yield stop("cluster", "Unsloth trains on one machine.", here, Mend("Train with TRL", {"train.backend": "trl"}))
    elif train.generation == "vllm_server" and any(map(os.environ.get, RAY_ADDRESSES)):
        inside = Mend("vLLM in each process", {"train.generation": "vllm"})
        yield stop("cluster", "A vLLM server works for training processes of its own machine only.", inside, here)


def _most(prompts: int, processes: int) -> int:
    """The most processes, up to so many, that can share so many prompts evenly."""
    return max(divisor for divisor in divisors(prompts) if divisor <= max(processes, 1))
