"""Every evaluation that was started, the newest first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import streamlit as st

from core.errors import StudioError
from core.evaluate.evaluation import list_evaluations
from core.paths import Home
from studio import evaluate_open, evaluate_state, evaluate_tables, output, words
from studio.evaluate_open import Opened

_SHOWN = 100
_ROW_PIXELS, _HEADER_PIXELS, _MOST_ROWS = 35, 37, 8
_SEALED = "Hidden while a blind vote on the answers is open"
_NOT_YET = "No result yet"


@dataclass(frozen=True)
class Line:
    """One evaluation in the list.

    Attributes:
        found: what was asked for.
        result: what came of it in a few words; text from outside.
        created: when it was made.
    """

    found: Opened
    result: str
    created: datetime

    @property
    def title(self) -> str:
        """What it is called; text from outside."""
        return self.found.request.title or self.found.asked.title or self.found.id


def lines(home: Home) -> list[Line]:
    """The newest evaluations that can be read."""
    found = []
    for evaluation in list_evaluations(home)[:_SHOWN]:
        with suppress(StudioError, OSError):  # it is deleted at this moment, or its comparison is damaged
            opened = evaluate_open.read(home, evaluation)
            found.append(Line(opened, _result(opened), datetime.fromtimestamp(evaluation.created)))
    return found


def _result(found: Opened) -> str:
    if found.is_sealed:
        return _SEALED
    results = evaluate_open.kept_results(found.evaluation)
    return evaluate_tables.short_result(results) if results else _NOT_YET


def selector(found: list[Line], current: Opened | None) -> None:
    """The box in which an evaluation is opened."""
    titles = {line.found.id: f"{line.title} · {line.created:%d %b %Y, %H:%M}" for line in found}
    if current:
        titles.setdefault(current.id, current.request.title or current.id)
    titles = words.told_apart(titles)
    evaluate_state.evaluation_selector(titles, current.id if current else None)


def draw(found: list[Line]) -> None:
    """The table; a click opens an evaluation."""
    if not found:
        return
    st.subheader("Earlier evaluations", anchor=False)
    event = st.dataframe(
        table(found),
        hide_index=True,
        key=f"evaluate.list.{found[0].found.id}",
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        height=min(len(found), _MOST_ROWS) * _ROW_PIXELS + _HEADER_PIXELS,
        row_height=_ROW_PIXELS,
        alt="Evaluations, the newest first",
        column_config={
            "Evaluation": st.column_config.TextColumn(width="medium"),
            "Result": output.WIDE_TEXT,
            "Questions": st.column_config.NumberColumn(width="small"),
            "Judged by": st.column_config.TextColumn(width="medium"),
            "Started": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", width="small"),
        },
    )
    rows = [*event.selection.rows, *(cell[0] for cell in event.selection.cells)]
    if rows and rows[0] < len(found):
        evaluate_state.open_evaluation(found[rows[0]].found.id)
        st.rerun()
    st.caption("Click one to open it.")


def table(found: list[Line]) -> pd.DataFrame:
    """The lines as a table; one row an evaluation."""
    return pd.DataFrame(
        {
            "Evaluation": [line.title for line in found],
            "Result": [line.result for line in found],
            "Questions": [len(line.found.asked.questions) for line in found],
            "Judged by": [", ".join(line.found.judge_names) or "Nobody: automatic metrics" for line in found],
            "Started": [line.created for line in found],
        }
    )
