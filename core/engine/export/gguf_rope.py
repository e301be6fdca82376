"""How rotary positions are scaled, in transformers' configuration and in a GGUF file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from gguf import GGUFWriter, RopeScalingType
from numpy.typing import NDArray

_KINDS = ("default", "linear", "yarn", "llama3")
_YARN_PLAIN: Mapping[str, tuple[object, ...]] = {
    "attention_factor": (None,),
    "beta_fast": (None, 32, 32.0),
    "beta_slow": (None, 1, 1.0),
    "mscale": (None,),
    "mscale_all_dim": (None,),
    "truncate": (None, True),
}
"""What llama.cpp computes with where the file names nothing else."""


def check_rope(config: Any, refuse: Callable[[str], NoReturn]) -> None:
    """Call `refuse` with the reason where llama.cpp would count positions differently."""
    for rope in _all(config):
        kind, partial = _kind(rope), float(rope.get("partial_rotary_factor") or 1)
        if kind not in _KINDS:
            refuse(f"its rope_type is {kind!r}, and those known are {', '.join(_KINDS)}")
        if partial != 1:
            refuse(f"partial_rotary_factor is {partial:g}, and only whole heads are known")
        for name, plain in _YARN_PLAIN.items():
            if kind == "yarn" and rope.get(name) not in plain:
                refuse(f"{name} of its rope scaling is {rope[name]!r}, and only the usual value is known")
    sliding = _layers(config).get("sliding_attention", {})
    if sliding and _kind(sliding) != "default":
        refuse("the positions of its layers with a window are scaled, which llama.cpp does not do")


def add_rope(writer: GGUFWriter, config: Any) -> None:
    """Tell the file how angles grow with the position, and how longer texts are squeezed in."""
    rope, sliding = _main(config), _layers(config).get("sliding_attention")
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    if sliding:
        writer.add_rope_freq_base_swa(float(sliding["rope_theta"]))
    if _kind(rope) == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    if _kind(rope) == "yarn":
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        original = rope.get("original_max_position_embeddings") or config.max_position_embeddings
        writer.add_rope_scaling_orig_ctx_len(int(original))


def llama3_factors(config: Any, width: int) -> NDArray[np.float32] | None:
    """By what each frequency of a head is divided, as Llama 3.1 and later do it; None for other kinds of scaling.

    Args:
        width: of a head.

    Returns:
        Of shape (width / 2,), for the tensor `rope_freqs`. The rule is that of transformers' `rope_type` llama3: long
        wavelengths are divided by `factor`, short ones stay, and those between go over smoothly.
    """
    rope = _main(config)
    if _kind(rope) != "llama3":
        return None
    factor, low, high = (float(rope[name]) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    original = int(rope["original_max_position_embeddings"])
    frequencies = float(rope["rope_theta"]) ** -(np.arange(0, width, 2, dtype=np.float64) / width)
    turns = original * frequencies / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def _kind(rope: Mapping[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")


def _main(config: Any) -> Mapping[str, Any]:
    """How positions are counted in layers that see the whole text."""
    rope = getattr(config, "rope_parameters", None)
    if not rope:  # as transformers 4 has it
        return {"rope_theta": config.rope_theta, **(config.rope_scaling or {})}
    layers = _layers(config)
    return layers["full_attention"] if layers else dict(rope)


def _layers(config: Any) -> Mapping[str, Mapping[str, Any]]:
    """The same by kind of layer, for models in which it differs; nothing for others."""
    rope = getattr(config, "rope_parameters", None)
    if rope:
        return {name: dict(one) for name, one in rope.items() if isinstance(one, Mapping)}
    local = getattr(config, "rope_local_base_freq", None)
    return {"sliding_attention": {"rope_theta": local}, "full_attention": _main(config)} if local else {}


def _all(config: Any) -> list[Mapping[str, Any]]:
    return list(_layers(config).values()) or [_main(config)]
