"""Lets no broken scorer pass for a bad reward: what it returns is looked at once, before anything is done with it."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from numbers import Real

from core.errors import ModelError, RewardError, StudioError


def opinions(name: str, count: int, compute: Callable[[], object]) -> list[float]:
    """What a component of the reward that is not built in says of `count` completions; NaN where it has no opinion.

    Raises:
        StudioError: it failed, or returned anything but one finite number or None for each completion.

    >>> opinions("length", 2, lambda: [0.5, None])
    [0.5, nan]
    """
    try:
        found = compute()
    except (StudioError, sqlite3.Error):  # the second comes from the score cache, and no component is to blame
        raise
    except Exception as error:
        raise RewardError(
            f"The reward component {name!r} failed ({type(error).__name__}: {error}). Mend it."
        ) from error
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise RewardError(
            f"The reward component {name!r} returned {_shown(found)}. It must return a list with one number for each "
            "completion."
        )
    if len(found) != count:
        raise RewardError(
            f"The reward component {name!r} returned {len(found)} score(s) for {count} completion(s). It must return "
            "one for each."
        )
    return [_opinion(name, row, value) for row, value in enumerate(found, start=1)]


def _opinion(name: str, row: int, value: object) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, Real) or not math.isfinite(value):
        raise RewardError(
            f"The reward component {name!r} returned {_shown(value)} for completion {row} of the batch. It must return "
            "a finite number, or None where it has no opinion."
        )
    return float(value)


def _shown(value: object) -> str:
    return f"{value!r:.60} ({type(value).__name__})"


def finite(name: str, count: int, compute: Callable[[], Sequence[float]]) -> list[float]:
    """What a model computed for `count` texts, for the score cache: what is wrong there would stay wrong for good.

    Raises:
        ModelError: it is not a finite number for each text.
    """
    found = [float(value) for value in compute()]
    if len(found) != count or not all(map(math.isfinite, found)):
        broken = sum(not math.isfinite(value) for value in found)
        raise ModelError(
            f"The scoring model {name!r} gave {len(found)} score(s) for {count} text(s), {broken} of them not finite. "
            "Its weights may be damaged: load it again, or choose another model."
        )
    return found
