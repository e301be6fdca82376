"""What is done leaves its trace in the audit log, and a job acts for who asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import psutil
import pytest

from core.access import audit
from core.access.actors import ACTOR_VARIABLE, ROLE_VARIABLE, Actor, acting_as, current_actor, identify_with
from core.access.audit import log_file, read_log
from core.access.starters import STARTER, starter_of
from core.compare import asking
from core.compare.blind import cast, end_vote, next_ballot, open_vote, undo
from core.config import RunConfig
from core.errors import AccessDenied, ModelError
from core.jobs import queue, spawning, supervisor
from core.jobs.folder import JobFolder
from core.jobs.tasks import create_task
from core.lab.boards import add_measures, bundled_board, delete_board, keep_copy, save_board
from core.lab.measuring import Measured
from core.locks import locked
from core.models import EMBEDDED
from core.paths import Home
from core.reward.custom_files import add_custom, templates
from core.reward.formula import PRESETS
from core.reward.presets import delete_preset, save_preset
from core.runs.export import belongs, export_run
from core.runs.files import delete_run
from core.runs.importing import import_run
from core.runs.labels import change_label
from core.runs.run import Run
from core.training import control
from studio.uploads import store_upload
from tests import build_blind
from tests.build_blind import build_comparison
from tests.build_runs import Plan, build_run

MARIA = Actor("maria", "viewer", "proxy")
BEN = Actor("ben", "editor", "proxy")
ADA = Actor("ada", "admin", "oidc")


@pytest.fixture
def for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who answer are embedded models, which viewers may ask."""
    monkeypatch.setattr(build_blind, "NAMES", tuple(EMBEDDED))


def traces(home: Home) -> list[tuple[str, str, str]]:
    """Who did what to what."""
    return [(entry.actor, entry.action, entry.subject) for entry in read_log(home)]


def test_what_is_done_to_a_run_is_logged(home: Home) -> None:
    run = build_run(home, Plan("finished", done=2, steps=2))
    with acting_as(BEN):
        change_label(run, title="A patient's name", archived=True)
    with acting_as(ADA):
        delete_run(home, run)
    assert traces(home) == [("ben", "run.label", run.id), ("ada", "run.delete", run.id)]
    assert "patient" not in log_file(home).read_text(encoding="utf-8")


def test_what_did_not_happen_is_not_logged(home: Home) -> None:
    run = build_run(home, Plan("running", done=2, steps=4))
    with acting_as(BEN), pytest.raises(AccessDenied):
        delete_run(home, run)
    change_label(run, archived=False)
    assert traces(home) == []


def test_requests_to_a_live_run_are_logged(home: Home) -> None:
    run = build_run(home, Plan("running", done=2, steps=4))
    with acting_as(BEN):
        control.pause(run)
        control.unpause(run)
        control.change_weights(run, {"semantic": 1.0, "fluency": 0.25, "tags": 0.0})
        supervisor.stop(run)
    assert read_log(home)[2].details == {"weights": "semantic 1, fluency 0.25, tags 0"}
    assert [action for _, action, _ in traces(home)] == ["train.pause", "train.pause", "train.weights", "train.stop"]


def test_rewards_and_boards_are_logged(home: Home) -> None:
    source = templates()[0].source
    with acting_as(ADA):
        save_preset(home, "mine", PRESETS["robust"])
        delete_preset(home, "mine")
        board = save_board(home, "board", bundled_board())
        delete_board(home, board)
        added = add_custom(home, "mine", source)
        add_custom(home, "mine", source)
    assert [action for _, action, _ in traces(home)] == [
        "preset.save",
        "preset.delete",
        "board.save",
        "board.delete",
        "reward.code",
    ]
    assert read_log(home)[-1].details == {"sha256": added.sha256}


def test_what_one_permission_covers_is_told_apart_in_the_log(home: Home) -> None:
    run = build_run(home, Plan("queued", steps=4))
    with acting_as(ADA):
        board = save_board(home, "board", bundled_board())
        measured = Measured(bundled_board().keys, {}, {})
        copy = keep_copy(home, "copy", "run:else", bundled_board(), measured)
        add_measures(home, board, measured)
        task = create_task(home, "report", {})
        supervisor.stop(task)
        queue.remove(home, run)
        uploaded = store_upload(home, "rows.csv", b"a,b")
        store_upload(home, "rows.csv", b"a,b")
    assert [(action, subject) for _, action, subject in traces(home)] == [
        ("board.save", board),
        ("board.save", copy),
        ("board.measure", copy),
        ("board.measure", board),
        ("task.stop", task.id),
        ("queue.leave", run.id),
        ("data.upload", uploaded.name),
    ]


@pytest.mark.usefixtures("for_everybody")
def test_votes_are_logged_without_what_was_said(home: Home) -> None:
    with acting_as(MARIA):
        comparison = build_comparison(home)
        open_vote(comparison, [(0, 1)])
        ballot = next_ballot(comparison, "maria")
        assert ballot is not None
        cast(home, comparison, "Maria", ballot, "left", reason="Mrs Smith would not take it")
        undo(home, comparison, "Maria")
        end_vote(home, comparison)
    actions = ["compare.ask", "vote.open", "vote.cast", "vote.cast", "vote.end"]
    assert traces(home) == [("maria", action, comparison.id) for action in actions]
    assert "Smith" not in log_file(home).read_text(encoding="utf-8")


@pytest.mark.usefixtures("for_everybody")
def test_a_vote_is_ended_by_who_asked_and_by_editors_only(home: Home) -> None:
    with acting_as(MARIA):
        comparison = build_comparison(home)
        open_vote(comparison, [(0, 1)])
    with acting_as(Actor("carl", "viewer", "proxy")), pytest.raises(AccessDenied):
        end_vote(home, comparison)
    with acting_as(BEN):
        end_vote(home, comparison)


@pytest.fixture
def packed(home: Home, tmp_path: Path) -> Path:
    """A run with a custom reward, as a zip file."""
    run = build_run(home, Plan("finished", done=2, steps=2))
    run.rewards.mkdir()
    (run.rewards / "dose.py").write_text("def dose(completions): ...\n")
    return export_run(run, tmp_path / "run.zip")


def test_a_run_that_brings_code_is_imported_by_admins_only(home: Home, packed: Path) -> None:
    before = sorted(home.runs.iterdir())
    with acting_as(BEN), pytest.raises(AccessDenied, match="code of a custom reward"):
        import_run(home, packed)
    assert sorted(home.runs.iterdir()) == before
    with acting_as(ADA):
        imported = import_run(home, packed)
    assert traces(home)[-1] == ("ada", "run.import", imported.run.id)


def test_an_editor_imports_a_run_without_code(home: Home, tmp_path: Path) -> None:
    with acting_as(BEN):
        zipped = export_run(build_run(home, Plan("finished", done=2, steps=2)), tmp_path / "run.zip")
        imported = import_run(home, zipped)
    assert traces(home)[-1] == ("ben", "run.import", imported.run.id)


def test_who_started_a_run_is_not_told_elsewhere() -> None:
    assert not belongs(PurePosixPath(STARTER))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """The environment of each job that is started; the jobs do nothing."""
    found: list[Mapping[str, str]] = []

    def start(module: str, job: JobFolder, home: Home, variables: Mapping[str, str]) -> Any:
        found.append(variables)
        me = psutil.Process()
        job.write_status(replace(job.written_status(), state="running", pid=me.pid, created=me.create_time()))

    monkeypatch.setattr(spawning, "detached", start)
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", lambda: ())
    monkeypatch.setattr("core.jobs.places.cpu_cores", lambda: 2)
    return found


def actor_in(variables: Mapping[str, str]) -> tuple[str, str]:
    return variables[ACTOR_VARIABLE], variables[ROLE_VARIABLE]


def test_a_run_acts_for_who_started_it(home: Home, tiny_config: RunConfig, given: list[Mapping[str, str]]) -> None:
    with acting_as(BEN):
        run = supervisor.start(home, tiny_config)
    assert starter_of(run.folder) == BEN
    assert actor_in(given[0]) == ("ben", "editor")
    assert traces(home) == [("ben", "train.start", run.id)]


@pytest.mark.usefixtures("given")
def test_what_is_done_counts_although_the_log_is_held_just_then(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_label(build_run(home, Plan("finished", done=2, steps=2)), archived=True)
    monkeypatch.setattr(audit, "_RECORD_SECONDS", 0.0)
    with acting_as(BEN), locked(log_file(home).with_name("log.lock"), 1, "held"):
        run = supervisor.start(home, tiny_config)
        waits = queue.enqueue(home, tiny_config)
    assert (run.status().state, waits.status().state) == ("running", "queued")
    queue.remove(home, waits)
    assert [what for _, *what in traces(home)][1:] == [
        ["train.start", run.id],
        ["train.start", waits.id],
        ["queue.leave", waits.id],
    ]


def test_a_queued_run_acts_for_who_queued_it_whoever_looks(
    home: Home, tiny_config: RunConfig, given: list[Mapping[str, str]]
) -> None:
    with acting_as(BEN):
        run = queue.enqueue(home, tiny_config)
    identify_with(lambda: None)
    with acting_as(MARIA):
        queue.go_on(home)
    assert run.status().state == "running"
    assert actor_in(given[0]) == ("ben", "editor")


def test_a_resumed_run_acts_for_who_resumed_it(
    home: Home, tiny_config: RunConfig, given: list[Mapping[str, str]]
) -> None:
    with acting_as(BEN):
        run = supervisor.start(home, tiny_config)
    run.write_status(replace(run.written_status(), state="stopped", pid=0))
    with acting_as(ADA):
        supervisor.resume(home, run)
    assert actor_in(given[1]) == ("ada", "admin")
    assert starter_of(run.folder) == ADA


def test_a_task_acts_for_who_started_it(home: Home, given: list[Mapping[str, str]]) -> None:
    with acting_as(MARIA):
        task = supervisor.start_task(home, "serve_score", {"port": 0})
        with pytest.raises(AccessDenied):
            supervisor.start_task(home, "export_model", {})
    assert actor_in(given[0]) == ("maria", "viewer")
    assert traces(home) == [("maria", "compare.ask", task.id)]


@pytest.mark.usefixtures("for_everybody")
def test_threads_that_ask_models_act_for_who_asked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Actor] = []

    def conversation(*arguments: Any) -> Any:
        seen.append(current_actor())
        raise ModelError("There is no model here.")

    monkeypatch.setattr(asking, "conversation", conversation)
    identify_with(lambda: None)
    with acting_as(MARIA):
        comparison = build_comparison(home, questions=1, replaced={(0, 0): None, (0, 1): None})
        asked = asking.start_asking(home, comparison)
    asked.wait()
    assert seen == [MARIA, MARIA]


def test_a_run_of_an_earlier_version_has_no_starter(home: Home) -> None:
    assert starter_of(Run(home.runs / "none").folder) is None
