"""Scorers by arithmetic, for tests of everything around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.config import RewardConfig, Tags
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Component, Sample, Scorer


class SharedWords:
    """Similarity: the share of the reference's words that the text has."""

    name = "shared-words"

    def __init__(self) -> None:
        self.calls = 0

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.calls += len(pairs)
        return [len(set(a.lower().split()) & set(b.lower().split())) / len(set(b.lower().split())) for a, b in pairs]


class ShortIsLikely:
    """A language model: one tenth of a nat for every character, at most ten."""

    name = "short-is-likely"

    def __init__(self) -> None:
        self.calls = 0

    def mean_loss(self, texts: Sequence[str]) -> list[float]:
        self.calls += len(texts)
        return [min(len(text) / 10, 10.0) for text in texts]


class Says:
    """A component that says what it is told to say: scores, an exception, or what a function makes of the samples."""

    def __init__(self, answer: object, name: str = "own", notes: Sequence[str] = ()) -> None:
        self.name = name
        self._answer = answer
        self._notes = list(notes)

    def scores(self, samples: Sequence[Sample]) -> list[float | None]:
        if isinstance(self._answer, Exception):
            raise self._answer
        if callable(self._answer):
            return self._answer(samples)  # type: ignore[no-any-return]
        return self._answer  # type: ignore[return-value]

    def notes(self) -> list[str]:
        return self._notes

    def close(self) -> None:
        pass


def arithmetic_scorer(
    config: RewardConfig, folder: Path, others: Sequence[Component] = (), tags: Tags | None = None
) -> Scorer:
    cache = ScoreCache(folder / "scores.sqlite")
    return Scorer(config, tags or Tags(), SharedWords(), ShortIsLikely(), cache, others)
