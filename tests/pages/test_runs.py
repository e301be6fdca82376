"""The Runs page: found, opened, named, put away, deleted, packed and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import worker
from core.jobs.folder import Status
from core.jobs.tasks import create_task
from core.paths import Home
from core.runs.export import exports_folder
from core.runs.labels import change_label, read_label
from core.runs.lines import line_of
from core.runs.run import Run, find_run, list_runs
from studio import runs_list
from studio.navigation import RUNS
from tests.build_runs import HOSTILE, Plan, build_run

Open = Callable[..., AppTest]
RUNS_PAGE = str(RUNS.path)


@pytest.fixture
def open_runs(overview: Callable[[], AppTest]) -> Open:
    """Opens the Runs page, comparing the runs that are named."""

    def opened(*compared: str) -> AppTest:
        at = overview()
        at.switch_page(RUNS_PAGE)
        if compared:
            at.query_params["compare"] = ",".join(compared)
        return at.run()

    return opened


@pytest.fixture
def runs(home: Home) -> list[Run]:
    """A tagged run, one with another seed, and one that failed; the newest last."""
    made = [
        build_run(home, Plan("finished", done=12, steps=12)),
        build_run(home, Plan("finished", done=12, steps=12, seed=1, preset="article")),
        build_run(home, Plan("failed", done=3, steps=12)),
    ]
    change_label(made[0], title="Warfarin", add=["ward 7"])
    return made


def listed(at: AppTest) -> pd.DataFrame:
    """The list of runs."""
    return table_with(at, "Tags")


def tick(at: AppTest, home: Home, ids: Sequence[str], cells: Sequence[Any] = ()) -> AppTest:
    """Tick the rows of these runs in a list that shows all."""
    lines = [line_of(run) for run in list_runs(home)]
    shown = listed(at)["Run"].tolist()
    key = runs_list.table_key([line for line in lines if line.run.id in shown])
    rows = [shown.index(run_id) for run_id in ids]
    at.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": list(cells)}}
    return at.run()


def answer(at: AppTest, opened_by: str, key: str) -> AppTest:
    """Press a button of a question. The driver runs the whole page, so what opened the question is held down."""
    at.button(key=opened_by).click()
    return at.button(key=key).click().run()


def table_with(at: AppTest, column: str) -> pd.DataFrame:
    """The table that has this column."""
    return next(frame.value for frame in at.dataframe if column in frame.value.columns)


def texts(at: AppTest) -> str:
    return " ".join(str(element.value) for kind in (at.text, at.markdown, at.caption, at.error) for element in kind)


def test_a_home_without_runs_says_how_to_begin(open_runs: Open) -> None:
    at = open_runs()
    assert not at.exception
    assert "No runs yet" in texts(at)
    assert not at.dataframe


def test_runs_are_listed_newest_first_with_what_they_are(open_runs: Open, runs: list[Run]) -> None:
    at = open_runs()
    assert not at.exception
    table = listed(at)
    assert table["Run"].tolist() == [run.id for run in reversed(runs)]
    assert table["State"].tolist() == [["Failed"], ["Finished"], ["Finished"]]
    assert table["Reward"].tolist() == ["Robust", "Article", "Robust"]
    assert (table["Title"].iloc[2], list(table["Tags"].iloc[2])) == ("Warfarin", ["ward 7"])
    assert table["Last"].iloc[2] == pytest.approx(line_of(runs[0]).last)
    assert table["Best"].isna().all()


def test_a_search_narrows_the_list_and_says_when_nothing_is_left(open_runs: Open, runs: list[Run]) -> None:
    at = open_runs()
    at.text_input(key="runs.search").set_value("warfarin").run()
    assert listed(at)["Run"].tolist() == [runs[0].id]
    at.text_input(key="runs.search").set_value("heparin").run()
    assert not at.exception
    assert "No run is like that" in at.info[0].value
    at.text_input(key="runs.search").set_value("")
    at.multiselect(key="runs.states").set_value(["Failed"]).run()
    assert listed(at)["Run"].tolist() == [runs[2].id]
    at.multiselect(key="runs.states").set_value([])
    at.multiselect(key="runs.tags").set_value(["ward 7"]).run()
    assert listed(at)["Run"].tolist() == [runs[0].id]


def test_a_click_on_a_run_opens_it(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = tick(open_runs(), home, [], cells=[[1, "Model"]])
    assert not at.exception
    assert at.query_params["run"] == runs[1].id


def test_open_leads_to_the_one_run_that_is_ticked(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = tick(open_runs(), home, [runs[1].id])
    at.button(key="runs.open").click().run()
    assert not at.exception
    assert at.query_params["run"] == runs[1].id


def test_a_title_and_tags_are_written_on_a_run(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = tick(open_runs(), home, [runs[0].id])
    at.button(key="runs.label").click().run()
    at.text_input(key=f"runs.title {runs[0].id}").set_value("Warfarin, final")
    at.multiselect(key=f"runs.tags {runs[0].id}").set_value(["best"])
    at.text_area(key=f"runs.note {runs[0].id}").set_value("Show this one.")
    answer(at, "runs.label", "runs.label.save")
    assert not at.exception
    label = read_label(runs[0])
    assert (label.title, label.tags, label.note) == ("Warfarin, final", ("best",), "Show this one.")
    assert listed(at)["Title"].tolist()[2] == "Warfarin, final"


def test_a_tag_for_several_runs_leaves_the_tags_of_each(open_runs: Open, home: Home, runs: list[Run]) -> None:
    change_label(runs[1], add=["shared"])
    change_label(runs[0], add=["shared"])
    at = tick(open_runs(), home, [runs[0].id, runs[1].id])
    at.button(key="runs.label").click().run()
    at.multiselect(key=f"runs.tags {runs[0].id} {runs[1].id}").set_value(["new"])
    answer(at, "runs.label", "runs.label.save")
    assert [read_label(run).tags for run in runs[:2]] == [("ward 7", "new"), ("new",)]


def test_a_tag_that_is_not_allowed_is_explained_and_nothing_is_written(
    open_runs: Open, home: Home, runs: list[Run]
) -> None:
    at = tick(open_runs(), home, [runs[1].id])
    at.button(key="runs.label").click().run()
    at.multiselect(key=f"runs.tags {runs[1].id}").set_value(["x" * 41])
    answer(at, "runs.label", "runs.label.save")
    assert not at.exception
    assert "40 characters" in at.error[0].value
    assert read_label(runs[1]).tags == ()


def test_an_archived_run_leaves_the_list_and_comes_back(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = tick(open_runs(), home, [runs[1].id])
    at.button(key="runs.archive").click().run()
    assert not at.exception
    assert runs[1].id not in listed(at)["Run"].tolist()
    at.toggle(key="runs.archived").set_value(True).run()
    tick(at, home, [runs[1].id]).button(key="runs.unarchive").click().run()
    assert not read_label(runs[1]).archived


def test_delete_names_the_runs_and_what_they_free_and_asks_first(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = tick(open_runs(), home, [runs[0].id, runs[2].id])
    at.button(key="runs.delete").click().run()
    assert not at.exception
    shown = texts(at)
    assert f"{runs[0].id}  Warfarin" in shown and runs[2].id in shown and "This frees" in shown
    assert len(list_runs(home)) == 3
    answer(at, "runs.delete", "runs.delete.no")
    assert len(list_runs(home)) == 3


def test_delete_removes_what_was_agreed_to(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = tick(open_runs(), home, [runs[0].id, runs[2].id])
    at.button(key="runs.delete").click().run()
    answer(at, "runs.delete", "runs.delete.yes")
    assert not at.exception
    assert list_runs(home) == [runs[1]]
    assert listed(at)["Run"].tolist() == [runs[1].id]


def test_a_live_run_cannot_be_deleted(open_runs: Open, home: Home) -> None:
    live = build_run(home, Plan("running", done=2))
    at = tick(open_runs(), home, [live.id])
    at.button(key="runs.delete").click().run()
    assert not at.exception
    assert "Stop it first" in at.error[0].value
    assert not [button for button in at.button if button.key == "runs.delete.yes"]


def test_a_row_that_is_ticked_never_becomes_another_run(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = tick(open_runs(), home, [runs[2].id])
    build_run(home, Plan("finished", done=1, steps=1))
    at.run()
    assert not [button for button in at.button if button.key == "runs.delete"]


def test_an_export_is_a_task_and_its_file_is_handed_out(
    open_runs: Open, home: Home, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_stop_on_signals", lambda job: None)  # pytest keeps its own
    task = create_task(home, "export_run", {"runs": [runs[0].id], "checkpoints": False})
    assert worker.main(task.folder, home.root) == 0
    at = open_runs()
    assert not at.exception
    assert f"{runs[0].id}-1.zip" in texts(at)
    (exports_folder(home) / f"{runs[0].id}-1.zip").unlink()
    assert f"{runs[0].id}-1.zip" not in texts(at.run())


def test_export_starts_the_task_with_what_was_chosen(
    open_runs: Open, home: Home, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        "core.jobs.supervisor.start_task", lambda home, kind, arguments: started.append((kind, arguments))
    )
    at = tick(open_runs(), home, [runs[0].id, runs[1].id])
    at.button(key="runs.export").click().run()
    at.checkbox(key="runs.export.checkpoints").check()
    answer(at, "runs.export", "runs.export.yes")
    assert not at.exception
    assert started == [("export_run", {"runs": [runs[0].id, runs[1].id], "checkpoints": True})]


def test_ticked_runs_are_compared_and_the_address_says_which(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = tick(open_runs(), home, [runs[0].id, runs[1].id])
    at.button(key="runs.compare").click().run()
    assert not at.exception
    assert at.query_params["compare"] == f"{runs[0].id},{runs[1].id}"
    assert at.title[0].value == "Compare runs"
    at.button(key="compare.back").click().run()
    assert at.title[0].value == "Runs"
    assert "compare" not in at.query_params


def test_a_comparison_is_found_again_by_its_address(open_runs: Open, runs: list[Run]) -> None:
    at = open_runs(runs[0].id, runs[1].id)
    assert not at.exception
    results = table_with(at, "After")
    assert results["Run"].tolist() == ["A: Warfarin", f"B: {runs[1].id}"]
    assert results["After"].notna().all()
    settings = table_with(at, "Setting").set_index("Setting")
    assert settings.loc["Seed"].tolist() == ["0", "1"]
    assert "Steps" not in settings.index


@pytest.mark.parametrize("metric", ["reward", "kl", "score semantic"])
def test_any_metric_is_drawn_by_step_or_by_time_or_said_to_be_missing(
    metric: str, open_runs: Open, runs: list[Run]
) -> None:
    at = open_runs(runs[0].id, runs[1].id)
    at.selectbox(key="compare.metric").set_value(metric)
    at.run()
    assert not at.exception
    missing = "None of these runs has measured that" in texts(at)
    assert missing is (metric == "kl")
    assert len(at.get("echarts_chart")) == (0 if missing else 1)


def test_a_run_that_is_gone_is_named_and_the_others_are_compared(open_runs: Open, runs: list[Run]) -> None:
    at = open_runs(runs[0].id, "demo-gone", "../evil")
    assert not at.exception
    assert "demo\\-gone" in at.error[0].value
    assert len(at.error) == 2
    assert table_with(at, "After")["Run"].tolist() == ["A: Warfarin"]


def test_hostile_titles_and_tags_stay_text(open_runs: Open, home: Home, runs: list[Run]) -> None:
    change_label(runs[0], title=HOSTILE[:100], add=["<img src=x>"])
    at = open_runs()
    assert listed(at)["Title"].iloc[2] == HOSTILE[:100].strip()
    tick(at, home, [runs[0].id]).button(key="runs.delete").click().run()
    assert any(HOSTILE[:60] in text.value for text in at.text)
    assert not [element for element in at.markdown if "<img" in element.value]
    assert not open_runs(runs[0].id, runs[1].id).exception


def test_a_run_without_readable_settings_is_listed_and_cannot_be_compared(
    open_runs: Open, home: Home, runs: list[Run]
) -> None:
    runs[0].config_file.write_text("{")
    at = open_runs()
    assert not at.exception
    assert "unreadable" in listed(at)["Reward"].tolist()
    at = open_runs(runs[0].id, runs[1].id)
    assert not at.exception
    assert "not valid JSON" in at.error[0].value


def test_what_changes_in_a_run_shows_at_the_next_look(open_runs: Open, home: Home, runs: list[Run]) -> None:
    at = open_runs()
    runs[2].write_status(Status(state="stopped", step=3, steps=12))
    change_label(find_run(home, runs[2].id), title="Now named")
    table = listed(at.run())
    assert (table["State"].iloc[0], table["Title"].iloc[0]) == (["Stopped"], "Now named")
