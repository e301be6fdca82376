"""Every comparison that was made, the newest first: single questions in one list, batches in another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from core.compare.comparison import Comparison, ComparisonRequest, list_comparisons
from core.errors import StudioError
from core.paths import Home
from core.serving.candidates import Candidate
from core.text import one_line
from studio import compare_names, compare_state, output
from studio.compare_open import Opened

_SHOWN = 100
_ROW_PIXELS, _HEADER_PIXELS, _MOST_ROWS = 35, 37, 8


@dataclass(frozen=True)
class Line:
    """One comparison in a list.

    Attributes:
        title: its question, or what the batch is called; text from outside.
        candidates: who answers.
        questions: how many there are.
    """

    comparison: Comparison
    title: str
    candidates: tuple[Candidate, ...]
    questions: int
    created: datetime


def lines(home: Home) -> list[Line]:
    """All comparisons that can be read, the newest first."""
    found = []
    for comparison in list_comparisons(home):
        with suppress(StudioError, OSError):  # tried again the next time: only what could be read is remembered
            found.append(_line(str(comparison.folder)))
    return found


@st.cache_resource(max_entries=2000, show_spinner=False)
def _line(folder: str) -> Line:
    """A request is never changed, so it is read once."""
    comparison = Comparison(Path(folder))
    request = comparison.request()
    created = datetime.fromtimestamp(comparison.created)
    return Line(comparison, _title(request), request.candidates, len(request.questions), created)


def _title(request: ComparisonRequest) -> str:
    return one_line(request.title or request.questions[0].text)


def batches(home: Home) -> list[Line]:
    """The comparisons over several questions."""
    return [line for line in lines(home) if line.questions > 1]


def earlier(home: Home, current: Opened | None) -> None:
    """The single questions that were asked; a click opens one."""
    found = [line for line in lines(home) if line.questions == 1]
    if not found:
        if current is None:
            _empty()
        return
    st.subheader("Earlier questions", anchor=False)
    _table(home, "compare.earlier", found, {"Question": lambda line: line.title}, current, compare_state.open_question)


def earlier_batches(home: Home, current: Opened | None) -> None:
    """The batches that were started; a click opens one."""
    found = batches(home)
    if not found:
        return
    st.subheader("Earlier batches", anchor=False)
    columns: dict[str, Callable[[Line], object]] = {
        "Batch": lambda line: line.title,
        "Questions": lambda line: line.questions,
    }
    _table(home, "compare.batches", found, columns, current, compare_state.open_batch)


def _empty() -> None:
    st.caption("Nothing has been asked yet. What you ask is kept, and listed here.")


def _table(
    home: Home,
    key: str,
    found: Sequence[Line],
    columns: dict[str, Callable[[Line], object]],
    current: Opened | None,
    act: Callable[[str], None],
) -> None:
    """A list of which a click opens a line; its key changes with what is open, so that a click is not made twice."""
    listed = found[:_SHOWN]
    frame = pd.DataFrame(
        {
            **{name: [read(line) for line in listed] for name, read in columns.items()},
            "Who answered": [", ".join(compare_names.names(home, line.candidates)) for line in listed],
            "Asked": [line.created for line in listed],
        }
    )
    event = st.dataframe(
        frame,
        hide_index=True,
        key=f"{key}.{current.id if current else ''}.{listed[0].comparison.id}",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        height=min(len(listed), _MOST_ROWS) * _ROW_PIXELS + _HEADER_PIXELS,
        row_height=_ROW_PIXELS,
        alt="What was asked before, the newest first",
        column_config={
            next(iter(columns)): output.WIDE_TEXT,
            "Who answered": st.column_config.TextColumn(width="medium"),
            "Asked": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", width="small"),
        },
    )
    rows = [*event.selection.rows, *(cell[0] for cell in event.selection.cells)]
    clicked = listed[rows[0]].comparison.id if rows and rows[0] < len(listed) else None
    if clicked and (current is None or clicked != current.id):
        act(clicked)
        st.rerun()
    more = f" The newest {_SHOWN} of {len(found):,} are shown." if len(found) > _SHOWN else ""
    st.caption(f"Click one to open it.{more}")
