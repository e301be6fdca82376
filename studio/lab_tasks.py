"""The tasks of the Rewards page: started, followed, and their result taken over once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from core.errors import StudioError
from core.jobs import supervisor
from core.jobs.tasks import Task, newest_task
from core.paths import Home
from studio import data_tasks, lab_state, state

Kind = Literal["sample", "measure", "fit", "stress", "try_reward"]


def start(home: Home, kind: Kind, arguments: Mapping[str, Any]) -> None:
    """Start a task whose result the page waits for. A callback."""
    try:
        task = supervisor.start_task(home, kind, arguments)
    except StudioError as error:
        state.refuse(kind, str(error))
        return
    state.accept(kind)
    lab_state.wait_for(kind, task.id)


def current(home: Home, kind: Kind, board_id: str | None = None) -> Task | None:
    """The task of this kind that is under way, whoever started it; else the one that this session waits for.

    Args:
        board_id: only a task that was asked about this board; by default about any, or none.
    """
    asked = {} if board_id is None else {"board": board_id}
    newest = newest_task(home, kind, asked)
    if newest is not None and newest.status().live:
        return newest
    waited = data_tasks.find(home, lab_state.waited_for(kind) or "")
    return waited if waited is not None and asked.items() <= waited.arguments().items() else None


def is_live(home: Home, kind: Kind, board_id: str | None = None) -> bool:
    """Whether that task is under way."""
    task = current(home, kind, board_id)
    return task is not None and task.status().live


def follow(home: Home, kind: Kind, again: str, board_id: str | None = None) -> bool:
    """Show how far the task is, or why nothing came of it; returns whether it is under way.

    Args:
        again: what to do about a task that was stopped or lost.
        board_id: as `current` takes it.
    """
    task = current(home, kind, board_id)
    if task is not None and task.status().live:
        data_tasks.follow(task)
        return True
    data_tasks.explain(task, kind, again)
    return False


def result(home: Home, kind: Kind) -> Any:
    """What came of the task that this session waits for; None before it has finished."""
    task = data_tasks.find(home, lab_state.waited_for(kind) or "")
    return None if task is None else task.result()


def newest_result(home: Home, kind: Kind, arguments: Mapping[str, Any]) -> Any:
    """What came of the last task of this kind with these arguments; None when there is none. It survives a restart."""
    task = newest_task(home, kind, arguments)
    return None if task is None else task.result()
