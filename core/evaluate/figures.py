"""Pictures of an evaluation, for the Evaluate page and for its report.

All have a transparent background and grey letters, so that they read on white, on dark and on paper. Candidates differ
by colour and by mark, since some readers and most printers tell no colours apart. Whatever comes from outside is
escaped: plotly would take tags in a name for markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.evaluate.answer_figures import heat_map, length_figure
from core.evaluate.figure_style import BETTER, DASHES, INK, RULE, UNCLEAR, WORSE, blank, colour, ends, mark, shown
from core.evaluate.results import Average, Difference, EvaluationResults, Measure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Scale", "dots", "forest", "heat_map", "length_figure", "radar", "scales"]

_ROW = 42
"""Height of a line of a picture, in pixels."""
_TITLE = 60
"""Characters of a measure's title; an item of a rubric may be a long sentence."""
_SPREAD = 0.44
"""Which part of a line the marks of its candidates take up."""
_FINDINGS = (
    ("better", BETTER, "circle", "better"),
    ("worse", WORSE, "diamond", "worse"),
    ("unclear", UNCLEAR, "circle-open", "not decided"),
    ("too few", UNCLEAR, "x-thin-open", "too few questions"),
)
"""What may be said of a difference: its colour, its mark and its words."""


@dataclass(frozen=True)
class Scale:
    """Measures that can stand on one axis.

    Attributes:
        title: what they are, for people.
        measures: all with the same ends and the same direction.
    """

    title: str
    measures: tuple[Measure, ...]


def scales(results: EvaluationResults) -> tuple[Scale, ...]:
    """The measures of all judges together and the automatic ones, by what can stand on one axis; in their order."""
    found: dict[tuple[str, float | None, float | None, bool | None], list[Measure]] = {}
    for measure in results.measures:
        known = any(average is not None for average in measure.averages)
        if known and "@" not in measure.name:
            found.setdefault(_axis_of(measure), []).append(measure)
    return tuple(Scale(title=key[0], measures=tuple(measures)) for key, measures in found.items())


def radar(results: EvaluationResults) -> Figure | None:
    """The mean of each dimension, an outline a candidate; None where fewer than three dimensions have been judged."""
    measures = [measure for measure in results.measures if measure.kind == "dimension" and "@" not in measure.name]
    measures = [measure for measure in measures if any(measure.averages)]
    if len(measures) < 3:
        return None
    figure = blank(height=430)
    corners = [*measures, measures[0]]
    for place, name in enumerate(results.candidates):
        averages = [measure.averages[place] for measure in corners]
        figure.add_scatterpolar(
            r=[None if average is None else average.mean for average in averages],
            theta=[shown(measure.title) for measure in corners],
            name=shown(name),
            mode="lines+markers",
            line={"color": colour(place), "width": 2, "dash": DASHES[place % len(DASHES)]},
            marker={"symbol": mark(place), "size": 8},
            hovertemplate="%{theta}: %{r:.2f}<extra>%{fullData.name}</extra>",
        )
    low, high = measures[0].low, measures[0].high
    radial = {"range": [low, high], "dtick": 1, "angle": 90, "tickangle": 90, "gridcolor": RULE, "linecolor": RULE}
    figure.update_layout(
        polar={
            "bgcolor": "rgba(0,0,0,0)",
            "radialaxis": {**radial, "tickfont": {"size": 11}},
            "angularaxis": {"direction": "clockwise", "rotation": 90, "gridcolor": RULE, "linecolor": RULE},
        },
        margin={"l": 90, "r": 90, "t": 84, "b": 36},
        legend={"x": 0.5, "y": 1.14, "xanchor": "center"},
    )
    return figure


def dots(results: EvaluationResults, measures: Sequence[Measure] | None = None) -> Figure | None:
    """The mean of each measure with its 95% interval, a line a measure and a mark a candidate.

    Args:
        measures: on one scale; the first of `scales` by default.
    """
    chosen = _chosen(results, measures)
    if not chosen:
        return None
    figure = blank(height=110 + max(_ROW, 22 * len(results.candidates)) * len(chosen))
    for place, name in enumerate(results.candidates):
        known = [(row, average) for row, measure in enumerate(chosen) if (average := measure.averages[place])]
        figure.add_scatter(
            x=[average.mean for _, average in known],
            y=[row + _offset(place, len(results.candidates)) for row, _ in known],
            error_x=_interval_bars([average for _, average in known], colour(place)),
            customdata=[
                [shown(chosen[row].title, _TITLE), _interval_text(average), average.of] for row, average in known
            ],
            name=shown(name),
            mode="markers",
            cliponaxis=False,
            marker={"color": colour(place), "symbol": mark(place), "size": 9},
            hovertemplate="%{customdata[0]}: %{x:.2f}%{customdata[1]}, %{customdata[2]} questions"
            "<extra>%{fullData.name}</extra>",
        )
    _lines(figure, [shown(measure.title, _TITLE) for measure in chosen])
    figure.update_xaxes(range=ends(chosen[0]), title={"text": "Mean, 95% interval", "standoff": 8})
    return figure


def forest(results: EvaluationResults, measures: Sequence[Measure] | None = None) -> Figure | None:
    """Each difference from the baseline with its 95% interval, beside a line at zero; None without another candidate.

    Args:
        measures: on one scale; the first of `scales` by default.
    """
    rows = [(measure, found) for measure in _chosen(results, measures) for found in measure.differences]
    if not rows:
        return None
    several = len(results.candidates) > 2
    figure = blank(height=110 + 30 * len(rows))
    for finding, ink, symbol, words in _FINDINGS:
        found = [(row, difference) for row, (_, difference) in enumerate(rows) if difference.finding == finding]
        if found:
            figure.add_scatter(
                x=[difference.mean for _, difference in found],
                y=[row for row, _ in found],
                error_x=_interval_bars([difference for _, difference in found], ink),
                customdata=[[_interval_text(difference), difference.of] for _, difference in found],
                name=words,
                mode="markers",
                marker={"color": ink, "symbol": symbol, "size": 10, "line": {"width": 2, "color": ink}},
                hovertemplate="%{x:+.2f}%{customdata[0]}, %{customdata[1]} questions<extra>%{fullData.name}</extra>",
            )
    names = [
        shown(measure.title, _TITLE) + (f" · {shown(results.candidates[found.candidate], 24)}" if several else "")
        for measure, found in rows
    ]
    _lines(figure, names)
    baseline = shown(results.candidates[results.baseline])
    figure.add_vline(x=0, line={"color": INK, "width": 1.5})
    figure.update_xaxes(range=_around_zero([found for _, found in rows]))
    figure.update_xaxes(title={"text": f"Difference from {baseline}, 95% interval", "standoff": 8})
    return figure


def _axis_of(measure: Measure) -> tuple[str, float | None, float | None, bool | None]:
    """What measures on one axis have in common; those without ends stand alone."""
    if measure.kind in ("total", "dimension"):
        return "Marks of the judges", measure.low, measure.high, measure.upward
    if measure.kind == "rubric":
        return "Rubric", measure.low, measure.high, measure.upward
    bounded = measure.low is not None and measure.high is not None
    title = f"Automatic, from {measure.low:g} to {measure.high:g}".replace("-", "−") if bounded else measure.title
    less = ", less is better" if measure.upward is False and bounded else ""
    return title + less, measure.low, measure.high, measure.upward


def _chosen(results: EvaluationResults, measures: Sequence[Measure] | None) -> Sequence[Measure]:
    if measures is not None:
        return measures
    found = scales(results)
    return found[0].measures if found else ()


def _offset(place: int, count: int) -> float:
    """How far a candidate's mark stands from the middle of its line, in lines."""
    return 0.0 if count < 2 else _SPREAD * (place / (count - 1) - 0.5)


def _around_zero(found: Sequence[Difference]) -> list[float]:
    """An axis that holds zero and all intervals, with a margin."""
    values = [0.0, *(end for one in found for end in (one.mean, one.low, one.high) if end is not None)]
    margin = 0.06 * (max(values) - min(values)) or 1.0
    return [min(values) - margin, max(values) + margin]


def _interval_text(found: Average | Difference) -> str:
    return "" if found.low is None or found.high is None else f" ({found.low:.2f} to {found.high:.2f})"


def _interval_bars(found: Sequence[Average | Difference], ink: str) -> dict[str, Any]:
    """Plotly's form of intervals, which are not symmetric; one that is not known is a point."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [0.0 if one.high is None else one.high - one.mean for one in found],
        "arrayminus": [0.0 if one.low is None else one.mean - one.low for one in found],
        "color": ink,
        "thickness": 2,
        "width": 4,
    }


def _lines(figure: Figure, names: Sequence[str]) -> None:
    """A line for each name, from top to bottom."""
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.5, -0.5], showgrid=False
    )
