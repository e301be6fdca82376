"""What all pictures of an evaluation have in common: colours, marks, axes, and how names from outside are shown."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from core.evaluate.results import Measure
from core.text import one_line

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INK, RULE = "#6d7a86", "rgba(125, 138, 150, 0.28)"
"""Letters, and lines that lead the eye: both readable on white and on dark."""
COLOURS = ("#0f8a7e", "#d55e00", "#5b6ee1", "#b8860b", "#c2417c", "#3f9ac9", "#7a8794")
MARKS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "x", "hexagon")
"""Of other length than the colours, so that sixteen candidates look different."""
BETTER, WORSE, UNCLEAR = "#0f8a7e", "#d55e00", INK
DASHES = ("solid", "dash", "dot", "dashdot")

_NAME_WIDTH = 42


def shown(text: str, width: int = _NAME_WIDTH) -> str:
    """A text from outside as plotly shows it: in one line, cut after `width`, and no tag of it taken for markup.

    >>> shown("<b>bold</b>")
    '&lt;b&gt;bold&lt;/b&gt;'
    """
    return escape(one_line(text, width), quote=False)


def colour(place: int) -> str:
    """That of a candidate, by its place; over again when there are more than colours."""
    return COLOURS[place % len(COLOURS)]


def mark(place: int) -> str:
    """The mark of a candidate, by its place."""
    return MARKS[place % len(MARKS)]


def ends(measure: Measure) -> list[float] | None:
    """The ends of a measure's axis; None where the values decide."""
    return None if measure.low is None or measure.high is None else [measure.low, measure.high]


def blank(height: int, legend: bool = True) -> Figure:
    """An empty picture, `height` pixels high and as wide as there is room."""
    import plotly.graph_objects as go

    axis: dict[str, object] = {
        "gridcolor": RULE,
        "linecolor": RULE,
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
    }
    axis["title"] = {"font": {"size": 13}}
    return go.Figure(
        layout={
            "template": None,
            "height": height,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif", "size": 13, "color": INK},
            "margin": {"l": 16, "r": 16, "t": 44, "b": 48},
            "showlegend": legend,
            "legend": {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"},
            "hoverlabel": {"align": "left"},
            "xaxis": axis,
            "yaxis": axis,
        }
    )
