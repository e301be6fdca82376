"""How much memory a run needs at most, estimated before anything is loaded.

Sources. Activations: see `core.training.parts`. 4-bit weights: Dettmers et al., "QLoRA" (2023), with constants of 0.127
bits a weight. Adam: two numbers of 32 bits for each trained weight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.config import EMBEDDED_POLICY, RunConfig, with_changes
from core.machine import Gpu, Machine
from core.paths import Home
from core.train_config import TrainConfig
from core.training.advice import Finding, Mend
from core.training.model_shape import ModelShape, model_shape
from core.training.parts import DecoderSize, choose_parts, divisors, logit_bytes, token_bytes

Place = Literal["GPU", "host"]
PLACES: Mapping[Place, str] = {"GPU": "GPU memory", "host": "memory"}
"""What each place's memory is called."""
_BYTES_4BIT = (4 + 0.127) / 8
_ADAPTER_BYTES = 4 + 4
"""Of each trained weight: itself and its gradient, in 32 bits."""
_KNOWN_PARAMETERS = {"cross-encoder/stsb-roberta-base": 124_600_000, "microsoft/biogpt": 346_800_000}
"""Of the article's scorers, whose names tell no size."""
_RUNTIME = {"GPU": 600_000_000, "host": 900_000_000}
"""What Python, PyTorch and, on a GPU, CUDA take before any model is there."""


@dataclass(frozen=True)
class Estimate:
    """Bytes that a run needs at most.

    Attributes:
        place: whose memory it is.
        weights: of the policy, in the format in which they are held.
        adapter: the trained weights with their gradients.
        optimizer: what the optimiser remembers.
        activations, logits: of one part of a step in the update.
        cache: keys and values while completions are written; the share that vLLM takes, where it writes them.
        scorers: the models behind the reward.
        runtime: what is taken before any model is there.
        total: the most that is needed at one time; writing and updating do not happen at once. Training processes share
            the machine's memory and have a GPU each.
        free: what is free in that place now; None when unknown.
        measured: whether the policy's shape was read from its files rather than guessed from its name.
    """

    place: Place
    weights: int
    adapter: int
    optimizer: int
    activations: int
    cache: int
    logits: int
    scorers: int
    runtime: int
    total: int
    free: int | None
    measured: bool

    @property
    def fits(self) -> bool | None:
        """Whether that much is free; None when it is not known what is."""
        return None if self.free is None else self.total <= self.free


@dataclass(frozen=True)
class NoEstimate:
    """Why nothing can be said before the model is there."""

    reason: str


def estimate(config: RunConfig, home: Home, machine: Machine) -> Estimate | NoEstimate:
    """What the run needs, from the files of its models; nothing is loaded or downloaded."""
    shape = model_shape(config.model, home)
    if shape is None:
        return NoEstimate(
            f"{config.model} is not on this machine yet and its name tells no size, so the memory it needs is known "
            "only once it has been loaded."
        )
    return estimate_shape(config, shape, machine, scorer_bytes(config, home))


def estimate_shape(config: RunConfig, shape: ModelShape, machine: Machine, scorers: int = 0) -> Estimate:
    """What the run needs for a policy of this shape.

    Args:
        scorers: bytes of the models behind the reward.
    """
    place: Place = "GPU" if machine.has_cuda else "host"
    width = 2 if place == "GPU" else 4  # a processor without fast 16-bit products computes in 32 bits
    weights = _held(config.train, machine, _weights(config.train, shape, width))
    trained = _adapter_weights(config, shape)
    adapter, optimizer = trained * _ADAPTER_BYTES, trained * _optimizer_bytes(config.train.optimizer)
    runtime = _RUNTIME[place]
    vllm = _vllm_bytes(config.train, machine)
    free = _training_gpu(machine).free_bytes if place == "GPU" else machine.free_memory_bytes
    loaded = weights + scorers + runtime + vllm
    size = DecoderSize(shape.layers, shape.hidden, shape.vocabulary)
    rows, checkpointed = _part(config.train, size, place, free - loaded)
    activations = _tokens(config.train, rows, place) * token_bytes(size, width, checkpointed)
    logits = rows * logit_bytes(config.train, size)
    cache = vllm or _cache(config.train, shape, width, place)
    most = max(activations + logits, 0 if vllm else cache)
    return Estimate(
        place=place,
        weights=weights,
        adapter=adapter,
        optimizer=optimizer,
        activations=activations,
        cache=cache,
        logits=logits,
        scorers=scorers,
        runtime=runtime,
        total=(loaded + adapter + optimizer + most) * (config.train.processes if place == "host" else 1),
        free=free or None,
        measured=shape.measured,
    )


def scorer_bytes(config: RunConfig, home: Home) -> int:
    """What the models behind the weighted components take in 32 bits; one that nothing is known of counts nothing."""
    named = {"semantic": config.reward.similarity_model, "fluency": config.reward.fluency_model}
    wanted = [model for component, model in named.items() if config.reward.weights.get(component)]
    shapes = [_scorer_parameters(model, home) for model in wanted]
    return 4 * sum(shapes)


def findings(config: RunConfig, home: Home, machine: Machine) -> list[Finding]:
    """A warning when the run needs more memory than is free, with the mends that lower the need, the best first."""
    found = estimate(config, home, machine)
    if isinstance(found, NoEstimate) or found.free is None or found.fits:
        return []
    rough = "" if found.measured else " The estimate is rough: the model is not on this machine yet."
    message = (
        f"The run needs up to {found.total / 1e9:.1f} GB of {PLACES[found.place]} and {found.free / 1e9:.1f} GB are "
        f"free.{rough}"
    )
    helping: list[tuple[int, Mend]] = []
    for mend in _possible_mends(config, found):
        after = estimate(with_changes(config, mend.changes), home, machine)
        if isinstance(after, Estimate) and after.total < found.total:
            helping.append((after.total, mend))
    ways = tuple(mend for _, mend in sorted(helping, key=lambda pair: pair[0]))
    return [Finding("memory", "warning", message, ways)]


def _possible_mends(config: RunConfig, found: Estimate) -> list[Mend]:
    train = config.train
    half = max(train.max_completion_length // 2, 32)
    more = [parts for parts in divisors(train.completions_per_process) if parts > (train.gradient_accumulation or 1)]
    mends = [Mend(f"Max completion length {half}", {"train.max_completion_length": half})]
    if more:
        parts = more[len(more) // 2]
        mends.append(Mend(f"In {parts} parts", {"train.gradient_accumulation": parts}))
    if config.model != EMBEDDED_POLICY:
        mends.append(Mend("The embedded model", {"model": EMBEDDED_POLICY}))
    if found.place == "GPU":
        mends.append(Mend("4-bit weights", {"train.quantization": "4bit"}))
        mends.append(Mend("Compute activations again", {"train.gradient_checkpointing": "on"}))
    return mends


def uses_vllm(train: TrainConfig, machine: Machine) -> bool:
    """Whether vLLM writes the completions, be it asked for or found by `auto`."""
    there = machine.has_cuda and machine.packages.get("vllm") is not None
    return train.generation in ("vllm", "vllm_server") or (train.generation == "auto" and there)


def _weights(train: TrainConfig, shape: ModelShape, width: int) -> int:
    """Embeddings and norms stay as they are; only the linear layers inside the blocks are quantised."""
    small = {"none": float(width), "8bit": 1.0, "4bit": _BYTES_4BIT}[train.quantization]
    return int(shape.linear_parameters * small + (shape.parameters - shape.linear_parameters) * width)


def _adapter_weights(config: RunConfig, shape: ModelShape) -> int:
    """An adapter of rank r on a layer with i inputs and o outputs has r (i + o) weights."""
    usual = 0 if shape.linear else 3 * shape.hidden  # inputs plus outputs, the mean over the seven of a usual decoder
    sums = [shape.linear.get(name.rpartition(".")[2], usual) for name in config.adapter.target_modules]
    return config.adapter.rank * sum(sums) * shape.layers


def _optimizer_bytes(name: str) -> int:
    """Bytes that an optimiser remembers for each trained weight."""
    if re.search("8bit", name):
        return 2
    if re.search("^sgd|adafactor|lomo", name):
        return 0
    return 4 if re.search("lion|rmsprop|adagrad", name) else 8


def _part(train: TrainConfig, size: DecoderSize, place: Place, free: int) -> tuple[int, bool]:
    """How many completions pass through the model at once, and whether activations are computed again, as the job
    decides it.

    Args:
        free: bytes that are left once the models are loaded and vLLM has taken its share; then the job decides.
    """
    if place == "host":
        again = train.gradient_checkpointing == "on"
        return max(train.completions_per_process // (train.gradient_accumulation or 1), 1), again
    chosen = choose_parts(train, size, free)
    return max(train.completions_per_process // chosen.parts, 1), chosen.checkpointing


def _tokens(train: TrainConfig, rows: int, place: Place) -> int:
    """Tokens of `rows` completions with their prompts; on a processor a prompt is run once for its whole group, unless
    activations are computed again."""
    shared = place == "host" and train.backend == "trl" and train.gradient_checkpointing != "on"
    prompts = math.ceil(rows / train.num_generations) if shared else rows
    return prompts * train.max_prompt_length + rows * train.max_completion_length


def _held(train: TrainConfig, machine: Machine, whole: int) -> int:
    """What one GPU holds of all weights at most: all, or its part of a model that is spread over several.

    To send vLLM what was learned, TRL puts a model that ZeRO-3 has spread together again on every GPU, beside its part;
    one that FSDP has spread it sends weight by weight.
    """
    if train.sharding == "none":
        return whole
    together = train.sharding == "zero3" and uses_vllm(train, machine)
    return whole // train.processes + (whole if together else 0)


def _cache(train: TrainConfig, shape: ModelShape, width: int, place: Place) -> int:
    """Keys and values of every token of all completions of a step."""
    tokens = _tokens(train, train.completions_per_process, place)
    return tokens * 2 * shape.key_value * shape.layers * width


def _vllm_bytes(train: TrainConfig, machine: Machine) -> int:
    """What vLLM takes of the training GPU: its share of the whole, or nothing where it has a GPU of its own."""
    inside = machine.has_cuda and uses_vllm(train, machine) and train.generation != "vllm_server"
    return int(_training_gpu(machine).memory_bytes * train.vllm_memory) if inside else 0


def _training_gpu(machine: Machine) -> Gpu:
    """The GPU with the most free memory: a run is given one that no other run holds."""
    return max(machine.gpus, key=lambda gpu: gpu.free_bytes)


def _scorer_parameters(model: str, home: Home) -> int:
    shape = model_shape(model, home)
    return _KNOWN_PARAMETERS.get(model, 0) if shape is None else shape.parameters
