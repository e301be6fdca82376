"""Which models can be turned into GGUF files, and what such a file says of their shape.

llama.cpp computes each architecture in one way, with some settings built in. A model whose configuration asks for
anything else would load, and answer differently; it is refused here, by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFWriter
from transformers import AutoConfig

from core.engine.export.gguf_rope import add_rope, check_rope
from core.errors import ModelError

WAY_OUT = (
    "Export it as merged safetensors instead, and turn that folder into a GGUF file with llama.cpp's own "
    "convert_hf_to_gguf.py, if it knows such models."
)


@dataclass(frozen=True)
class Architecture:
    """How llama.cpp expects the weights of one family of models.

    Attributes:
        kind: of the package `gguf`.
        title: what people call it.
        permuted: whether the rows of queries and keys are reordered, since llama.cpp turns neighbouring numbers by an
            angle where transformers turns those half a head apart.
        norm_shift: what is added to the weights of each normalisation.
        biases: whether the projections may have biases beyond those that every model of the family has.
        activation: of the feed-forward layers, the only one that llama.cpp computes here.
    """

    kind: MODEL_ARCH
    title: str
    permuted: bool = False
    norm_shift: float = 0.0
    biases: bool = False
    activation: str = "silu"

    @property
    def name(self) -> str:
        """As GGUF files call it."""
        return str(MODEL_ARCH_NAMES[self.kind])


ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture(MODEL_ARCH.LLAMA, "Llama", permuted=True, biases=True),
    "mistral": Architecture(MODEL_ARCH.LLAMA, "Mistral", permuted=True),
    "qwen2": Architecture(MODEL_ARCH.QWEN2, "Qwen2"),
    "qwen3": Architecture(MODEL_ARCH.QWEN3, "Qwen3"),
    "smollm3": Architecture(MODEL_ARCH.SMOLLM3, "SmolLM3", permuted=True),
    "gemma3_text": Architecture(MODEL_ARCH.GEMMA3, "Gemma 3 (text)", norm_shift=1.0, activation="gelu_pytorch_tanh"),
}
"""By what config.json calls `model_type`."""

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_GEMMA_PERIOD = 6
"""Every sixth layer of Gemma 3 looks at the whole text, the others at a window of it."""
_GEMMA_27B_LAYERS = 62
_SMOLLM3_STEP = 4
"""Every fourth layer of SmolLM3 does without rotary positions."""


@dataclass(frozen=True)
class Model:
    """A model's configuration, as transformers reads it, and how llama.cpp wants its weights."""

    config: Any
    architecture: Architecture

    @property
    def layers(self) -> int:
        return int(self.config.num_hidden_layers)

    @property
    def heads(self) -> int:
        return int(self.config.num_attention_heads)

    @property
    def key_value_heads(self) -> int:
        return int(getattr(self.config, "num_key_value_heads", None) or self.heads)

    @property
    def head_width(self) -> int:
        return int(getattr(self.config, "head_dim", None) or self.config.hidden_size // self.heads)


def read_model(folder: Path) -> Model:
    """The model in a folder, if it can be turned into a GGUF file that answers alike.

    Raises:
        ModelError: it cannot, and why.
    """
    file = folder / "config.json"
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        kind = str(raw["model_type"])
    except FileNotFoundError as error:
        raise ModelError(f"{folder} has no config.json, so it holds no model. Merge it again.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} does not describe a model. Merge or copy the model again.") from error
    _check_kind(kind, raw)
    model = Model(AutoConfig.from_pretrained(folder, local_files_only=True), ARCHITECTURES[kind])
    _check(model)
    return model


def refuse(what: str) -> NoReturn:
    """Raise the ModelError for a model that would come out wrong."""
    raise ModelError(f"This model cannot be turned into a GGUF file here: {what}. {WAY_OUT}")


def _check_kind(kind: str, raw: Mapping[str, Any]) -> None:
    if any((raw.get(key) or 0) > 1 for key in _EXPERTS) or "moe" in kind or kind == "mixtral":
        refuse(f"it is a mixture of experts ({kind}), and only models without experts are known")
    if raw.get("quantization_config"):
        refuse("its weights are quantised already (quantization_config), and 16-bit ones are needed")
    if kind not in ARCHITECTURES:
        known = ", ".join(architecture.title for architecture in ARCHITECTURES.values())
        refuse(f"its architecture is {kind!r}, and those known are {known}")


def _check(model: Model) -> None:
    config, architecture = model.config, model.architecture
    activation = getattr(config, "hidden_act", None) or getattr(config, "hidden_activation", None)
    if activation != architecture.activation:
        refuse(f"hidden_act is {activation!r}, and llama.cpp computes {architecture.activation!r} for these models")
    for name in ("attention_bias", "mlp_bias"):
        if getattr(config, name, False) and not architecture.biases:
            refuse(f"{name} is true, and llama.cpp has no biases for {architecture.title}")
    check_rope(config, refuse)
    if architecture.kind == MODEL_ARCH.SMOLLM3:
        _check_smollm3(config)
    if architecture.kind == MODEL_ARCH.GEMMA3:
        _check_gemma(model)


def _check_smollm3(config: Any) -> None:
    expected = [int((layer + 1) % _SMOLLM3_STEP != 0) for layer in range(config.num_hidden_layers)]
    if [int(one) for one in config.no_rope_layers] != expected:
        refuse(f"no_rope_layers leaves out other layers than every {_SMOLLM3_STEP}th, as llama.cpp does for SmolLM3")


def _check_gemma(model: Model) -> None:
    config = model.config
    scale = float(config.query_pre_attn_scalar)
    known = config.hidden_size / model.heads if model.layers == _GEMMA_27B_LAYERS else model.head_width
    if scale != known:
        refuse(f"query_pre_attn_scalar is {scale:g}, and llama.cpp computes with {known:g} for such a Gemma 3")
    for name in ("final_logit_softcapping", "attn_logit_softcapping", "use_bidirectional_attention"):
        if getattr(config, name, None):
            refuse(f"{name} is set, and llama.cpp has no such thing for Gemma 3")
    expected = [
        "sliding_attention" if (layer + 1) % _GEMMA_PERIOD else "full_attention" for layer in range(model.layers)
    ]
    if list(config.layer_types) != expected:
        refuse(f"layer_types differs from full attention in every {_GEMMA_PERIOD}th layer, as llama.cpp has Gemma 3")


def add_shape(writer: GGUFWriter, model: Model) -> None:
    """Tell the file the model's sizes and how positions are counted."""
    config = model.config
    writer.add_context_length(_context(model))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.key_value_heads)
    writer.add_key_length(model.head_width)
    writer.add_value_length(model.head_width)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_dimension_count(model.head_width)
    if model.architecture.kind == MODEL_ARCH.GEMMA3:
        writer.add_sliding_window(config.sliding_window)
    add_rope(writer, config)


def _context(model: Model) -> int:
    """How many tokens the model reads at most.

    Where transformers lets it look back over a window only, which llama.cpp leaves out for all but Gemma, both compute
    the same up to the length of that window, and no further.
    """
    config, longest = model.config, int(model.config.max_position_embeddings)
    slides = model.architecture.kind != MODEL_ARCH.GEMMA3 and getattr(config, "use_sliding_window", True)
    window = getattr(config, "sliding_window", None) if slides else None
    return min(longest, int(window)) if window else longest
