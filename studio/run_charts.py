"""The charts of a run: functions from the steps that are drawn to an ECharts option, or to None when there is nothing
to show."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.reward.formula import VALIDITY
from core.reward.verdicts import component_title
from studio.charts import (
    AMBER,
    GREY,
    INDIGO,
    LIGHT_TEAL,
    PLAIN,
    ROSE,
    SHARE,
    TEAL,
    Axis,
    Band,
    Curve,
    Option,
    component_colours,
    curves_option,
    stacked_option,
    with_slider,
)
from studio.curve_view import View

_MOST_MARKS = 30
"""Changes of the weights that are marked, the newest."""
_MOST_LABELLED = 4
"""Of more marks than this only the newest says what it marks."""
_SIGNIFICANT = Axis("%.3g")
_GIB = Axis("%.2f GiB", "{value} GiB", low=0, scale=2**-30)


def reward(view: View) -> Option | None:
    """The total reward: each step, its running mean, the spread inside the groups, and the validation questions."""
    mean, spread = view.table["reward mean"], view.table["reward_std mean"]
    table = {**view.table, "spread from": mean - spread, "spread to": mean + spread}
    bands = [Band("spread from", "spread to", "spread inside a group", TEAL)]
    curves = [Curve("reward mean", f"mean of {view.smoothed:,} steps", TEAL)]
    if view.stretch == 1:
        curves.insert(0, Curve("reward", "each step", LIGHT_TEAL, faint=True))
    else:
        bands.insert(0, Band("reward low", "reward high", f"lowest to highest of {view.stretch:,} steps", GREY))
    option = with_slider(curves_option(table, curves, bands))
    _mark_changes(option, view)
    _add_validation(option, view, [(each.step, each.reward) for each in view.validations])
    return option


def components(view: View) -> Option | None:
    """The running mean of each component's score."""
    colours = component_colours(view.components)
    curves = [Curve(f"score {name} mean", component_title(name), colours[name]) for name in view.components]
    return _mark_changes(_lines(view, PLAIN, *curves), view)


def effective(view: View) -> Option | None:
    """The running mean of each component's share in what is learned, validity included."""
    colours = {**component_colours(view.components), VALIDITY: GREY}
    curves = [Curve(f"effective {name} mean", component_title(name), colour) for name, colour in colours.items()]
    return _mark_changes(_lines(view, Axis("%.0f %%", "{value} %", scale=100), *curves), view)


def form(view: View) -> Option | None:
    """Which shares of the completions are well formed and valid."""
    curves = [Curve("valid mean", "valid", INDIGO), Curve("well_formed mean", "well-formed", TEAL)]
    option = curves_option(view.table, curves, axis=SHARE)
    _add_validation(option, view, [(each.step, 100 * each.well_formed) for each in view.validations])
    return option


def spread(view: View) -> Option | None:
    """How much the rewards of a group differ."""
    return _lines(view, Axis(low=0), Curve("reward_std mean", "spread inside a group", TEAL))


def zero_variance(view: View) -> Option | None:
    """Which share of the groups teaches nothing."""
    return _lines(view, SHARE, Curve("zero_variance mean", "groups without differences", AMBER))


def kl(view: View) -> Option | None:
    """The distance from the base model."""
    return _lines(view, _SIGNIFICANT, Curve("kl mean", "KL divergence", INDIGO))


def entropy(view: View) -> Option | None:
    """How open the model's choice of the next token is."""
    return _lines(view, _SIGNIFICANT, Curve("entropy mean", "entropy", TEAL))


def clipping(view: View) -> Option | None:
    """Shares of tokens whose change was held back."""
    below = Curve("clip_low mean", "held back from below", INDIGO)
    above = Curve("clip_high mean", "held back from above", AMBER)
    return _lines(view, Axis("%.2f %%", "{value} %", low=0, scale=100), below, above)


def gradient(view: View) -> Option | None:
    """The size of the update before it is limited."""
    return _lines(view, Axis("%.3g", low=0), Curve("grad_norm mean", "gradient norm", AMBER))


def learning_rate(view: View) -> Option | None:
    """How large the steps are by plan."""
    return _lines(view, _SIGNIFICANT, Curve("learning_rate", "learning rate", GREY))


def length(view: View) -> Option | None:
    """Tokens of the completions: mean, shortest to longest."""
    bands, curves = [], [Curve("completion_tokens mean", "mean", INDIGO)]
    if _known(view, "longest"):
        bands.append(Band("shortest mean", "longest mean", "shortest to longest", INDIGO))
    if _known(view, "ended_tokens"):
        curves.append(Curve("ended_tokens mean", "mean of those that ended by themselves", ROSE, dashed=True))
    return curves_option(view.table, curves, bands, Axis("%.0f", low=0))


def truncation(view: View) -> Option | None:
    """Which share of the completions was cut."""
    return _lines(view, SHARE, Curve("truncated mean", "cut at the limit", AMBER))


def step_time(view: View) -> Option | None:
    """Where the seconds of a step go."""
    curves = [
        Curve("generate_seconds mean", "writing completions", INDIGO),
        Curve("score_seconds mean", "scoring", AMBER),
        Curve("update_seconds mean", "learning", TEAL),
    ]
    return stacked_option(view.table, curves, Axis("%.2f s", "{value} s", low=0))


def gpu_memory(view: View) -> Option | None:
    """GPU memory in use."""
    return _lines(view, _GIB, Curve("gpu_bytes", "GPU memory", INDIGO))


def host_memory(view: View) -> Option | None:
    """Memory of the job's process."""
    return _lines(view, _GIB, Curve("host_bytes", "memory of the job", TEAL))


def _lines(view: View, axis: Axis, *curves: Curve) -> Option | None:
    """Curves, when any of them is known at any step."""
    known = any(_known(view, curve.column) for curve in curves)
    return curves_option(view.table, curves, axis=axis) if known else None


def _known(view: View, column: str) -> bool:
    return not np.isnan(view.table[column]).all()


def _mark_changes(option: Option | None, view: View) -> Option | None:
    """The chart with a vertical line at every step from which on the reward was weighed otherwise."""
    changes = view.changes()[-_MOST_MARKS:]
    steps: list[Option] = [{"xAxis": change.step, "name": "weights"} for change in changes]
    for step in steps[:-1] if len(steps) > _MOST_LABELLED else ():
        step["label"] = {"show": False}  # they would lie on each other
    if option is not None and steps:
        option["series"][-1]["markLine"] = {
            "silent": True,
            "symbol": "none",
            "lineStyle": {"type": "dashed", "color": GREY},
            "label": {"formatter": "{b}", "color": GREY},
            "data": steps,
        }
    return option


def _add_validation(option: Option, view: View, points: list[tuple[int, float]]) -> None:
    """The validation questions as diamonds on a dashed line, the best step marked."""
    if not points:
        return
    series: dict[str, Any] = {
        "name": "validation questions",
        "type": "line",
        "symbol": "diamond",
        "symbolSize": 9,
        "itemStyle": {"color": ROSE},
        "lineStyle": {"color": ROSE, "width": 1.5, "type": "dashed"},
        "data": [[step, round(value, 4)] for step, value in points],
    }
    best = [[step, value] for step, value in points if view.best and step == view.best.step]
    if best:
        series["markPoint"] = {
            "symbol": "pin",
            "symbolSize": 40,
            "label": {"formatter": "best", "fontSize": 10},
            "data": [{"name": "best", "coord": best[0]}],
        }
    option["series"].append(series)
    option["legend"]["data"].append(series["name"])
