"""Deletes an export after a question."""

from __future__ import annotations

import streamlit as st

from core.export.store import delete_export
from core.paths import Home
from studio import access, dialogs, export_state
from studio.export_open import Opened


def button(home: Home, found: Opened) -> None:
    """A button that asks first."""
    if access.button("export.delete", "Delete", icon=":material/delete:", key="export.delete", type="tertiary"):
        dialogs.ask(
            "Delete this export?",
            ":material/delete:",
            _explain,
            [
                dialogs.Answer("Delete", "export.delete.yes", lambda: _delete(home, found), primary=True),
                dialogs.Answer("Keep", "export.delete.no"),
            ],
        )


def _explain() -> None:
    st.write(
        "All its files are removed from this machine. The run and its model stay, so it can be exported again; what "
        "was downloaded or published stays where it is."
    )


def _delete(home: Home, found: Opened) -> None:
    delete_export(home, found.export)
    export_state.open_export(None)
