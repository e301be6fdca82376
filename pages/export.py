"""Hand a trained model on: files that other programs load, checked to answer as the model that was trained."""

import streamlit as st

from studio import export_list, export_open, export_setup, export_state, export_views, settings

home = settings.open_home()

st.title("Export", anchor=False)
st.write(
    "Take a trained model out of the studio, for Ollama, LM Studio, llama.cpp, vLLM or the Hugging Face Hub. Every "
    "file is asked the same questions as the model that was trained, before anybody relies on it."
)
found = export_open.opened(home)
lines = export_list.lines(home)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    view = export_state.view_selector()
    if lines:
        export_list.selector(lines, found)
if view == export_state.SETUP:
    export_setup.draw(home)
    export_list.draw(lines)
else:
    export_views.draw(home, view, found, lines)
