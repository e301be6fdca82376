"""Reads the files of an adapter without loading it: whether they are whole, and which model they belong to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from core.errors import ModelError
from core.models import locate
from core.paths import Home
from core.training.model_shape import model_folder

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_Shapes = Mapping[str, tuple[int, ...]]
_LAYER_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
_QUANTISED_COPIES = ("-unsloth-bnb-4bit", "-bnb-4bit")
"""What Unsloth adds to a model's name where it loads its own 4-bit copy of it."""


@dataclass(frozen=True)
class Adapter:
    """An adapter whose files are whole.

    Attributes:
        rank: the largest of its layers.
        digest: eight characters that change when its weights are replaced.
    """

    folder: Path
    rank: int
    digest: str


def check_adapter(folder: Path, title: str, model: str, home: Home) -> Adapter:
    """Check an adapter before a server is asked to load it.

    Args:
        title: what messages call it.
        model: the base model it must belong to.

    Raises:
        ModelError: its files are damaged, or it belongs to another model.
    """
    shapes = _adapter_shapes(folder, title)
    _refuse_other_name(_base_name(folder, title), title, model, home)
    _refuse_other_shape(shapes, title, model, home)
    ranks = [shape[0] for name, shape in shapes.items() if name.endswith(_DOWN)]
    if not ranks:
        raise ModelError(f"{title} cannot be used: {WEIGHTS} holds no low-rank layers. {_AGAIN}")
    return Adapter(folder, max(ranks), _digest(folder / WEIGHTS))


_AGAIN = "Choose another checkpoint, or train again."


def _adapter_shapes(folder: Path, title: str) -> _Shapes:
    """The shape of each tensor; the library compares the header with the file's length as it opens it."""
    try:
        return dict(_shapes(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{title} is damaged: {WEIGHTS} cannot be read ({_short(error)}). {_AGAIN}") from error


def _shapes(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    with safe_open(file, framework="numpy") as opened:
        for name in opened.keys():  # noqa: SIM118  # not a mapping
            yield name, tuple(opened.get_slice(name).get_shape())


def _base_name(folder: Path, title: str) -> str:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return str(config["base_model_name_or_path"] or "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{title} is damaged: {CONFIG} cannot be read ({_short(error)}). {_AGAIN}") from error


def _refuse_other_name(named: str, title: str, model: str, home: Home) -> None:
    """Raise ModelError when the adapter names another base model.

    Only the last part of a path counts: a run that was brought in from another machine names the folder there.
    """
    if named and _plain_name(named) != _plain_name(locate(model, home)):
        raise ModelError(
            f"{title} was trained on another model, {_last(named)!r}, and the run's is {_last(model)!r}. An adapter "
            "only fits the model it was trained on; choose one of that model."
        )


def _plain_name(name: str) -> str:
    plain = _last(name).lower()
    for ending in _QUANTISED_COPIES:
        plain = plain.removesuffix(ending)
    return plain


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _refuse_other_shape(shapes: _Shapes, title: str, model: str, home: Home) -> None:
    """Raise ModelError when layers of the adapter do not fit those of the model; where its files are not on this
    machine, or name their layers in another way, nothing is known."""
    base = _base_shapes(model, home)
    wanted = dict(_layers(shapes))
    if not any(name in base for name in wanted):
        return
    for name, (outputs, inputs) in wanted.items():
        if base.get(name) != (outputs, inputs):
            has = "x".join(map(str, base[name])) if name in base else "no such layer"
            raise ModelError(
                f"{title} does not fit {_last(model)!r}: its layer {name} is {outputs}x{inputs} and the model has "
                f"{has}. An adapter only fits the model it was trained on; choose one of that model."
            )


def _layers(shapes: _Shapes) -> Iterator[tuple[str, tuple[int, int]]]:
    """The name and the outputs and inputs of each layer that an adapter changes, from its two factors."""
    for name, shape in shapes.items():
        above = shapes.get(name.removesuffix(_DOWN) + _UP)
        if name.endswith(_DOWN) and above is not None and len(shape) == len(above) == 2:
            layer = name.removeprefix(_LAYER_PREFIX).removesuffix(_DOWN)
            yield f"{layer}.weight", (above[0], shape[1])


def _base_shapes(model: str, home: Home) -> _Shapes:
    """The shapes of the model's matrices; empty when its files are not here or cannot be read."""
    folder = model_folder(model, home)
    try:
        files = sorted(folder.glob("*.safetensors")) if folder else []
        return {name: shape for file in files for name, shape in _shapes(file) if len(shape) == 2 and shape[1] > 1}
    except (OSError, SafetensorError):
        return {}


def _digest(file: Path) -> str:
    """From the file's size, time and place on the disk, since hashing the weights at every question would take long."""
    found = file.stat()
    return hashlib.sha256(f"{found.st_size} {found.st_mtime_ns} {found.st_ino}".encode()).hexdigest()[:8]


def _short(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:160] or type(error).__name__
