"""Deletes a comparison after a question."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.compare.comparison import delete_comparison
from core.paths import Home
from studio import access, dialogs
from studio.compare_open import Opened


def button(home: Home, opened: Opened, close: Callable[[None], None]) -> None:
    """A button that asks first.

    Args:
        close: takes what was open out of the address.
    """
    if access.button("comparison.delete", "Delete", icon=":material/delete:", key="compare.delete", type="tertiary"):
        dialogs.ask(
            "Delete these answers?",
            ":material/delete:",
            _explain,
            [
                dialogs.Answer("Delete", "compare.delete.yes", lambda: _delete(home, opened, close), primary=True),
                dialogs.Answer("Keep", "compare.delete.no"),
            ],
        )


def _explain() -> None:
    st.write(
        "The question, the answers and the votes on them are removed from this machine. What the reward lab has taken "
        "over stays there."
    )


def _delete(home: Home, opened: Opened, close: Callable[[None], None]) -> None:
    delete_comparison(home, opened.comparison)
    close(None)
