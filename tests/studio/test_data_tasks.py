"""Tasks as the pages find them again, follow them and explain how they ended."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import StorageError
from core.jobs.folder import Status
from core.paths import Home
from studio import data_tasks


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
