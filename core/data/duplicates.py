"""Questions that are asked twice, word for word or nearly so.

Two texts count as the same when their words are, whatever their case, punctuation and width of characters; signs that
turn a statement round, such as `<` and `+`, count as words. They count as nearly the same when the sets of their
character sequences overlap: five characters each, or two in scripts without spaces, where a character carries more.
Both depend on nothing but the texts, so every machine finds the same groups.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import regex

from core.tasks import Tell, silent

_WORDS = regex.compile(r"[\p{L}\p{M}\p{N}_]+|[<>≤≥+±]")
_NO_SPACES = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_SHINGLE = 5
_SHINGLE_NO_SPACES = 2
_MULTIPLIER = 0x01000193
"""Of the FNV hash; any odd number does, because the sketches mix the numbers again."""
_PERMUTATIONS = 128
_ESTIMATE_SLACK = 0.12
"""Sketches of 128 numbers estimate an overlap of 0.85 to within 0.1 in 999 cases of 1,000."""
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
    groups: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        groups[normalise(text)].append(index)
    return [group for words, group in groups.items() if words and len(group) > 1]


def near_groups(texts: Sequence[str], threshold: float = 0.85, progress: Tell = silent) -> list[list[int]]:
    """The indices of texts that are the same or nearly so, two or more to a group, ordered by their first members.

    A group holds whatever is linked: with A near B and B near C, all three are in it. Candidates come from MinHash
    sketches, which miss one pair in fifty at the threshold and hardly any above it; each is then compared in full.

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


def _near_groups(texts: Sequence[str], threshold: float, progress: Tell) -> list[list[int]]:
    same: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        same[normalise(text)].append(index)
    same.pop("", None)
    linked = _link(list(same), threshold, progress)
    members = list(same.values())
    groups = [sorted(index for unique in group for index in members[unique]) for group in linked]
    return sorted(group for group in groups if len(group) > 1)


def _link(texts: Sequence[str], threshold: float, progress: Tell) -> list[list[int]]:
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415 brings SciPy, which takes a second
    from scipy.cluster.hierarchy import DisjointSet  # noqa: PLC0415

    linked: Any = DisjointSet(range(len(texts)))
    index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS, weights=(0.01, 0.99))  # rather a candidate too many
    sketches = np.zeros((len(texts), _PERMUTATIONS), dtype=np.uint32)
    empty = MinHash(_PERMUTATIONS, hashfunc=int)
    for current, text in enumerate(texts):
        if current % _TOLD_EVERY == 0:
            progress("looking for near duplicates", current, len(texts))
        sketch = empty.copy()
        sketch.update_batch(_shingles(text).tolist())
        sketches[current] = sketch.hashvalues
        for other in _likely(index.query(sketch), sketches, current, threshold):
            if not linked.connected(current, other) and _overlap(text, texts[other]) >= threshold:
                linked.merge(current, other)
        index.insert(current, sketch, check_duplication=False)
    return [sorted(group) for group in linked.subsets()]


def _likely(found: list[int], sketches: np.ndarray[Any, Any], current: int, threshold: float) -> list[int]:
    """Those of the texts `found` whose sketches, a row of 128 each, agree well enough to compare them in full."""
    candidates = np.array(sorted(found), dtype=np.int64)
    estimates = (sketches[candidates] == sketches[current]).mean(axis=1)
    return [int(candidate) for candidate in candidates[estimates >= threshold - _ESTIMATE_SLACK]]


def _overlap(first: str, second: str) -> float:
    """The Jaccard index of two normalised texts: common sequences among all sequences, from 0 to 1."""
    one, other = _shingles(first), _shingles(second)
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _shingles(text: str) -> np.ndarray[Any, Any]:
    """A number of 32 bits for each different sequence of characters in a normalised text, sorted."""
    size = _SHINGLE_NO_SPACES if len(_NO_SPACES.findall(text)) * 2 > len(text) else _SHINGLE
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    size = min(size, len(codes))
    count = len(codes) - size + 1
    numbers = np.zeros(count, dtype=np.uint32)
    for offset in range(size):
        numbers = (numbers ^ codes[offset : offset + count]) * np.uint32(_MULTIPLIER)
    return np.unique(numbers)
