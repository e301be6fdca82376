"""Which weights of a quantised GGUF file get how many bits.

The rules are those of llama.cpp (`src/llama-quant.cpp`, MIT licence, Copyright (c) 2023-2026 The ggml authors), told
anew for dense models of the architectures below and for the three forms that the studio writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gguf import GGML_QUANT_SIZES, LlamaFileType
from gguf import GGMLQuantizationType as Kind

from core.engine.export.gguf_head import GgufHead, Weight
from core.errors import ModelError
from core.export.request import FORM_TITLES, Form

ARCHITECTURES = ("llama", "qwen2", "qwen3", "smollm3", "gemma3")
"""Those whose mix has been held against llama.cpp's own; Mistral's files call themselves `llama`."""

FILE_TYPES: Mapping[Form, LlamaFileType] = {
    "gguf_q8_0": LlamaFileType.MOSTLY_Q8_0,
    "gguf_q5_k_m": LlamaFileType.MOSTLY_Q5_K_M,
    "gguf_q4_k_m": LlamaFileType.MOSTLY_Q4_K_M,
}
"""What a file of each form says it is."""

_USUAL: Mapping[Form, Kind] = {"gguf_q8_0": Kind.Q8_0, "gguf_q5_k_m": Kind.Q5_K, "gguf_q4_k_m": Kind.Q4_K}
_NARROWER: Mapping[Kind, Kind] = {Kind.Q4_K: Kind.Q5_0, Kind.Q5_K: Kind.Q5_1, Kind.Q6_K: Kind.Q8_0}
"""What takes the place of a kind whose blocks of 256 do not fill the rows of a weight; these have blocks of 32."""
_PLAIN = (Kind.F32, Kind.F16, Kind.BF16)
_VALUES = ("attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight")
_DOWN = "ffn_down"
_MANY_LAYERS = 80
"""Models of 70 billion weights and more: eight heads share their values, so more bits for those cost little."""
_LAYER = re.compile(r"blk\.(\d+)\.")


class Mix:
    """Says how each weight of one model is stored in one form."""

    def __init__(self, form: Form, head: GgufHead) -> None:
        """Args:
        form: one of the quantised forms.
        head: of the file with 16-bit weights.

        Raises:
            ModelError: llama.cpp has other rules for such a model, or its weights are quantised already.
        """
        _refuse_unknown(form, head)
        names = sorted((weight.name for weight in head.weights), key=_layer)
        self._usual = _USUAL[form]
        self._head = head
        self._values = [name for name in names if name.endswith(_VALUES)]
        self._downs = [name for name in names if _DOWN in name and name.endswith("weight")]
        self._tied = "output.weight" not in names

    def kind(self, weight: Weight) -> Kind:
        """How a weight is stored."""
        if not _quantised(weight):
            return weight.kind
        chosen = self._chosen(weight)
        if weight.width % GGML_QUANT_SIZES[chosen][0]:
            chosen = _NARROWER.get(chosen, weight.kind)
        # llama.cpp, too, leaves 16 bits where rows are no multiple of 32, which no known model has.
        return weight.kind if weight.width % GGML_QUANT_SIZES[chosen][0] else chosen

    def _chosen(self, weight: Weight) -> Kind:
        """What the rules say, whether or not its blocks fill the rows."""
        name, usual = weight.name, self._usual
        if name == "output.weight" or (self._tied and name == "token_embd.weight"):
            fills = weight.width % GGML_QUANT_SIZES[usual][0] == 0
            return Kind.Q6_K if fills and usual != Kind.Q8_0 else Kind.Q8_0
        if usual == Kind.Q8_0:
            return usual
        if name in self._values:
            more = gets_more_bits(self._values.index(name), len(self._values))
            return Kind.Q6_K if more else self._usual_values()
        if name in self._downs and gets_more_bits(self._downs.index(name), self._head.layers):
            return Kind.Q6_K
        return usual

    def _usual_values(self) -> Kind:
        head = self._head
        shared = head.architecture == "qwen2" or head.heads != head.key_value_heads
        many = head.layers == _MANY_LAYERS and head.architecture in ("llama", "qwen2") and shared
        return Kind.Q5_K if many and self._usual == Kind.Q4_K else self._usual


def gets_more_bits(layer: int, layers: int) -> bool:
    """Whether a layer is one of the first or last eighth, or every third between them.

    >>> [layer for layer in range(16) if gets_more_bits(layer, 16)]
    [0, 1, 4, 7, 10, 13, 14, 15]
    """
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _quantised(weight: Weight) -> bool:
    """Whether a weight is quantised at all: matrices are; norms, biases and frequencies keep their numbers."""
    return weight.rows > 1 and weight.name.endswith("weight") and "_norm.weight" not in weight.name


def _refuse_unknown(form: Form, head: GgufHead) -> None:
    way_out = (
        "Export GGUF f16 and quantise it with an installed llama.cpp: set LLAMA_CPP_DIR to its folder and start the "
        "export again."
    )
    if head.experts or any("_exps." in weight.name for weight in head.weights):
        raise ModelError(f"{FORM_TITLES[form]} is not made of mixtures of experts here. {way_out}")
    if head.architecture not in ARCHITECTURES:
        raise ModelError(
            f"{FORM_TITLES[form]} is not made of models of the architecture {head.architecture!r} here. {way_out}"
        )
    if any(weight.rows > 1 and weight.kind not in _PLAIN for weight in head.weights):
        raise ModelError(f"{head.path.name} is quantised already. Choose the file with 16-bit weights.")


def _layer(name: str) -> int:
    found = _LAYER.match(name)
    return int(found[1]) if found else -1
