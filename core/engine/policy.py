"""Loads the policy: the language model that is trained, with its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from jinja2 import TemplateError
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from core.chat import ChatModel
from core.chat_template import ChatTemplate, refusal
from core.config import PromptConfig
from core.engine.device import Compute
from core.errors import ModelError
from core.models import locate
from core.paths import Home
from core.prompts import Message, begun_turn, messages
from core.tokenizer_files import tokenizer_folder


@dataclass(frozen=True)
class Policy:
    """A model ready to be trained, and the tokenizer and chat template that go with it.

    Attributes:
        adapter: the adapter that is to be put on the model; None when there is none to put, or it is there already.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    template: ChatTemplate
    adapter: LoraConfig | None = None

    def conversation(self, prompt: PromptConfig, question: str) -> list[Message]:
        """What the model is told before its own turn, the system prompt where its chat template takes one."""
        return self.template.fit(messages(prompt, question))

    def prompt_token_ids(self, conversation: Sequence[Message]) -> list[int]:
        """The token ids the model reads for a conversation, up to where it goes on by itself.

        Raises:
            ModelError: the chat template refuses the conversation.
        """
        try:
            return conversation_token_ids(self.tokenizer, conversation)
        except TemplateError as error:
            raise ModelError(refusal(self.template.model, error)) from error


def conversation_token_ids(tokenizer: PreTrainedTokenizerBase, conversation: Sequence[Message]) -> list[int]:
    """What a tokenizer with a chat template makes of a conversation whose last turn may be only begun."""
    turns, beginning = begun_turn(conversation)
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    return list(tokenizer(text + beginning, add_special_tokens=False)["input_ids"])


def load_policy(
    name: str, home: Home, compute: Compute, quantization: BitsAndBytesConfig | None = None, whole: bool = True
) -> Policy:
    """Load a model by its embedded name, local directory or Hugging Face id.

    Args:
        quantization: how its weights are held; None as `compute` says.
        whole: whether the device gets all of it; else it stays in the machine's memory until it is spread over devices.

    Raises:
        ModelError: it cannot be found, read or used for chat; the message says which and what to do.
    """
    place = locate(name, home)
    tokenizer, template = load_tokenizer(name, home)
    with explained(name, "causal language model"):
        model = AutoModelForCausalLM.from_pretrained(
            place, dtype=compute.dtype, use_safetensors=True, quantization_config=quantization
        )
        if quantization is None and whole:
            model.to(compute.device)
    return Policy(model, tokenizer, template)


def load_tokenizer(name: str, home: Home) -> tuple[PreTrainedTokenizerBase, ChatTemplate]:
    """The tokenizer of a model and its chat template.

    Raises:
        ModelError: it has none, or none that can be used for chat.
    """
    chat = ChatModel.open(name, home)
    with explained(name, "causal language model"):
        # Taken from tokenizer.json as it is: for some models, AutoTokenizer builds another one from the vocabulary.
        tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer_folder(name, home))
    if tokenizer.eos_token is None:
        raise ModelError(
            f"The model {name!r} names no end-of-sequence token (eos_token), so its answers would have no end. Add one "
            "to its tokenizer_config.json, or choose another model."
        )
    tokenizer.chat_template = chat.template.source
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, chat.template


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
