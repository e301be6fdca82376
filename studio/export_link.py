"""The way from a run to the export of its model."""

from __future__ import annotations

import streamlit as st

from core.runs.run import Run
from core.serving.adapter_files import CONFIG
from studio import export_state, navigation


def button(run: Run, key: str) -> None:
    """A button that opens the Export page with this run chosen.

    Nothing for a run that is live, whose memory an export would want, or that has saved no adapter yet.
    """
    saved = run.checkpoint_steps() or (run.adapter / CONFIG).is_file()
    if run.status().live or not saved:
        return
    note = "Makes files of the trained model for Ollama, LM Studio, vLLM and the Hugging Face Hub."
    if st.button("Export the model", icon=navigation.EXPORT.icon, key=key, help=note):
        st.switch_page(navigation.EXPORT.path, query_params=export_state.run_query(run.id))
