"""Every export that was asked for, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from core.errors import StudioError
from core.export.request import FORM_TITLES, FORMS
from core.export.store import ACKNOWLEDGED, MANIFEST, PARITY, REQUEST, Export, list_exports
from core.paths import Home
from studio import export_open, export_state, export_words, output, words
from studio.export_open import Opened

_SHOWN = 100
_KEPT = 500
"""Of how many states of exports the lines are remembered."""
_ROW_PIXELS, _HEADER_PIXELS, _MOST_ROWS = 35, 37, 8


@dataclass(frozen=True)
class Line:
    """What the list shows of one export; text from outside.

    Attributes:
        made: the titles of the forms that are whole.
        size: how much disk its files take.
        answers: how they answer, in a word or two.
        created: when it was asked for.
    """

    id: str
    title: str
    run: str
    made: str
    size: str
    answers: str
    created: datetime


def lines(home: Home) -> list[Line]:
    """The newest exports that can be read."""
    found = []
    for export in list_exports(home)[:_SHOWN]:
        with suppress(StudioError, OSError):  # it is deleted at this moment, or damaged
            found.append(_line(str(export.folder), _stamp(export)))
    return found


def _stamp(export: Export) -> tuple[int, ...]:
    """When an export's folder, its notes and the folders of its forms were changed; 0 of what is not there."""
    notes = [export.folder, *(export.folder / name for name in (REQUEST, MANIFEST, PARITY, ACKNOWLEDGED))]
    places = [*notes, *dict.fromkeys(map(export.form_folder, FORMS))]
    return tuple(place.stat().st_mtime_ns if place.exists() else 0 for place in places)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _line(folder: str, stamp: tuple[int, ...]) -> Line:
    """The line of an export that was last changed then; a page asks for all of them whenever a widget is used."""
    found = export_open.read(Export(Path(folder)))
    return Line(
        id=found.id,
        title=found.title,
        run=found.export.run_id,
        made=", ".join(FORM_TITLES[form] for form in found.made) or "Nothing yet",
        size=export_words.size_words(sum(file.bytes for file in found.manifest.files)),
        answers=_answers(found),
        created=datetime.fromtimestamp(found.export.created),
    )


def selector(found: Sequence[Line], current: Opened | None) -> None:
    """The box in which an export is opened."""
    titles = {line.id: f"{line.title} · {line.created:%d %b %Y, %H:%M}" for line in found}
    if current:
        titles.setdefault(current.id, current.title)
    export_state.export_selector(words.told_apart(titles), current.id if current else None)


def draw(found: Sequence[Line]) -> None:
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


def table(found: Sequence[Line]) -> pd.DataFrame:
    """The lines as a table; one row an export."""
    return pd.DataFrame(
        {
            "Export": [line.title for line in found],
            "Run": [line.run for line in found],
            "Made": [line.made for line in found],
            "Size": [line.size for line in found],
            "Answers": [line.answers for line in found],
            "Started": [line.created for line in found],
        }
    )


def _answers(found: Opened) -> str:
    if found.report is None:
        return "Not compared"
    if not found.report.drift:
        return "Warnings" if found.report.findings else "As trained"
    return "Drift, acknowledged" if found.export.acknowledged else "Drift"
