"""What differs between two texts, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from core.text import UNSPACED

MOST_WORDS = 1000
"""Of each text; finding what differs takes about the square of it."""

Change = Literal["same", "removed", "added"]

_WORD = re.compile(rf"(?:[{UNSPACED}]|[^\s{UNSPACED}]+)\s*")
"""A word with the spaces behind it, so that words put together are the text again."""


@dataclass(frozen=True)
class Part:
    """Words in a row that both texts have, or one of them: `removed` is only in the first, `added` only in the second.

    Attributes:
        text: with the spaces and line ends behind each word.
    """

    text: str
    change: Change


@dataclass(frozen=True)
class Difference:
    """How a second text differs from a first.

    Attributes:
        parts: in the order of reading; what was removed stands before what was added in its place.
        cut: whether a text had more words than are compared, so that the rest is missing here.
    """

    parts: Sequence[Part]
    cut: bool

    @property
    def same(self) -> bool:
        """Whether both texts have the same words; spaces do not count."""
        return not self.cut and all(part.change == "same" for part in self.parts)

    @property
    def shared(self) -> float:
        """The share of the words of both texts that both have, from 0 to 1; 1 for two texts without words."""
        counted = [(len(_WORD.findall(part.text)), part.change) for part in self.parts]
        total = sum(count * (2 if change == "same" else 1) for count, change in counted)
        return sum(2 * count for count, change in counted if change == "same") / total if total else 1.0


@lru_cache(maxsize=256)
def word_difference(first: str, second: str) -> Difference:
    """How `second` differs from `first`, of the first thousand words of each.

    >>> word_difference("Give 5 mg now.", "Give 50 mg now.").parts[1:3]
    (Part(text='5 ', change='removed'), Part(text='50 ', change='added'))
    """
    before, after = _WORD.findall(first.lstrip()), _WORD.findall(second.lstrip())
    cut = max(len(before), len(after)) > MOST_WORDS
    return Difference(tuple(_parts(before[:MOST_WORDS], after[:MOST_WORDS])), cut)


def _parts(before: Sequence[str], after: Sequence[str]) -> Iterator[Part]:
    first, second = ([word.rstrip() for word in words] for words in (before, after))
    matcher = SequenceMatcher(None, first, second, autojunk=False)  # models repeat themselves; their words still count
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            yield Part("".join(after[new_start:new_end]), "same")
            continue
        if end > start:
            yield Part("".join(before[start:end]), "removed")
        if new_end > new_start:
            yield Part("".join(after[new_start:new_end]), "added")
