"""Typed access to what the Export page remembers: which export is open and what a new one is of, in the address."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.address_state import VIEW, OpenedViews

SETUP, FILES, ANSWERS, USE, PUBLISH = "setup", "files", "answers", "use", "publish"
VIEWS = {
    SETUP: ":material/tune: Set up",
    FILES: ":material/folder_open: Files",
    ANSWERS: ":material/compare: Answers",
    USE: ":material/terminal: Ready to run",
    PUBLISH: ":material/cloud_upload: Publish",
}
_PAGE = OpenedViews("export", VIEWS, name="export", shown=FILES, label="export", width=380)
query, opened, open_export, export_selector = _PAGE.query, _PAGE.opened, _PAGE.open, _PAGE.box
view, view_selector, show_view = _PAGE.chosen, _PAGE.selector, _PAGE.show
_RUN, _CHECKPOINT = "run", "checkpoint"
"""The query parameters that name what a new export is of."""
_RUN_CHOICE, _CHECKPOINT_CHOICE = "export.run", "export.checkpoint"


def run_query(run: str) -> dict[str, str]:
    """The query parameters of the Export page with the set-up of an export of this run."""
    return {_RUN: run, VIEW: SETUP}


def run_selector(titles: Mapping[str, str]) -> str:
    """The box in which is chosen whose model is exported: what the address names, else the first.

    Args:
        titles: how each run reads, by its id; at least one.
    """
    asked = st.query_params.get(_RUN, "")
    st.session_state[_RUN_CHOICE] = asked if asked in titles else next(iter(titles))
    st.selectbox(
        "Trained model",
        list(titles),
        key=_RUN_CHOICE,
        format_func=titles.__getitem__,
        on_change=_keep_run,
    )
    return str(st.session_state[_RUN_CHOICE])


def _keep_run() -> None:
    st.query_params[_RUN] = st.session_state[_RUN_CHOICE]
    st.query_params.pop(_CHECKPOINT, None)


def checkpoint_selector(titles: Mapping[str, str]) -> str:
    """The box in which is chosen which state of the training is exported: what the address names, else the first.

    Args:
        titles: how each checkpoint reads; at least one.
    """
    asked = st.query_params.get(_CHECKPOINT, "")
    st.session_state[_CHECKPOINT_CHOICE] = asked if asked in titles else next(iter(titles))
    st.selectbox(
        "State of the training",
        list(titles),
        key=_CHECKPOINT_CHOICE,
        format_func=titles.__getitem__,
        on_change=_keep_checkpoint,
        help="The final state is what training ended with. The best one did best on the validation questions.",
    )
    return str(st.session_state[_CHECKPOINT_CHOICE])


def _keep_checkpoint() -> None:
    st.query_params[_CHECKPOINT] = st.session_state[_CHECKPOINT_CHOICE]
