"""Curves of several runs over each other."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from core.paths import Home
from core.training.curves import CurveReader, CurveWriter, metrics_of
from studio.runs_curves import METRICS, overlay, running_means
from studio.runs_curves import metrics_of as comparable
from tests.build import metrics
from tests.build_runs import Plan, build_run


def written(home: Home, rewards: list[float], seconds: float = 30.0) -> CurveReader:
    """The curves of a run that earned these rewards."""
    folder = home.root / f"curves-{len(rewards)}"
    writer = CurveWriter(folder, ["tags"])
    for step, reward in enumerate(rewards, start=1):
        writer.append(metrics(step, reward=reward, step_seconds=seconds), {"tags": 1.0})
    return CurveReader(folder)


def test_a_short_run_is_drawn_as_the_mean_of_five_steps(home: Home) -> None:
    run = build_run(home, Plan("finished", done=12, steps=12))
    rewards = pd.Series([m.reward for m in metrics_of(run)])
    drawn = running_means(CurveReader(run.curves), "reward", "By step")
    assert drawn["x"].tolist() == list(range(1, 13))
    assert drawn["mean"].tolist() == pytest.approx(rewards.rolling(5, min_periods=1).mean().tolist())


def test_training_time_adds_up_over_the_steps(home: Home) -> None:
    drawn = running_means(written(home, [0.1] * 8), "reward", "By training time")
    assert drawn["x"].tolist() == pytest.approx([0.5 * step for step in range(1, 9)])


def test_a_long_run_takes_as_long_in_few_points_as_in_all(home: Home) -> None:
    drawn = running_means(written(home, [0.1] * 3000, seconds=6.0), "reward", "By training time")
    assert len(drawn) <= 502
    assert drawn["x"].iloc[-1] == pytest.approx(300.0)


def test_a_metric_that_was_not_measured_and_a_run_without_steps_draw_nothing(home: Home) -> None:
    assert running_means(written(home, [0.1, math.nan]), "kl", "By step").empty
    assert running_means(CurveReader(home.root / "nothing"), "reward", "By step").empty


def test_every_metric_and_every_component_of_any_run_can_be_chosen(home: Home) -> None:
    found = comparable([written(home, [0.1]), CurveReader(build_run(home, Plan(done=1)).curves)])
    assert set(METRICS) < set(found)
    assert [name for name in found if name.startswith("score ")] == ["score tags", "score semantic", "score fluency"]


def test_runs_of_different_lengths_share_one_table_and_names_are_never_read_as_html() -> None:
    short = pd.DataFrame({"x": [1.0, 2.0], "mean": [0.1, 0.2]})
    long = pd.DataFrame({"x": [1.0, 2.0, 3.0], "mean": [0.3, 0.4, 0.5]})
    option = overlay({"A: <b>one</b>": short, "B: two": long}, "By step")
    table = option["dataset"]["source"]
    assert table["x"].tolist() == [1.0, 2.0, 3.0]
    assert table["B: two"].tolist() == [0.3, 0.4, 0.5]
    assert math.isnan(table["A: <b>one</b>"].iloc[2])
    assert option["tooltip"]["renderMode"] == "richText"
