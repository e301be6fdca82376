"""Typed access to what the Export page remembers: which export is open and what a new one is of, in the address."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

SETUP, FILES, ANSWERS, USE, PUBLISH = "setup", "files", "answers", "use", "publish"
VIEWS = {
    SETUP: ":material/tune: Set up",
    FILES: ":material/folder_open: Files",
    ANSWERS: ":material/compare: Answers",
    USE: ":material/terminal: Ready to run",
    PUBLISH: ":material/cloud_upload: Publish",
}
_VIEW = "view"
_EXPORT = "export"
"""The query parameter that names the export that is open."""
_RUN, _CHECKPOINT = "run", "checkpoint"
"""The query parameters that name what a new export is of."""
_VIEW_CHOICE, _OPEN_CHOICE = "export.view", "export.open"
_RUN_CHOICE, _CHECKPOINT_CHOICE = "export.run", "export.checkpoint"


def query(export: str) -> dict[str, str]:
    """The query parameters of the Export page with the files of this export open."""
    return {_EXPORT: export, _VIEW: FILES}


def run_query(run: str) -> dict[str, str]:
    """The query parameters of the Export page with the set-up of an export of this run."""
    return {_RUN: run, _VIEW: SETUP}


def view() -> str:
    """Which view the address asks for: the files where it names an export and no view."""
    asked = st.query_params.get(_VIEW, FILES if opened() else SETUP)
    return asked if asked in VIEWS else SETUP


def view_selector() -> str:
    """The row of views; the one that is chosen stands in the address."""
    st.session_state[_VIEW_CHOICE] = view()
    st.segmented_control(
        "View",
        list(VIEWS),
        required=True,
        key=_VIEW_CHOICE,
        format_func=VIEWS.__getitem__,
        label_visibility="collapsed",
        on_change=_keep_view,
    )
    return view()


def _keep_view() -> None:
    show_view(st.session_state[_VIEW_CHOICE])


def show_view(name: str) -> None:
    """Draw this view from the next run of the page on."""
    st.query_params[_VIEW] = name


def opened() -> str | None:
    """The export that is open."""
    return st.query_params.get(_EXPORT)


def open_export(export: str | None) -> None:
    """Show the files of an export from the next run of the page on; None closes it and shows the set-up."""
    if export is None:
        st.query_params.pop(_EXPORT, None)
        show_view(SETUP)
        return
    st.query_params.from_dict(query(export))


def export_selector(titles: Mapping[str, str], current: str | None) -> None:
    """The box in which is chosen which export is open; the view stays.

    Args:
        titles: how each export reads, by its id; the one that is open is among them.
    """
    st.session_state[_OPEN_CHOICE] = current
    st.selectbox(
        "Export",
        list(titles),
        index=None if current is None else 0,  # what is open cannot be cleared, only changed
        key=_OPEN_CHOICE,
        format_func=titles.__getitem__,
        placeholder="Open an export",
        label_visibility="collapsed",
        on_change=_keep_export,
        width=380,
    )


def _keep_export() -> None:
    chosen = st.session_state[_OPEN_CHOICE]
    if chosen:
        st.query_params[_EXPORT] = chosen
        show_view(view() if view() != SETUP else FILES)


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
