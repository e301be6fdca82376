"""Which rows are for training, which for validation and which for the test: by their question alone.

A question's place is a number between 0 and 1 made from the SHA-256 of its normalised text, so it is the same on every
machine and in every order of the rows. The test share is taken from the low end and the validation share from the high
end: moving one share leaves the other as it is. Near duplicates follow the smallest of their questions, so a row that
is added later can take its near duplicates along to another split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from core.data.draft import Shares, Split
from core.data.duplicates import normalise


def split_of(question: str, shares: Shares) -> Split:
    """The split of one question.

    >>> split_of("Why?", Shares()) == split_of("  why ", Shares())
    True
    """
    return _split_of_normalised(normalise(question), shares)


def assign(questions: Sequence[str], shares: Shares, groups: Iterable[Sequence[int]]) -> list[Split]:
    """The splits of many questions; near duplicates go to one side.

    Args:
        questions: one text a row.
        shares: how much is held out.
        groups: indices of questions that are near duplicates of each other; no index stands in two groups. The
            smallest normalised question of a group decides for all of it.
    """
    normalised = [normalise(question) for question in questions]
    deciding = list(normalised)
    for group in groups:
        smallest = min(normalised[index] for index in group)
        for index in group:
            deciding[index] = smallest
    return [_split_of_normalised(text, shares) for text in deciding]


def _split_of_normalised(text: str, shares: Shares) -> Split:
    place = (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53  # exact, and below 1
    if place < shares.test:
        return "test"
    return "validation" if place >= 1 - shares.validation else "train"
