"""Runs side by side: their curves, what came of them, and where their settings differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from string import ascii_uppercase

import pandas as pd
import streamlit as st

from core.errors import StudioError
from core.paths import Home
from core.runs.difference import differing
from core.runs.lines import RunLine, line_of
from core.runs.results import RunResults, results_of
from core.runs.run import Run, find_run
from core.training.curves import opened
from studio import live, output, runs_curves, settings, state
from studio.runs_actions import MOST_COMPARED

_METRIC, _AXIS = "compare.metric", "compare.axis"


@dataclass(frozen=True)
class Side:
    """One of the compared runs, and what it is called in charts and tables: a letter and its title or id."""

    name: str
    run: Run


def draw(home: Home, run_ids: Sequence[str]) -> None:
    """Compare runs; those that are not there any more are named and left out."""
    st.button("All runs", icon=":material/arrow_back:", key="compare.back", on_click=state.close_comparison)
    if len(run_ids) > MOST_COMPARED:
        output.warning(f"The first {MOST_COMPARED} of {len(run_ids)} runs are compared.")
    sides = _sides(home, run_ids[:MOST_COMPARED])
    if not sides:
        return
    any_live = any(side.run.status().live for side in sides)
    with st.container(border=True):
        column, axis = _choices(sides)
        live.refreshing(curves, settings.TABLE_REFRESH_SECONDS if any_live else None, sides, column, axis)
    st.subheader("Results", anchor=False)
    results(sides)
    st.subheader("Settings that differ", anchor=False)
    difference(sides)


def _sides(home: Home, run_ids: Sequence[str]) -> list[Side]:
    lines: list[RunLine] = []
    for run_id in run_ids:
        try:
            run = find_run(home, run_id)
            run.config()
        except StudioError as error:
            output.problem(error)
            continue
        lines.append(line_of(run))
    named = zip(ascii_uppercase, lines, strict=False)
    return [Side(f"{letter}: {line.title or line.run.id}", line.run) for letter, line in named]


def _choices(sides: Sequence[Side]) -> tuple[str, runs_curves.Axis]:
    """Which metric is drawn, and over what."""
    with ExitStack() as open_curves:
        metrics = runs_curves.metrics_of([open_curves.enter_context(opened(side.run)) for side in sides])
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        column = st.selectbox("Metric", list(metrics), format_func=metrics.__getitem__, key=_METRIC, width=320)
        axes = runs_curves.AXES
        axis = st.segmented_control("Over", axes, default=axes[0], key=_AXIS, required=True)
    return column, axis


def curves(sides: Sequence[Side], column: str, axis: runs_curves.Axis) -> None:
    """The running mean of a metric of each run, over each other."""
    drawn: dict[str, pd.DataFrame] = {}
    for side in sides:
        with opened(side.run) as reader:
            drawn[side.name] = runs_curves.running_means(reader, column, axis)
    if all(frame.empty for frame in drawn.values()):
        st.caption("None of these runs has measured that.")
        return
    st.echarts_chart(
        runs_curves.overlay(drawn, axis), height=380, key="compare.chart", alt="Running means of the compared runs"
    )
    st.caption("Each curve is the mean of a twentieth of the run's steps, and of five at least.")


def results(sides: Sequence[Side]) -> None:
    """What came of each run; one row a run."""
    st.dataframe(
        results_table({side.name: results_of(side.run) for side in sides}),
        hide_index=True,
        key="compare.results",
        placeholder="–",
        alt="Final numbers of the compared runs",
        column_config=_RESULT_COLUMNS,
    )


def results_table(found: Mapping[str, RunResults]) -> pd.DataFrame:
    """The results as a table, by the names of the runs."""
    rows = list(found.values())
    shown = pd.DataFrame({"Run": list(found), "Steps": [row.steps for row in rows]})
    for column, values in (
        ("Reward", [row.reward for row in rows]),
        ("Well-formed", [row.well_formed for row in rows]),
        ("Validation", [row.validation for row in rows]),
        ("At step", [row.validation_step for row in rows]),
        ("Before", [row.held_out_before for row in rows]),
        ("After", [row.held_out_after for row in rows]),
        ("Tokens", [row.tokens for row in rows]),
    ):
        shown[column] = pd.array(values, dtype="Float64")
    shown["Time"] = [timedelta(seconds=round(row.seconds)) for row in rows]
    return shown


def difference(sides: Sequence[Side]) -> None:
    """The settings that are not the same in all of the runs; one row a setting."""
    rows = differing([side.run.config() for side in sides])
    if not rows:
        st.caption("All their settings are the same." if len(sides) > 1 else "There is only one run to look at.")
        return
    columns = {side.name: [row.values[place] for row in rows] for place, side in enumerate(sides)}
    st.dataframe(
        pd.DataFrame({"Setting": [row.label for row in rows], **columns}),
        hide_index=True,
        key="compare.difference",
        alt="Settings that differ between the compared runs",
        column_config={"Setting": st.column_config.TextColumn(pinned=True)},
    )


_RESULT_COLUMNS = {
    "Run": st.column_config.TextColumn(width="medium", pinned=True),
    "Reward": st.column_config.NumberColumn(
        "Reward at the end", format="%.2f", help="Mean reward of the completions of the last ten steps."
    ),
    "Well-formed": st.column_config.NumberColumn(format="percent", help="Share of the same completions."),
    "Validation": st.column_config.NumberColumn(
        "Best validation", format="%.2f", help="The best mean reward on questions that are never trained on."
    ),
    "At step": st.column_config.NumberColumn(format="%d", help="The step with the best validation."),
    "Before": st.column_config.NumberColumn(
        "Held-out before", format="%.2f", help="Mean reward on the held-out questions before training."
    ),
    "After": st.column_config.NumberColumn("Held-out after", format="%.2f", help="The same after training."),
    "Tokens": st.column_config.NumberColumn(format="compact", help="Length of all completions together."),
    "Time": st.column_config.NumberColumn("Training time", format="compact", help="Hours, minutes and seconds."),
}
