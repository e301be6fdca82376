"""The pictures of a report, as the JSON that plotly draws in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluate.evidence import Evidence
from core.evaluate.figure_style import INK, RULE, blank, colour, shown
from core.evaluate.figures import dots, forest, heat_map, length_figure, radar, scales
from core.evaluate.results import Measure
from core.evaluate.run_record import RunRecord
from core.evaluate.sentences import main_measure
from core.evaluate.table import ALL_JUDGES, AUTOMATIC
from core.reward.verdicts import component_title

if TYPE_CHECKING:
    from markupsafe import Markup
    from plotly.graph_objects import Figure

_TALLEST = 760
"""Of the heat map, in pixels: it has to fit on a sheet of paper."""


@dataclass(frozen=True)
class ReportFigure:
    """A picture of the report.

    Attributes:
        json: its data and layout; may stand inside an HTML script element as it is.
        height: in pixels.
    """

    json: Markup
    height: int


def report_figures(evidence: Evidence) -> dict[str, ReportFigure]:
    """Each picture that there is something to draw in, by name."""
    from jinja2.utils import htmlsafe_json_dumps

    found = {name: figure for name, figure in _figures(evidence) if figure is not None}
    return {
        name: ReportFigure(htmlsafe_json_dumps(figure.to_plotly_json(), sort_keys=True), figure.layout.height)
        for name, figure in found.items()
    }


def scores_of(table: pd.DataFrame, measure: Measure, questions: int, candidates: int) -> NDArray[np.float64]:
    """The scores of a measure of all judges together, shape (questions, candidates); NaN where there is none."""
    judge = AUTOMATIC if measure.kind == "automatic" else ALL_JUDGES
    rows = table[(table["measure"] == measure.name) & (table["judge"] == judge)]
    found = np.full((questions, candidates), np.nan)
    found[rows["question"].to_numpy(int), rows["candidate"].to_numpy(int)] = rows["score"].to_numpy(float)
    return found


def curve_figure(run: RunRecord) -> Figure | None:
    """Mean reward and component scores by training step, with a line where the weights were changed."""
    if run.curve.empty:
        return None
    figure = blank(height=330)
    steps = run.curve["step"].tolist()
    for place, name in enumerate(run.components):
        figure.add_scatter(
            x=steps,
            y=_known(run.curve[f"score {name}"]),
            name=shown(component_title(name)),
            mode="lines",
            line={"color": colour(place + 1), "width": 1.3, "dash": "dot"},
        )
    figure.add_scatter(
        x=steps, y=_known(run.curve["reward"]), name="Reward", mode="lines", line={"color": colour(0), "width": 2.6}
    )
    for change in run.weights:
        if change.step > 0:
            figure.add_vline(x=change.step, line={"color": INK, "width": 1, "dash": "dash"})
    figure.update_xaxes(title={"text": "Training step"}, gridcolor=RULE)
    figure.update_yaxes(title={"text": "Mean of the step's answers"})
    return figure


def _figures(evidence: Evidence) -> Iterator[tuple[str, Figure | None]]:
    results, count = evidence.results, len(evidence.questions)
    yield "radar", radar(results)
    for place, scale in enumerate(scales(results)):
        if scale.measures[0].low is not None:
            yield f"dots-{place}", dots(results, scale.measures)
            yield f"forest-{place}", forest(results, scale.measures)
    for run in evidence.runs:
        if isinstance(run, RunRecord):
            yield f"curve-{run.id}", curve_figure(run)
    main = main_measure(results)
    if main is None or evidence.vote_open:  # pictures of single answers say who wrote what
        return
    scores = scores_of(evidence.table, main, count, len(results.candidates))
    texts = [question.question.text for question in evidence.questions]
    figure = heat_map(results.candidates, texts, scores, main)
    yield "heat", figure and figure.update_layout(height=min(figure.layout.height, _TALLEST))
    characters = results.measure("characters")
    if characters is not None:
        lengths = scores_of(evidence.table, characters, count, len(results.candidates))
        yield "length", length_figure(results.candidates, lengths, scores, main)


def _known(values: pd.Series[float]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
