"""What becomes of a run when the studio stops, said where it is started and while it runs."""

from __future__ import annotations

import streamlit as st

from core.jobs import launchers
from core.jobs.launchers import Lasting
from core.runs.run import Run

_SENTENCES: dict[Lasting, str] = {
    "job": (
        "This run is trained in a Job of its own in the workspace. It goes on when the studio is stopped or restarted."
    ),
    "application": (
        "This run is trained inside the studio's application. When the application is stopped or restarted, the run "
        "ends at once with it; the next start offers to go on from its last checkpoint."
    ),
    "container": (
        "This run is trained inside the studio's container. When the container is stopped, the run ends at once with "
        "it; the next start offers to go on from its last checkpoint."
    ),
    "machine": "",
}


def of_new() -> None:
    """For a run that is started now."""
    _say(launchers.lasting())


def of_run(run: Run) -> None:
    """For a run that is live; nothing of one that has ended."""
    if run.status().live:
        _say(launchers.lasting(run))


def _say(lasting: Lasting) -> None:
    if _SENTENCES[lasting]:
        st.caption(_SENTENCES[lasting])
