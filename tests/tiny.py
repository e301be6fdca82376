"""A language model small enough to build in a blink and train in a second, random but real in every other way."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, BertTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from core.paths import SAMPLE_DATA

END = "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def sample_texts() -> list[str]:
    rows = [json.loads(line) for line in SAMPLE_DATA.read_text(encoding="utf-8").splitlines()]
    return [row["question"] + " " + row["answer"] for row in rows]


@cache
def policy_parts() -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A 2-layer Llama with a byte-level tokenizer of 400 entries."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        sample_texts(),
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|im_start|>", END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|im_start|>", eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    return model, tokenizer


def save_policy(folder: Path) -> Path:
    """Save the tiny policy as a model directory."""
    model, tokenizer = policy_parts()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_similarity(folder: Path) -> Path:
    """Save a tiny sentence embedding model."""
    words = sorted({word for text in sample_texts() for word in text.lower().split()})[:500]
    scratch = folder.with_name(folder.name + "-bert")
    scratch.mkdir(parents=True)
    (scratch / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]), "utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words) + 5,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(scratch)
    BertTokenizer(str(scratch / "vocab.txt")).save_pretrained(scratch)
    transformer = Transformer(str(scratch))
    SentenceTransformer(modules=[transformer, Pooling(16)]).save(str(folder))
    shutil.rmtree(scratch)
    return folder
