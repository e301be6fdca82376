"""Questions asked before something is done."""

from __future__ import annotations

import streamlit as st

from core import jobs
from core.errors import StudioError
from core.runs import Run
from studio import output


@st.dialog("Stop this run?", icon=":material/stop_circle:")
def confirm_stop(run: Run) -> None:
    """Ask, then stop the run after the step it is in."""
    st.write("It finishes the step it is in and saves a checkpoint and its adapter. You can resume it later.")
    with st.container(horizontal=True):
        stop = st.button("Stop the run", type="primary", key="confirm_stop")
        keep = st.button("Keep running", key="keep_running")
    if stop:
        try:
            jobs.stop(run)
        except StudioError as error:
            output.problem(error)
            return
    if stop or keep:
        st.rerun()
