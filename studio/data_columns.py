"""The second step of the Data page: which columns mean what."""

from __future__ import annotations

import streamlit as st

from core.data.draft import ColumnMapping, Draft
from core.data.tables import Table
from core.errors import DataError
from studio import data_draft, output, state

BY_QUESTION = ""
"""Stands for no split column."""


def form(table: Table, draft: Draft | None) -> None:
    """The columns found automatically, to be changed where they are wrong."""
    mapping = None if draft is None else draft.mapping
    if mapping is None:
        st.info(
            "The columns could not be told apart by themselves. Choose the one with the questions and the one with the "
            "answers.",
            icon=":material/help:",
        )
    columns = list(data_draft.about(table).columns)
    first, second, third, fourth = st.columns(4)
    with first:
        _select(table, "Question", columns, mapping, mapping.question if mapping else None, "What the model is asked.")
    with second:
        _select(
            table,
            "Answer",
            columns,
            mapping,
            mapping.answer if mapping else None,
            "The reference that completions are judged by.",
        )
    with third:
        split = "Which split a row belongs to. Without one, a hash of the question decides, the same on every machine."
        kept = (mapping.split if mapping else None) or BY_QUESTION
        _select(table, "Split", [BY_QUESTION, *columns], mapping, kept, split)
    with fourth:
        state.show(_key(table, "Carried"), list(mapping.carried) if mapping else [], _form(table))
        st.multiselect(
            "Carried along",
            columns,
            key=_key(table, "Carried"),
            placeholder="None",
            help="Further columns that reward functions may want.",
            on_change=_keep,
            args=(table, mapping),
        )
    reason = state.refusal(_form(table))
    if reason is not None:
        output.problem(reason)


def _select(
    table: Table, label: str, options: list[str], seen: ColumnMapping | None, kept: str | None, note: str
) -> None:
    key = _key(table, label)
    state.show(key, kept, _form(table))
    st.selectbox(
        f"{label} column",
        options,
        index=None if kept is None else 0,  # what is chosen can be changed, not cleared
        key=key,
        placeholder="Choose a column",
        format_func=_shown,
        help=note,
        on_change=_keep,
        args=(table, seen),
    )


def _shown(column: str) -> str:
    return column if column != BY_QUESTION else "None: split by the question"


def _form(table: Table) -> str:
    return f"{table.id}.columns"


def _key(table: Table, label: str) -> str:
    return f"{table.id}.{label}"


def _keep(table: Table, seen: ColumnMapping | None) -> None:
    question, answer, split, carried = (
        state.value(_key(table, label)) for label in ("Question", "Answer", "Split", "Carried")
    )
    if not question or not answer:
        state.refuse(_form(table), "Choose a question column and an answer column.")
        return
    mapping = ColumnMapping(question=question, answer=answer, split=split or None, carried=tuple(carried or ()))
    try:
        data_draft.keep_mapping(table, mapping, seen)
    except DataError as error:
        state.refuse(_form(table), str(error))
        return
    state.accept(_form(table))
