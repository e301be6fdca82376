"""ECharts options for the curves of a run: pure functions from a table to a dictionary, testable without Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd

from core.reward.verdicts import component_title
from studio.settings import CHART_POINTS

Option = dict[str, Any]
Builder = Callable[[pd.DataFrame, int | None], Option]

TEAL, LIGHT_TEAL, INDIGO, AMBER = "#0f8a7e", "#58b5ab", "#6572de", "#d08700"
COMPONENT_COLOURS = {"semantic": INDIGO, "fluency": AMBER, "tags": TEAL}
OTHER_COLOURS = ("#c2417c", "#7a8b12", "#3b82b8", "#8d6748", "#8a5cc2")
"""Of custom rewards and the judge, in their order, over again when there are more."""
RUN_COLUMNS = ("step", "reward", "completion_tokens", "well_formed", "valid", "truncated")
"""The columns of a run's table that are not the score of a component."""
WINDOWS = {"All steps": None, "Last 100": 100, "Last 1000": 1000}
"""What the window control offers: how many of the newest steps are drawn."""


@dataclass(frozen=True)
class Curve:
    """One curve: the table's column, its name in the legend, its colour, and whether it stands back as faint points."""

    column: str
    name: str
    colour: str
    faint: bool = False


def smoothing(steps: int) -> int:
    """Over how many steps the running mean goes: five, and a twentieth of a long run."""
    return max(5, min(steps // 20, 500))


def running_mean(frame: pd.DataFrame, columns: Sequence[str], width: int) -> pd.DataFrame:
    """`frame` with `<column> mean` added: the mean of the last `width` rows, or of as many as there are."""
    means = frame[list(columns)].rolling(width, min_periods=1).mean()
    return frame.assign(**{f"{column} mean": means[column] for column in columns})


def thin(frame: pd.DataFrame, by: str, points: int = CHART_POINTS) -> pd.DataFrame:
    """At most `points` rows that keep the outline: the lowest and the highest of `by` in each stretch of rows."""
    if len(frame) <= points:
        return frame
    values = frame[by].to_numpy(dtype=float, na_value=0.0)
    kept: set[int] = set()
    for part in np.array_split(np.arange(len(frame)), points // 2):
        kept |= {int(part[values[part].argmin()]), int(part[values[part].argmax()])}
    return frame.iloc[sorted(kept)]


def newest(frame: pd.DataFrame, window: int | None) -> pd.DataFrame:
    """The last `window` rows; all of them when it is None."""
    return frame if window is None else frame.tail(window)


def component_colours(names: Sequence[str]) -> dict[str, str]:
    """The colour of each component, the same on every page as long as the components are the same."""
    others = cycle(OTHER_COLOURS)
    return {name: COMPONENT_COLOURS.get(name) or next(others) for name in names}


def reward_option(frame: pd.DataFrame, window: int | None = None) -> Option:
    """The mean reward of each step, and its running mean."""
    width = smoothing(len(frame))
    table = newest(running_mean(frame, ["reward"], width), window)
    curves = [
        Curve("reward", "each step", LIGHT_TEAL, faint=True),
        Curve("reward mean", f"mean of {width} steps", TEAL),
    ]
    return _option(thin(table[["step", "reward", "reward mean"]], "reward"), curves)


def components_option(frame: pd.DataFrame, window: int | None = None) -> Option:
    """The running mean of each component's score."""
    width, names = smoothing(len(frame)), [str(name) for name in frame.columns if name not in RUN_COLUMNS]
    table, colours = newest(running_mean(frame, names, width), window), component_colours(names)
    columns = [f"{name} mean" for name in names]
    curves = [Curve(f"{name} mean", component_title(name), colours[name]) for name in names]
    return _option(thin(table[["step", *columns]], columns[0]), curves)


def shares_option(frame: pd.DataFrame, window: int | None = None) -> Option:
    """The running mean of the shares of completions that are well formed, valid and truncated."""
    columns = {"well_formed": ("Well-formed", TEAL), "valid": ("Valid", INDIGO), "truncated": ("Truncated", AMBER)}
    percent = frame.assign(**{column: frame[column] * 100 for column in columns})
    table = newest(running_mean(percent, list(columns), smoothing(len(frame))), window)
    means = [f"{column} mean" for column in columns]
    curves = [Curve(f"{column} mean", *shown) for column, shown in columns.items()]
    option = _option(thin(table[["step", *means]], means[0]), curves)
    option["yAxis"] = {"type": "value", "min": 0, "max": 100, "interval": 25, "axisLabel": {"formatter": "{value} %"}}
    option["tooltip"]["valueFormatter"] = "%.0f %%"
    return option


def _option(table: pd.DataFrame, curves: Sequence[Curve]) -> Option:
    alone = len(table) == 1  # a single step needs an axis that does not end where it begins, and a mark to be seen
    return {
        "animation": False,
        "dataset": {"source": table.round(4)},
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "left": 0, "itemWidth": 14, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.3f"},
        "xAxis": {
            "type": "value",
            "min": "dataMin",
            "max": int(table["step"].iloc[0]) + 1 if alone else "dataMax",
            "minInterval": 1,
            "splitLine": {"show": False},
            "axisLabel": {"showMinLabel": True, "hideOverlap": True},
        },
        "yAxis": {"type": "value", "scale": True},
        "series": [_series(curve, alone) for curve in curves],
    }


def _series(curve: Curve, alone: bool) -> Option:
    common: Option = {
        "name": curve.name,
        "encode": {"x": "step", "y": curve.column, "tooltip": [curve.column]},
        "itemStyle": {"color": curve.colour, "opacity": 0.7 if curve.faint else 1},
    }
    if curve.faint:
        return {**common, "type": "scatter", "symbolSize": 5}
    return {**common, "type": "line", "showSymbol": alone, "lineStyle": {"color": curve.colour, "width": 2.5}}
