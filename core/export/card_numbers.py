"""What was measured at the beginning and at the end of training, for the model card."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from core.evaluate.run_record import RunRecord
from core.reward.verdicts import component_title
from core.runs.lines import COMPARED_STEPS


@dataclass(frozen=True)
class CurveEnd:
    """One curve in two numbers.

    Attributes:
        first, last: means of the first and of the last points of the curve, of as many on both sides.
    """

    title: str
    first: float
    last: float


def curve_ends(record: RunRecord) -> list[CurveEnd]:
    """Reward, form and each component; nothing of a run that has not done two steps."""
    return list(_ends(record.curve, record.components)) if len(record.curve) > 1 else []


def _ends(curve: pd.DataFrame, components: tuple[str, ...]) -> Iterator[CurveEnd]:
    columns = {"reward": "Reward", "well_formed": "Share in the right form"}
    columns |= {f"score {name}": component_title(name) for name in components}
    count = max(1, min(COMPARED_STEPS, len(curve) // 2))
    for column, title in columns.items():
        first, last = float(curve[column].head(count).mean()), float(curve[column].tail(count).mean())
        if math.isfinite(first) and math.isfinite(last):
            yield CurveEnd(title, first, last)
