"""The answers of one group in the order of their reward, and one of them in full with what it earned for what."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core.lab.board import Board
from core.reward.formula import VALIDITY
from core.reward.parsing import parse
from core.reward.verdicts import component_title
from studio import lab_state, output, state
from studio.lab_board import Opened, View

KIND_TITLES = {
    "good": "Good",
    "hedged": "Hedged",
    "wrong": "Wrong",
    "unsafe": "Unsafe",
    "truncated": "Cut off",
    "tag_gaming": "Tag gaming",
    "copied_prompt": "Copied prompt",
    "other": "Other",
}
_KIND_COLOURS = ("green", "yellow", "orange", "red", "gray", "violet", "blue", "gray")
_SHOWN_ROWS = 10
"""More would neither fit on the screen nor be drawn in time after a move of a slider."""
_CELL_CHARACTERS = 82
"""What a cell of three lines can hold; the whole answer stands below."""
_ROW_HEIGHT = 61
"""In pixels: the least at which a cell has several lines."""
_SHOWN_PAGES = 5
"""Numbers of groups that are shown to page through them."""
_SCORE_WIDTH = 74
_TEXT_WIDTH, _LEAST_WIDTH = 512, 200
"""Of the completions, in pixels: with no component beside them, and with however many."""
_SCORE = st.column_config.NumberColumn(format="%.2f", width=_SCORE_WIDTH)
_VALIDITY_TITLE = "Validity"


def move(change: int) -> str:
    """How many places a completion has gained or lost.

    >>> move(2), move(-1), move(0)
    ('▲2', '▼1', '')
    """
    return f"{'▲' if change > 0 else '▼'}{abs(change)}" if change else ""


def title(name: str) -> str:
    """The heading of the column of a component, or of validity."""
    return _VALIDITY_TITLE if name == VALIDITY else component_title(name)


def rows_by_rank(board: Board, view: View, group: int) -> list[int]:
    """The rows of a group, the one with the highest reward first."""
    rows = np.flatnonzero(board.index == group)
    return [int(row) for row in rows[np.argsort(view.now.ranks[rows], kind="stable")]]


def ranking(board: Board, view: View, rows: Sequence[int]) -> pd.DataFrame:
    """One line for each of `rows`, in their order: place, move, what it earned, what it is, and its parts."""
    now, chosen = view.now, list(rows)
    kinds = [board.kinds[row] for row in chosen]
    columns: dict[str, object] = {
        "Rank": now.ranks[chosen],
        "Move": [move(int(change)) for change in view.changed.rank_change[chosen]],
        "Reward": now.rewards[chosen],
        "Advantage": now.advantages[chosen],
    }
    if any(kinds):
        columns["Kind"] = [[KIND_TITLES.get(kind, "Other")] if kind else [] for kind in kinds]
    columns["Completion"] = [answer(board, row) for row in chosen]
    for position, name in enumerate(now.names):
        columns[title(name)] = now.contributions[chosen, position]
    return pd.DataFrame(columns)


def answer(board: Board, row: int) -> str:
    """What a completion answers, without its reasoning; as it was written when it has a fault of form."""
    text = board.samples[row].completion
    parsed = parse(text, board.tags)
    return shortened(parsed.answer if parsed.well_formed and parsed.answer else text)


def shortened(text: str) -> str:
    """The beginning of a text on one line.

    >>> shortened("a  b")
    'a b'
    """
    line = " ".join(text[: 4 * _CELL_CHARACTERS].split())
    return line if len(line) <= _CELL_CHARACTERS else f"{line[: _CELL_CHARACTERS - 1]}…"


def header(opened: Opened) -> int:
    """Pages through the groups and shows what is asked in this one; returns its number."""
    count, group = len(opened.board.groups), 0
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**Which answer would be rewarded**")
        if count > 1:
            group = _page(count, lab_state.group_key(opened.id)) - 1
    st.text(opened.board.samples[first_row(opened.board, group)].question)
    return group


def _page(count: int, key: str) -> int:
    """Which of `count` groups is looked at, from 1. Few are all shown: a pagination would hide one of two."""
    if count > _SHOWN_PAGES:
        return int(st.pagination(count, key=key, max_visible_pages=_SHOWN_PAGES, persist_state="session"))
    pages = range(1, count + 1)
    return int(
        st.segmented_control(
            "Group", pages, default=1, required=True, key=key, label_visibility="collapsed", persist_state="session"
        )
    )


def first_row(board: Board, group: int) -> int:
    """The first completion of a group."""
    return int(np.argmax(board.index == group))


def table(opened: Opened, view: View, group: int) -> int:
    """The ranking of a group; returns the row of the answer that was clicked, at first of the best one."""
    rows = rows_by_rank(opened.board, view, group)
    shown = rows[:_SHOWN_ROWS]
    parts = {title(name): _SCORE for name in view.now.names}
    key = f"lab.ranking.{opened.id}.{group}"
    st.dataframe(
        ranking(opened.board, view, shown),
        hide_index=True,
        key=key,
        row_height=_ROW_HEIGHT,
        height=_ROW_HEIGHT * len(shown) + 38,
        on_select=partial(_clicked, opened, group, shown, key),
        selection_mode="single-cell",
        alt="The answers of this group from the highest reward to the lowest, with what each component adds",
        column_config={
            "Rank": st.column_config.NumberColumn(width=48),
            "Move": st.column_config.TextColumn(width=50, help="Places gained or lost with the last change."),
            "Reward": st.column_config.NumberColumn(format="%.2f", width=62),
            "Advantage": st.column_config.NumberColumn(
                format="%+.2f",
                width=86,
                help="How strongly training pushes: completions above zero become likelier, those below zero rarer.",
            ),
            "Kind": st.column_config.MultiselectColumn(
                options=list(KIND_TITLES.values()), color=list(_KIND_COLOURS), width=100
            ),
            "Completion": st.column_config.TextColumn(
                width=max(_TEXT_WIDTH - len(parts) * _SCORE_WIDTH, _LEAST_WIDTH),
                help="What it answers, without its reasoning; as it was written where its form is at fault.",
            ),
            **parts,
        },
    )
    if len(rows) > len(shown):
        st.caption(f"The best {len(shown)} of {len(rows)} answers.")
    wanted = lab_state.answer_to_read(opened.id, group)
    return next((row for row in rows if opened.board.keys[row] == wanted), rows[0])


def _clicked(opened: Opened, group: int, shown: Sequence[int], key: str) -> None:
    """Callback: remember the answer that stands where somebody clicked; it is read on wherever a weight moves it."""
    cells = state.value(key).selection.cells
    row = shown[min(cells[0][0], len(shown) - 1)] if cells else None
    lab_state.read_answer(opened.id, group, None if row is None else opened.board.keys[row])


def in_full(opened: Opened, view: View, row: int) -> None:
    """One answer as it was written, and how its reward is made up."""
    board, now = opened.board, view.now
    sample, rank = board.samples[row], int(now.ranks[row])
    size = int((board.index == board.index[row]).sum())
    st.markdown(f"**Rank {rank} of {size}**: {breakdown(view, row)}")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        output.completion(sample.completion, board.tags)
    with right:
        output.labelled("Reference answer", sample.reference)


def breakdown(view: View, row: int) -> str:
    """How the reward of one completion is made up, as a sum.

    Names of custom rewards are file names that passed a check, so they are safe as Markdown.
    """
    now = view.now
    parts = [
        f"{output.escape(title(name).lower())} {value:+.2f}"
        for name, value in zip(now.names, now.contributions[row], strict=True)
        if abs(value) >= 0.005
    ]
    return f"{' '.join(parts) or 'nothing'} = **{now.rewards[row]:.2f}**"
