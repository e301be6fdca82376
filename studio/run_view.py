"""Everything there is to see of one run: where it stands, its curves, its completions, what was asked."""

from __future__ import annotations

import streamlit as st

from core.errors import StudioError
from core.paths import Home
from core.runs import Run
from studio import charts, forms, live, output, results, settings


def watch(home: Home, run: Run) -> None:
    """Show a run; the parts that change redraw themselves while it is live."""
    status = run.status()
    try:
        config = run.config()
    except StudioError as error:
        output.problem(error)
        return
    live.refreshing(live.status_strip, settings.REFRESH_SECONDS if status.live else None, run, status.state)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        paused = status.live and st.toggle("Pause the curves", key="paused")
        window = forms.choice("Steps drawn", list(charts.WINDOWS), "window", show_label=False)
    moving = status.live and not paused
    every = settings.curve_refresh_seconds(live.step_seconds(run)) if moving else None
    slowly = settings.TABLE_REFRESH_SECONDS if moving else None
    live.refreshing(live.curves, every, run, charts.WINDOWS[window])
    st.subheader("What each component decides", anchor=False)
    live.refreshing(live.weights, slowly, run, config)
    completions, held_out, log, asked = st.tabs(["Last completions", "Held-out questions", "Log", "Settings"])
    with completions:
        live.refreshing(results.last_step, slowly, run, config.prompt.tags)
    with held_out:
        live.refreshing(results.held_out_answers, slowly, run, config.prompt.tags)
    with log:
        live.refreshing(results.log, slowly, run)
    with asked:
        results.settings(run, config)
