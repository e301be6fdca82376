"""Have answers judged: by language models, by automatic metrics, and held against people's blind votes."""

import streamlit as st

from studio import (
    compare_servers,
    evaluate_list,
    evaluate_open,
    evaluate_setup,
    evaluate_state,
    evaluate_views,
    settings,
)

home = settings.open_home()

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title("Evaluate", anchor=False)
    compare_servers.button(home)
st.write(
    "Find out whether a model answers better than another on questions it was never trained on: marks from judges, "
    "intervals and tests, safety counted by itself, and a report that can be checked."
)
found = evaluate_open.opened(home)
lines = evaluate_list.lines(home)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    view = evaluate_state.view_selector()
    if lines:
        evaluate_list.selector(lines, found)
if view == evaluate_state.SETUP:
    evaluate_setup.draw(home)
    evaluate_list.draw(lines)
else:
    evaluate_views.draw(home, view, found, lines)
