"""How far a fitted reward agrees with raters, beside the present one, and how sure that is."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from core.lab.bradley_terry import Rows
from core.reward.formula import Floats

WIDEST_INTERVAL = 0.3
"""An interval wider than this reaches, around a middling agreement, down to chance."""

_CONFIDENCE = 0.95
_RESAMPLES = 5000


def compared(fitted: Floats, current: Floats, groups: Rows, seed: int) -> dict[str, Any]:
    """The fields of `Fit` that say how well the fitted weights do, beside the present ones."""
    agreement = float(fitted.mean())
    low, high = _interval(fitted, groups, seed)
    if low == high:  # no resample differs from another, which is no proof of certainty
        low, high = _wilson(agreement, len(np.unique(groups)))
    difference_low, difference_high = _interval(fitted - current, groups, seed)
    return {
        "agreement": agreement,
        "low": low,
        "high": high,
        "current": float(current.mean()),
        "difference_low": difference_low,
        "difference_high": difference_high,
        "better": True if difference_low > 0 else False if difference_high < 0 else None,
        "reason": _care(high - low, len(fitted)),
    }


def _care(width: float, pairs: int) -> str:
    if width <= WIDEST_INTERVAL:
        return ""
    more = ceil(pairs * ((width / WIDEST_INTERVAL) ** 2 - 1) / 10) * 10  # a width shrinks with the root of their number
    return (
        "Treat these weights with care: the interval is wide. "
        f"Roughly {more} more judgements, on other prompts, would make it narrow enough."
    )


def _interval(values: Floats, groups: Rows, seed: int) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean of `values`, whole groups resampled.

    Percentile intervals of a few groups are too narrow. They are widened to what Student's distribution asks for:
    Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015, section 3.2.
    The fits behind `values` share most of their data, which no resampling sees: where votes are mere chance, an
    interval of 95 % has been found to hold the truth about nine times in ten.
    """
    from scipy.stats import bootstrap, norm, t

    _, index = np.unique(groups, return_inverse=True)
    counts = np.bincount(index).astype(float)
    number = len(counts)
    tail = norm.cdf(np.sqrt(number / (number - 1)) * t.ppf((1 - _CONFIDENCE) / 2, number - 1))
    found = bootstrap(
        (np.bincount(index, values), counts),
        lambda sums, counts, axis: sums.sum(axis=axis) / counts.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=100,
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _wilson(share: float, groups: int) -> tuple[float, float]:
    """Wilson's 95 % interval, each group counted as one judgement."""
    from scipy.stats import binomtest

    found = binomtest(round(share * groups), groups).proportion_ci(_CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)
