"""The weight map of the Rewards page: how well every choice of two or three weights agrees with a person's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.config import RewardConfig
from core.errors import StudioError
from core.lab.board import Board
from core.lab.votes import raters, votes, votes_mark, votes_on
from core.lab.weight_map import WeightMap, weight_map
from core.paths import Home
from core.reward.formula import Floats
from core.reward.verdicts import component_title
from studio import lab_weights, output
from studio.charts import AMBER, TEAL, Option
from studio.lab_board import Opened, reward_of_sliders, whose_grades

_POINTS = 2000
"""Of the map that is drawn; more are not told apart on the screen."""
_MOST_TERMS = 3
_TERMS, _ORDER = "lab.map.terms", "lab.map.order"
_GRADES = ""
_KEPT_MAPS = 32


def draw(home: Home, opened: Opened) -> None:
    """Asks for the terms and whose order counts, then draws the map."""
    try:
        reward = reward_of_sliders()
    except StudioError as error:
        output.problem(error)
        return
    st.write(
        "Every point is one choice of weights. The brighter it is, the more often the better of two answers to one "
        "question earns more. A broad bright area means that the exact weights hardly matter."
    )
    terms, judge = _choose(home, opened, reward)
    if len(terms) < 2:
        st.info("Choose two or three components.", icon=":material/info:")
        return
    try:
        found = _mapped(home, opened, reward, terms, judge)
    except StudioError as error:
        output.problem(error)
        return
    left, right = st.columns([7, 4], gap="large")
    with left:
        _picture(found)
    with right:
        _told(found, _basis(opened.board, found, judge))


def _choose(home: Home, opened: Opened, reward: RewardConfig) -> tuple[tuple[str, ...], str]:
    """Which components span the map, and whose order of the answers it is compared with."""
    heaviest = sorted(reward.components, key=lambda name: -abs(reward.weights.get(name, 0.0)))[:_MOST_TERMS]
    left, right = st.columns(2, gap="large")
    with left:
        terms = st.pills(
            "Components, two or three",
            reward.components,
            selection_mode="multi",
            default=heaviest,
            format_func=lambda name: output.escape(component_title(name)),
            key=f"{_TERMS}.{'.'.join(reward.components)}",
        )
    with right:
        judges = [_GRADES] if np.isfinite(opened.board.grades).any() else []
        judge = st.selectbox(
            "Compared with",
            judges + raters(home) or [_GRADES],
            format_func=lambda name: f"What {name} prefers" if name else "The grades of these answers",
            key=_ORDER,
            help="With a rater, only the pairs that this rater has judged are compared.",
        )
    return tuple(name for name in reward.components if name in terms[:_MOST_TERMS]), judge


def _mapped(home: Home, opened: Opened, reward: RewardConfig, terms: tuple[str, ...], judge: str) -> WeightMap:
    placed = votes_on(opened.board, votes(home, judge)) if judge else []
    mark = votes_mark(each.vote for each in placed)
    named = (opened.id, opened.version, len(opened.board), reward.model_dump_json(), terms, judge, mark)
    judged = [(each.winner, each.loser) for each in placed if not each.vote.tie]
    return _map(named, opened.board, reward, terms, judged if judge else None)


@st.cache_resource(max_entries=_KEPT_MAPS, show_spinner="Weighing every choice of weights")
def _map(
    named: tuple[object, ...],
    _board: Board,
    _reward: RewardConfig,
    _terms: tuple[str, ...],
    _judged: Sequence[tuple[int, int]] | None,
) -> WeightMap:
    return weight_map(_board, _reward, _terms, _POINTS, _judged)


def _basis(board: Board, found: WeightMap, judge: str) -> str:
    """On what the agreement was found."""
    if judge:
        return f"Compared on the {found.pairs:,} pairs that {output.escape(judge)} has judged, ties left out."
    return f"Compared on {found.pairs:,} pairs of answers with different grades. {whose_grades(board)}"


def _picture(found: WeightMap) -> None:
    if len(found.names) == 2:
        st.echarts_chart(
            line_option(found), height=420, key="lab.map.line", alt="Agreement over the shares of two weights"
        )
    else:
        st.plotly_chart(ternary(found), key="lab.map.ternary", config={"displayModeBar": False})


def _told(found: WeightMap, basis: str) -> None:
    """The best point, the current weights, and the button that moves the sliders to the best."""
    best = dict(zip(found.names, map(float, found.points[found.best]), strict=True))
    st.metric("Agreement at your weights", f"{found.weights_agreement:.1%}", border=True)
    gained = float(found.agreement[found.best]) - found.weights_agreement
    st.metric("Highest on the map", f"{found.agreement[found.best]:.1%}", f"{100 * gained:+.1f} points", border=True)
    st.write(
        "Highest at "
        + ", ".join(f"{component_title(name).lower()} {weight:.2f}" for name, weight in best.items())
        + "."
    )
    st.caption(
        f"{basis} A coin would agree on 50 %. The best point was found on these very answers; on others it will agree "
        "less."
    )
    if found.reason:
        st.caption(output.escape(found.reason))
    rounded = {name: round(weight, 2) for name, weight in best.items()}
    st.button("Use the best weights", key="lab.map.use", on_click=lab_weights.use, args=(rounded,))


def line_option(found: WeightMap) -> Option:
    """Agreement over the share of the first of two weights."""
    first = component_title(found.names[0])
    points = np.column_stack([found.points[:, 0], 100 * found.agreement]).round(3)
    series: Option = {
        "type": "line",
        "showSymbol": False,
        "lineStyle": {"color": TEAL, "width": 2.5},
        "data": points.tolist(),
    }
    if found.current is not None:
        series["markPoint"] = {
            "symbol": "circle",
            "symbolSize": 14,
            "itemStyle": {"color": AMBER},
            "label": {"show": False},
            "data": [{"coord": points[found.current].tolist()}],
        }
    return {
        "animation": False,
        "grid": {"left": 8, "right": 24, "top": 30, "bottom": 30, "containLabel": True},
        "tooltip": {"trigger": "axis", "valueFormatter": "%.1f %%"},
        "xAxis": {
            "type": "value",
            "name": f"Weight of {first}",
            "nameLocation": "middle",
            "nameGap": 28,
            "max": round(found.total, 3),
        },
        "yAxis": {"type": "value", "scale": True, "name": "Agreement", "axisLabel": {"formatter": "{value} %"}},
        "series": [series],
    }


def ternary(found: WeightMap) -> Any:
    """A triangle of the shares of three weights, coloured by agreement; yours are marked by an amber ring."""
    import plotly.graph_objects as go  # noqa: PLC0415  (0.1 s and 30 MB that no slider should wait for)

    titles = [component_title(name) for name in found.names]
    hover = "<br>".join(f"{title} %{{{axis}:.2f}}" for title, axis in zip(titles, "abc", strict=True))
    percent = 100 * found.agreement
    points = go.Scatterternary(
        **dict(zip("abc", found.points.T, strict=True)),
        mode="markers",
        marker={
            "color": percent,
            "colorscale": "Viridis",
            "size": 9,
            "symbol": "hexagon",
            "colorbar": {"title": {"text": "Agreement"}, "ticksuffix": " %", "thickness": 14, "len": 0.8},
        },
        customdata=percent,
        hovertemplate=hover + "<br>Agreement %{customdata:.1f} %<extra></extra>",
        showlegend=False,
    )
    marks = [_ring(go, "Highest", found.points[found.best], "#ffffff", "star")]
    if found.current is not None:
        marks.append(_ring(go, "Yours", found.points[found.current], AMBER, "circle"))
    figure = go.Figure([points, *marks])
    corners = {
        f"{axis}axis": {"title": {"text": title}, "showticklabels": False, "showgrid": False, "ticks": ""}
        for axis, title in zip("abc", titles, strict=True)
    }
    figure.update_layout(
        ternary={**corners, "sum": found.total, "bgcolor": "rgba(0,0,0,0)"},
        height=460,
        margin={"l": 40, "r": 20, "t": 40, "b": 40},
        legend={"orientation": "h", "y": 1.08},
        paper_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def _ring(go: Any, name: str, point: Floats, colour: str, symbol: str) -> Any:
    return go.Scatterternary(
        **dict(zip("abc", ([float(value)] for value in point), strict=True)),
        mode="markers",
        name=name,
        marker={"color": colour, "size": 16, "symbol": symbol, "line": {"color": "#16222b", "width": 2}},
        hoverinfo="name",
    )
