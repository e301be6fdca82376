"""What a model reads: its own chat template and tokenizer, without transformers or PyTorch.

The trainer takes its tokenizer from the same files (`tokenizer_folder`) and puts the system prompt in the same place
(`ChatTemplate.fit`), so what is shown here is what is trained on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.chat_template import ChatTemplate, SystemRole
from core.config import PromptConfig
from core.errors import ModelError
from core.paths import Home
from core.prompts import Message, messages
from core.tokenizer_files import (
    FILES,
    read_special_tokens,
    read_template,
    read_tokenizer,
    tokenizer_folder,
)

_BATCH = 1024


@dataclass(frozen=True)
class Piece:
    """A part of a prompt: one special token, or the ordinary text up to the next one."""

    text: str
    special: bool
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """Where a prompt passes a limit.

    A row with such a prompt is not shortened but left out of training; `beyond` shows what is too much.

    Attributes:
        tokens: by how many tokens the prompt is over the limit.
        fits: the text of the tokens within the limit.
        beyond: the text after them.
    """

    tokens: int
    fits: str
    beyond: str


@dataclass(frozen=True)
class Rendered:
    """A conversation as a model reads it, up to where its own turn begins.

    Attributes:
        text: what the chat template writes.
        ids: its tokens.
        starts: the place in `text` at which each token begins.
        pieces: `text` in parts, special tokens apart; together they are `text`.
        altered: messages that the chat template does not hand on word for word.
    """

    text: str
    ids: tuple[int, ...]
    starts: tuple[int, ...]
    pieces: tuple[Piece, ...]
    altered: tuple[Message, ...]

    @property
    def tokens(self) -> int:
        """How long the prompt is, in the model's own tokens."""
        return len(self.ids)

    def cut(self, limit: int) -> Cut | None:
        """What of the prompt is over a limit of `limit` tokens, or None when it fits."""
        if self.tokens <= limit:
            return None
        place = self.starts[limit]
        return Cut(self.tokens - limit, self.text[:place], self.text[place:])


@dataclass(frozen=True)
class ChatModel:
    """A model's chat template and tokenizer.

    Attributes:
        name: what the user chose.
        template: its chat template.
        tokenizer: of the library `tokenizers`.
        special_ids: tokens that are marks rather than text.
    """

    name: str
    template: ChatTemplate
    tokenizer: Any
    special_ids: frozenset[int]

    @classmethod
    def open(cls, name: str, home: Home) -> ChatModel:
        """Open a model by its embedded name, local directory or Hugging Face id; opened ones are remembered.

        Raises:
            ModelError: it cannot be found or downloaded, or has no chat template or tokenizer.json.
        """
        folder = tokenizer_folder(name, home)
        return _opened(name, folder, tuple(_changed(folder / file) for file in FILES))

    @property
    def system_role(self) -> SystemRole:
        """Whether the template takes a system prompt, or gets it in front of the first question."""
        return self.template.system_role

    def render(self, conversation: Sequence[Message]) -> Rendered:
        """The conversation exactly as the trainer feeds it to the model.

        Raises:
            ModelError: the chat template refuses it.
        """
        fitted = self.template.fit(conversation)
        text = self.template.text(fitted)
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return Rendered(
            text,
            tuple(encoding.ids),
            tuple(start for start, _ in encoding.offsets),
            tuple(_pieces(text, encoding, self.special_ids)),
            tuple(message for message in fitted if message["content"].strip() not in text),
        )

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, without any that mark its beginning or end."""
        return [
            len(encoding.ids)
            for start in range(0, len(texts), _BATCH)
            for encoding in self.tokenizer.encode_batch_fast(texts[start : start + _BATCH], add_special_tokens=False)
        ]

    def prompt_lengths(self, prompt: PromptConfig, questions: Sequence[str]) -> list[int]:
        """How many tokens the whole prompt of each question has: `render(...).tokens`, but fast for many.

        What all prompts begin with is counted once, up to the last special token in it. No token reaches over a
        special one, so the sum is exact.

        Raises:
            ModelError: the chat template refuses the conversation.
        """
        texts = [self.template.text(self.template.fit(messages(prompt, question))) for question in questions]
        shared, place = self._shared(os.path.commonprefix(texts))  # noqa: RUF071  # of characters is what is meant
        return [shared + own for own in self.count([text[place:] for text in texts])]

    def _shared(self, beginning: str) -> tuple[int, int]:
        """How many tokens come before the last special token of `beginning`, and where in it that token starts."""
        encoding = self.tokenizer.encode(beginning, add_special_tokens=False)
        known = self.tokenizer.get_added_tokens_decoder()
        for index in reversed(range(len(encoding.ids))):
            token = known.get(encoding.ids[index])
            if token is not None and _divides(token, known.values()):
                return index, encoding.offsets[index][0]
        return 0, 0


def _divides(token: Any, added: Sequence[Any]) -> bool:
    """Whether a text can be tokenised apart at this token, whatever stands around it."""
    plain = not (token.normalized or token.single_word)
    longer = (other for other in added if other.content != token.content and token.content in other.content)
    return plain and next(longer, None) is None


def _pieces(text: str, encoding: Any, special_ids: frozenset[int]) -> Iterator[Piece]:
    ordinary: list[int] = []
    done = 0
    for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        if token not in special_ids:
            ordinary.append(token)
            continue
        if start > done:
            yield Piece(text[done:start], False, tuple(ordinary))
        yield Piece(text[start:end], True, (token,))
        ordinary, done = [], end
    if done < len(text):
        yield Piece(text[done:], False, tuple(ordinary))


def _changed(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0


@lru_cache(maxsize=8)
def _opened(name: str, folder: Path, changed: tuple[int, ...]) -> ChatModel:
    template = read_template(folder)
    if template is None:
        raise ModelError(
            f"The model {name!r} has no chat template, so it cannot be given a system prompt and a question. "
            "Choose the instruct or chat variant of it."
        )
    special_tokens = read_special_tokens(folder)
    tokenizer = read_tokenizer(folder, special_tokens)
    special_ids = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    special_ids.update(tokenizer.token_to_id(token) for token in special_tokens.values())
    return ChatModel(name, ChatTemplate(name, template, special_tokens), tokenizer, frozenset(special_ids))
