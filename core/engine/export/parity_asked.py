"""What a form is asked in a parity check, and what is heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.datasets import Row
from core.engine.export.distributions import Likeliest
from core.prompts import Message

COMPARED = 64
"""Tokens at the beginning of each of the reference's answers whose probabilities are compared."""


@dataclass(frozen=True)
class Question:
    """One row of the run's data, and the conversation that the adapter was trained to answer."""

    row: Row
    conversation: list[Message]


@dataclass(frozen=True)
class Written:
    """One answer.

    Attributes:
        prompt_ids: what the form made of the conversation.
        ids: the tokens it wrote, up to and including an end token.
        text: what it wrote, without special tokens.
        ended: whether the last of `ids` is an end token.
    """

    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    text: str
    ended: bool


@dataclass(frozen=True)
class EndToken:
    """What a form says ends an answer.

    Attributes:
        text: of the token; empty when it names none.
        declared: whether it is the reference's.
        honoured: whether an answer stops there.
    """

    text: str
    declared: bool
    honoured: bool


class Answering(Protocol):
    """A form that is loaded."""

    def write(self, questions: Sequence[Question], most: int, told: Callable[[], None]) -> list[Written]:
        """The answers, with the most likely token chosen each time.

        Args:
            most: tokens after which an answer is cut off.
            told: called again and again; it may raise to end the work.
        """
        ...

    def distributions(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[Likeliest]:
        """The likeliest tokens at the place of each of `ids`, which stand behind `prompt_ids`."""
        ...

    def end_token(self, end_text: str) -> EndToken:
        """What ends its answers, where the reference's end with the token of this text."""
        ...
