"""Every run there is: found, opened, named, put away, deleted, packed, compared."""

import streamlit as st

from core.runs.run import list_runs
from studio import (
    access,
    live,
    output,
    overview,
    run_actions,
    runs_actions,
    runs_compare,
    runs_list,
    runs_zips,
    settings,
    state,
)

home = settings.open_home()
run_actions.go_on(home)
compared = state.compared()
if compared:
    st.title("Compare runs", anchor=False)
    runs_compare.draw(home, compared)
    st.stop()

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title("Runs", anchor=False)
    if access.button("run.import", "Bring in a zip", icon=":material/upload_file:", key="runs.import"):
        runs_zips.bring_in(home)
if not list_runs(home):
    overview.empty_list()
    st.stop()
lines = runs_list.look(home)
search = runs_list.filters(lines)
found = [line for line in lines if search.finds(line)]
ticked = runs_list.chosen(found)
# While rows are ticked the table stands still: redrawing it would close the question that a button has opened.
moving = not ticked and any(line.status.live for line in lines)
seconds = settings.LIST_REFRESH_SECONDS if moving else None
live.refreshing(runs_list.draw, seconds, home, search, [line.run.id for line in ticked])
runs_actions.bar(home, ticked)
refusal = runs_actions.refusal()
if refusal:
    output.problem(refusal)
runs_zips.newest(home)
