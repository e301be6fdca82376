"""ECharts options for curves by step: pure functions from a table to a dictionary, testable without Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from core.training.curves import Points

Option = dict[str, Any]

TEAL, LIGHT_TEAL, INDIGO, AMBER, ROSE = "#0f8a7e", "#58b5ab", "#6572de", "#d08700", "#c2417c"
GREY = "#8a94a0"
COMPONENT_COLOURS = {"semantic": INDIGO, "fluency": AMBER, "tags": TEAL}
OTHER_COLOURS = (ROSE, "#7a8b12", "#3b82b8", "#8d6748", "#8a5cc2")
"""Of custom rewards and the judge, in their order, over again when there are more."""
_LEGEND = {"type": "scroll", "top": 0, "left": 0, "itemWidth": 14, "itemHeight": 8, "icon": "roundRect"}
_ZOOMED_ROWS = 100
"""From so many rows on a chart can be zoomed: there is something to see that the whole of it hides."""


@dataclass(frozen=True)
class Curve:
    """One curve: the table's column, its name in the legend, its colour; faint ones stand back as points."""

    column: str
    name: str
    colour: str
    faint: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Band:
    """The area between two columns of the table."""

    low: str
    high: str
    name: str
    colour: str

    @property
    def width(self) -> str:
        """The column that the band needs: how far the upper one lies above the lower one."""
        return f"{self.high} above {self.low}"


@dataclass(frozen=True)
class Axis:
    """How the values of a chart are written.

    Attributes:
        tooltip: a printf format.
        label: an ECharts template.
        low, high: ends of the axis; where the values end by default.
        scale: what the values are multiplied by.
    """

    tooltip: str = "%.3f"
    label: str = "{value}"
    low: float | None = None
    high: float | None = None
    scale: float = 1.0


PLAIN, SHARE = Axis(), Axis("%.0f %%", "{value} %", 0, 100, scale=100)


def component_colours(names: Sequence[str]) -> dict[str, str]:
    """The colour of each component, the same on every page as long as the components are the same."""
    others = cycle(OTHER_COLOURS)
    return {name: COMPONENT_COLOURS.get(name) or next(others) for name in names}


def curves_option(table: Points, curves: Sequence[Curve], bands: Sequence[Band] = (), axis: Axis = PLAIN) -> Option:
    """Curves over the column `step`, with bands behind them."""
    series = [part for band in bands for part in _band_series(band)]
    names = [*(curve.name for curve in curves), *(band.name for band in bands)]
    series += [_curve_series(curve, alone=len(table["step"]) == 1) for curve in curves]
    columns: Points = {}
    for band in bands:
        columns |= {band.low: table[band.low], band.width: table[band.high] - table[band.low]}
    columns |= {curve.column: table[curve.column] for curve in curves}
    return _option(table["step"], columns, series, names, axis)


def stacked_option(table: Points, curves: Sequence[Curve], axis: Axis) -> Option:
    """Areas on top of each other over the column `step`."""
    alone = len(table["step"]) == 1
    filled = {"stack": "all", "areaStyle": {"opacity": 0.55}}
    series = [{**_curve_series(curve, alone), **filled} for curve in curves]
    columns = {curve.column: table[curve.column] for curve in curves}
    return _option(table["step"], columns, series, [curve.name for curve in curves], axis)


def _option(steps: NDArray[Any], columns: Points, series: list[Option], legend: list[str], axis: Axis) -> Option:
    # ECharts stacks the first column of numbers that it meets, so the step must come last.
    source = {name: pa.array(axis.scale * values.astype(float), from_pandas=True) for name, values in columns.items()}
    source["step"] = pa.array(steps)
    ends = {name: value for name, value in (("min", axis.low), ("max", axis.high)) if value is not None}
    found: Option = {
        "animation": False,
        "dataset": {"source": pa.table(source)},
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 8, "containLabel": True},
        "legend": {**_LEGEND, "data": legend},
        "tooltip": {"trigger": "axis", "valueFormatter": axis.tooltip},
        "xAxis": {
            "type": "value",
            "min": "dataMin",
            # a single step needs an axis that does not end where it begins
            "max": int(steps[0]) + 1 if len(steps) == 1 else "dataMax",
            "minInterval": 1,
            "axisPointer": {"label": {"precision": 0}},
            "splitLine": {"show": False},
            "axisLabel": {"showMinLabel": True, "hideOverlap": True},
        },
        "yAxis": {"type": "value", "scale": True, "axisLabel": {"formatter": axis.label}, **ends},
        "series": series,
    }
    if len(steps) >= _ZOOMED_ROWS:
        found["dataZoom"] = [{"type": "inside", "zoomOnMouseWheel": "ctrl"}]
    return found


def with_slider(option: Option) -> Option:
    """A chart of many rows with a slider under it that zooms."""
    if "dataZoom" not in option:
        return option
    slider = {"type": "slider", "height": 16, "bottom": 4, "showDetail": False, "brushSelect": False}
    return {**option, "dataZoom": [*option["dataZoom"], slider], "grid": {**option["grid"], "bottom": 30}}


def _curve_series(curve: Curve, alone: bool) -> Option:
    """A line, or points; a step that stands alone is marked, or its line would not be seen."""
    common: Option = {
        "name": curve.name,
        "encode": {"x": "step", "y": curve.column, "tooltip": [curve.column]},
        "itemStyle": {"color": curve.colour, "opacity": 0.7 if curve.faint else 1},
    }
    if curve.faint:
        return {**common, "type": "scatter", "symbolSize": 5}
    line = {"color": curve.colour, "width": 2.5, "type": "dashed" if curve.dashed else "solid"}
    return {**common, "type": "line", "showSymbol": alone, "lineStyle": line}


def _band_series(band: Band) -> list[Option]:
    """An area on an invisible line."""
    line: Option = {
        "type": "line",
        "stack": band.name,
        "stackStrategy": "all",
        "showSymbol": False,
        "silent": True,
        "lineStyle": {"opacity": 0},
        "tooltip": {"show": False},
    }
    area = {"areaStyle": {"opacity": 0.2, "color": band.colour}, "itemStyle": {"color": band.colour, "opacity": 0.4}}
    return [
        {**line, "name": f"{band.name}, from", "encode": {"x": "step", "y": band.low}},
        {**line, **area, "name": band.name, "encode": {"x": "step", "y": band.width}},
    ]
