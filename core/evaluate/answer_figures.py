"""Pictures of single answers of an evaluation: the heat map of all questions, and score against length."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.evaluate.figure_style import blank, colour, ends, mark, shown
from core.evaluate.results import Measure
from core.text import one_line

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_UPRIGHT = 5
"""So many columns are wide enough for names that are not turned."""
_NAME, _LINE = 42, 18
"""Characters of a column's name, and of a line of it."""


def heat_map(
    columns: Sequence[str], questions: Sequence[str], scores: NDArray[np.float64], measure: Measure
) -> Figure | None:
    """Every question as a line of coloured cells.

    Each cell is also a point that can be selected: its `customdata` is the places of question and column, from 0, and
    its `y` the number of the question, from 1.

    Args:
        columns: candidates, or measures on one scale.
        questions: their texts.
        scores: shape (questions, columns); NaN where there is none.
        measure: whose scale it is.
    """
    if not np.isfinite(scores).any():
        return None
    count = len(questions)
    figure = blank(height=130 + max(160, min(26 * count, 7 * count + 400)), legend=False)
    numbers, places = list(range(1, count + 1)), list(range(len(columns)))
    low, high = ends(measure) or [float(np.nanmin(scores)), float(np.nanmax(scores))]
    figure.add_heatmap(
        x=places,
        y=numbers,
        z=[[None if np.isnan(value) else float(value) for value in row] for row in scores],
        zmin=low,
        zmax=high,
        colorscale="Viridis",
        reversescale=measure.upward is False,
        xgap=2,
        ygap=1 if count <= 120 else 0,
        hoverinfo="skip",
        colorbar={
            "title": {"text": shown(measure.title), "side": "right", "font": {"size": 13}},
            "thickness": 12,
            "outlinewidth": 0,
            "dtick": 1 if high - low >= 3 else None,
        },
    )
    cells = [(row, column) for row in range(count) for column in places]
    figure.add_scatter(
        x=[column for _, column in cells],
        y=[row + 1 for row, _ in cells],
        mode="markers",
        marker={"symbol": "square", "size": 14, "opacity": 0},
        customdata=[[row, column] for row, column in cells],
        text=[
            f"Question {row + 1}: {shown(questions[row], 70)}<br>{shown(columns[column])}: {_cell(scores[row, column])}"
            for row, column in cells
        ],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(tickvals=places, ticktext=[_wrapped(name) for name in columns], side="top", showgrid=False)
    if len(columns) <= _UPRIGHT:
        figure.update_xaxes(tickangle=0)
    figure.update_yaxes(range=[count + 0.5, 0.5], title={"text": "Question"}, showgrid=False, tickformat="d")
    return figure


def length_figure(
    names: Sequence[str], characters: NDArray[np.float64], scores: NDArray[np.float64], measure: Measure
) -> Figure | None:
    """Every answer as a mark: how long it is, and what score it got.

    Args:
        names: of the candidates.
        characters, scores: shape (questions, candidates); NaN where there is none.
    """
    known = np.isfinite(characters) & np.isfinite(scores)
    if not known.any():
        return None
    figure = blank(height=340)
    for place, name in enumerate(names):
        rows = np.flatnonzero(known[:, place])
        figure.add_scatter(
            x=characters[rows, place].tolist(),
            y=scores[rows, place].tolist(),
            customdata=(rows + 1).tolist(),
            name=shown(name),
            mode="markers",
            marker={"color": colour(place), "symbol": mark(place), "size": 7, "opacity": 0.6},
            hovertemplate="Question %{customdata}: %{x} characters, %{y:.2f}<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(title={"text": "Length of the answer in characters"}, rangemode="tozero")
    figure.update_yaxes(title={"text": shown(measure.title)}, range=ends(measure))
    return figure


def _wrapped(name: str) -> str:
    """A name in lines that fit above its column."""
    return "<br>".join(shown(line) for line in wrap(one_line(name, _NAME), _LINE))


def _cell(score: float) -> str:
    return "no score" if np.isnan(score) else f"{score:.2f}"
