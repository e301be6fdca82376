"""What a LoRA adapter does to each tensor of its base model: W + scale * B A (Hu et al. 2021, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig
from peft.utils.other import get_pattern_key

from core.engine.export.weights import Weights
from core.errors import ModelError
from core.serving.adapter_files import WEIGHTS

_PREFIX = "base_model.model."
_EMBEDDING = ".lora_embedding_A"
_FACTORS = {".lora_A.weight": ".lora_B.weight", _EMBEDDING: ".lora_embedding_B"}
"""How the name of a lower factor ends, and that of its upper one."""
_BASE_LAYER = ".base_layer"
"""What PEFT puts into the name of a tensor that a low-rank change is added to."""
_WITHOUT_EFFECT = frozenset(
    (
        *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
        *("inference_mode", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
        *("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "fan_in_fan_out", "modules_to_save"),
        *("lora_dropout", "init_lora_weights", "runtime_config", "loftq_config", "eva_config", "qalora_group_size"),
        *("megatron_config", "megatron_core"),
    )
)
"""Fields of an adapter's configuration that are looked at here, or do not change what its factors mean."""
_PLAIN_STARTS = (True, False, "gaussian", "eva", "orthogonal")
"""Ways to begin a training (`init_lora_weights`) that leave the base model's weights as they are."""


@dataclass(frozen=True)
class Change:
    """What an adapter does to one tensor of the base model.

    Attributes:
        replacement: the adapter's tensor that stands in its place; empty where there is none.
        down, up: the names of the factors A, rank x inputs, and B, outputs x rank; empty where there are none.
        scale: what their product is multiplied by.
        turned: whether the base model holds inputs x outputs, as embeddings do; counts for square matrices only.
    """

    replacement: str = ""
    down: str = ""
    up: str = ""
    scale: float = 0.0
    turned: bool = False


@dataclass(frozen=True)
class LoraAdapter:
    """A plain LoRA adapter: nothing but low-rank changes, and tensors in place of others."""

    weights: Weights
    changes: Mapping[str, Change]

    def delta(self, change: Change, shape: tuple[int, ...], start: int, stop: int) -> torch.Tensor:
        """What is added to some rows of a tensor of this shape, in float32."""
        down, up = self.weights.whole(change.down).float(), self.weights.whole(change.up).float()
        if self._is_turned(change, shape):
            return (down.T[start:stop] @ up.T) * change.scale
        return (up[start:stop] @ down) * change.scale

    def shape_of(self, change: Change, base: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that a tensor must have for this change to fit, told from the shape `base` that it has."""
        if not change.down:
            return self.weights.entries[change.replacement].shape
        outputs, inputs = self.weights.entries[change.up].shape[0], self.weights.entries[change.down].shape[1]
        return (inputs, outputs) if self._is_turned(change, base) else (outputs, inputs)

    def _is_turned(self, change: Change, shape: tuple[int, ...]) -> bool:
        """Told by the shape where it can: PEFT keeps one `fan_in_fan_out` for layers of both kinds."""
        outputs, inputs = self.weights.entries[change.up].shape[0], self.weights.entries[change.down].shape[1]
        return change.turned if outputs == inputs else shape == (inputs, outputs)


def read_config(folder: Path) -> PeftConfig:
    """An adapter's configuration.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        return PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The configuration of the adapter in {folder} cannot be read ({error}).") from error


def read_adapter(folder: Path, config: PeftConfig) -> LoraAdapter | None:
    """An adapter whose changes are plain ones; None for any other kind.

    Raises:
        ModelError: its weights are missing or damaged.
    """
    if not isinstance(config, LoraConfig) or not _is_plain(config):
        return None
    weights = Weights.of_file(folder / WEIGHTS)
    changes = {_target(name): Change(replacement=name) for name in weights.entries if ".lora_" not in name}
    for target, change in _low_rank(weights, config):
        replacement = changes[target].replacement if target in changes else ""
        changes[target] = replace(change, replacement=replacement)
    return LoraAdapter(weights, changes) if _is_whole(weights, changes.values()) else None


def _is_plain(config: LoraConfig) -> bool:
    """Whether every field that is not looked at here has the value that leaves it without effect.

    A field that a later PEFT adds thus makes an adapter that uses it no plain one.
    """
    if config.init_lora_weights not in _PLAIN_STARTS:
        return False
    for field in fields(config):
        default = field.default if field.default is not MISSING else None
        if field.name not in _WITHOUT_EFFECT and (getattr(config, field.name) or None) != (default or None):
            return False
    return True


def _low_rank(weights: Weights, config: LoraConfig) -> Iterator[tuple[str, Change]]:
    """The base model's tensors that are changed by two factors."""
    for name, entry in weights.entries.items():
        ending = next((ending for ending in _FACTORS if name.endswith(ending)), "")
        if ending:
            layer = name.removesuffix(ending)
            module = layer.removeprefix(_PREFIX)
            turned = ending == _EMBEDDING or bool(config.fan_in_fan_out)
            scale = _scale(config, module, rank=entry.shape[0])
            yield f"{module}.weight", Change(down=name, up=layer + _FACTORS[ending], scale=scale, turned=turned)


def _target(name: str) -> str:
    """The base model's name of a tensor that an adapter holds whole."""
    return name.removeprefix(_PREFIX).replace(_BASE_LAYER, "")


def _is_whole(weights: Weights, changes: Iterable[Change]) -> bool:
    """Whether both factors of each change are there, and all are matrices: those of a convolution are not."""
    factors = {factor for change in changes for factor in (change.down, change.up) if factor}
    there = {name for name, entry in weights.entries.items() if ".lora_" in name and len(entry.shape) == 2}
    return factors == there


def _scale(config: LoraConfig, module: str, rank: int) -> float:
    key = get_pattern_key(config.alpha_pattern.keys(), module)
    alpha = float(config.alpha_pattern.get(key, config.lora_alpha))
    return alpha / (math.sqrt(rank) if config.use_rslora else rank)
