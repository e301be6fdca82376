"""The Overview as a newcomer and as somebody with runs sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.paths import HOME_VARIABLE, Home
from core.runs.labels import change_label
from tests.build_runs import Plan, build_run

Open = Callable[[], AppTest]


def test_an_empty_home_is_greeted_with_a_way_to_begin(overview: Open) -> None:
    at = overview()
    assert not at.exception
    assert at.button(key="start_new").label == "Start a training run"
    assert "No runs yet" in " ".join(text.value for text in at.markdown)
    assert not at.dataframe


def test_models_that_are_missing_are_named_with_the_remedy(overview: Open) -> None:
    at = overview()
    assert {m.label: m.value for m in at.metric}["Embedded models ready"] == "0 of 2"
    assert any("python \\-m core prepare" in caption.value for caption in at.caption)


def test_the_button_leads_to_the_form(overview: Open) -> None:
    at = overview()
    at.button(key="start_new").click().run()
    assert not at.exception
    assert at.title[0].value == "New training run"


def test_runs_are_listed_newest_first_with_how_they_stand(overview: Open, home: Home) -> None:
    finished = build_run(home, Plan("finished"))
    interrupted = build_run(home, Plan("interrupted", done=12, preset="notebook"))
    table = overview().dataframe(key="runs").value
    assert table["Run"].tolist() == [interrupted.id, finished.id]
    assert table["State"].tolist() == [["Interrupted"], ["Finished"]]
    assert table["Steps"].tolist() == ["12 of 36", "36 of 36"]
    assert table["Reward"].tolist() == ["Notebook", "Robust"]
    assert len(table["Reward by step"].iloc[0]) == 12


def test_choosing_a_row_opens_its_run(overview: Open, home: Home) -> None:
    build_run(home, Plan("finished"))
    wanted = build_run(home, Plan("failed", done=5))
    at = overview()
    at.session_state["runs"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception
    assert at.query_params["run"] == wanted.id


def test_the_run_that_was_clicked_opens_even_when_another_has_begun_since(overview: Open, home: Home) -> None:
    wanted = build_run(home, Plan("finished"))
    at = overview()
    build_run(home, Plan("running", done=1))
    at.session_state["runs"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception
    assert at.query_params["run"] == wanted.id


def test_a_run_whose_settings_are_broken_is_listed_all_the_same(overview: Open, home: Home) -> None:
    run = build_run(home, Plan("finished"))
    (run.folder / "config.json").write_text("{")
    at = overview()
    assert not at.exception
    assert at.dataframe(key="runs").value["Reward"].tolist() == ["unreadable"]


def test_a_home_that_cannot_be_made_is_said_in_one_sentence(
    overview: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a file"
    file.touch()
    monkeypatch.setenv(HOME_VARIABLE, str(file / "home"))
    at = overview()
    assert not at.exception
    assert "cannot be written" in at.error[0].value


def test_only_the_five_newest_runs_stand_there_and_the_rest_a_click_away(overview: Open, home: Home) -> None:
    made = [build_run(home, Plan("finished", done=1, steps=1)) for _ in range(6)]
    at = overview()
    assert at.dataframe(key="runs").value["Run"].tolist() == [run.id for run in reversed(made[1:])]
    (link,) = at.get("page_link")
    assert link.proto.label == "Search and compare all 6 runs"


def test_an_archived_run_is_not_among_the_newest(overview: Open, home: Home) -> None:
    shown, archived = (build_run(home, Plan("finished", done=1, steps=1)) for _ in range(2))
    change_label(archived, archived=True)
    assert overview().dataframe(key="runs").value["Run"].tolist() == [shown.id]
