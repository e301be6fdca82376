"""Questions that are asked twice, word for word or nearly so.

Two texts count as the same when their words are, whatever their case, punctuation and width of characters; signs that
turn a statement round, such as `<` and `+`, count as words. They count as nearly the same when the sets of their
character sequences overlap: five characters each, or two in scripts without spaces, where a character carries more.
Both depend on nothing but the texts, so every machine finds the same groups.
"""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import regex

from core.jobs.tasks import Tell, silent

_Numbers = np.ndarray[Any, Any]
_WORDS = regex.compile(r"[\p{L}\p{M}\p{N}_]+|[<>≤≥+±]")
_NO_SPACES = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_SHINGLE = 5
_SHINGLE_NO_SPACES = 2
_MULTIPLIER = np.uint32(0x01000193)
"""Of the FNV hash; any odd number does, because the numbers are mixed again."""
_BANDS, _WIDTH = 18, 7
"""Texts are compared when one of 18 bands of 7 numbers is the same in their sketches: that misses one in 1,000 pairs
with an overlap of 0.85, and one in 100,000 with 0.9."""
_source = random.Random(0)
_FACTORS, _SUMMANDS = (
    np.array([_source.getrandbits(32) | 1 for _ in range(_BANDS * _WIDTH)], dtype=np.uint32) for _ in range(2)
)
"""Of as many ways to put all numbers of 32 bits into another order, the same on every machine."""
_ESTIMATE_SLACK = 0.12
"""Sketches of 126 numbers estimate an overlap of 0.85 to within 0.1 in 999 cases of 1,000."""
_TOLD_EVERY = 500
_last: dict[tuple[tuple[str, ...], float], list[list[int]]] = {}
"""The groups found last: a report and the split of its rows ask for the same ones, and they take seconds."""


def normalise(text: str) -> str:
    """The words of `text` in lower case, one blank between them; what makes two questions the same question.

    >>> normalise("Ｆever, and a COUGH?")
    'fever and a cough'
    >>> normalise("K+ > 5.5")
    'k + > 5 5'
    """
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", text).lower()))


def exact_groups(texts: Sequence[str]) -> list[list[int]]:
    """The indices of texts that are the same, two or more to a group, in the order of their first members.

    Texts without a single word are in no group.
    """
    return [list(group) for group in _by_words(tuple(texts)).values() if len(group) > 1]


def near_groups(texts: Sequence[str], threshold: float = 0.85, progress: Tell = silent) -> list[list[int]]:
    """The indices of texts that are the same or nearly so, two or more to a group, ordered by their first members.

    A group holds whatever is linked: with A near B and B near C, all three are in it. Candidates come from MinHash
    sketches (Broder 1997), which miss one pair in 1,000 at the threshold and hardly any above it; each is then compared
    in full.

    Args:
        texts: any texts; those without a single word are in no group.
        threshold: the least share of common character sequences among all of two texts, from 0 to 1.
        progress: told the phase, how many texts are compared, and how many there are.
    """
    asked = (tuple(texts), threshold)
    if asked not in _last:
        found = _near_groups(texts, threshold, progress)
        _last.clear()
        _last[asked] = found
    return _last[asked]


@lru_cache(maxsize=1)
def _by_words(texts: tuple[str, ...]) -> dict[str, list[int]]:
    """The indices of the texts that have the same words, by these words; texts without a word are left out."""
    same: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        same[normalise(text)].append(index)
    same.pop("", None)
    return same


def _near_groups(texts: Sequence[str], threshold: float, progress: Tell) -> list[list[int]]:
    same = _by_words(tuple(texts))
    linked = _link(list(same), threshold, progress)
    members = list(same.values())
    groups = [sorted(index for unique in group for index in members[unique]) for group in linked]
    return sorted(group for group in groups if len(group) > 1)


def _link(texts: Sequence[str], threshold: float, progress: Tell) -> list[list[int]]:
    from scipy.cluster.hierarchy import DisjointSet  # noqa: PLC0415 takes a third of a second

    linked: Any = DisjointSet(range(len(texts)))
    sketches = np.zeros((len(texts), _BANDS * _WIDTH), dtype=np.uint32)
    for current, text in enumerate(texts):
        if current % _TOLD_EVERY == 0:
            progress("looking for near duplicates", current, len(texts))
        sketches[current] = _sketch(_shingles(text))
    for current, found in sorted(_candidates(sketches).items()):
        if current % _TOLD_EVERY == 0:  # may raise to stop
            progress("looking for near duplicates", current, len(texts))
        for other in _likely(np.unique(np.concatenate(found)), sketches, current, threshold):
            if not linked.connected(current, other) and _overlap(texts[current], texts[other]) >= threshold:
                linked.merge(current, other)
    return [sorted(group) for group in linked.subsets()]


def _sketch(shingles: _Numbers) -> _Numbers:
    """The smallest of a text's shingles in each of 126 orders; two texts agree in as many as they overlap."""
    smallest: _Numbers = (shingles[:, None] * _FACTORS + _SUMMANDS).min(axis=0)
    return smallest


def _candidates(sketches: _Numbers) -> dict[int, list[_Numbers]]:
    """For each text the earlier ones with a band in common, band by band; texts without any are left out."""
    earlier: dict[int, list[_Numbers]] = defaultdict(list)
    for start in range(0, sketches.shape[1], _WIDTH):
        band = np.ascontiguousarray(sketches[:, start : start + _WIDTH]).view(f"V{4 * _WIDTH}").ravel()
        _, inverse, counts = np.unique(band, return_inverse=True, return_counts=True)
        shared = np.flatnonzero(counts[inverse] > 1)
        order = shared[np.argsort(inverse[shared], kind="stable")]
        for group in np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1):
            for place in range(1, len(group)):
                earlier[int(group[place])].append(group[:place])
    return earlier


def _likely(candidates: _Numbers, sketches: _Numbers, current: int, threshold: float) -> list[int]:
    """Those of the texts `candidates` whose sketches agree well enough with that of `current` to compare in full."""
    estimates = (sketches[candidates] == sketches[current]).mean(axis=1)
    return [int(candidate) for candidate in candidates[estimates >= threshold - _ESTIMATE_SLACK]]


def _overlap(first: str, second: str) -> float:
    """The Jaccard index of two normalised texts: common sequences among all sequences, from 0 to 1."""
    one, other = np.unique(_shingles(first)), np.unique(_shingles(second))
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _shingles(text: str) -> _Numbers:
    """A number of 32 bits for each sequence of characters in a normalised text, the same for the same sequence."""
    size = _SHINGLE_NO_SPACES if _is_without_spaces(text) else _SHINGLE
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    size = min(size, len(codes))
    count = len(codes) - size + 1
    numbers = np.zeros(count, dtype=np.uint32)
    for offset in range(size):
        numbers = (numbers ^ codes[offset : offset + count]) * _MULTIPLIER
    return _mixed(numbers)


def _is_without_spaces(text: str) -> bool:
    return not text.isascii() and len(_NO_SPACES.findall(text)) * 2 > len(text)


def _mixed(numbers: _Numbers) -> _Numbers:
    """Other numbers of 32 bits, one for each, in which every bit depends on all bits: the end of MurmurHash3."""
    numbers = (numbers ^ (numbers >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    numbers = (numbers ^ (numbers >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    mixed: _Numbers = numbers ^ (numbers >> np.uint32(16))
    return mixed
