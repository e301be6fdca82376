"""Starts the task that makes an export (`core.engine.export.task`), and finds it again."""

from __future__ import annotations

from core.errors import RunError
from core.export.disk import check_disk
from core.export.store import Export
from core.jobs import supervisor
from core.jobs.tasks import Task, newest_task, tasks_of
from core.paths import Home

KIND = "export_model"


def start_export(home: Home, export: Export) -> Task:
    """Start the task; it makes what is missing, so one that was broken off goes on.

    Raises:
        RunError: it runs already, or the run has no such adapter any more.
        DataError: the export is damaged.
        ModelError: the adapter is damaged.
        StorageError: there is not enough room for it.
    """
    task = export_task(home, export)
    if task is not None and task.status().live:
        raise RunError(f"{export.id} is being made just now. Wait until that is done, or stop it.")
    check_disk(home, export.request(), export.made)
    return supervisor.start_task(home, KIND, task_arguments(export))


def export_task(home: Home, export: Export) -> Task | None:
    """The task of an export that is at work, else the one that was started last; None when none is kept.

    Of two that are started at the same moment the later one is refused, and would hide the one that works.
    """
    newest = newest_task(home, KIND, task_arguments(export))
    if newest is None or newest.status().live:
        return newest
    mine = (task for task in tasks_of(home, KIND) if task.arguments() == newest.arguments())
    return next((task for task in mine if task.status().live), newest)


def task_arguments(export: Export) -> dict[str, str]:
    """What the task is told."""
    return {"run": export.run_id, "export": export.id}
