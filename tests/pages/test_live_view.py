"""The curves of a run on its page: their groups, what is said where there is nothing to see, and the validations."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.paths import Home
from core.runs.events import EventWriter, Validation
from core.runs.run import Run
from core.training.best import Best, keep_best
from studio import charts, feed, run_charts, run_panels
from studio.curve_view import View
from tests.build_runs import Plan, add_step, build_run

Open = Callable[..., AppTest]


def said(at: AppTest) -> str:
    return " ".join(caption.value for caption in at.caption)


def open_group(at: AppTest, name: str) -> AppTest:
    at.session_state["curve_group"] = name
    return at.run()


def validated(home: Home) -> Run:
    run = build_run(home, Plan(done=30))
    events = EventWriter(run.events)
    for step, reward in ((10, 0.25), (20, 0.75), (30, 0.5)):
        file = f"validation-{step:06d}.parquet"
        events.write("validation", step, Validation(step, 8, reward, 0.5, {"tags": 1.0}, file).data())
    keep_best(run, Best(20, 0.7, 0.5), lambda folder: None)
    return run


def titles(at: AppTest) -> list[str]:
    """What stands in bold above the charts, and everything else that is Markdown."""
    return [markdown.value.split("  \n")[0].strip("*") for markdown in at.markdown]


def test_the_reward_comes_first(train: Open, home: Home) -> None:
    at = train(build_run(home).id)
    assert not at.exception
    assert [tab.label for tab in at.tabs][:4] == ["Reward", "Model", "Completions", "Machine"]
    assert [title for title in titles(at) if title in ("Total reward", "Format")] == ["Total reward", "Format"]


@pytest.mark.parametrize(
    ("group", "shown", "explained"),
    [
        (
            "Model",
            ["Entropy", "Gradient norm", "Learning rate"],
            "not measured while KL weight (beta) is 0",
        ),
        ("Completions", ["Length in tokens", "Cut at the limit"], ""),
        ("Machine", ["Time of a step"], "has not used a GPU"),
    ],
)
def test_only_charts_with_something_to_show_are_drawn(
    train: Open, home: Home, group: str, shown: list[str], explained: str
) -> None:
    at = open_group(train(build_run(home).id), group)
    assert not at.exception
    assert [title for title in titles(at) if title in shown] == shown
    assert len(at.get("echarts_chart")) == len(shown)
    assert explained in said(at)


def test_validations_are_listed_the_newest_first_with_the_best_one_named(train: Open, home: Home) -> None:
    at = train(validated(home).id)
    assert not at.exception
    frame = next(frame.value for frame in at.dataframe if "Kept as" in frame.value.columns)
    assert frame["Step"].tolist() == [30, 20, 10]
    assert frame["Kept as"].tolist() == ["", "best", ""]
    assert "after step 20 did best" in said(at)


def test_a_score_that_no_validation_knows_is_an_empty_cell() -> None:
    found = [Validation(10, 8, 0.5, 0.5, {"tags": math.nan}, "")]
    rows = run_panels._validation_rows("a run without", 1, 10, 0.5, None, found)
    assert (rows["Tags"].null_count, rows["Mean reward"].null_count) == (1, 0)


def test_a_run_without_validations_says_how_to_have_some(train: Open, home: Home) -> None:
    assert "Validate every so many steps” is above 0" in said(train(build_run(home).id))


def test_the_table_of_components_shows_the_weights_in_force(train: Open, home: Home) -> None:
    run = build_run(home, Plan("running", done=6))
    changed = {**run.config().reward.weights, "tags": 0.9}
    EventWriter(run.events).write("weights", 5, {"weights": changed, "by": "user"})
    frame = next(frame.value for frame in train(run.id).dataframe if "Verdict" in frame.value.columns)
    assert frame.set_index("Component")["Weight"]["Tags"] == 0.9


def test_a_page_does_not_wait_for_the_curves_of_an_older_run(
    train: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = build_run(home, Plan(done=6))
    shutil.rmtree(run.curves)
    gate, rebuild = threading.Event(), feed.rebuild
    monkeypatch.setattr("studio.runs_list.rebuild", lambda run: None)  # the list would make them as well
    monkeypatch.setattr(feed, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(feed, "rebuild", lambda run: (gate.wait(), rebuild(run)))
    at = train(run.id)
    gate.set()
    assert not at.exception
    assert "curves are being made from its log" in said(at)
    next(thread for thread in threading.enumerate() if "_make_curves" in thread.name).join()
    assert len(at.run().get("echarts_chart")) == 6


def charts_of(at: AppTest) -> list[str]:
    assert not at.exception
    return [str(chart.proto) for chart in at.get("echarts_chart")]


def test_charts_are_made_once_for_everybody_who_looks(train: Open, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build_run(home, Plan("running", done=20))
    made: list[int] = []

    def reward(view: View) -> charts.Option | None:
        made.append(view.last)
        return run_charts.reward(view)

    panel = replace(run_panels.GROUPS["Reward"][0], draw=reward)
    monkeypatch.setitem(run_panels.GROUPS, "Reward", (panel,))
    first, second = train(run.id), train(run.id)
    assert charts_of(first) == charts_of(second) != []
    assert made == [20]
    add_step(run, 21)
    assert charts_of(second.run()) != charts_of(first)
    assert charts_of(first.run()) == charts_of(second)
    assert made == [20, 21]
