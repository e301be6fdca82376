"""Bootstrap intervals of means, many at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.reward.formula import Floats

CONFIDENCE = 0.95

Interval = tuple[float, float]

_DECIMALS = 12
"""Of an end of an interval; a rounding error must not decide whether it excludes zero."""
_ROWS_AT_ONCE = 25
_NUMBERS_AT_ONCE = 400_000
"""Resampled values of one row that are in memory at once; with the rows above, 80 MB."""


def mean_intervals(rows: Sequence[Floats], seed: int, resamples: int) -> list[Interval | None]:
    """The 95% percentile bootstrap interval of the mean of each row.

    Percentile intervals of a few values are too narrow. They are widened to what Student's distribution asks for:
    Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015, section 3.2.

    Rows of the same length are resampled at the same places, so that an interval depends on its row, the seed and the
    number of resamples alone.

    Args:
        rows: of any lengths; of differences where the interval is to be paired.

    Returns:
        None of a row with fewer than two values. Where all values are the same, the interval is that value.
    """
    found: list[Interval | None] = [None] * len(rows)
    by_length: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(place)
    for length, places in by_length.items():
        for start in range(0, len(places) if length > 1 else 0, _ROWS_AT_ONCE):
            chosen = places[start : start + _ROWS_AT_ONCE]
            intervals = _of_one_length(np.stack([rows[place] for place in chosen]), seed, resamples)
            for place, interval in zip(chosen, intervals, strict=True):
                found[place] = interval
    return found


def _of_one_length(rows: Floats, seed: int, resamples: int) -> list[Interval]:
    """The intervals of rows of shape (R, N), N at least 2."""
    from scipy.stats import bootstrap

    length = rows.shape[1]
    found = bootstrap(
        (rows,),
        np.mean,
        axis=-1,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _NUMBERS_AT_ONCE // length),
        confidence_level=_widened(length),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    lows, highs = np.round(found.low, _DECIMALS), np.round(found.high, _DECIMALS)
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


def _widened(length: int) -> float:
    """The confidence level at which a percentile interval of so many values covers about what `CONFIDENCE` says."""
    from scipy.stats import norm, t

    tail = norm.cdf(np.sqrt(length / (length - 1)) * t.ppf((1 - CONFIDENCE) / 2, length - 1))
    return float(1 - 2 * tail)
