"""Start a training run, and watch one."""

import streamlit as st

from core.errors import StudioError
from core.runs.lines import present_lines
from core.runs.run import list_runs
from studio import output, run_actions, run_heading, run_view, settings, state, train_form

home = settings.open_home()
run_actions.go_on(home)
run = None
missing = None
try:
    run = state.chosen_run(home)
except StudioError as error:
    missing = error
lines = present_lines(list_runs(home))

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title("Train" if run else "New training run", anchor=False)
    with st.container(horizontal=True, width="content", vertical_alignment="center"):
        if lines:
            state.run_selector(run_heading.offered(lines, run), run)
        if run:
            run_actions.buttons(home, run)
            st.button("New run", icon=":material/add:", key="new_run", on_click=state.open_new_run)
if missing:
    output.problem(missing)
if run is None:
    train_form.new_run(home)
else:
    run_heading.draw(lines, run)
    run_view.watch(home, run)
