"""What can be done with the runs that are ticked in the list."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import StudioError
from core.paths import Home
from core.runs.labels import change_label
from core.runs.lines import RunLine
from studio import access, compare_who, export_link, navigation, runs_dialogs, state

MOST_COMPARED = 8
_REFUSED = "runs"


def bar(home: Home, lines: Sequence[RunLine]) -> None:
    """The buttons that act on the ticked runs."""
    if not lines:
        st.caption("Click a run to open it. Tick runs to compare, name, archive, export or delete them.")
        return
    ids = [line.run.id for line in lines]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("1 run is ticked" if len(lines) == 1 else f"{len(lines)} runs are ticked")
        if len(lines) == 1 and st.button("Open", icon=":material/open_in_new:", key="runs.open", type="primary"):
            st.switch_page(navigation.TRAIN.path, query_params=state.run_query(ids[0]))
        if len(lines) == 1:
            compare_who.compare_button(lines[0].run, "runs.ask")
            compare_who.evaluate_button(lines[0].run, "runs.evaluate")
            export_link.button(lines[0].run, "runs.export_model")
        if len(lines) > 1:
            _compare_button(ids)
        if access.button("run.label", "Title and tags", icon=":material/label:", key="runs.label"):
            runs_dialogs.label(lines)
        _archive_buttons(lines)
        if access.button(
            "run.export",
            "Pack as zip",
            icon=":material/folder_zip:",
            key="runs.export",
            help="The whole run with its curves and answers, to keep it or to bring it into another studio.",
        ):
            runs_dialogs.export(home, lines)
        if access.button("run.delete", "Delete", icon=":material/delete:", key="runs.delete"):
            runs_dialogs.delete(home, lines)


def _compare_button(ids: Sequence[str]) -> None:
    too_many = len(ids) > MOST_COMPARED
    st.button(
        "Compare",
        icon=":material/compare_arrows:",
        key="runs.compare",
        type="primary",
        disabled=too_many,
        help=f"At most {MOST_COMPARED} runs at once." if too_many else None,
        on_click=state.compare,
        args=(ids,),
    )


def _archive_buttons(lines: Sequence[RunLine]) -> None:
    """A button to put away those that are listed, and one to bring back those that were."""
    shown = [line for line in lines if not line.label.archived]
    archived = [line for line in lines if line.label.archived]
    for wanted, label, icon, key in (
        (shown, "Archive", ":material/archive:", "runs.archive"),
        (archived, "Take out of the archive", ":material/unarchive:", "runs.unarchive"),
    ):
        if wanted:
            access.button("run.label", label, icon=icon, key=key, on_click=_archive, args=(wanted, wanted is shown))


def _archive(lines: Sequence[RunLine], archived: bool) -> None:
    try:
        for line in lines:
            change_label(line.run, archived=archived)
    except StudioError as error:
        state.refuse(_REFUSED, str(error))
        return
    state.accept(_REFUSED)


def refusal() -> str | None:
    """Why the last button did nothing."""
    return state.refusal(_REFUSED)
