"""The part of the Rewards page that a slider moves: one fragment, with as little in it as tells the whole story."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.errors import StudioError
from core.paths import Home
from studio import lab_numbers, lab_ranking, lab_state, lab_weights, live, output
from studio.lab_board import Opened, View, reward_of_sliders, view, whose_grades

_DETAIL = "lab.detail"
_DETAILS = ("Read one", "Spread of rewards", "Components together")


def draw(home: Home, opened: Opened) -> None:
    """Presets and sliders on the left, the ranking of one group on the right.

    What a slider does not change stands outside of the fragment, so that moving one draws as little as possible.
    """
    left, right = st.columns([3, 8], gap="medium")
    with left:
        lab_weights.presets(home)
        sliders = st.container()
        with st.container(horizontal=True):
            lab_weights.settings(lab_state.reward())
            lab_weights.save(home)
    live.refreshing(_part, None, opened, sliders, right)


def _part(opened: Opened, left: Any, right: Any) -> None:
    found, problem = _look(opened)
    with left:
        lab_weights.sliders(found, lab_state.reward())
    with right:
        if found is not None:
            _result(opened, found)
        elif opened.board.missing(lab_state.reward()):
            st.info("The ranking appears here when everything has been measured.", icon=":material/speed:")
        else:
            output.problem(problem)


def _look(opened: Opened) -> tuple[View | None, str]:
    """What the sliders make of the board, or why nothing can be made of it."""
    try:
        reward = reward_of_sliders()
        before = lab_state.reward_before(reward)
        return view(opened, reward, before, lab_weights.scale(), lab_weights.aggregation()), ""
    except StudioError as error:
        return None, str(error)


def _result(opened: Opened, found: View) -> None:
    group = lab_ranking.header(opened)
    row = lab_ranking.table(opened, found, group)
    st.caption(lab_numbers.change(found) or "▲ and ▼ show how many places an answer moves when you change a weight.")
    lab_numbers.tiles(found, whose_grades(opened.board))
    detail = st.segmented_control(
        "Details", _DETAILS, default=_DETAILS[0], required=True, key=_DETAIL, label_visibility="collapsed"
    )
    if detail == _DETAILS[0]:
        lab_ranking.in_full(opened, found, row)
    elif detail == _DETAILS[1]:
        lab_numbers.histogram(found)
    else:
        lab_numbers.correlation(found.now)
