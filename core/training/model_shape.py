"""The size and the layers of a model, read from its files without loading anything.

A model that is not on this machine yet has only its name; "8B" in it says how many parameters it has, and the rest of
its shape is then taken to be that of a usual decoder.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from safetensors import SafetensorError, safe_open

from core.errors import ModelError
from core.models import locate
from core.paths import Home

_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s*([BM])(?![A-Za-z0-9])", re.IGNORECASE)
_WIDTH_OF_DEPTH = 128
"""Hidden units for each layer in a usual decoder (Kaplan et al. 2020, figure 5: little depends on it)."""
_USUAL_VOCABULARY = 128_000
_LAYER = re.compile(r"\.layers\.\d+\.")


@dataclass(frozen=True)
class ModelShape:
    """What decides how much memory a decoder needs.

    Attributes:
        parameters: of the whole model.
        layers, hidden, vocabulary: how many there are.
        key_value: hidden units of the keys of one layer, and as many of the values.
        linear: inputs plus outputs of each kind of linear layer inside the decoder blocks, by its name; empty when
            only the model's name is known.
        linear_parameters: weights in those layers, which are all that quantisation shrinks.
        measured: whether all this was read from files; otherwise it is guessed from the name.
    """

    parameters: int
    layers: int
    hidden: int
    vocabulary: int
    key_value: int
    linear: Mapping[str, int]
    linear_parameters: int
    measured: bool = True


def model_shape(name: str, home: Home) -> ModelShape | None:
    """The shape of a model by its embedded name, local directory or Hugging Face id; None when nothing tells it."""
    folder = model_folder(name, home)
    return (read_shape(folder) if folder else None) or shape_of_name(name)


def model_folder(name: str, home: Home) -> Path | None:
    """Where the files of a model lie on this machine; None when they are not here, or the name names nothing."""
    try:
        place = locate(name, home)
    except ModelError:
        return None
    if Path(place).is_dir():
        return Path(place)
    found = huggingface_hub.try_to_load_from_cache(place, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def read_shape(folder: Path) -> ModelShape | None:
    """The shape that a folder's config.json and the headers of its weights tell; None when they do not."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = config.get("text_config") or config
        tensors = _tensors(folder)
        return _measured(config, tensors) if tensors else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
        return None


def shape_of_name(name: str) -> ModelShape | None:
    """A usual decoder of the size that a name tells.

    >>> shape = shape_of_name("meta-llama/Llama-3.1-8B-Instruct")
    >>> shape.parameters, shape.layers, shape.hidden
    (8000000000, 34, 4352)
    """
    found = _SIZE.search(name.rpartition("/")[2])
    if not found:
        return None
    parameters = int(float(found[1]) * (1e9 if found[2].upper() == "B" else 1e6))
    layers = max(round((parameters / (12 * _WIDTH_OF_DEPTH**2)) ** (1 / 3)), 1)  # 12 h² weights a layer, h = 128 layers
    hidden = layers * _WIDTH_OF_DEPTH
    return ModelShape(
        parameters=parameters,
        layers=layers,
        hidden=hidden,
        vocabulary=_USUAL_VOCABULARY,
        key_value=hidden // 4,
        linear={},
        linear_parameters=min(12 * hidden**2 * layers, parameters),
        measured=False,
    )


def _tensors(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in the folder's safetensors files; only their headers are read."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as opened:
            found |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    return found


def _measured(config: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]]) -> ModelShape:
    inside = {
        name.removesuffix(".weight"): shape
        for name, shape in tensors.items()
        if name.endswith(".weight") and len(shape) == 2 and _LAYER.search(name)
    }
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    return ModelShape(
        parameters=sum(math.prod(shape) for shape in tensors.values()),
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        vocabulary=config["vocab_size"],
        key_value=(config.get("num_key_value_heads") or heads) * head,
        linear={name.rpartition(".")[2]: sum(shape) for name, shape in inside.items()},
        linear_parameters=sum(math.prod(shape) for shape in inside.values()),
    )
