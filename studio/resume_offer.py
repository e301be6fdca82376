"""What is offered on the Overview after the studio, the container or the machine has been stopped: to go on."""

from __future__ import annotations

import time

import streamlit as st

from core.paths import Home
from core.runs.lines import RunLine
from studio import run_actions, runs_list

_SHOWN = 3
_OFFERED_DAYS = 14.0
"""After that whoever looks has decided otherwise; the list of runs still offers to go on."""


def draw(home: Home) -> None:
    """The newest runs that broke off lately, each with a way to go on; nothing where none did."""
    broken = [line for line in runs_list.look(home) if _is_offered(line)]
    if not broken:
        return
    with st.container(border=True, key="interrupted"):
        st.markdown("**Interrupted runs**")
        st.write(
            "Their process ended before they were done, as when the studio's application, container or machine is "
            "stopped. What they had saved is kept, and they go on from there."
        )
        for line in broken[:_SHOWN]:
            _row(home, line)
        more = f"{len(broken) - _SHOWN} more are in the list of runs. " if len(broken) > _SHOWN else ""
        st.caption(
            f"{more}Not now? Archive a run on the page Runs and it is no longer offered here, nor is any run after "
            f"{_OFFERED_DAYS:.0f} days. Nothing of it is deleted."
        )


def _is_offered(line: RunLine) -> bool:
    recent = time.time() - line.status.updated < _OFFERED_DAYS * 86_400
    return recent and line.status.state == "interrupted" and not line.label.archived


def _row(home: Home, line: RunLine) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        name = f"{line.title} · {line.run.id}" if line.title else line.run.id
        st.text(f"{name}: {line.run.summary()}")
        run_actions.resume(home, line.run, f"resume_{line.run.id}")
