"""Every export that was asked for, the newest first."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import pandas as pd
import streamlit as st

from core.errors import StudioError
from core.export.request import FORM_TITLES
from core.export.store import list_exports
from core.paths import Home
from studio import evaluate_list, export_open, export_state, export_words, output
from studio.export_open import Opened

_SHOWN = 100
_ROW_PIXELS, _HEADER_PIXELS, _MOST_ROWS = 35, 37, 8


def lines(home: Home) -> list[Opened]:
    """The newest exports that can be read."""
    found = []
    for export in list_exports(home)[:_SHOWN]:
        with suppress(StudioError, OSError):  # it is deleted at this moment, or damaged
            found.append(export_open.read(export))
    return found


def selector(found: list[Opened], current: Opened | None) -> None:
    """The box in which an export is opened."""
    titles = {line.id: f"{line.title} · {_created(line):%d %b %Y, %H:%M}" for line in found}
    if current:
        titles.setdefault(current.id, current.title)
    export_state.export_selector(evaluate_list.told_apart(titles), current.id if current else None)


def draw(found: list[Opened]) -> None:
    """The table; a click opens an export."""
    if not found:
        return
    st.subheader("Earlier exports", anchor=False)
    event = st.dataframe(
        table(found),
        hide_index=True,
        key=f"export.list.{found[0].id}",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        height=min(len(found), _MOST_ROWS) * _ROW_PIXELS + _HEADER_PIXELS,
        row_height=_ROW_PIXELS,
        alt="Exports, the newest first",
        column_config={
            "Export": st.column_config.TextColumn(width="medium"),
            "Made": output.WIDE_TEXT,
            "Started": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", width="small"),
        },
    )
    rows = [*event.selection.rows, *(cell[0] for cell in event.selection.cells)]
    if rows and rows[0] < len(found):
        export_state.open_export(found[rows[0]].id)
        st.rerun()
    st.caption("Click one to open it.")


def table(found: list[Opened]) -> pd.DataFrame:
    """The lines as a table; one row an export."""
    return pd.DataFrame(
        {
            "Export": [line.title for line in found],
            "Run": [line.export.run_id for line in found],
            "Made": [", ".join(FORM_TITLES[form] for form in line.made) or "Nothing yet" for line in found],
            "Size": [export_words.size_words(sum(file.bytes for file in line.manifest.files)) for line in found],
            "Answers": [_answers(line) for line in found],
            "Started": [_created(line) for line in found],
        }
    )


def _answers(line: Opened) -> str:
    if line.report is None:
        return "Not compared"
    if not line.report.drift:
        return "Warnings" if line.report.findings else "As trained"
    return "Drift, acknowledged" if line.export.acknowledged else "Drift"


def _created(line: Opened) -> datetime:
    return datetime.fromtimestamp(line.export.created)
