"""What a reward does on all sample completions: four numbers, how rewards are spread, which components go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.lab.weighing import Weighed
from core.reward.formula import Floats
from core.reward.verdicts import component_title
from studio.charts import TEAL, Option
from studio.lab_board import View

_BINS = 41
"""Of the histogram of rewards: -1, -0.95 and so on to 1 are their middles."""


def change(view: View) -> str:
    """What the last change of the reward did to the order of the answers, in one sentence; empty before the first."""
    if view.reward == view.before:
        return ""
    if view.changed.pairs is None:
        return "There are too many pairs here to count those that the last change turned round."
    if not view.changed.pairs:
        return "The last change turned no two answers round."
    share = view.changed.pairs / view.changed.of
    told = "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"
    winners = view.changed.new_winners
    groups = (
        "every group keeps its best" if not winners else f"another one is best in {winners} of {view.groups} groups"
    )
    return f"The last change turned {told} of all pairs of answers round; {groups}."


def tiles(view: View, graded: str) -> None:
    """Four numbers about the whole board.

    Args:
        graded: who gave the grades, in a sentence.
    """
    now, then = view.now, view.then
    agreed = "–" if now.agreement is None else f"{now.agreement:.0%}"
    better = None
    if now.agreement is not None and then.agreement is not None and abs(now.agreement - then.agreement) >= 0.0005:
        better = f"{100 * (now.agreement - then.agreement):+.1f} points"
    with st.grid(4, min_column_width=150):
        _tile("Agreement with grades", agreed, better, f"{_AGREEMENT} {graded}")
        _tile("Pairs turned round", "–" if view.changed.pairs is None else f"{view.changed.pairs:,}", None, _TURNED)
        _tile("New winners", f"{view.changed.new_winners:,}", None, _WINNERS)
        _tile("Groups teaching nothing", f"{now.zero_variance:.0%}", None, _FLAT)


_AGREEMENT = (
    "Of two answers to one question with different grades, how often the better one earns more. A coin would reach "
    "50 %."
)
_WINNERS = "In how many groups another answer is best since the last change."
_TURNED = "How many pairs of answers to one question stand the other way round since the last change."
_FLAT = "All answers to these questions earn the same, so training learns nothing from them."


def _tile(label: str, value: str, delta: str | None, help_text: str) -> None:
    st.metric(label, value, delta, help=help_text, border=True, height="stretch")


def histogram_option(rewards: Floats, before: Floats | None = None) -> Option:
    """How many answers earn how much; those of the reward before as an outline."""
    middles = np.linspace(-1.0, 1.0, _BINS)
    half = (middles[1] - middles[0]) / 2
    edges = np.append(middles - half, middles[-1] + half)
    series: list[Option] = [_bars("now", np.histogram(rewards, edges)[0])]
    if before is not None:
        series.append(_outline("before", np.histogram(before, edges)[0]))
    return {
        "animation": False,
        "grid": {"left": 8, "right": 12, "top": 28, "bottom": 4, "containLabel": True},
        "legend": {"top": 0, "right": 0, "itemWidth": 14, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category",
            "data": [f"{middle:.2f}" for middle in middles],
            "axisLabel": {"interval": 9},
            "axisTick": {"show": False},
        },
        "yAxis": {"type": "value", "splitNumber": 3},
        "series": series,
    }


def _bars(name: str, counts: Any) -> Option:
    return {
        "name": name,
        "type": "bar",
        "barCategoryGap": "8%",
        "itemStyle": {"color": TEAL},
        "data": counts.tolist(),
    }


def _outline(name: str, counts: Any) -> Option:
    line = {"color": "#8a97a0", "width": 1.5}
    return {
        "name": name,
        "type": "line",
        "step": "middle",
        "showSymbol": False,
        "itemStyle": {"color": line["color"]},
        "lineStyle": line,
        "data": counts.tolist(),
    }


def histogram(view: View) -> None:
    """The spread of rewards over all completions."""
    st.markdown("**How rewards are spread** over all sample completions")
    before = None if view.before == view.reward else view.then.rewards
    st.echarts_chart(
        histogram_option(view.now.rewards, before),
        height=190,
        key="lab.histogram",
        alt="Number of answers by reward, from -1 to 1, now and before the last change",
    )


def correlation_table(weighed: Weighed) -> pd.DataFrame:
    """How scores of two components go together inside groups: 1 in step, -1 opposed, a dash when one is constant."""
    titles = [component_title(name) for name in weighed.names[:-1]]
    told = [
        ["–" if np.isnan(value) else f"{round(value, 2) + 0.0:.2f}" for value in row] for row in weighed.correlation
    ]
    frame = pd.DataFrame(told, columns=titles)
    frame.insert(0, "Component", titles)
    return frame


def correlation(weighed: Weighed) -> None:
    """Which components say the same thing twice, and which work against each other."""
    st.markdown("**Which components go together**")
    frame = correlation_table(weighed)
    st.dataframe(
        frame,
        hide_index=True,
        key="lab.correlation",
        alt="Correlation between the components inside groups",
    )
    st.caption(
        "Inside groups: 1 means they say the same, −1 that they work against each other. A dash: one never varies."
    )
