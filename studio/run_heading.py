"""What people have written on a run: in the selector of runs, and under the heading of its page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.runs.lines import RunLine
from core.runs.run import Run
from studio import output


def offered(lines: Sequence[RunLine], current: Run | None) -> dict[str, str]:
    """How the runs that can be opened read, by their ids; archived ones are left out unless they are open."""
    return {
        line.run.id: f"{line.title} · {line.run.id}" if line.title else line.run.id
        for line in lines
        if not line.label.archived or line.run == current
    }


def draw(lines: Sequence[RunLine], run: Run) -> None:
    """The title, tags and note of a run; nothing for one that has none of them."""
    line = next((line for line in lines if line.run == run), None)
    if line is None:
        return
    if line.title:
        st.subheader(output.escape(line.title), anchor=False)
    marks = [*(["Archived"] if line.label.archived else []), *line.label.tags]
    if marks:
        st.caption(output.escape(" · ".join(marks)))
    if line.label.note:
        st.text(line.label.note)
