"""The answers of a comparison, read again only when more have come."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.compare.comparison import ComparedAnswer, Comparison

_KEPT = 8
"""Of how many states of files the answers are remembered; a large batch takes some tens of megabytes."""


def answers(comparison: Comparison) -> tuple[ComparedAnswer, ...]:
    """The latest answer of each candidate to each question, ordered by question, then by candidate."""
    try:
        written = (comparison.folder / "answers.jsonl").stat()
    except FileNotFoundError:
        return ()
    return _read(str(comparison.folder), written.st_size, written.st_mtime_ns)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _read(folder: str, size: int, changed: int) -> tuple[ComparedAnswer, ...]:
    """The answers in a file of this size that was last changed then; a page asks for them at every refresh."""
    return tuple(Comparison(Path(folder)).answers())
