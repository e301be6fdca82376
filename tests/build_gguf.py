"""GGUF files with 16-bit weights: a small Llama of random numbers that llama.cpp runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType
from tokenizers.pre_tokenizers import ByteLevel

END = "<|im_end|>"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write_f16(path: Path, width: int = 256, hidden: int = 512, layers: int = 3, tied: bool = True) -> Path:
    """A Llama with a vocabulary of single bytes.

    Args:
        width: numbers that stand for a token; a multiple of 8.
        hidden: numbers inside a layer.
        tied: the weights that read tokens also write them.
    """
    writer = GGUFWriter(path, "llama")
    _describe(writer, width, hidden, layers)
    for name, tensor in _weights(width, hidden, layers, tied).items():
        writer.add_tensor(name, tensor)
    write_out(writer)
    return path


def write_out(writer: GGUFWriter) -> None:
    """Write all that a writer was given."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def vocabulary() -> list[str]:
    return [*sorted(ByteLevel.alphabet()), "Ġt", END]


def _describe(writer: GGUFWriter, width: int, hidden: int, layers: int) -> None:
    tokens = vocabulary()
    writer.add_name("tiny")
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_block_count(layers)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(width // 4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.NORMAL] * (len(tokens) - 1) + [TokenType.CONTROL])
    writer.add_token_merges(["Ġ t"])
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _weights(width: int, hidden: int, layers: int, tied: bool) -> Mapping[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray[Any, Any]:
        return (random.standard_normal((rows, columns), np.float32) / np.sqrt(columns)).astype(np.float16)

    found: dict[str, np.ndarray[Any, Any]] = {"token_embd.weight": matrix(len(vocabulary()), width)}
    for layer in range(layers):
        shapes = {
            "attn_q": (width, width),
            "attn_k": (width // 2, width),
            "attn_v": (width // 2, width),
            "attn_output": (width, width),
            "ffn_gate": (hidden, width),
            "ffn_up": (hidden, width),
            "ffn_down": (width, hidden),
        }
        found |= {f"blk.{layer}.{name}.weight": matrix(*shape) for name, shape in shapes.items()}
        found |= {f"blk.{layer}.{name}.weight": np.ones(width, np.float32) for name in ("attn_norm", "ffn_norm")}
    found["output_norm.weight"] = np.ones(width, np.float32)
    return found if tied else {**found, "output.weight": matrix(len(vocabulary()), width)}
