"""What is offered on the Overview after the studio, the container or the machine has been stopped: to go on."""

from __future__ import annotations

import streamlit as st

from core.paths import Home
from core.runs.lines import RunLine
from studio import run_actions, runs_list

_SHOWN = 3


def draw(home: Home) -> None:
    """The newest runs that broke off, each with a way to go on; nothing where none did."""
    broken = [line for line in runs_list.look(home) if line.status.state == "interrupted" and not line.label.archived]
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
        if len(broken) > _SHOWN:
            st.caption(f"{len(broken) - _SHOWN} more are in the list of runs.")


def _row(home: Home, line: RunLine) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        name = f"{line.title} · {line.run.id}" if line.title else line.run.id
        st.text(f"{name}: {line.run.summary()}")
        run_actions.resume(home, line.run, f"resume_{line.run.id}")
