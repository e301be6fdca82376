"""The first page: what this is, what this machine can do, and the newest runs."""

import streamlit as st

from core.runs.run import list_runs
from studio import live, navigation, overview, resume_offer, run_actions, settings, state

home = settings.open_home()
run_actions.go_on(home)

st.title("GRPO Studio", anchor=False)
st.write(
    "Shape a reward, train a language model with it and judge the result. The model answers each question several "
    "times, and the answers that earn more than the rest of their group become more likely."
)
if st.button("Start a training run", type="primary", icon=":material/play_arrow:", key="start_new"):
    st.switch_page(navigation.TRAIN.path, query_params=state.new_run_query())

resume_offer.draw(home)

st.subheader("This machine", anchor=False)
overview.machine_facts(home)

st.subheader("Newest runs", anchor=False)
runs = list_runs(home)
if not runs:
    overview.empty_list()
    st.stop()
any_live = any(run.status().live for run in runs)
live.refreshing(overview.newest_runs, settings.LIST_REFRESH_SECONDS if any_live else None, home)
overview.all_runs_link(len(runs))
