"""The curves: what is drawn, and that a long run stays small."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from core.events import EventWriter
from core.paths import Home
from studio import charts
from studio.feed import RunFeed
from tests.build_runs import Plan, build_run


def frame_of(steps: int) -> pd.DataFrame:
    values = np.linspace(0.0, 1.0, steps)
    columns = ("reward", "semantic", "fluency", "tags", "well_formed", "valid", "truncated")
    return pd.DataFrame({"step": range(1, steps + 1), **dict.fromkeys(columns, values)})


def test_running_mean_takes_as_many_rows_as_there_are() -> None:
    table = charts.running_mean(pd.DataFrame({"reward": [1.0, 3.0, 5.0]}), ["reward"], width=2)
    assert table["reward mean"].tolist() == [1.0, 2.0, 4.0]


def test_thinning_leaves_a_short_run_alone() -> None:
    frame = frame_of(100)
    assert charts.thin(frame, "reward", points=100) is frame


def test_thinning_keeps_the_extremes_of_a_long_run() -> None:
    frame = frame_of(100_000)
    frame.loc[54_321, "reward"] = 9.0
    frame.loc[12_345, "reward"] = -9.0
    thinned = charts.thin(frame, "reward")
    assert len(thinned) <= charts.CHART_POINTS
    assert (thinned["reward"].min(), thinned["reward"].max()) == (-9.0, 9.0)
    assert thinned["step"].is_monotonic_increasing


@pytest.mark.parametrize("build", [charts.reward_option, charts.components_option, charts.shares_option])
@pytest.mark.parametrize("steps", [0, 1, 36, 5000])
def test_every_series_reads_columns_that_the_table_has(build: charts.Builder, steps: int) -> None:
    option = build(frame_of(steps), None)
    table = option["dataset"]["source"]
    for series in option["series"]:
        assert {series["encode"]["x"], series["encode"]["y"]} <= set(table.columns)
    assert len(table) <= charts.CHART_POINTS
    json.dumps({key: value for key, value in option.items() if key != "dataset"})


def test_window_draws_only_the_newest_steps() -> None:
    table = charts.reward_option(frame_of(300), window=100)["dataset"]["source"]
    assert (table["step"].min(), table["step"].max()) == (201, 300)


def test_shares_are_drawn_in_percent() -> None:
    table = charts.shares_option(frame_of(10))["dataset"]["source"]
    assert table["valid mean"].max() > 50


def test_a_feed_takes_in_only_what_is_new(home: Home) -> None:
    run = build_run(home, Plan("running", done=3))
    feed = RunFeed(run)
    assert feed.update().frame()["step"].tolist() == [1, 2, 3]
    events = EventWriter(run.events)
    events.write("alert", 3, {"message": "2 rows are left out."})
    events.write("metrics", 4, feed.metrics()[-1].data())
    events.close()
    assert feed.update().frame()["step"].tolist() == [1, 2, 3, 4]
    assert [note.message for note in feed.notes] == ["2 rows are left out."]


def test_a_step_done_again_after_a_resume_replaces_the_first(home: Home) -> None:
    run = build_run(home, Plan("running", done=3))
    feed = RunFeed(run).update()
    events = EventWriter(run.events)
    events.write("metrics", 2, feed.metrics()[1].data() | {"reward": -0.5})
    events.close()
    assert feed.update().frame()["reward"].tolist()[1] == -0.5
    assert len(feed.frame()) == 3


def test_a_single_step_is_seen() -> None:
    option = charts.components_option(frame_of(1))
    assert option["xAxis"]["max"] == 2
    assert all(series["showSymbol"] for series in option["series"])
