"""Typed access to what the studio remembers of a session: the run that is open, in the address and its session."""

from __future__ import annotations

import streamlit as st

from core.paths import Home
from core.runs import Run, find_run, list_runs

_RUN = "run"
"""The query parameter that names the open run, so that a reload finds it again."""
_NEW = "new"
_RUN_CHOICE = "run_choice"


def run_query(run_id: str) -> dict[str, str]:
    """The query parameters of the Train page with this run open."""
    return {_RUN: run_id}


def new_run_query() -> dict[str, str]:
    """The query parameters of the Train page with the form for a new run."""
    return {_RUN: _NEW}


def open_run(run: Run) -> None:
    """Make the Train page show this run from its next run on."""
    st.query_params[_RUN] = run.id


def open_new_run() -> None:
    """Make the Train page show the form for a new run."""
    st.query_params[_RUN] = _NEW


def open_chosen_run() -> None:
    """Callback of the run selector."""
    chosen = st.session_state[_RUN_CHOICE]
    st.query_params[_RUN] = chosen or _NEW


def chosen_run(home: Home) -> Run | None:
    """The run that the address names, or the newest live run, which the address then names; None for the form.

    Raises:
        RunError: the address names a run that is not there.
    """
    asked = st.query_params.get(_RUN)
    if asked == _NEW:
        return None
    if asked:
        return find_run(home, asked)
    live = next((run for run in list_runs(home) if run.status().live), None)
    if live:
        open_run(live)  # when it ends, the page must not turn into the form
    return live


def run_selector(runs: list[Run], current: Run | None) -> None:
    """A select box of all runs that opens the one chosen."""
    st.session_state[_RUN_CHOICE] = None if current is None else current.id
    st.selectbox(
        "Run",
        [run.id for run in runs],
        key=_RUN_CHOICE,
        index=None,
        placeholder="Open a run",
        label_visibility="collapsed",
        on_change=open_chosen_run,
        width=300,
    )
