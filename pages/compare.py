"""Ask models the same question, before and after training, and have their answers judged blind."""

import streamlit as st

from studio import (
    compare_ask,
    compare_batch,
    compare_open,
    compare_servers,
    compare_settings,
    compare_state,
    compare_vote,
    compare_who,
    settings,
)

home = settings.open_home()

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title("Compare", anchor=False)
    if compare_state.view() != compare_state.BLIND:  # raters may be looking
        compare_servers.button(home)
st.write(
    "Ask several models the same question and read their answers side by side: before and after training, from any "
    "checkpoint, or from a remote service. What a model writes is not medical advice."
)
view = compare_state.view_selector()
if view == compare_state.BLIND:
    compare_vote.draw(home)
    st.stop()

opened = compare_open.opened(home, view)
candidates = compare_who.choose(home, opened)
terms = compare_settings.choose(home, candidates, opened)
if view == compare_state.ASK:
    compare_ask.draw(home, candidates, terms, opened)
else:
    compare_batch.draw(home, candidates, terms, opened)
