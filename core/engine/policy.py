"""Loads the policy: the language model that is trained, with its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from core.engine.device import Compute
from core.errors import ModelError
from core.models import locate
from core.paths import Home


@dataclass(frozen=True)
class Policy:
    """A model ready to be trained, and the tokenizer that goes with it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_policy(name: str, home: Home, compute: Compute) -> Policy:
    """Load a model by its embedded name, local directory or Hugging Face id.

    Raises:
        ModelError: it cannot be found, read or used for chat; the message says which and what to do.
    """
    place = locate(name, home)
    with explained(name, "causal language model"):
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModelForCausalLM.from_pretrained(place, dtype=compute.dtype, use_safetensors=True)
    if tokenizer.chat_template is None:
        raise ModelError(
            f"The model {name!r} has no chat template, so it cannot be given a system prompt and a question. "
            "Choose the instruct or chat variant of it."
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Policy(model, tokenizer)


def prompt_token_ids(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> list[int]:
    """The token ids a model reads for a conversation, up to where its own turn begins."""
    encoded: Any = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
    return list(encoded["input_ids"])


@contextmanager
def explained(name: str, kind: str) -> Iterator[None]:
    """Turn what a library says of a model that it cannot load into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"The model {name!r} cannot be loaded ({_first_line(error)}). Check that it is a {kind} in safetensors "
            "form, that a Hugging Face id is spelled right, and that this machine may download it."
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
