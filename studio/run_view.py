"""Everything there is to see of one run: where it stands, its curves, its completions, what was asked."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.config import RunConfig
from core.errors import StudioError
from core.paths import Home
from core.runs.run import Run
from studio import coach_panel, forms, live, microscope, output, results, run_place, settings
from studio.curve_view import WINDOWS
from studio.feed import feed_of


def watch(home: Home, run: Run) -> None:
    """Show a run; the parts that change redraw themselves while it is live."""
    status = run.status()
    try:
        config = run.config()
    except StudioError as error:
        output.problem(error)
        return
    changing = status.live or status.state == "queued"
    live.refreshing(live.status_strip, settings.REFRESH_SECONDS if changing else None, home, run, status.state)
    run_place.of_run(run)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        paused = status.live and st.toggle("Hold the page still", key="paused")
        window = forms.choice("Steps drawn", list(WINDOWS), "window", show_label=False)
    moving = (status.live and not paused) or feed_of(run).preparing
    every = settings.curve_refresh_seconds(live.step_seconds(run)) if moving else None
    slowly = settings.TABLE_REFRESH_SECONDS if moving else None
    live.refreshing(coach_panel.draw, slowly, run, config)
    live.refreshing(live.curves, every, run, WINDOWS[window])
    st.subheader("Weight and effect of each component", anchor=False)
    live.refreshing(live.weights, slowly, run, config)
    _details(run, config, slowly)


def _details(run: Run, config: RunConfig, slowly: float | None) -> None:
    """What is looked at one at a time; only what is open is read and drawn."""
    parts: dict[str, Callable[[], None]] = {
        "Answers of a step": lambda: live.refreshing(microscope.draw, slowly, run, config.prompt.tags),
        "Held-out questions": lambda: live.refreshing(results.held_out_answers, slowly, run, config.prompt.tags),
        "Log": lambda: live.refreshing(results.log, slowly, run),
        "Settings": lambda: results.settings(run, config),
    }
    for tab, draw in zip(st.tabs(list(parts), key="run_details", on_change="rerun"), parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()
