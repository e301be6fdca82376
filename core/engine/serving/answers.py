"""A question on its way through the model: what was asked, how far its answer is, and what is told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from core.engine.generation import Sampling
from core.engine.serving.written_text import WrittenText

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Written:
    """A piece of an answer; `text` may be empty where a token completes no character."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The end of an answer: what was left of its text, how many tokens it had, and whether it was cut off."""

    text: str
    tokens: int
    finish: Finish


@dataclass(frozen=True)
class Failed:
    """An answer that cannot be written: an HTTP status and a sentence for people."""

    status: int
    message: str


Event = Written | Ended | Failed


@dataclass(frozen=True)
class Question:
    """What is to be answered.

    Attributes:
        prompt: token ids, at least one.
        adapter: as `Adapters.inner` names it.
        seed: of this answer's own random numbers, so that it does not depend on what else is being written.
        stops: texts before which the answer ends.
        tell: told of each event, from the thread that runs the model; it must not wait.
    """

    prompt: Sequence[int]
    adapter: str
    sampling: Sampling
    seed: int
    stops: tuple[str, ...]
    tell: Callable[[Event], None]


class Answer:
    """An answer that is being written."""

    def __init__(self, question: Question, past: Any, text: WrittenText) -> None:
        self.question = question
        self.past = past
        self.text = text
        self.cancelled = threading.Event()
        self.unread = list(question.prompt)
        self.read = 0  # tokens in `past`
        self.tokens = 0
        self._random = torch.Generator().manual_seed(question.seed)

    def next_token(self, logits: Tensor) -> int:
        """Choose the token that follows, from logits of shape (vocabulary,)."""
        height = torch.rand(1, 1, generator=self._random).to(logits.device)
        return int(self.question.sampling.choose(logits[None], height))
