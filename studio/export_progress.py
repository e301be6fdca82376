"""How far an export is, with the buttons to stop and to go on, and what its task has printed."""

from __future__ import annotations

import streamlit as st

from core.errors import StudioError
from core.export.request import FORM_TITLES
from core.export.task import KIND, export_task, start_export
from core.jobs.folder import Status
from core.jobs.tasks import Task
from core.paths import Home
from studio import access, data_tasks, export_words, live, output, settings, state
from studio.export_open import Opened


def draw(home: Home, found: Opened) -> bool:
    """Show how far it is, or why something is missing; returns whether it is under way."""
    task = export_task(home, found.export)
    if task is not None and task.status().live:
        live.refreshing(_under_way, settings.REFRESH_SECONDS, task, found)
        return True
    _ended(home, found, task)
    return False


def _under_way(task: Task, found: Opened) -> None:
    """The bar; the page is drawn again when a form is whole, and when the task has ended."""
    status = task.status()
    if not status.live or found.export.made != found.made:
        st.rerun()
    with st.container(border=True):
        data_tasks.bar(task, status, progress_text(status), "export.stop")
        st.caption(f"{len(found.made)} of {len(found.request.forms)} forms are made")
        log(task)


def progress_text(status: Status) -> str:
    """What the task is busy with, and how far it is with it.

    >>> progress_text(Status("running", phase="merging", done=1, total=4))
    'Merging, 25%'
    """
    if status.state == "stopping":
        return "Stopping; forms that are whole are kept"
    title = export_words.phase_words(status.phase)
    return f"{title}, {data_tasks.part_done(status):.0%}" if status.total else title


def log(task: Task) -> None:
    """What the task has printed, folded away."""
    with st.expander("Log"):
        output.lines(output.tail(task.log, settings.LOG_LINES))


def _ended(home: Home, found: Opened, task: Task | None) -> None:
    """Why forms are missing, when some are, with a button to make them."""
    problem = state.refusal(found.id)
    if problem:
        output.problem(problem)
    data_tasks.explain(task, KIND, "Forms that are whole are kept; go on to make the rest.")
    left = _left(found)
    if left:
        with st.container(horizontal=True, vertical_alignment="center"):
            access.button(
                "export.create",
                "Go on",
                icon=":material/play_arrow:",
                type="primary",
                key="export.resume",
                help="Makes what is missing, and nothing twice.",
                on_click=_go_on,
                args=(home, found),
            )
            st.caption(f"Still missing: {left}")
    if task is not None and task.status().state != "finished":
        log(task)


def _left(found: Opened) -> str:
    """What is still to be done, in words; empty when all is."""
    if found.missing:
        return ", ".join(FORM_TITLES[form] for form in found.missing)
    if found.export.uncompared:
        return "The comparison of the answers"
    return "" if found.export.described else "Model card and commands"


def _go_on(home: Home, found: Opened) -> None:
    """Start the task again. A callback."""
    try:
        start_export(home, found.export)
    except StudioError as error:
        state.refuse(found.id, str(error))
        return
    state.accept(found.id)
