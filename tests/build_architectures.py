"""Small random models of every architecture that can become a GGUF file, and tokenizers of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)
from transformers.convert_slow_tokenizer import generate_merges

from tests.tiny import END, TEMPLATE, policy_parts, sample_texts

_CLASSES: Mapping[str, tuple[type[Any], type[Any], Mapping[str, Any]]] = {
    "llama": (LlamaConfig, LlamaForCausalLM, {}),
    "mistral": (MistralConfig, MistralForCausalLM, {"head_dim": 32, "sliding_window": None}),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 32}),
    "smollm3": (SmolLM3Config, SmolLM3ForCausalLM, {"num_hidden_layers": 5}),
    "gemma3": (
        Gemma3TextConfig,
        Gemma3ForCausalLM,
        {"num_hidden_layers": 7, "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 8},
    ),
}
HINDI = "नमस्ते"
"""A word with combining marks."""
ODD_TEXTS = (
    "Hello, world! It's 2024; he'll pay 1234567.89 €.",
    "  two  spaces,\ttabs\t\tand\n\nlines\r\n   \n end  ",
    f"Größe, naïve café, ΑΘΗΝΑ, Привет мир, 你好世界, مرحبا, {HINDI}",
    "I'M SHOUTING, don't, WE'VE, CamelCaseWords and snake_case_words",
    "emoji 😀👍🏽 and math ∑∫≠ 3.14e-10 ½ ²",
    "<reasoning>a/b + c//d</reasoning>\n<answer>(x_1) -> {y}</answer>",
)
"""Texts in which tokenizers differ from each other."""


def build_model(kind: str, size: int = 0, **changes: Any) -> PreTrainedModel:
    """A model with large random weights, so that every part of it is felt in what it answers.

    Args:
        size: of the vocabulary; 0 takes that of the tiny tokenizer.
        changes: of the configuration.
    """
    config_class, model_class, own = _CLASSES[kind]
    fields: dict[str, Any] = {
        "vocab_size": size or len(policy_parts()[1]),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    torch.manual_seed(0)
    model = model_class(config_class(**{**fields, **own, **changes}))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            _fill(name, weights, centre=0.0 if kind == "gemma3" else 1.0)
    found: PreTrainedModel = model.eval()
    return found


def _fill(name: str, weights: torch.Tensor, centre: float) -> None:
    if "norm" in name:
        weights.normal_(centre, 0.2)
    elif weights.dim() == 1:
        weights.normal_(0, 0.5)
    else:
        weights.normal_(0, 0.2 if "embed" in name or "lm_head" in name else weights.size(1) ** -0.5)


def save(folder: Path, model: PreTrainedModel, tokenizer: Any = None, **further: Any) -> Path:
    """Save a model with a tokenizer, by default the tiny one, as one folder."""
    model.save_pretrained(folder, **further)
    (tokenizer or policy_parts()[1]).save_pretrained(folder)
    return folder


def change(file: Path, **values: Any) -> None:
    """Change entries of a JSON file; those that are None are taken out."""
    content = json.loads(file.read_text("utf-8")) | values
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}), "utf-8")


def _fast(raw: Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = "{{ bos_token }}" + TEMPLATE
    return tokenizer


@cache
def bytes_tokenizer(steps: Callable[[], Any]) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that cuts texts by `steps()`."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = steps()
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1200,
        special_tokens=["<s>", "<|im_start|>", END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([*sample_texts()[:100], *ODD_TEXTS * 20], trainer)
    return _fast(raw)


def sentencepiece_tokenizer(prefix: bool) -> PreTrainedTokenizerFast:
    """A tokenizer as made from a SentencePiece model: spaces are `▁`, unknown characters are bytes."""
    vocabulary, merges = _pieces()
    raw = Tokenizer(models.BPE(vocabulary, list(merges), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spaces = normalizers.Replace(" ", "▁")
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if prefix else spaces
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    raw.add_special_tokens(["<unk>", "<s>", "<|im_start|>", END])
    return _fast(raw)


@cache
def _pieces() -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    """Tokens, and all pairs that become one, in the order in which SentencePiece learnt them."""
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False)
    learnt.train_from_iterator([*sample_texts()[:100], *ODD_TEXTS[:2] * 20], trainer)
    learnt_ids = learnt.get_vocab()
    marks = ["<unk>", "<s>", "<|im_start|>", END, *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {
        token: number for number, token in enumerate([*marks, *sorted(learnt_ids, key=learnt_ids.__getitem__)])
    }
    scores = {token: -float(number) for token, number in vocabulary.items() if token not in marks}
    return vocabulary, tuple(generate_merges(vocabulary, scores))
