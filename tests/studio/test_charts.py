"""The curves: what is drawn, and that a long run stays small."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.paths import Home
from core.runs.events import EventWriter, Validation
from core.runs.run import Run
from core.training.best import Best
from core.training.curves import CurveWriter
from studio import charts
from studio.curve_view import MOST_VALIDATIONS, View, smoothing
from studio.feed import RunFeed
from studio.run_panels import GROUPS, Panel, columns_of
from studio.settings import CHART_POINTS
from tests.build import metrics
from tests.build_runs import Plan, build_run

PANELS = {panel.title: panel for panels in GROUPS.values() for panel in panels}


def run_of(home: Home, steps: int, **numbers: Any) -> Run:
    """A run whose reward rises from 0 to 1, and whose other numbers are these at every step."""
    run = build_run(home, Plan("running", done=0, steps=max(steps, 36)))
    writer = CurveWriter(run.curves, run.config().reward.components)
    for step in range(1, steps + 1):
        writer.append(metrics(step, reward=step / steps, **numbers), run.config().reward.weights)
    return run


def view_of(run: Run, window: int | None = None, best: Best | None = None) -> View:
    feed = RunFeed(run).update()
    return View.of(feed, window, columns_of(list(PANELS.values()), feed.components), best)


def source(option: charts.Option | None) -> pd.DataFrame:
    assert option is not None
    frame: pd.DataFrame = option["dataset"]["source"].to_pandas()
    return frame


@pytest.mark.parametrize("title", PANELS)
@pytest.mark.parametrize("steps", [1, 36, 2000])
def test_every_series_reads_columns_that_the_table_has(title: str, steps: int, home: Home) -> None:
    known = dict.fromkeys(("kl", "clip_low", "clip_high", "gpu_bytes", "host_bytes", "shortest", "longest"), 0.5)
    option = PANELS[title].draw(view_of(run_of(home, steps, **known)))
    table = source(option)
    assert option is not None and 0 < len(table) <= CHART_POINTS + 2
    assert table.columns[-1] == "step"  # ECharts would stack the steps
    for series in option["series"]:
        assert {series["encode"]["x"], series["encode"]["y"]} <= set(table.columns)
    json.dumps({key: value for key, value in option.items() if key != "dataset"}, allow_nan=False)


@pytest.mark.parametrize(
    "title", ["Distance from the base model (KL)", "Held back by clipping", "GPU memory", "Memory of the job"]
)
def test_a_chart_without_a_number_is_not_drawn_but_explained(title: str, home: Home) -> None:
    panel: Panel = PANELS[title]
    assert panel.draw(view_of(run_of(home, 3))) is None
    assert panel.absent


def test_a_window_draws_only_the_newest_steps(home: Home) -> None:
    run = run_of(home, 300)
    table = source(PANELS["Total reward"].draw(view_of(run, 100)))
    assert (table["step"].min(), table["step"].max()) == (201, 300)


def test_the_running_mean_of_a_window_goes_on_from_the_steps_before_it(home: Home) -> None:
    view = view_of(run_of(home, 300), 100)
    expected = np.mean([step / 300 for step in range(197, 202)])
    assert view.table["reward mean"][0] == pytest.approx(expected)


def test_the_running_mean_takes_as_many_steps_as_there_are(home: Home) -> None:
    table = view_of(run_of(home, 4)).table
    assert table["reward mean"].tolist() == pytest.approx([0.25, 0.375, 0.5, 0.625])


def test_the_extremes_of_a_long_run_stay(home: Home) -> None:
    run = run_of(home, 3000)
    CurveWriter(run.curves, run.config().reward.components).append(metrics(3001, reward=-9.0), {})
    assert view_of(run).table["reward low"].min() == -9.0


def test_shares_are_drawn_in_percent(home: Home) -> None:
    assert source(PANELS["Format"].draw(view_of(run_of(home, 5))))["valid mean"].tolist() == [90.0] * 5


def test_the_band_is_the_spread_inside_the_groups(home: Home) -> None:
    table = source(PANELS["Total reward"].draw(view_of(run_of(home, 5, reward_std=0.25))))
    assert (table["reward mean"] - table["spread from"]).tolist() == pytest.approx([0.25] * 5)
    assert table["spread to above spread from"].tolist() == pytest.approx([0.5] * 5)


def test_a_change_of_the_weights_is_a_vertical_line(home: Home) -> None:
    run = run_of(home, 30)
    changed = {**run.config().reward.weights, "tags": 0.9}
    EventWriter(run.events).write("weights", 12, {"weights": changed, "by": "user"})
    for title in ("Total reward", "Score of each component", "What each component decides"):
        option = PANELS[title].draw(view_of(run))
        assert option is not None
        marks = [series["markLine"]["data"] for series in option["series"] if "markLine" in series]
        assert marks == [[{"xAxis": 12, "name": "weights"}]]


def test_of_many_changes_only_the_newest_says_what_it_is(home: Home) -> None:
    run = run_of(home, 30)
    log = EventWriter(run.events)
    for step in range(2, 8):
        log.write("weights", step, {"weights": {**run.config().reward.weights, "tags": step / 10}, "by": "user"})
    option = PANELS["Total reward"].draw(view_of(run))
    assert option is not None
    marks = next(series["markLine"]["data"] for series in option["series"] if "markLine" in series)
    assert [mark["xAxis"] for mark in marks if mark.get("label", {}).get("show", True)] == [7]
    assert len(marks) == 6


def test_validation_stands_on_the_same_axis_with_the_best_step_marked(home: Home) -> None:
    run = run_of(home, 30)
    events = EventWriter(run.events)
    for step, reward in ((10, 0.25), (20, 0.75), (30, 0.5)):
        events.write("validation", step, Validation(step, 8, reward, 0.5, {"tags": 1.0}, "").data())
    view = view_of(run, best=Best(20, 0.7, 0.5))
    option, formed = PANELS["Total reward"].draw(view), PANELS["Format"].draw(view)
    assert option is not None and formed is not None
    assert option["series"][-1]["data"] == [[10, 0.25], [20, 0.75], [30, 0.5]]
    assert option["series"][-1]["markPoint"]["data"] == [{"name": "best", "coord": [20, 0.75]}]
    assert formed["series"][-1]["data"] == [[10, 50.0], [20, 50.0], [30, 50.0]]
    assert view_of(run, 15).validations[0].step == 20


def test_very_many_validations_are_thinned(home: Home) -> None:
    run = run_of(home, 2 * MOST_VALIDATIONS)
    events = EventWriter(run.events)
    for step in range(1, 2 * MOST_VALIDATIONS + 1):
        events.write("validation", step, Validation(step, 8, 0.5, 0.5, {"tags": 1.0}, "").data())
    found = view_of(run).validations
    assert len(found) == MOST_VALIDATIONS
    assert (found[0].step, found[-1].step) == (1, 2 * MOST_VALIDATIONS)


def test_a_single_step_is_seen(home: Home) -> None:
    option = PANELS["Score of each component"].draw(view_of(run_of(home, 1)))
    assert option is not None
    assert option["xAxis"]["max"] == 2
    assert all(series["showSymbol"] for series in option["series"])


def test_only_a_run_of_many_steps_can_be_zoomed(home: Home) -> None:
    short, long = (PANELS["Total reward"].draw(view_of(run_of(home, steps))) for steps in (36, 500))
    assert short is not None and "dataZoom" not in short
    assert long is not None and [zoom["type"] for zoom in long["dataZoom"]] == ["inside", "slider"]


def test_a_number_that_is_not_known_is_a_gap(home: Home) -> None:
    run = run_of(home, 3, kl=0.5)
    CurveWriter(run.curves, run.config().reward.components).append(metrics(4), {})
    table = source(PANELS["Distance from the base model (KL)"].draw(view_of(run)))
    assert table["kl mean"].notna().tolist() == [True] * 4  # the mean goes over what is known
    assert np.isnan(view_of(run).table["kl"]).tolist() == [False, False, False, True]


@pytest.mark.parametrize(("steps", "width"), [(36, 5), (1000, 50), (100_000, 500)])
def test_a_long_run_is_smoothed_more(steps: int, width: int) -> None:
    assert smoothing(steps) == width


def test_every_component_keeps_its_colour() -> None:
    colours = charts.component_colours(["semantic", "mine", "tags", "other"])
    assert colours["semantic"] == charts.INDIGO and colours["mine"] != colours["other"]
