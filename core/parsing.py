"""Reads the two tag pairs out of a completion.

One reading, judged in two ways. `lenient` is the published recipe's: the first `<answer>…</answer>` anywhere counts,
whatever stands around it. `strict` wants the whole completion to be exactly one reasoning pair and then one answer
pair, neither empty and not the same words twice; every fault that is named here then costs
(`core.rewards.tag_score`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from core.config import Tags
from core.text import words

Parser = Literal["lenient", "strict"]

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
def _patterns(tags: Tags) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    reasoning, answer = re.escape(tags.reasoning), re.escape(tags.answer)
    return (
        re.compile(rf"<{reasoning}>(.*?)</{reasoning}>", re.DOTALL),
        re.compile(rf"<{answer}>(.*?)</{answer}>", re.DOTALL),
        re.compile(rf"</?(?:{reasoning}|{answer})>"),
    )


def parse(completion: str, tags: Tags) -> Parsed:
    """Take a completion apart.

    >>> parse("<reasoning>Fever.</reasoning><answer>Flu.</answer>", Tags()).well_formed
    True
    >>> parse("<reasoning>Fever.</reasoning><answer>Flu.</answer> Or not.", Tags()).faults
    ('text outside the tags',)
    """
    reasoning_pair, answer_pair, any_tag = _patterns(tags)
    reasoning, answer = reasoning_pair.search(completion), answer_pair.search(completion)
    faults = []
    marks = any_tag.findall(completion)
    if len(marks) > len(set(marks)):
        faults.append(REPEATED_TAG)
    outside = any_tag.sub("", answer_pair.sub("", reasoning_pair.sub("", completion)))
    if outside.strip():
        faults.append(TEXT_OUTSIDE)
    if reasoning is not None and not _inner(reasoning[1], any_tag):
        faults.append(EMPTY_REASONING)
    if answer is not None and not _inner(answer[1], any_tag):
        faults.append(EMPTY_ANSWER)
    if reasoning is not None and answer is not None and answer.start() < reasoning.end():
        faults.append(WRONG_ORDER)
    if reasoning is not None and answer is not None and _same_words(reasoning[1], answer[1]):
        faults.append(REPEATED_REASONING)
    return Parsed(
        reasoning=None if reasoning is None else _inner(reasoning[1], any_tag),
        answer=None if answer is None else _inner(answer[1], any_tag),
        plain=" ".join(any_tag.sub(" ", completion).split()),
        faults=tuple(faults),
    )


def _inner(text: str, any_tag: re.Pattern[str]) -> str:
    return any_tag.sub(" ", text).strip()


def _same_words(first: str, second: str) -> bool:
    return bool(words(first)) and words(first) == words(second)
