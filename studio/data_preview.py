"""The rows of a table, a page at a time, and one of them in full as a run will read it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core.data.draft import Draft, DropRows, Redact, StripReasoning
from core.data.reasoning import strip_reasoning
from core.data.tables import ROW, Table
from studio import data_draft, output, state

PAGE_ROWS = 50
_HEIGHT = 430
_ROW_HEIGHT = 44
_CELL_CHARACTERS = 400
"""A cell of the table is cut there; the row in full is beside it."""


@dataclass(frozen=True)
class AsTrained:
    """One row as a run will read it.

    Attributes:
        row: its number in the source.
        question, answer: after the mends that rewrite them; empty when the cell is.
        carried: the other columns that go with it.
        notes: what happens to the row besides.
    """

    row: int
    question: str
    answer: str
    carried: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def as_trained(cells: dict[str, Any], draft: Draft) -> AsTrained:
    """Map one row of a table and apply to it the mends that need nothing heavy."""
    mapping, number, notes = draft.mapping, int(cells[ROW]), []
    question, answer = ((cells[name] or "").strip() for name in (mapping.question, mapping.answer))
    for mend in draft.mends:
        if isinstance(mend, DropRows) and number in mend.rows:
            notes.append("A mend leaves this row out.")
        elif isinstance(mend, StripReasoning) and number in mend.rows:
            answer = strip_reasoning(answer, draft.prompt.tags)
            notes.append("A mend keeps only what is meant as the answer.")
        elif isinstance(mend, Redact) and number in mend.rows:
            notes.append("Likely identifiers in this row become placeholders when the data is saved.")
    notes += [f"The {name} is empty." for name, text in (("question", question), ("answer", answer)) if not text]
    carried = tuple((name, cells[name] or "") for name in mapping.carried)
    return AsTrained(number, question, answer, carried, tuple(notes))


def current(table: Table, draft: Draft) -> AsTrained | None:
    """The row that is looked at in full: the chosen one, else the first."""
    number = state.chosen_row(table)
    found = table.rows([number]) if number is not None else table.page(0, 1)
    return as_trained(found[0], draft) if found else None


def side_by_side(table: Table, draft: Draft) -> None:
    """The table on the left, the row that is looked at on the right."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.fragment(_browse)(table, draft)
    with right, st.container(border=True, height=_HEIGHT + 116):
        _in_full(current(table, draft))


def _browse(table: Table, draft: Draft) -> None:
    found = st.text_input(
        "Search all rows",
        key=f"{table.id}.search",
        type="search",
        icon=":material/search:",
        placeholder="Search in all rows and columns",
        label_visibility="collapsed",
        live="300ms",
    )
    search = (found or "").strip()
    count = table.count(search) if search else data_draft.about(table).rows
    if not count:
        st.info("No row holds this text.", icon=":material/search_off:")
        return
    pages = math.ceil(count / PAGE_ROWS)
    slot = st.container(height=_HEIGHT, border=False)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        number = st.pagination(pages, key=f"{table.id}.page.{search}") if pages > 1 else 1
        first, last = (number - 1) * PAGE_ROWS + 1, min(number * PAGE_ROWS, count)
        st.caption(
            f"{'Found rows' if search else 'Rows'} {first:,} to {last:,} of {count:,}. Click one to read it in full."
        )
    with slot:
        _page(table, draft, table.page(first - 1, PAGE_ROWS, search), f"{search}.{number}")


def _page(table: Table, draft: Draft, rows: list[dict[str, Any]], scope: str) -> None:
    mapping = draft.mapping
    mapped = [name for name in (mapping.question, mapping.answer, mapping.split, *mapping.carried) if name]
    names = list(dict.fromkeys([*mapped, *data_draft.about(table).columns]))
    frame = pd.DataFrame(
        {"Row": [row[ROW] for row in rows], **{name: [_cut(row[name]) for row in rows] for name in names}}
    )
    wide = (mapping.question, mapping.answer)
    event = st.dataframe(
        frame,
        hide_index=True,
        height=_HEIGHT,
        row_height=_ROW_HEIGHT,
        key=f"{table.id}.rows.{scope}",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        alt="Rows of the source, the question and answer columns first",
        column_config={
            "Row": st.column_config.NumberColumn(width=60),
            **{name: st.column_config.TextColumn(name, width=300 if name in wide else 120) for name in names},
        },
    )
    chosen = [*event.selection.rows, *(cell[0] for cell in event.selection.cells)]
    if chosen and chosen[0] < len(rows) and rows[chosen[0]][ROW] != state.chosen_row(table):
        state.choose_row(table, rows[chosen[0]][ROW])
        st.rerun()


def _cut(cell: str | None) -> str | None:
    return cell if cell is None or len(cell) <= _CELL_CHARACTERS else cell[:_CELL_CHARACTERS] + "…"


def _in_full(row: AsTrained | None) -> None:
    if row is None:
        st.caption("There is no row to show.")
        return
    st.markdown(f"**Row {row.row}, as a run will read it**")
    for note in row.notes:
        output.warning(note)
    output.labelled("Question", row.question)
    output.labelled("Answer", row.answer)
    for name, text in row.carried:
        output.labelled(output.escape(name), text)
