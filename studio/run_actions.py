"""The buttons that act on a run."""

from __future__ import annotations

import streamlit as st

from core import jobs
from core.errors import StudioError
from core.paths import Home
from core.runs import Run
from studio import dialogs, output


def buttons(home: Home, run: Run) -> None:
    """The buttons that stop a live run or resume one that can go on."""
    state = run.status().state
    if state in ("starting", "running"):
        if st.button("Stop", icon=":material/stop_circle:", key="stop"):
            dialogs.confirm_stop(run)
    elif state in ("stopped", "failed", "interrupted") and st.button(
        "Resume", icon=":material/play_arrow:", key="resume", type="primary"
    ):
        _resume(home, run)


def _resume(home: Home, run: Run) -> None:
    try:
        with st.spinner("Starting the job"):
            jobs.resume(home, run)
    except StudioError as error:
        output.problem(error)
        return
    st.rerun()
