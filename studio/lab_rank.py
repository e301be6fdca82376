"""Ranks all answers to one question, the best first, blind to scores."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import StudioError
from core.lab.votes import record_ranking, rows_to_rank, votes, votes_on
from core.paths import Home
from studio import lab_state, output, state
from studio.lab_board import Opened

_RECORD = "lab.rank"


def draw(home: Home, opened: Opened, rater: str) -> None:
    """The answers to one question; a click gives one the next place."""
    group = _group(home, opened, rater)
    board, name = opened.board, opened.board.groups[group]
    rows = rows_to_rank(board, name, rater)
    if len(rows) < 2:
        output.warning("This group has fewer than two different answers, so there is nothing to rank.")
        _other_group(opened, rater, group)
        return
    placed = [row for row in lab_state.ranking(opened.id, rater, group) if row in rows]
    output.labelled(f"Question {group + 1} of {len(board.groups)}", board.samples[rows[0]].question)
    _bar(home, opened, rater, group, placed, rows)
    with st.grid(2, min_column_width=360, gap="small"):
        for row in rows:
            _card(opened, rater, group, placed, row)


def _group(home: Home, opened: Opened, rater: str) -> int:
    """The group to rank: the one that was paged to, else the first in which the rater has judged nothing."""
    chosen = lab_state.group_to_rank(opened.id, rater)
    if chosen is None:
        judged = {int(opened.board.index[placed.winner]) for placed in votes_on(opened.board, votes(home, rater))}
        fresh = (number for number in range(len(opened.board.groups)) if number not in judged)
        chosen = next(fresh, 0)
        lab_state.rank_group(opened.id, rater, chosen)
    return chosen % len(opened.board.groups)


def _bar(home: Home, opened: Opened, rater: str, group: int, placed: Sequence[int], rows: Sequence[int]) -> None:
    told = f"Click the best answer first. {len(placed)} of {len(rows)} have a place."
    left = len(rows) - len(placed)
    if placed and left:
        told = f"Click the next best. {len(placed)} of {len(rows)} have a place; the others stay behind, unordered."
    st.progress(len(placed) / len(rows), text=told)
    with st.container(horizontal=True):
        st.button(
            "Keep this ranking",
            key="lab.rank.keep",
            type="primary",
            icon=":material/check:",
            disabled=not placed,
            on_click=_keep,
            args=(home, opened, rater, group, tuple(placed), tuple(rows)),
        )
        st.button(
            "Undo",
            key="lab.rank.undo",
            icon=":material/undo:",
            disabled=not placed,
            on_click=lab_state.place,
            args=(opened.id, rater, group, tuple(placed[:-1])),
        )
        _other_group(opened, rater, group)
    problem = state.refusal(_RECORD)
    if problem:
        output.problem(problem)


def _other_group(opened: Opened, rater: str, group: int) -> None:
    st.button(
        "Another question",
        key="lab.rank.next",
        icon=":material/skip_next:",
        on_click=lab_state.rank_group,
        args=(opened.id, rater, group + 1),
    )


def _card(opened: Opened, rater: str, group: int, placed: Sequence[int], row: int) -> None:
    with st.container(border=True, height="stretch"):
        if row in placed:
            st.badge(f"Place {placed.index(row) + 1}", icon=":material/check:", color="green")
        else:
            st.button(
                "Best" if not placed else f"Place {len(placed) + 1}",
                key=f"lab.rank.{opened.id}.{row}",
                on_click=lab_state.place,
                args=(opened.id, rater, group, (*placed, row)),
            )
        output.completion(opened.board.samples[row].completion, opened.board.tags)


def _keep(home: Home, opened: Opened, rater: str, group: int, placed: tuple[int, ...], rows: tuple[int, ...]) -> None:
    """Keep the order; answers without a place are behind those that have one, and equally good."""
    keys = opened.board.keys
    places: list[tuple[str, ...]] = [(keys[row],) for row in placed]
    rest = tuple(keys[row] for row in rows if row not in placed)
    try:
        record_ranking(home, rater, opened.id, opened.board.groups[group], [*places, rest] if rest else places)
    except StudioError as error:
        state.refuse(_RECORD, str(error))
        return
    state.accept(_RECORD)
    lab_state.place(opened.id, rater, group, ())
    lab_state.rank_group(opened.id, rater, group + 1)
