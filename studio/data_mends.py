"""What a finding's mend would change, shown before it is applied; and the mends that are, each to be taken back."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.data.draft import Draft, DropRows, Mend, Redact, Resplit, StripReasoning
from core.data.tables import Table
from core.jobs.tasks import REQUEST, Task, newest_task
from core.paths import Home
from studio import data_draft, data_tasks, output, state

_PREVIEWED = 20
_AFTER_DROP = "(left out)"


def describe(mend: Mend) -> str:
    """What an applied mend does, in a few words.

    >>> describe(DropRows(reason="duplicate", rows=(4, 9)))
    '2 rows are left out: duplicate'
    """
    match mend:
        case DropRows():
            verb = "row is" if len(mend.rows) == 1 else "rows are"
            return f"{len(mend.rows):,} {verb} left out: {mend.reason}"
        case StripReasoning():
            return f"Only the answer itself is kept in {_rows(mend)}"
        case Redact():
            return f"Likely identifiers become placeholders in {_rows(mend)}"
        case Resplit():
            return "Rows are split by a hash of the question, not by the split column"


def _rows(mend: StripReasoning | Redact) -> str:
    return "1 row" if len(mend.rows) == 1 else f"{len(mend.rows):,} rows"


def button(home: Home, table: Table, draft: Draft, mend: Mend, number: int) -> None:
    """The way from a finding to what its mend would change; or the word that it is applied.

    Args:
        number: of the finding on the page; names its widgets.
    """
    if mend in draft.mends:
        st.badge("Mend applied", icon=":material/check:", color="green")
    elif not _is_looked_at(table, mend, number):
        st.button(
            "Show what this changes",
            icon=":material/preview:",
            key=f"{table.id}.look.{number}",
            on_click=_look,
            args=(home, table, mend, number),
        )


def look(home: Home, table: Table, draft: Draft, mend: Mend, number: int) -> None:
    """What the mend would change, when somebody has asked to see it, and the button that applies it."""
    if mend in draft.mends or not _is_looked_at(table, mend, number):
        return
    task = fresh_preview(home, table, mend)
    if task is not None and task.status().live:
        data_tasks.follow(task)
        return
    data_tasks.explain(task, "preview", "Look again.", table.id)
    changes = None if task is None else task.result()
    if changes is not None:
        _changes(changes, mend, number)
    with st.container(horizontal=True):
        st.button(
            "Apply",
            type="primary",
            icon=":material/build:",
            key=f"{table.id}.apply.{number}",
            disabled=not changes,
            on_click=_apply,
            args=(table, mend, draft),
        )
        st.button("Not now", key=f"{table.id}.close.{number}", on_click=state.look_away, args=(table,))


def fresh_preview(home: Home, table: Table, mend: Mend) -> Task | None:
    """The last preview of this mend, unless something was decided about the table since."""
    task = newest_task(home, "preview", {"table": table.id, "mend": mend.model_dump(mode="json")})
    kept = table.folder / "draft.json"
    if task is None or (task.folder / REQUEST).stat().st_mtime_ns < kept.stat().st_mtime_ns:
        return None
    return task


def _is_looked_at(table: Table, mend: Mend, number: int) -> bool:
    return state.looked_at(table) == (number, mend.model_dump_json())


def _look(home: Home, table: Table, mend: Mend, number: int) -> None:
    state.look_at(table, number, mend.model_dump_json())
    if fresh_preview(home, table, mend) is None:
        arguments = {"table": table.id, "mend": mend.model_dump(mode="json"), "limit": _PREVIEWED}
        data_tasks.start(home, "preview", arguments)


def _apply(table: Table, mend: Mend, seen: Draft) -> None:
    data_draft.apply(table, mend, seen)
    state.look_away(table)


def _changes(changes: list[dict[str, Any]], mend: Mend, number: int) -> None:
    if not changes:
        st.info("Nothing would change: the rows are as this mend would leave them.", icon=":material/info:")
        return
    dropped = isinstance(mend, DropRows)
    frame = pd.DataFrame(
        {
            "Row": [change["row"] for change in changes],
            "Column": [change["column"].capitalize() for change in changes],
            "Before": [change["before"] for change in changes],
            "After": [_AFTER_DROP if dropped else change["after"] for change in changes],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        key=f"changes {number}",
        row_height=62,
        alt="The cells this mend changes, before and after",
        column_config={
            "Row": st.column_config.NumberColumn(width=60),
            "Column": st.column_config.TextColumn(width=90),
            "Before": st.column_config.TextColumn(width="large"),
            "After": st.column_config.TextColumn(width="large"),
        },
    )
    if len(changes) == _PREVIEWED:
        st.caption(f"The first {_PREVIEWED} changes.")


def applied(table: Table, draft: Draft) -> None:
    """The mends of the draft in their order, each with the button that takes it back."""
    if not draft.mends:
        return
    st.markdown("**Applied mends**")
    for number, mend in enumerate(draft.mends):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "Take back",
                icon=":material/undo:",
                key=f"{table.id}.undo.{number}",
                on_click=data_draft.take_back,
                args=(table, mend),
            )
            st.markdown(output.escape(describe(mend)))
    st.caption("The source stays as it is: mends are applied, in this order, to what is saved.")
