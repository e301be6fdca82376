"""What the Export page shows of the export that is open, by the view that is chosen."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.export.request import FORM_TITLES
from core.paths import Home
from studio import (
    export_answers,
    export_files,
    export_hub,
    export_list,
    export_progress,
    export_state,
    export_use,
    output,
)
from studio.export_list import Line
from studio.export_open import Opened

_CHECKPOINTS = {"": "the final state", "best": "the best on validation"}


def draw(home: Home, view: str, found: Opened | None, lines: Sequence[Line]) -> None:
    """One of the views Files, Answers, Ready to run and Publish."""
    if found is None:
        _none(lines)
        return
    st.subheader(output.escape(found.title), anchor=False)
    st.caption(output.escape(_told(found)))
    running = export_progress.draw(home, found)
    if view == export_state.ANSWERS:
        export_answers.draw(found, running)
    elif view == export_state.USE:
        export_use.draw(home, found, running)
    elif view == export_state.PUBLISH:
        export_hub.draw(home, found, running)
    else:
        export_files.draw(home, found, running)


def _told(found: Opened) -> str:
    """What it is of, and in which forms; text from outside."""
    checkpoint = found.request.checkpoint
    which = _CHECKPOINTS.get(checkpoint, f"step {checkpoint}")
    return f"{found.export.run_id}, {which} · {', '.join(FORM_TITLES[form] for form in found.request.forms)}"


def _none(lines: Sequence[Line]) -> None:
    if lines:
        export_list.draw(lines)
        return
    st.info("Nothing has been exported yet. Set up the first export.", icon=":material/info:")
    st.button(
        "Set up", type="primary", key="export.to_setup", on_click=export_state.show_view, args=(export_state.SETUP,)
    )
