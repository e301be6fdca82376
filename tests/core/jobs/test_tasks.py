"""Tasks: what they leave behind when they end, fail or are stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest

from core.errors import DataError
from core.jobs import tasks, worker
from core.jobs.tasks import KINDS, REQUEST, Progress, Task, create_task, newest_task
from core.paths import Home


def add(home: Home, arguments: Mapping[str, Any], progress: Progress) -> dict[str, int]:
    progress("adding", 1, 2)
    return {"sum": arguments["a"] + arguments["b"]}


def refuse(home: Home, arguments: Mapping[str, Any], progress: Progress) -> None:
    raise DataError("Line 3 is empty. Fill it in.")


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_stop_on_signals", lambda job: None)  # pytest keeps its own
    monkeypatch.setattr(tasks, "KINDS", {"add": f"{__name__}:add", "refuse": f"{__name__}:refuse"})


def test_every_kind_of_task_has_its_function() -> None:
    for place in KINDS.values():
        module, _, function = place.partition(":")
        assert callable(getattr(import_module(module), function))


def test_a_finished_task_keeps_its_result_and_says_so(home: Home) -> None:
    task = create_task(home, "add", {"a": 2, "b": 3})
    assert task.status().state == "starting" and task.result() is None
    assert worker.main(task.folder, home.root) == 0
    assert task.status().state == "finished"
    assert task.result() == {"sum": 5}


def test_what_the_user_can_mend_is_kept_as_a_sentence(home: Home) -> None:
    task = create_task(home, "refuse", {})
    assert worker.main(task.folder, home.root) == 2
    assert (task.status().state, task.status().error) == ("failed", "Line 3 is empty. Fill it in.")


def test_a_task_that_is_asked_to_stop_stops_at_its_next_word(home: Home) -> None:
    task = create_task(home, "add", {"a": 2, "b": 3})
    task.stop_request.touch()
    assert worker.main(task.folder, home.root) == 0
    assert task.status().state == "stopped" and task.result() is None


def test_progress_is_seen_by_whoever_looks(home: Home) -> None:
    task = create_task(home, "add", {"a": 1, "b": 1})
    Progress(task)("reading rows", 40, 100)
    assert (task.status().phase, task.status().done, task.status().total) == ("reading rows", 40, 100)


def test_tasks_of_the_same_second_have_ids_of_their_own_and_old_ones_go(home: Home) -> None:
    made = [create_task(home, "add", {"a": number, "b": 0}) for number in range(30)]
    for task in made[:5]:
        worker.main(task.folder, home.root)
    assert len({task.id for task in made}) == 30
    create_task(home, "add", {"a": 0, "b": 0})
    left = {folder.name for folder in home.tasks.iterdir()}
    assert not left & {task.id for task in made[:5]}, "ended ones beyond the newest are removed"
    assert {task.id for task in made[5:]} <= left, "one that has not ended is never removed"


def test_many_tasks_of_one_kind_never_push_out_what_another_kind_has_found(home: Home) -> None:
    kept = create_task(home, "refuse", {})
    for number in range(25):
        worker.main(create_task(home, "add", {"a": number, "b": 0}).folder, home.root)
    worker.main(kept.folder, home.root)
    create_task(home, "add", {"a": 0, "b": 0})
    assert kept.status().state == "failed"
    assert len(list(home.tasks.glob("add-*"))) == 21, "twenty and the new one"


def test_a_task_says_what_it_was_asked(home: Home) -> None:
    task = Task(create_task(home, "add", {"a": 1, "b": 2}).folder)
    assert (task.kind(), task.arguments()) == ("add", {"a": 1, "b": 2})


def asked(home: Home, kind: str, second: int, **arguments: Any) -> Task:
    """A task that was asked at this second."""
    task = create_task(home, kind, arguments)
    os.utime(task.folder / REQUEST, (second, second))
    return task


def test_the_newest_task_with_these_arguments_is_found(home: Home) -> None:
    asked(home, "add", 1, a=1)
    wanted = asked(home, "add", 3, a=1, b=2)
    asked(home, "add", 2, a=1)
    asked(home, "add", 4, a=2)
    asked(home, "refuse", 5, a=1)
    assert newest_task(home, "add", {"a": 1}) == wanted


def test_no_task_is_found_where_none_was_asked(home: Home) -> None:
    assert newest_task(home, "add", {"a": 1}) is None


def test_a_task_that_is_removed_meanwhile_is_passed_over(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, removed = asked(home, "add", 1, a=1), asked(home, "add", 2, a=1)
    kind = Task.kind

    def kind_then_gone(task: Task) -> str:
        found = kind(task)
        if task == removed:
            shutil.rmtree(task.folder)
        return found

    monkeypatch.setattr(Task, "kind", kind_then_gone)
    assert newest_task(home, "add", {"a": 1}) == kept
