"""The views of the Rewards page, of which one is drawn at a time so that the others cost nothing."""

from __future__ import annotations

import streamlit as st

from core.paths import Home
from studio import lab_custom, lab_map, lab_preferences, lab_stress
from studio.lab_board import Opened

WEIGHTS, MAP, PREFERENCES, STRESS, CUSTOM = "weights", "map", "preferences", "stress", "custom"
_TITLES = {
    WEIGHTS: ":material/tune: Weights",
    MAP: ":material/change_history: Weight map",
    PREFERENCES: ":material/how_to_vote: Preferences",
    STRESS: ":material/shield: Stress test",
    CUSTOM: ":material/extension: Custom rewards",
}
_VIEW = "lab.view"


def choose() -> str:
    """Which view is drawn."""
    chosen: str = st.segmented_control(
        "View",
        list(_TITLES),
        default=WEIGHTS,
        required=True,
        key=_VIEW,
        format_func=_TITLES.__getitem__,
        label_visibility="collapsed",
        persist_state="session",
    )
    return chosen


def draw(chosen: str, home: Home, opened: Opened) -> None:
    """Draw one of the views beside the weights."""
    if chosen == MAP:
        lab_map.draw(home, opened)
    elif chosen == PREFERENCES:
        lab_preferences.draw(home, opened)
    elif chosen == STRESS:
        lab_stress.draw(home)
    else:
        lab_custom.draw(home, opened)
