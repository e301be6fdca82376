"""Where on this machine the next run could go: which GPUs are free, or how many runs its processor takes at a time."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.config import RunConfig
from core.errors import ConfigError
from core.machine import Gpu, cpu_cores, nvidia_gpus

CORES_FOR_A_RUN = 8
"""Processor cores that one run keeps busy; fewer than twice as many take one run at a time."""
SERVER_GPUS = "GRPO_STUDIO_SERVER_GPUS"
"""The environment variable that tells a job which GPUs are for its generation server, separated by commas."""
RAY_ADDRESSES = ("GRPO_STUDIO_RAY_ADDRESS", "RAY_ADDRESS")
"""Environment variables that name a Ray cluster; without any, one is started on this machine."""

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_STARTER = "GRPO_STUDIO_VISIBLE_GPUS"
"""What `CUDA_VISIBLE_DEVICES` was where a job was started from; `_ANY` when it was not set."""
_ANY = "any"


@dataclass(frozen=True)
class Places:
    """What a machine offers to runs.

    Attributes:
        gpus: its GPUs, as `CUDA_VISIBLE_DEVICES` names them; none when runs compute on the processor.
        cores: processor cores.
    """

    gpus: tuple[str, ...]
    cores: int

    @classmethod
    def of_this_machine(cls) -> Places:
        """The GPUs that this process may use, and the cores."""
        return cls(gpu_names(nvidia_gpus()), cpu_cores())

    def __str__(self) -> str:
        return f"{len(self.gpus)} GPU(s)" if self.gpus else f"{self.cores} processor cores and no GPU"

    @property
    def count(self) -> int:
        """How many runs it takes at a time; one on a GPU keeps it to itself."""
        return len(self.gpus) or max(1, self.cores // CORES_FOR_A_RUN)

    def free(self, config: RunConfig, held: Sequence[Collection[str]]) -> tuple[str, ...] | None:
        """The GPUs for a run that asks for `config`; None while there is no room for it.

        Args:
            held: the GPUs of each live run; a run that does not say counts as being on the first one.

        Raises:
            ConfigError: the run needs more GPUs than there are.

        >>> from core.presets import preset_config
        >>> config = preset_config("demo")
        >>> Places(("0", "1"), 16).free(config, held=[["0"]])
        ('1',)
        >>> Places((), 2).free(config, held=[]), Places((), 2).free(config, held=[[]])
        ((), None)
        """
        if not self.gpus:
            return () if len(held) < self.count else None
        training, served = _training(config), config.train.generation == "vllm_server"
        needed = training + served
        if needed > len(self.gpus):
            raise ConfigError(_too_many(config, needed, self))
        taken = {gpu for gpus in held for gpu in (gpus or self.gpus[:1])}
        left = [gpu for gpu in self.gpus if gpu not in taken]
        if len(left) < needed:
            return None
        return tuple(left[: training + _power_of_two(len(left) - training) if served else training])


def gpu_names(gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """What `CUDA_VISIBLE_DEVICES` calls each of `gpus`, the ones that this process may use."""
    listed = os.environ.get(_VISIBLE)
    if listed is None:
        return tuple(str(gpu.index) for gpu in gpus)
    return tuple(name.strip() for name in listed.split(","))[: len(gpus)]


def environment(gpus: Sequence[str], training: int = 1) -> dict[str, str]:
    """What the environment of a job says of its GPUs: the first ones are for training, the others for its server.

    Args:
        training: how many are for training.
    """
    starter = {_STARTER: os.environ.get(_VISIBLE, _ANY)}
    if not gpus:  # the driver's tool found none; CUDA may know better, but then a run has one of them only
        return {**starter, _VISIBLE: os.environ.get(_VISIBLE, "0").partition(",")[0]}
    order = {} if _VISIBLE in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # as the driver's tool counts
    return {**starter, **order, _VISIBLE: ",".join(gpus[:training]), SERVER_GPUS: ",".join(gpus[training:])}


def server_gpus() -> tuple[str, ...]:
    """The GPUs that this job was given for its generation server, beside those that it can see itself."""
    return tuple(name for name in os.environ.get(SERVER_GPUS, "").split(",") if name)


def starters_environment() -> dict[str, str]:
    """The environment of this job as it was where the job was started from: all GPUs that were there can be seen."""
    variables = {name: value for name, value in os.environ.items() if name != SERVER_GPUS}
    visible = variables.pop(_STARTER, None)
    if visible == _ANY:
        del variables[_VISIBLE]
    elif visible is not None:
        variables[_VISIBLE] = visible
    return variables


def _training(config: RunConfig) -> int:
    """How many GPUs of this machine a run trains on."""
    elsewhere = config.train.cluster == "ray" and any(map(os.environ.get, RAY_ADDRESSES))
    return 0 if elsewhere else config.train.processes


def _too_many(config: RunConfig, needed: int, places: Places) -> str:
    if config.train.processes > 1:
        server = ", and one for the vLLM server" if config.train.generation == "vllm_server" else ""
        return (
            f"train.processes is {config.train.processes}: each training process needs a GPU of its own{server}. This "
            f"machine has {places}. Use fewer processes."
        )
    return (
        f"train.generation is {config.train.generation!r}, which needs {needed} GPUs: one to train on and one "
        f"for the server. This machine has {places}. Choose 'vllm', which shares one GPU."
    )


def _power_of_two(count: int) -> int:
    """The largest power of two up to `count`: a server splits a model's attention heads evenly among its GPUs.

    >>> [_power_of_two(count) for count in (1, 2, 3, 7)]
    [1, 2, 2, 4]
    """
    return 1 << (count.bit_length() - 1)
