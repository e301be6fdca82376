"""Typed access to what the Evaluate page remembers: what is open, in the address, and the judges that are entered."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from studio.address_state import OpenedViews

SETUP, RESULTS, QUESTIONS, EVIDENCE = "setup", "results", "questions", "evidence"
VIEWS = {
    SETUP: ":material/tune: Set up",
    RESULTS: ":material/query_stats: Results",
    QUESTIONS: ":material/grid_on: Questions",
    EVIDENCE: ":material/folder_zip: Evidence",
}
_PAGE = OpenedViews("evaluate", VIEWS, name="evaluation", shown=RESULTS, label="evaluation", width=420)
query, opened, open_evaluation, evaluation_selector = _PAGE.query, _PAGE.opened, _PAGE.open, _PAGE.box
view, view_selector, show_view = _PAGE.chosen, _PAGE.selector, _PAGE.show
_BATCH = "batch"
"""The query parameter that names the batch whose answers are to be judged; without it questions are asked."""
_SOURCE_CHOICE = "evaluate.source"
_BATCH_CHOICE = "evaluate.batch"
_SLOTS = "evaluate.judges"
_RUBRIC, _RUBRIC_BASE, RUBRIC_EDITOR = "evaluate.rubric", "evaluate.rubric.base", "evaluate.rubric.editor"
NEW_ANSWERS, KEPT_ANSWERS = "new", "kept"
_SOURCES = {
    NEW_ANSWERS: ":material/forum: Ask test questions now",
    KEPT_ANSWERS: ":material/inventory_2: Use answers that are there",
}


def batch_query(comparison: str) -> dict[str, str]:
    """The query parameters of the Evaluate page with the set-up of an evaluation of these answers."""
    return {_BATCH: comparison}


def source_selector() -> str:
    """Whether questions are asked or answers of a batch are taken; returns one of `NEW_ANSWERS`, `KEPT_ANSWERS`."""
    st.session_state[_SOURCE_CHOICE] = NEW_ANSWERS if wanted_batch() is None else KEPT_ANSWERS
    st.segmented_control(
        "Answers",
        list(_SOURCES),
        required=True,
        key=_SOURCE_CHOICE,
        format_func=_SOURCES.__getitem__,
        label_visibility="collapsed",
        on_change=_keep_source,
        wrap=True,
    )
    return NEW_ANSWERS if wanted_batch() is None else KEPT_ANSWERS


def _keep_source() -> None:
    if st.session_state[_SOURCE_CHOICE] == NEW_ANSWERS:
        st.query_params.pop(_BATCH, None)
    else:
        st.query_params[_BATCH] = "last"


def wanted_batch() -> str | None:
    """The batch whose answers the address asks to judge; None when questions are to be asked."""
    return st.query_params.get(_BATCH)


def batch_selector(titles: Mapping[str, str], current: str) -> None:
    """The box in which is chosen which batch is judged; the one chosen stands in the address."""
    st.session_state[_BATCH_CHOICE] = current
    st.selectbox(
        "Answers to judge", list(titles), key=_BATCH_CHOICE, format_func=titles.__getitem__, on_change=_keep_batch
    )


def _keep_batch() -> None:
    st.query_params[_BATCH] = st.session_state[_BATCH_CHOICE]


def judges(first: int) -> tuple[int, ...]:
    """The numbers of the judges that are entered; a number is never used again, so that fields never mix.

    Args:
        first: how many there are at first.
    """
    kept: tuple[int, ...] = st.session_state.setdefault(_SLOTS, tuple(range(first)))
    return kept


def add_judge() -> None:
    """Let one more be entered. A callback."""
    kept: tuple[int, ...] = st.session_state.get(_SLOTS, ())
    used: int = st.session_state.get(f"{_SLOTS}.used", len(kept))
    st.session_state[f"{_SLOTS}.used"] = used + 1
    st.session_state[_SLOTS] = (*kept, used)


def remove_judge(number: int) -> None:
    """Take one away. A callback."""
    kept: tuple[int, ...] = st.session_state.get(_SLOTS, ())
    st.session_state.setdefault(f"{_SLOTS}.used", len(kept))
    st.session_state[_SLOTS] = tuple(one for one in kept if one != number)


def rubric_base(first: pd.DataFrame) -> pd.DataFrame:
    """The rows that the editor of the rubric starts from: what it held last, and at first `first`.

    An editor keeps its changes apart from its rows, so the rows must stay the same while it is drawn.
    """
    if RUBRIC_EDITOR not in st.session_state:
        st.session_state[_RUBRIC_BASE] = st.session_state.get(_RUBRIC, first)
    base: pd.DataFrame = st.session_state[_RUBRIC_BASE]
    return base


def keep_rubric(rows: pd.DataFrame) -> None:
    """Remember what the editor of the rubric holds, for when it is drawn anew."""
    st.session_state[_RUBRIC] = rows


def rubric(first: pd.DataFrame) -> pd.DataFrame:
    """The rows of the rubric as they are now; at first `first`."""
    kept: pd.DataFrame = st.session_state.get(_RUBRIC, first)
    return kept


def reset_rubric() -> None:
    """Start from the studio's own items again. A callback."""
    for key in (_RUBRIC, _RUBRIC_BASE, RUBRIC_EDITOR):
        st.session_state.pop(key, None)
