"""The buttons that act on a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from core.access.permissions import Action
from core.errors import Busy, StudioError
from core.jobs import queue, supervisor
from core.paths import Home
from core.runs.run import Run
from core.training import control
from studio import access, compare_who, dialogs, export_link, output, run_weights, state

_LOOK_SECONDS = 5


def go_on(home: Home) -> None:
    """Start runs that wait and have room by now, as after a run that was killed; at most every few seconds."""
    _go_on(str(home.root))


@st.cache_data(ttl=_LOOK_SECONDS, show_spinner=False)
def _go_on(root: str) -> None:
    queue.go_on(Home(Path(root)))


def buttons(home: Home, run: Run) -> None:
    """What can be done with a run as it stands now."""
    now = run.status().state
    if now in ("running", "paused"):
        _pause(run)
        if access.button(
            "train.weights",
            "Weights",
            icon=":material/tune:",
            key="weights_button",
            help="Change what the reward counts.",
        ):
            run_weights.change(run)
    if now in ("starting", "running", "paused", "stopping") and access.button(
        "train.stop", "Stop", icon=":material/stop_circle:", key="stop"
    ):
        dialogs.confirm_stop(home, run)
    if now == "queued":
        _act("train.stop", "Remove from the queue", ":material/close:", "unqueue", lambda: queue.remove(home, run))
    elif now in ("stopped", "failed", "interrupted"):
        resume(home, run)
    compare_who.compare_button(run, "compare_base")
    compare_who.evaluate_button(run, "evaluate_run")
    export_link.button(run, "export_model")
    st.button(
        "Clone",
        icon=":material/content_copy:",
        key="clone",
        help="Opens the form for a new run with the settings of this one; this run stays as it is.",
        on_click=state.open_clone,
        args=(run.id, {}),
    )


def _pause(run: Run) -> None:
    if control.pausing(run):
        hint = "The run keeps its models in memory and goes on at once."
        _act(
            "train.pause",
            "Continue",
            ":material/play_arrow:",
            "continue",
            lambda: control.unpause(run),
            hint,
            primary=True,
        )
    else:
        hint = "Waits after the step it is in, with a checkpoint saved and its models in memory."
        _act("train.pause", "Pause", ":material/pause:", "pause", lambda: control.pause(run), hint)


def resume(home: Home, run: Run, key: str = "resume") -> None:
    """The button that lets a stopped, failed or interrupted run go on; where there is no room it can wait."""
    better = run.written_status().out_of_memory
    help_text = "It would most likely run out of memory again: a clone with less to hold is the better way."
    if not access.button(
        "train.start",
        "Resume",
        icon=":material/play_arrow:",
        key=key,
        type="secondary" if better else "primary",
        help=help_text if better else None,
    ):
        return
    try:
        with st.spinner("Starting the job"):
            supervisor.resume(home, run)
    except Busy as error:
        dialogs.offer_queue(home, run, str(error))
    except StudioError as error:
        output.problem(error)
    else:
        st.rerun()


def _act(
    action: Action,
    label: str,
    icon: str,
    key: str,
    act: Callable[[], None],
    help_text: str | None = None,
    primary: bool = False,
) -> None:
    """A button that does something at once."""
    if access.button(action, label, icon=icon, key=key, help=help_text, type="primary" if primary else "secondary"):
        try:
            act()
        except StudioError as error:
            output.problem(error)
            return
        st.rerun()
