"""Tasks found again by what they were asked."""

from __future__ import annotations

import os

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import StorageError
from core.jobs.folder import Status
from core.jobs.tasks import REQUEST, Task, create_task
from core.paths import Home
from studio import data_tasks


def asked(home: Home, kind: str, order: int, **arguments: str) -> Task:
    """A task asked for at the given second."""
    task = create_task(home, kind, arguments)
    os.utime(task.folder / REQUEST, (order, order))
    return task


def test_the_newest_task_with_these_arguments_is_found(home: Home) -> None:
    asked(home, "report", 1, table="a")
    wanted = asked(home, "report", 3, table="a", extra="x")
    asked(home, "report", 2, table="a")
    asked(home, "report", 4, table="b")
    asked(home, "prepare", 5, table="a")
    assert data_tasks.newest(home, "report", {"table": "a"}) == wanted


def test_no_task_is_found_where_none_was_asked(home: Home) -> None:
    assert data_tasks.newest(home, "report", {"table": "a"}) is None


@pytest.mark.parametrize("task_id", ["gone", "../runs", "", "a/b"])
def test_an_address_that_names_no_task_finds_none(home: Home, task_id: str) -> None:
    assert data_tasks.find(home, task_id) is None


@pytest.mark.parametrize(("done", "total", "part"), [(0, 0, 0.0), (1, 4, 0.25), (9, 4, 1.0)])
def test_a_bar_stays_between_empty_and_full(done: int, total: int, part: float) -> None:
    assert data_tasks.part_done(Status("running", done=done, total=total)) == part


def test_why_a_task_was_refused_is_told_of_its_own_table_only(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("The disk is full.")

    def page(root: str, table: str, start: bool) -> None:
        from pathlib import Path

        from core.paths import Home
        from studio import data_tasks

        if start:
            data_tasks.start(Home(Path(root)), "report", {"table": "a"})
        data_tasks.explain(None, "report", "", table)

    monkeypatch.setattr("core.jobs.supervisor.start_task", refuse)
    at = AppTest.from_function(page, args=(str(home.root), "a", True)).run()
    assert "The disk is full" in at.error[0].value
    other = AppTest.from_function(page, args=(str(home.root), "b", True)).run()
    assert not other.exception
    assert not other.error


def test_a_task_that_is_being_stopped_says_so() -> None:
    assert data_tasks.progress_text(Status("stopping", phase="reading rows", done=1, total=2)) == "Stopping"
