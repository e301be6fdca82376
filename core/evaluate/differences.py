"""One measure of all candidates: averages, and paired differences from the baseline with what may be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import cast

import numpy as np

from core.evaluate.intervals import CONFIDENCE, Interval, mean_intervals
from core.evaluate.results import Average, Difference, Finding, Measure
from core.evaluate.table import Scale
from core.reward.formula import Floats

FEWEST = 10
"""Below so many questions nothing is called better: neither interval nor test can be relied on."""
FEWEST_DIFFERING = 6
"""Below so many questions that differ, not even a sign test that they all pass gets below 0.05."""
POWER = 0.8

_SIGNIFICANCE = 1 - CONFIDENCE
_DECIMALS = 9
"""Differences of means are told apart to so many; what is left of rounding would break ties."""
_MOST_EXACT = 13
"""Of so many differences with ties every combination of signs is looked at, 8192 at most."""
_MOST_QUESTIONS = 100_000
"""More than anybody asks; where so many would be needed, it cannot be told how many."""


@dataclass(frozen=True)
class Scored:
    """The scores of one measure.

    Attributes:
        values: shape (questions, candidates); NaN where there is none.
    """

    scale: Scale
    values: Floats


@dataclass(frozen=True)
class _Paired:
    """Candidate minus baseline, on the questions that both have a value for."""

    candidate: int
    differences: Floats
    upward: bool | None


def measured(scored: Sequence[Scored], baseline: int, seed: int, resamples: int) -> tuple[Measure, ...]:
    """Averages of every candidate, and the differences of all others from the baseline, not yet corrected by Holm.

    Args:
        scored: all measures at once, for so their intervals are found fastest.
        baseline: a column of the values.
        seed, resamples: of the bootstrap.
    """
    columns = [[_known(one.values[:, who]) for who in range(one.values.shape[1])] for one in scored]
    pairs = [_all_paired(one, baseline) for one in scored]
    rows = [column for of_one in columns for column in of_one]
    rows += [pair.differences for of_one in pairs for pair in of_one]
    intervals = iter(mean_intervals(rows, seed, resamples))
    averages = [
        tuple(_average(column, next(intervals), (one.scale.low, one.scale.high) == (0, 1)) for column in of_one)
        for one, of_one in zip(scored, columns, strict=True)
    ]
    differences = [tuple(_difference(pair, next(intervals)) for pair in of_one) for of_one in pairs]
    return tuple(map(_measure, [one.scale for one in scored], averages, differences))


def _measure(scale: Scale, averages: tuple[Average | None, ...], differences: tuple[Difference, ...]) -> Measure:
    return Measure(
        name=scale.name,
        title=scale.title,
        kind=scale.kind,
        low=scale.low,
        high=scale.high,
        upward=scale.upward,
        averages=averages,
        differences=differences,
    )


def _known(values: Floats) -> Floats:
    return cast(Floats, values[~np.isnan(values)])


def _all_paired(scored: Scored, baseline: int) -> list[_Paired]:
    others = [who for who in range(scored.values.shape[1]) if who != baseline]
    differences = np.round(scored.values - scored.values[:, [baseline]], _DECIMALS)
    return [_Paired(who, _known(differences[:, who]), scored.scale.upward) for who in others]


def _average(values: Floats, interval: Interval | None, is_share: bool) -> Average | None:
    if not len(values):
        return None
    low, high = _sure_of_mean(values, interval, is_share) or (None, None)
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    return Average(mean=float(values.mean()), deviation=deviation, of=len(values), low=low, high=high)


def _sure_of_mean(values: Floats, interval: Interval | None, is_share: bool) -> Interval | None:
    """The interval of a mean: Wilson's of a share; None where no resample differs, which is no proof of certainty.

    Args:
        is_share: whether the scale goes from 0 to 1, so that nothing but zeros and ones is counted as a share.
    """
    from statsmodels.stats.proportion import proportion_confint

    if is_share and set(values.tolist()) <= {0.0, 1.0}:
        low, high = proportion_confint(values.sum(), len(values), alpha=_SIGNIFICANCE, method="wilson")
        return float(low), float(high)
    return interval if interval is not None and interval[0] < interval[1] else None


def _difference(pair: _Paired, interval: Interval | None) -> Difference:
    differences, down = pair.differences, pair.upward is False
    of, higher, lower = len(differences), int((differences > 0).sum()), int((differences < 0).sum())
    wins, losses = (lower, higher) if down else (higher, lower)
    low, high = interval or (None, None)
    effect, finding = _effect(differences), _finding(pair, interval)
    return Difference(
        candidate=pair.candidate,
        mean=float(differences.mean()) if of else 0.0,
        low=low,
        high=high,
        of=of,
        wins=wins,
        losses=losses,
        ties=of - wins - losses,
        p=signed_rank_test(differences),
        p_sign=sign_test(wins, losses),
        p_adjusted=None,
        effect=effect,
        finding=finding,
        more_questions=None if pair.upward is None or finding in ("better", "worse") else more_questions(effect, of),
    )


def _finding(pair: _Paired, interval: Interval | None) -> Finding:
    if len(pair.differences) < FEWEST or interval is None:
        return "too few"
    low, high = interval
    if pair.upward is None or low <= 0 <= high:
        return "unclear"
    if np.count_nonzero(pair.differences) < FEWEST_DIFFERING:
        return "too few"
    return "better" if (low > 0) == pair.upward else "worse"


def _effect(differences: Floats) -> float | None:
    """The mean in units of the standard deviation, Cohen's d of paired values."""
    if len(differences) < 2 or (differences == differences[0]).all():
        return None
    return float(differences.mean() / differences.std(ddof=1))


def signed_rank_test(differences: Floats) -> float | None:
    """The two-sided p of Wilcoxon's signed-rank test; None where nothing differs.

    Questions without a difference are left out, as Wilcoxon does. The p is exact without ties up to 50 differences, and
    with ties, which marks mostly have, up to 13; else that of the normal approximation, with its correction for ties.
    """
    from scipy.stats import permutation_test, rankdata, wilcoxon

    differing = differences[differences != 0]
    if not len(differing):
        return None
    ranks = rankdata(np.abs(differing))
    if len(differing) > _MOST_EXACT or len(set(ranks.tolist())) == len(ranks):
        return float(wilcoxon(differing).pvalue)
    signed = np.sign(differing) * ranks  # scipy's own way with ties changes the same signs, one by one, in seconds
    found = permutation_test((signed,), np.sum, permutation_type="samples", vectorized=True, n_resamples=np.inf)
    return float(found.pvalue)


def sign_test(wins: int, losses: int) -> float | None:
    """The two-sided exact p of so many wins and losses where both are equally likely; None without either.

    >>> sign_test(9, 1)
    0.0215
    """
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else None


def more_questions(effect: float | None, of: int) -> int | None:
    """How many questions more show an effect of this size with a power of 80 %, by the paired t test.

    Args:
        effect: mean over standard deviation; None or 0 has no answer.
        of: how many there are.

    >>> more_questions(0.5, 20)
    14
    """
    from statsmodels.stats.power import TTestPower

    if not effect:
        return None
    size = min(abs(effect), 1.0)  # `FEWEST` is enough for larger ones, for which the solver finds nothing
    if TTestPower().power(size, _MOST_QUESTIONS, _SIGNIFICANCE) < POWER:
        return None
    needed = ceil(float(TTestPower().solve_power(effect_size=size, alpha=_SIGNIFICANCE, power=POWER)))
    return max(needed, FEWEST) - of if max(needed, FEWEST) > of else None
