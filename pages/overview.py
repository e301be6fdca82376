"""The first page: what this is, what this machine can do, and every run there is."""

import streamlit as st

from core.runs import list_runs
from studio import live, navigation, overview, settings, state

home = settings.open_home()

st.title("GRPO Studio", anchor=False)
st.write(
    "Shape a reward, train a language model with it and judge the result. The model answers each question several "
    "times, and the answers that earn more than the rest of their group become more likely."
)
if st.button("Start a training run", type="primary", icon=":material/play_arrow:", key="start_new"):
    st.switch_page(navigation.TRAIN.path, query_params=state.new_run_query())

st.subheader("This machine", anchor=False)
overview.machine_facts(home)

st.subheader("Runs", anchor=False)
if not list_runs(home):
    overview.empty_list()
    st.stop()
any_live = any(run.status().live for run in list_runs(home))
live.refreshing(overview.runs_list, settings.LIST_REFRESH_SECONDS if any_live else None, home)
