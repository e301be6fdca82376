"""The checklist that judges answer with yes or no, edited as a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.evaluate.request import RUBRIC, RubricItem
from studio import evaluate_state

_ID, _TEXT = "id", "What a good answer does"


def edit() -> tuple[RubricItem, ...]:
    """The table of items; returns those that have a text. It may be none."""
    first = frame(RUBRIC)
    edited = st.data_editor(
        evaluate_state.rubric_base(first),
        key=evaluate_state.RUBRIC_EDITOR,
        num_rows="dynamic",
        hide_index=True,
        alt="The items of the checklist",
        column_config={_ID: None, _TEXT: st.column_config.TextColumn(width="large", max_chars=500, required=True)},
    )
    evaluate_state.keep_rubric(edited)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption("Write each so that yes is good. Add a row at the bottom; tick rows and delete them at the top.")
        st.button(
            "Start over",
            icon=":material/restart_alt:",
            type="tertiary",
            key="evaluate.rubric.reset",
            help="Takes the studio's own items again.",
            on_click=evaluate_state.reset_rubric,
        )
    return items(edited)


def frame(rubric: Sequence[RubricItem]) -> pd.DataFrame:
    """The items as the editor's rows."""
    return pd.DataFrame({_ID: [item.id for item in rubric], _TEXT: [item.text for item in rubric]})


def items(rows: pd.DataFrame) -> tuple[RubricItem, ...]:
    """The items that the editor's rows hold; a new row gets a name of its own, an empty one counts for nothing."""
    filled = [(_cell(name), text) for name, text in zip(rows[_ID], map(_cell, rows[_TEXT]), strict=True) if text]
    taken = {name for name, _ in filled if name}
    free = (name for number in range(1, len(filled) + len(taken) + 1) if (name := f"item_{number}") not in taken)
    return tuple(RubricItem(id=name or next(free), text=text) for name, text in filled)


def _cell(value: object) -> str:
    """A cell's text; a cell that was never filled holds no text."""
    return value.strip() if isinstance(value, str) else ""
