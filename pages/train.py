"""Start a training run, and watch one."""

import streamlit as st

from core import jobs
from core.config import with_changes
from core.errors import StudioError
from core.presets import SIZES, preset_config, size_note
from core.runs import list_runs
from studio import charts, forms, lab_stress, live, output, results, settings, state, words

home = settings.open_home()
run = None
missing = None
try:
    run = state.chosen_run(home)
except StudioError as error:
    missing = error

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title("Train" if run else "New training run", anchor=False)
    with st.container(horizontal=True, width="content", vertical_alignment="center"):
        runs = list_runs(home)
        if runs:
            state.run_selector(runs, run)
        if run:
            live.actions(home, run)
            st.button("New run", icon=":material/add:", key="new_run", on_click=state.open_new_run)
if missing:
    output.problem(missing)

if run is None:
    config = None
    left, right = st.columns([3, 2], gap="large")
    with left:
        model = forms.model_name(home)
        try:
            data = forms.data_config(home)
            if data:
                forms.data_preview(data, home)
        except StudioError as error:
            data = None
            output.problem(error)
        reward, size = forms.reward_preset(home), forms.run_size()
        with st.expander("Advanced settings", icon=":material/tune:"):
            try:
                base = forms.suited(preset_config(size).model_copy(update={"reward": reward}), data, home)
                config = forms.advanced(base, forms.scope(size, data), forms.scope(size, data, reward))
            except StudioError as error:
                output.problem(error)
    with right, st.container(border=True):
        st.subheader("What will run", anchor=False)
        if config:
            st.write(words.plan(config))
            st.write(f"Reward of a valid completion: {words.formula(config.reward.weights)}, within −1 and 1.")
            st.write(f"An invalid completion earns {config.reward.invalid_reward:g}.")
            if size_note(size, config) != SIZES[size].note:
                st.caption(size_note(size, config))
            try:
                lab_stress.before_launch(home, config.reward)
            except StudioError as error:
                config = None
                output.problem(error)
        ready = bool(config and model and data)
        if not (model and data):
            st.caption("Name a model and choose data that can be read; then the run can start.")
        if st.button(
            "Start training",
            type="primary",
            icon=":material/play_arrow:",
            disabled=not ready,
            width="stretch",
            key="start_training",
        ):
            try:
                with st.spinner("Starting the job"):
                    wanted = with_changes(config, {"model": model, "data": data.model_dump()})
                    state.open_run(jobs.start(home, wanted))
            except StudioError as error:
                output.problem(error)
            else:
                st.rerun()
    st.stop()

status = run.status()
try:
    config = run.config()
except StudioError as error:
    output.problem(error)
    st.stop()
live.refreshing(live.status_strip, settings.REFRESH_SECONDS if status.live else None, run, status.state)
with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
    paused = status.live and st.toggle("Pause the curves", key="paused")
    window = forms.choice("Steps drawn", list(charts.WINDOWS), "window", show_label=False)
moving = status.live and not paused
every = settings.curve_refresh_seconds(live.step_seconds(run)) if moving else None
slowly = settings.TABLE_REFRESH_SECONDS if moving else None
live.refreshing(live.curves, every, run, charts.WINDOWS[window])
st.subheader("What each component decides", anchor=False)
live.refreshing(live.weights, slowly, run, config)
completions, held_out, log, asked = st.tabs(["Last completions", "Held-out questions", "Log", "Settings"])
with completions:
    live.refreshing(results.last_step, slowly, run, config.prompt.tags)
with held_out:
    live.refreshing(results.held_out_answers, slowly, run, config.prompt.tags)
with log:
    live.refreshing(results.log, slowly, run)
with asked:
    results.settings(run, config)
