"""What the pages say of a run's life: what it ends with, and the way on after that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import cml_jobs, launchers, supervisor
from core.paths import Home, write_json
from core.runs.labels import change_label
from core.runs.run import Run
from tests.build_runs import Plan, build_run

Open = Callable[..., AppTest]


def captions(at: AppTest) -> str:
    return " ".join(caption.value for caption in at.caption)


def test_an_interrupted_run_is_offered_to_go_on(overview: Open, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build_run(home, Plan("interrupted", done=12))
    resumed: list[Run] = []
    monkeypatch.setattr(supervisor, "resume", lambda home, run: resumed.append(run))
    at = overview()
    assert any(f"{run.id}: Interrupted at step 12" in text.value for text in at.text)
    at.button(key=f"resume_{run.id}").click().run()
    assert (resumed, list(at.exception)) == ([run], [])


def test_only_the_newest_interrupted_runs_are_offered_and_the_others_counted(overview: Open, home: Home) -> None:
    runs = [build_run(home, Plan("interrupted", done=1)) for _ in range(5)]
    change_label(runs[-1], archived=True)
    at = overview()
    offered = {button.key for button in at.button if button.key and button.key.startswith("resume_")}
    assert offered == {f"resume_{run.id}" for run in runs[1:4]}
    assert "1 more" in captions(at)


@pytest.mark.parametrize(("days", "offered"), [(13, True), (15, False)])
def test_a_run_that_broke_off_long_ago_is_offered_no_more(overview: Open, home: Home, days: int, offered: bool) -> None:
    run = build_run(home, Plan("interrupted", done=3))
    run.write_status(replace(run.written_status(), updated=time.time() - days * 86_400))
    at = overview()
    assert any("Interrupted runs" in text.value for text in at.markdown) is offered
    assert ("Archive a run on the page Runs" in captions(at)) is offered


@pytest.mark.parametrize("state", ["finished", "stopped", "failed", "running"])
def test_nothing_is_offered_where_nothing_broke_off(state: str, overview: Open, home: Home) -> None:
    build_run(home, Plan(state, done=3))  # type: ignore[arg-type]
    at = overview()
    assert not [button for button in at.button if button.key and button.key.startswith("resume_")]
    assert not any("Interrupted runs" in text.value for text in at.markdown)


@pytest.mark.parametrize("within", ["application", "container"])
def test_the_page_says_that_a_run_ends_with_what_the_studio_runs_in(
    within: str, train: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = build_run(home, Plan("running", done=3))
    assert "ends at once with it" not in captions(train(run.id))
    monkeypatch.setenv(launchers.WITHIN, within)
    assert f"inside the studio's {within}" in captions(train(run.id))
    assert f"inside the studio's {within}" in captions(train())


def test_the_page_says_that_a_run_in_a_job_of_the_workspace_goes_on(
    train: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(launchers.WITHIN, "application")
    run = build_run(home, Plan("running", done=3))
    write_json(run.folder / cml_jobs.RECORD, {"project": "p", "job": "j", "run": "r"})
    monkeypatch.setattr(cml_jobs, "lives", lambda job: True)
    assert "goes on when the studio is stopped" in captions(train(run.id))


def test_a_launcher_that_does_not_work_here_is_said_in_the_form(
    train: Open, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(launchers.LAUNCHER, "moon")
    at = train()
    assert not at.exception
    assert any("use local or cml" in error.value for error in at.error)
