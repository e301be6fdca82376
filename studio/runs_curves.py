"""The curves of several runs over each other: which metrics there are, the table, and its ECharts option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import pandas as pd

from core.reward.verdicts import component_title
from core.training.curves import CurveReader, stretch
from studio.charts import Option

Axis = Literal["By step", "By training time"]
AXES: Sequence[Axis] = ("By step", "By training time")
METRICS: Mapping[str, str] = {
    "reward": "Mean reward",
    "well_formed": "Share well-formed",
    "valid": "Share valid",
    "truncated": "Share cut at the limit",
    "reward_std": "Spread of the reward in a group",
    "zero_variance": "Share of groups without differences",
    "completion_tokens": "Completion length in tokens",
    "entropy": "Entropy",
    "kl": "KL divergence from the base model",
    "grad_norm": "Gradient norm",
    "learning_rate": "Learning rate",
    "step_seconds": "Seconds per step",
}
"""What the curves of runs can be compared by, beside the scores of their components, and what it is called."""
COLOURS = ("#0f8a7e", "#d08700", "#6572de", "#c2417c", "#3f9ac9", "#7a8b12", "#8d6748", "#7a8794")
"""Of the runs in their order; apart for eyes that do not tell red from green."""
_POINTS = 500
_X = "x"


def metrics_of(readers: Sequence[CurveReader]) -> dict[str, str]:
    """The columns that curves can be compared by, and what they are called: every metric, every component's score."""
    components = dict.fromkeys(name for reader in readers for name in reader.components)
    return {**METRICS, **{f"score {name}": f"Score: {component_title(name)}" for name in components}}


def running_means(reader: CurveReader, column: str, axis: Axis) -> pd.DataFrame:
    """The running mean of a metric over a run, over a twentieth of its steps and five at least.

    Returns:
        Columns `x` (steps, or minutes of training) and `mean`; no rows when nothing was measured.
    """
    last = reader.last_step
    frame = reader.frame(1, last, _POINTS, [column, "step_seconds"])
    width = max(1, max(5, min(last // 20, 500)) // stretch(1, last, _POINTS)) if last else 1
    means = frame[column].rolling(width, min_periods=1).mean()
    minutes = (frame["step_seconds"].ffill().fillna(0.0) * frame["step"].diff().fillna(frame["step"])).cumsum() / 60
    steps = frame["step"].astype(float)
    return pd.DataFrame({_X: steps if axis == "By step" else minutes, "mean": means}).dropna().drop_duplicates(_X)


def overlay(curves: Mapping[str, pd.DataFrame], axis: Axis) -> Option:
    """The curves over each other.

    Args:
        curves: what `running_means` returns, by the name that the legend shows.
    """
    columns = [frame.set_index(_X)["mean"].rename(name) for name, frame in curves.items()]
    table = pd.concat(columns, axis=1).sort_index().rename_axis(_X).reset_index()
    return {
        "animation": False,
        "dataset": {"source": table.round(5)},
        "grid": {"left": 8, "right": 16, "top": 40, "bottom": 24, "containLabel": True},
        "legend": {"type": "scroll", "top": 0, "left": 0, "itemWidth": 14, "itemHeight": 8, "icon": "roundRect"},
        # Drawn on the canvas: names of runs are text from outside, and the other kind of tooltip is HTML.
        "tooltip": {"trigger": "axis", "renderMode": "richText", "valueFormatter": "%.3f"},
        "xAxis": {
            "type": "value",
            "min": 0,
            "max": "dataMax",
            "name": "step" if axis == "By step" else "minutes of training",
            "nameLocation": "middle",
            "nameGap": 24,
            "splitLine": {"show": False},
        },
        "yAxis": {"type": "value", "scale": True},
        "series": [_line(name, colour) for name, colour in zip(curves, COLOURS, strict=False)],
    }


def _line(name: str, colour: str) -> Option:
    return {
        "name": name,
        "type": "line",
        "encode": {"x": _X, "y": name, "tooltip": [name]},
        "connectNulls": True,  # each run has steps, or times, of its own
        "showSymbol": False,
        "itemStyle": {"color": colour},
        "lineStyle": {"color": colour, "width": 2.5},
    }
