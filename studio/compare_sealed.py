"""Keeps results from view while raters judge them: whoever votes must not read here who wrote what."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.compare.blind import being_judged
from core.errors import StudioError
from core.paths import Home
from studio import compare_delete, compare_state, output
from studio.compare_open import Opened


def is_sealed(opened: Opened) -> bool:
    """Whether nothing may be shown now that tells who wrote what: a vote is open, or its file cannot be read."""
    try:
        return being_judged(opened.comparison)
    except StudioError:
        return True


def instead(home: Home, opened: Opened, close: Callable[[None], None]) -> None:
    """What stands in place of the answers meanwhile: why, and the way to the vote.

    Args:
        close: takes what is open out of the address.
    """
    try:
        being_judged(opened.comparison)
    except StudioError as error:
        output.problem(error)
        compare_delete.button(home, opened, close)
        return
    st.info(
        "A blind vote on these answers is open. What each model wrote and earned is shown when the vote has ended.",
        icon=":material/visibility_off:",
    )
    st.button(
        "Go to the vote",
        icon=":material/how_to_vote:",
        key="compare.vote",
        on_click=compare_state.show_vote,
        args=(opened.id,),
    )
