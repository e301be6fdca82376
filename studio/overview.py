"""The parts of the Overview: what this machine has, and the newest runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from core.paths import Home
from core.runs.lines import RunLine
from core.text import duration
from studio import navigation, output, runs_list, state, this_machine, words
from studio.feed import feed_of

_SPARK_POINTS = 60
_NEWEST = 5


def table(lines: Sequence[RunLine]) -> pd.DataFrame:
    """The lines as a table; one row a run."""
    return pd.DataFrame(
        {
            "State": [[words.BADGES[line.status.state].label] for line in lines],
            "Run": [line.run.id for line in lines],
            "Title": [line.title for line in lines],
            "Reward": [runs_list.reward_title(line) for line in lines],
            "Steps": [f"{line.status.step} of {line.status.steps}" for line in lines],
            "Reward by step": [feed_of(line.run).rewards(_SPARK_POINTS) for line in lines],
            "Mean reward": [_change(line) for line in lines],
            "Training time": [duration(line.status.trained_seconds) for line in lines],
            "Started": [datetime.fromtimestamp(line.status.started) for line in lines],
        }
    )


def _change(line: RunLine) -> str:
    return "–" if line.first is None or line.last is None else f"{line.first:.2f} → {line.last:.2f}"


def newest_runs(home: Home) -> None:
    """The newest runs; choosing one opens it on the Train page."""
    lines = [line for line in runs_list.look(home) if not line.label.archived]
    chosen = _runs_frame(lines[:_NEWEST])
    if chosen:
        st.switch_page(navigation.TRAIN.path, query_params=state.run_query(chosen))


def all_runs_link(count: int) -> None:
    """The way to the list of all runs."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption("Choose a row to open its run.")
        runs = "1 run" if count == 1 else f"all {count} runs"
        st.page_link(navigation.RUNS.path, label=f"Search and compare {runs}", icon=navigation.RUNS.icon)


def empty_list() -> None:
    """What stands in the place of the list before the first run."""
    with st.container(border=True):
        st.markdown("**No runs yet**")
        st.write(
            "Start with the demo: the embedded model learns to answer medical questions in a fixed format, in a few "
            "minutes on two processor cores. Its curve and its answers appear here while it learns."
        )


def machine_facts(home: Home) -> None:
    """What a run could use here, and what to do about what is missing."""
    machine = this_machine.inspected(home)
    ready = sum(machine.models.values())
    with st.grid(4, min_column_width=160):
        st.metric("Processor cores", machine.cores, border=True)
        st.metric("Memory", f"{machine.memory_bytes / 2**30:.0f} GiB", border=True)
        st.metric("GPU", len(machine.gpus) or "None", border=True)
        st.metric("Embedded models ready", f"{ready} of {len(machine.models)}", border=True)
    for gpu in machine.gpus:
        output.labelled("GPU", gpu.title)
    for sentence in machine.advice():
        st.caption(output.escape(sentence))


def _runs_frame(lines: Sequence[RunLine]) -> str | None:
    """Draws the list; returns the id of the run whose row was just chosen."""
    drawn = state.drawn_before("runs", [line.run.id for line in lines])
    badges = words.BADGES.values()
    event = st.dataframe(
        table(lines),
        hide_index=True,
        key="runs",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        alt="The newest runs",
        column_config={
            "State": st.column_config.MultiselectColumn(
                options=[badge.label for badge in badges], color=[badge.colour for badge in badges], width=110
            ),
            "Run": st.column_config.TextColumn(width="medium"),
            "Reward by step": st.column_config.LineChartColumn(width="medium"),
            "Mean reward": st.column_config.TextColumn("Mean reward, first → last"),
            "Started": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
        },
    )
    rows = [*event.selection.rows, *(cell[0] for cell in event.selection.cells)]
    return drawn[rows[0]] if rows and rows[0] < len(drawn) else None
