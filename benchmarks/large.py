"""A model of a large one's shape with random weights: what it needs and how long it takes are as if it had learned.

`python -m benchmarks.large FOLDER NAME SOURCE` writes it into a folder that is not there, NAME being one of those in
`benchmarks.sizing`, with the tokenizer of the model in SOURCE. Run as a process of its own, it leaves the GPU free.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.sizing import EIGHT, SEVENTY, THIRTY_TWO, Model

MODELS = {"8B": EIGHT, "32B": THIRTY_TWO, "70B": SEVENTY}
_HEAD = 128
"""Width of an attention head, of all three."""
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def write(folder: Path, shape: Model, source: Path) -> int:
    """Write a model of this shape, but for the vocabulary, which is that of the tokenizer; returns its parameters.

    Args:
        source: a Llama model, whose tokenizer and end tokens it gets.
    """
    config = AutoConfig.from_pretrained(source)
    config.hidden_size, config.intermediate_size = shape.hidden, shape.feed_forward
    config.num_hidden_layers, config.head_dim = shape.layers, _HEAD
    config.num_attention_heads, config.num_key_value_heads = shape.hidden // _HEAD, shape.key_value // _HEAD
    config.tie_word_embeddings = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    for name in _TOKENIZER:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    return sum(weight.numel() for weight in model.parameters())


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), MODELS[sys.argv[2]], Path(sys.argv[3])))
