"""Deletes an evaluation after a question."""

from __future__ import annotations

import streamlit as st

from core.evaluate.evaluation import delete_evaluation
from core.paths import Home
from studio import access, dialogs, evaluate_state
from studio.evaluate_open import Opened


def button(home: Home, found: Opened) -> None:
    """A button that asks first."""
    if access.button("evaluation.delete", "Delete", icon=":material/delete:", key="evaluate.delete", type="tertiary"):
        dialogs.ask(
            "Delete this evaluation?",
            ":material/delete:",
            _explain,
            [
                dialogs.Answer("Delete", "evaluate.delete.yes", lambda: _delete(home, found), primary=True),
                dialogs.Answer("Keep", "evaluate.delete.no"),
            ],
        )


def _explain() -> None:
    st.write(
        "The verdicts, the results and the report are removed from this machine; asking the judges again would cost "
        "again. The questions, the answers and the votes on them stay on the Compare page."
    )


def _delete(home: Home, found: Opened) -> None:
    delete_evaluation(home, found.evaluation)
    evaluate_state.open_evaluation(None)
