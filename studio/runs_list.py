"""The list of all runs: what is shown of each, which are looked for, and which rows are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from core.content_hash import content_hash
from core.errors import StudioError
from core.paths import Home
from core.runs.lines import RunLine, Search, all_tags, present_lines
from core.runs.run import Run, list_runs
from core.training.curves import has_curves, rebuild
from studio import navigation, state, words

_MOST_REBUILT = 3
_without_curves: set[tuple[Run, int]] = set()
"""Runs whose curves could not be made, with the size of the log by then; tried again when that grows."""
_SMALL_LOG_BYTES = 1_000_000
_MOST_ROWS, _ROW_PIXELS, _HEADER_PIXELS = 15, 35, 37
_SEARCH, _STATES, _TAGS, _ARCHIVED = "runs.search", "runs.states", "runs.tags", "runs.archived"


def look(home: Home) -> list[RunLine]:
    """Every run in one line, the newest first; a run is read again only when something in its folder has changed."""
    lines = present_lines(list_runs(home))
    if _give_curves([line.run for line in lines if line.first is None]):
        return present_lines([line.run for line in lines])
    return lines


def _give_curves(runs: Sequence[Run]) -> bool:
    """Make the curves of some runs that an earlier version wrote without; the others get theirs at later looks.

    Returns:
        Whether any were made.
    """
    older = (run for run in runs if not has_curves(run) and 0 < _log_bytes(run) < _SMALL_LOG_BYTES)
    ended = (run for run in older if (run, _log_bytes(run)) not in _without_curves and not run.status().live)
    made = [_give(run) for run, _ in zip(ended, range(_MOST_REBUILT), strict=False)]
    return any(made)


def _give(run: Run) -> bool:
    try:
        rebuild(run)
    except StudioError:  # they are only missing in the list
        _without_curves.add((run, _log_bytes(run)))
        return False
    return True


def _log_bytes(run: Run) -> int:
    return run.events.stat().st_size if run.events.is_file() else 0


def filters(lines: Sequence[RunLine]) -> Search:
    """The widgets above the list; returns what is looked for."""
    labels = {badge.label: name for name, badge in words.BADGES.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            key=_SEARCH,
            placeholder="Name, title, tag, model, data or reward",
            width=320,
            help="Words, or beginnings of words, that all stand somewhere there.",
        )
        chosen = st.multiselect("State", list(labels), key=_STATES, placeholder="Any", width=240)
        tags = st.multiselect("Tags", all_tags(lines), key=_TAGS, placeholder="Any", width=280)
        archived = st.toggle("Show archived", key=_ARCHIVED, help="Archived runs are kept whole but left out of lists.")
    return Search(text or "", [labels[label] for label in chosen], tags, archived)


def table_key(lines: Sequence[RunLine]) -> str:
    """The key of the table that lists these runs: another one for other runs, so that a row that was chosen never
    turns into another run when one has begun or was deleted."""
    return f"runs.table.{content_hash(line.run.id for line in lines).hex()[:16]}"


def chosen(lines: Sequence[RunLine]) -> list[RunLine]:
    """The runs whose rows are ticked in the table that lists `lines`."""
    held = state.value(table_key(lines))
    rows: Sequence[int] = held["selection"]["rows"] if held else ()
    return [lines[row] for row in rows if row < len(lines)]


def draw(home: Home, search: Search, ticked: Sequence[str]) -> None:
    """Draw the table of the runs that a search finds; a click on a run opens it.

    Args:
        ticked: the ids of the runs for which the rest of the page was drawn; it is drawn again for others.
    """
    lines = [line for line in look(home) if search.finds(line)]
    if not lines:
        st.info("No run is like that. Search for something else, or show archived runs.", icon=":material/search_off:")
        return
    event = st.dataframe(
        table(lines),
        hide_index=True,
        key=table_key(lines),
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"],
        placeholder="–",
        height=min(len(lines), _MOST_ROWS) * _ROW_PIXELS + _HEADER_PIXELS,
        row_height=_ROW_PIXELS,
        alt="All runs, the newest first",
        column_config=_COLUMNS,
    )
    for row, _ in event.selection.cells:
        st.switch_page(navigation.TRAIN.path, query_params=state.run_query(lines[row].run.id))
    if [lines[row].run.id for row in event.selection.rows] != list(ticked):
        st.rerun()


def table(lines: Sequence[RunLine]) -> pd.DataFrame:
    """The lines as a table; one row a run. Columns keep their numbers, so that the browser can sort them."""
    return pd.DataFrame(
        {
            "Run": [line.run.id for line in lines],
            "State": [[words.BADGES[line.status.state].label] for line in lines],
            "Title": [line.title for line in lines],
            "Tags": [list(line.label.tags) for line in lines],
            "First": pd.array([line.first for line in lines], dtype="Float64"),
            "Last": pd.array([line.last for line in lines], dtype="Float64"),
            "Best": pd.array([line.best for line in lines], dtype="Float64"),
            "Step": [line.status.step for line in lines],
            "Steps": [line.status.steps for line in lines],
            "Reward": [reward_title(line) for line in lines],
            "Model": [line.model for line in lines],
            "Data": [line.data for line in lines],
            "Time": [timedelta(seconds=round(line.status.trained_seconds)) for line in lines],
            "Started": [datetime.fromtimestamp(line.status.started) for line in lines],
        }
    )


def reward_title(line: RunLine) -> str:
    """What a run's reward is called; settings that cannot be read have none."""
    return words.reward_title(line.config.reward) if line.config else "unreadable"


_COLUMNS = {
    "State": st.column_config.MultiselectColumn(
        options=[badge.label for badge in words.BADGES.values()],
        color=[badge.colour for badge in words.BADGES.values()],
        width=110,
    ),
    "Run": st.column_config.TextColumn(width="medium", pinned=True),
    "Title": st.column_config.TextColumn(width="medium"),
    "Tags": st.column_config.ListColumn(width="medium"),
    "First": st.column_config.NumberColumn(
        "Reward at start", format="%.2f", help="Mean reward of the first ten steps."
    ),
    "Last": st.column_config.NumberColumn("Reward at end", format="%.2f", help="Mean reward of the last ten steps."),
    "Best": st.column_config.NumberColumn(
        "Best validation", format="%.2f", help="The best mean reward on questions that are never trained on."
    ),
    "Steps": st.column_config.NumberColumn("of steps"),
    "Time": st.column_config.NumberColumn("Training time", format="compact", help="Hours, minutes and seconds."),
    "Started": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
}
