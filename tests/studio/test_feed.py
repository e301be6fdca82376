"""What a page knows of a run: up to date, without reading its log."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from core.jobs.folder import State
from core.paths import Home
from core.runs.events import EventWriter, Validation
from core.runs.run import Run
from core.training.curves import CurveWriter, open_writers
from studio import feed as feeds
from studio.feed import RunFeed
from tests.build import metrics
from tests.build_runs import Plan, add_step, build_run


def steps(feed: RunFeed) -> list[int]:
    found: list[int] = feed.update().points(1, feed.last_step, 1000, ["reward"])["step"].tolist()
    return found


def validation(step: int, reward: float = 0.5) -> Validation:
    return Validation(step, 8, reward, 0.75, {"tags": 1.0}, f"validation-{step:06d}.parquet")


def older(home: Home, state: State = "finished", done: int = 6) -> Run:
    """A run as an earlier version wrote it: a log, and neither curves nor milestones."""
    run = build_run(home, Plan(state, done=done))
    shutil.rmtree(run.curves)
    run.milestones.unlink()
    return run


def test_a_feed_moves_with_its_run(home: Home) -> None:
    run = build_run(home, Plan("running", done=3))
    feed = RunFeed(run).update()
    assert steps(feed) == [1, 2, 3]
    add_step(run, 4)
    assert steps(feed) == [1, 2, 3, 4]
    assert [m.step for m in feed.earliest(2)] == [1, 2] and [m.step for m in feed.newest(2)] == [3, 4]
    assert feed.components == run.config().reward.components


def test_a_feed_never_reads_the_log(home: Home) -> None:
    run = build_run(home, Plan(done=5))
    run.events.unlink()
    run.events.mkdir()  # reading it would fail
    assert steps(RunFeed(run)) == [1, 2, 3, 4, 5]


def test_alerts_and_errors_are_told_once(home: Home) -> None:
    run = build_run(home, Plan("running", done=2))
    feed = RunFeed(run).update()
    events = EventWriter(run.events)
    events.write("alert", 2, {"message": "2 rows are left out."})
    events.write("error", 2, {"message": "The disk is full."})
    assert [(note.message, note.is_error) for note in feed.update().notes] == [
        ("2 rows are left out.", False),
        ("The disk is full.", True),
    ]
    assert len(feed.update().notes) == 2


def test_a_resumed_run_leaves_validations_and_changed_weights_behind(home: Home) -> None:
    run = build_run(home, Plan("running", done=9))
    events, weights = EventWriter(run.events), dict(run.config().reward.weights)
    for step in (4, 8):
        events.write("validation", step, validation(step).data())
        events.write("weights", step, {"weights": {**weights, "tags": step / 10}, "by": "user"})
    feed = RunFeed(run).update()
    assert [found.step for found in feed.validations] == [change.step for change in feed.changes] == [4, 8]
    events.write("state", 6, {"state": "running"})
    feed.update()
    assert feed.validations == [validation(4)]
    assert [change.weights["tags"] for change in feed.changes] == [0.4]
    events.write("weights", 6, {"weights": {**weights, "tags": 0.4}, "by": "start"})  # as a job does that goes on
    assert [change.step for change in feed.update().changes] == [4]


def test_weights_that_are_told_again_are_no_change(home: Home) -> None:
    run = build_run(home, Plan("running", done=2))
    EventWriter(run.events).write("weights", 2, {"weights": run.config().reward.weights, "by": "start"})
    assert RunFeed(run).update().changes == []


def test_a_step_done_again_after_a_resume_replaces_the_first(home: Home) -> None:
    run = build_run(home, Plan("running", done=5))
    feed = RunFeed(run).update()
    CurveWriter(run.curves, run.config().reward.components).append(metrics(3, reward=-0.5), {})
    assert steps(feed) == [1, 2, 3]
    assert feed.newest(1)[0].reward == -0.5


def test_the_curves_of_an_older_run_are_made_at_the_first_look(home: Home) -> None:
    run = older(home)
    feed = RunFeed(run).update()
    feed._maker.join()  # type: ignore[union-attr]
    assert steps(feed) == [1, 2, 3, 4, 5, 6]
    assert run.curves.exists() and run.milestones.exists()


def test_while_curves_are_being_made_the_page_does_not_wait(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run = older(home)
    monkeypatch.setattr(feeds, "_PATIENCE_SECONDS", 0.0)
    feed = RunFeed(run)
    with feed._lock:  # nothing else is held, so the thread below is free to work
        feed._do_without()
    feed._maker.join()  # type: ignore[union-attr]
    assert not feed.preparing
    assert steps(feed) == [1, 2, 3, 4, 5, 6]


def test_a_live_run_of_an_earlier_version_is_followed_and_left_alone(home: Home) -> None:
    run = older(home, "running", 3)
    feed = RunFeed(run).update()
    assert steps(feed) == [1, 2, 3]
    EventWriter(run.events).write("metrics", 4, metrics(4, reward=0.5).data())
    assert steps(feed) == [1, 2, 3, 4]
    assert feed.newest(1)[0].reward == 0.5
    assert not run.curves.exists()


def test_a_run_whose_settings_are_broken_still_has_its_curves(home: Home) -> None:
    run = older(home)
    run.config_file.write_text("{")
    feed = RunFeed(run).update()
    feed._maker.join()  # type: ignore[union-attr]
    assert steps(feed) == [1, 2, 3, 4, 5, 6]


def test_curves_are_taken_over_as_soon_as_the_job_writes_them(home: Home) -> None:
    run = older(home, "running", 4)
    feed = RunFeed(run).update()
    curves, _ = open_writers(run, run.config().reward.components, step=4)
    curves.append(metrics(5), run.config().reward.weights)
    assert steps(feed) == [1, 2, 3, 4, 5]


def test_a_run_that_has_not_begun_has_nothing(home: Home) -> None:
    run = build_run(home, Plan("running", done=0))
    run.write_status(replace(run.written_status(), state="running"))
    feed = RunFeed(run).update()
    assert (feed.last_step, feed.last_step_time, feed.newest(5), feed.rewards(10)) == (0, 0.0, [], [])
