"""Loads the policy: the language model that is trained, with its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from core.chat import ChatModel
from core.chat_template import ChatTemplate, refusal
from core.config import PromptConfig
from core.engine.device import Compute
from core.errors import ModelError
from core.models import locate
from core.paths import Home
from core.prompts import Message, messages
from core.tokenizer_files import tokenizer_folder


@dataclass(frozen=True)
class Policy:
    """A model ready to be trained, and the tokenizer and chat template that go with it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    template: ChatTemplate

    def conversation(self, prompt: PromptConfig, question: str) -> list[Message]:
        """What the model is told before its own turn, the system prompt where its chat template takes one."""
        return self.template.fit(messages(prompt, question))

    def prompt_token_ids(self, conversation: Sequence[Message]) -> list[int]:
        """The token ids the model reads for a conversation, up to where its own turn begins.

        Raises:
            ModelError: the chat template refuses the conversation.
        """
        try:
            encoded = self.tokenizer.apply_chat_template(list(conversation), add_generation_prompt=True)
        except TemplateError as error:
            raise ModelError(refusal(self.template.model, error)) from error
        return list(encoded["input_ids"])


def load_policy(name: str, home: Home, compute: Compute) -> Policy:
    """Load a model by its embedded name, local directory or Hugging Face id.

    Raises:
        ModelError: it cannot be found, read or used for chat; the message says which and what to do.
    """
    place = locate(name, home)
    chat = ChatModel.open(name, home)
    with explained(name, "causal language model"):
        # Taken from tokenizer.json as it is: for some models, AutoTokenizer builds another one from the vocabulary.
        tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer_folder(name, home))
        model = AutoModelForCausalLM.from_pretrained(place, dtype=compute.dtype, use_safetensors=True)
    if tokenizer.eos_token is None:
        raise ModelError(
            f"The model {name!r} names no end-of-sequence token (eos_token), so its answers would have no end. Add one "
            "to its tokenizer_config.json, or choose another model."
        )
    tokenizer.chat_template = chat.template.source
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Policy(model, tokenizer, chat.template)


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
