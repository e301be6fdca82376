"""Whether longer answers get higher scores, as judges are known to give them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.compare.comparison import ComparedAnswer
from core.evaluate.differences import FEWEST, Scored
from core.evaluate.results import LengthRelation
from core.reward.formula import Floats


def answer_lengths(answers: Sequence[ComparedAnswer], questions: int, candidates: int) -> Floats:
    """Characters of each answer, shape (questions, candidates); NaN where there is none or it ended with an error."""
    lengths = np.full((questions, candidates), np.nan)
    for answer in answers:
        if not answer.error:
            lengths[answer.question, answer.candidate] = len(answer.text)
    return lengths


def length_relations(scored: Sequence[Scored], lengths: Floats) -> tuple[LengthRelation, ...]:
    """Spearman's correlation of every measure with the length, of each candidate apart.

    Candidates are never thrown together: one that writes more and is better would look like an effect of length.
    """
    return tuple(_relation(one, lengths, who) for one in scored for who in range(lengths.shape[1]))


def _relation(scored: Scored, lengths: Floats, candidate: int) -> LengthRelation:
    scores, characters = scored.values[:, candidate], lengths[:, candidate]
    both = ~(np.isnan(scores) | np.isnan(characters))
    found = rank_correlation(scores[both], characters[both]) if both.sum() >= FEWEST else None
    rho, p = found or (None, None)
    return LengthRelation(candidate=candidate, measure=scored.scale.name, of=int(both.sum()), rho=rho, p=p)


def rank_correlation(one: Floats, two: Floats) -> tuple[float, float] | None:
    """Spearman's rho and its two-sided p; None where either never changes."""
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return None
    found = spearmanr(one, two)
    return float(found.statistic), float(found.pvalue)
