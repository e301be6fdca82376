"""Reads the two tag pairs out of a completion.

One reading, judged in two ways. `lenient` is the published recipe's: the first `<answer>…</answer>` anywhere counts,
whatever stands around it. `strict` wants the whole completion to be exactly one reasoning pair and then one answer
pair, neither empty and not the same words twice; every fault that is named here then costs
(`core.reward.text_measures.tag_score`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from core.config import Tags
from core.text import words

TEXT_OUTSIDE = "text outside the tags"
REPEATED_TAG = "repeated tag"
EMPTY_REASONING = "empty reasoning"
EMPTY_ANSWER = "empty answer"
WRONG_ORDER = "answer before reasoning"
REPEATED_REASONING = "reasoning repeated as the answer"


@dataclass(frozen=True)
class Parsed:
    """One completion taken apart.

    Attributes:
        reasoning: the text of the first reasoning pair, stripped; None when there is no pair.
        answer: the text of the first answer pair, stripped; None when there is no pair.
        plain: the completion with every tag of the two names removed, for scorers that read it as prose.
        faults: what keeps the completion from being well-formed although both pairs are there.
    """

    reasoning: str | None
    answer: str | None
    plain: str
    faults: tuple[str, ...]

    @property
    def pairs(self) -> int:
        """How many of the two tag pairs are present: 0, 1 or 2."""
        return (self.reasoning is not None) + (self.answer is not None)

    @property
    def well_formed(self) -> bool:
        """Whether the completion is one reasoning pair and one answer pair, both filled and different, and no more."""
        return self.pairs == 2 and not self.faults


@cache
def _any_tag(tags: Tags) -> re.Pattern[str]:
    return re.compile(rf"</?(?:{re.escape(tags.reasoning)}|{re.escape(tags.answer)})>")


@lru_cache(maxsize=2048)
def parse(completion: str, tags: Tags) -> Parsed:
    """Take a completion apart; what was taken apart lately is remembered, for scores are asked for again and again.

    >>> parse("<reasoning>Fever.</reasoning><answer>Flu.</answer>", Tags()).well_formed
    True
    >>> parse("<reasoning>Fever.</reasoning><answer>Flu.</answer> Or not.", Tags()).faults
    ('text outside the tags',)
    """
    any_tag = _any_tag(tags)
    reasoning, answer = _first_pair(completion, tags.reasoning), _first_pair(completion, tags.answer)
    faults = []
    marks = any_tag.findall(completion)
    if len(marks) > len(set(marks)):
        faults.append(REPEATED_TAG)
    outside = any_tag.sub("", _without_pairs(_without_pairs(completion, tags.reasoning), tags.answer))
    if outside.strip():
        faults.append(TEXT_OUTSIDE)
    if reasoning is not None and not _inner(reasoning.text, any_tag):
        faults.append(EMPTY_REASONING)
    if answer is not None and not _inner(answer.text, any_tag):
        faults.append(EMPTY_ANSWER)
    if reasoning is not None and answer is not None and answer.start < reasoning.end:
        faults.append(WRONG_ORDER)
    if reasoning is not None and answer is not None and _same_words(reasoning.text, answer.text):
        faults.append(REPEATED_REASONING)
    return Parsed(
        reasoning=None if reasoning is None else _inner(reasoning.text, any_tag),
        answer=None if answer is None else _inner(answer.text, any_tag),
        plain=" ".join(any_tag.sub(" ", completion).split()),
        faults=tuple(faults),
    )


def without_tags(completion: str, tags: Tags) -> str:
    """The completion as it was written, line ends included, with every tag of the two names removed.

    >>> without_tags("<reasoning>Fever.\\nFlu", Tags())
    'Fever.\\nFlu'
    """
    return _any_tag(tags).sub(" ", completion).strip()


@dataclass(frozen=True)
class _Pair:
    """A tag pair: where it starts and ends in the completion, and the text between its tags."""

    start: int
    end: int
    text: str


def _first_pair(completion: str, name: str, start: int = 0) -> _Pair | None:
    """The first opening tag from `start` on, with the first closing tag after it.

    A regular expression would look for the closing tag again from every opening tag, which takes minutes on a
    completion of nothing but opening tags. When the first finds none, no other does.
    """
    opening, closing = f"<{name}>", f"</{name}>"
    first = completion.find(opening, start)
    last = completion.find(closing, first + len(opening)) if first >= 0 else -1
    return None if last < 0 else _Pair(first, last + len(closing), completion[first + len(opening) : last])


def _without_pairs(completion: str, name: str) -> str:
    kept, position = [], 0
    while (pair := _first_pair(completion, name, position)) is not None:
        kept.append(completion[position : pair.start])
        position = pair.end
    return "".join([*kept, completion[position:]])


def _inner(text: str, any_tag: re.Pattern[str]) -> str:
    return any_tag.sub(" ", text).strip()


def _same_words(first: str, second: str) -> bool:
    return bool(words(first)) and words(first) == words(second)
