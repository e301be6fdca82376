"""Tasks as the pages show them: found again on disk, followed with a bar and a Stop button, explained."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import streamlit as st

from core.access.starters import starter_of
from core.errors import RunError, StudioError
from core.jobs import supervisor
from core.jobs.folder import Status
from core.jobs.tasks import REQUEST, Task, needed_to_stop
from core.paths import Home, is_name
from studio import access, live, output, settings, state


def find(home: Home, task_id: str) -> Task | None:
    """The task with this id; None when it is not there any more."""
    folder = home.tasks / task_id
    return Task(folder) if is_name(task_id) and (folder / REQUEST).is_file() else None


def start(home: Home, kind: str, arguments: Mapping[str, Any]) -> None:
    """Start a task; the page finds it again by its arguments. An import is named in the address."""
    form = _form(kind, arguments.get("table", ""))
    try:
        task = supervisor.start_task(home, kind, arguments)
    except StudioError as error:
        state.refuse(form, str(error))
        return
    state.accept(form)
    if kind == "import":
        state.open_import(task.id)


def _form(kind: str, table: str) -> str:
    """Under which name it is remembered why a task could not be started."""
    return f"{table}.{kind}" if table else kind


def follow(task: Task) -> None:
    """Show how far a live task is; the page is drawn again when it has ended."""
    live.refreshing(_bar, settings.REFRESH_SECONDS if task.status().live else None, task)


def explain(task: Task | None, kind: str, again: str, table: str = "") -> None:
    """Say why there is no result, when there is none for a reason.

    Args:
        again: what to do about a task that was stopped or lost.
        table: the id of the table that the task is about, when it is about one.
    """
    problem = state.refusal(_form(kind, table))
    if problem is not None:
        output.problem(problem)
    status = None if task is None else task.status()
    if status is None or status.live or status.state == "finished":
        return
    if status.state == "failed":
        output.problem(status.error)
    elif status.state == "stopped":
        output.warning(f"Stopped. {again}")
    else:
        output.warning(f"It ended without a word, perhaps with the machine. {again}")


def part_done(status: Status) -> float:
    """How much of its phase a task has done, from 0 to 1."""
    return min(max(status.done / status.total, 0.0), 1.0) if status.total else 0.0


def progress_text(status: Status) -> str:
    """What a task is busy with.

    >>> progress_text(Status("running", phase="reading rows", done=1, total=4))
    'Reading rows, 25%'
    """
    if status.state == "stopping":
        return "Stopping"
    phase = (status.phase or "starting").capitalize()
    return f"{phase}, {part_done(status):.0%}" if status.total else phase


def _bar(task: Task) -> None:
    status = task.status()
    if not status.live:
        st.rerun()
    bar(task, status, progress_text(status), f"stop {task.id}")


def bar(task: Task, status: Status, text: str, key: str) -> None:
    """How far a task is, beside a button that stops it.

    Args:
        status: of the task, perhaps with counts that it does not know itself.
        text: what it is busy with; text from outside.
        key: of the button.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(part_done(status), text=output.escape(text))
        access.button(
            needed_to_stop(task.kind()),
            "Stop",
            icon=":material/stop_circle:",
            key=key,
            disabled=status.state == "stopping",
            owner=starter_of(task.folder),
            on_click=_stop,
            args=(task,),
        )


def _stop(task: Task) -> None:
    with suppress(RunError):  # it has just ended by itself
        supervisor.stop(task)
