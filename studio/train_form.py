"""The form for a new training run: which model, data, reward and size, what will run, and the button that starts it."""

from __future__ import annotations

import streamlit as st

from core import jobs
from core.config import DataConfig, RewardConfig, RunConfig, with_changes
from core.errors import StudioError
from core.paths import Home
from core.presets import SIZES, preset_config, size_note
from studio import forms, lab_stress, output, state, words


def new_run(home: Home) -> None:
    """Ask what to train, say what will run, and start it."""
    config = None
    left, right = st.columns([3, 2], gap="large")
    with left:
        model = forms.model_name(home)
        data = _data(home)
        reward, size = forms.reward_preset(home), forms.run_size()
        with st.expander("Advanced settings", icon=":material/tune:"):
            config = _advanced(home, size, reward, data)
    with right, st.container(border=True):
        st.subheader("What will run", anchor=False)
        ready = bool(config and _say_what_will_run(home, size, config) and model and data)
        if not (model and data):
            st.caption("Name a model and choose data that can be read; then the run can start.")
        pressed = st.button(
            "Start training",
            type="primary",
            icon=":material/play_arrow:",
            disabled=not ready,
            width="stretch",
            key="start_training",
        )
        if pressed and config and data:
            _start(home, with_changes(config, {"model": model, "data": data.model_dump()}))


def _data(home: Home) -> DataConfig | None:
    try:
        data = forms.data_config(home)
        if data:
            forms.data_preview(data, home)
    except StudioError as error:
        output.problem(error)
        return None
    return data


def _advanced(home: Home, size: str, reward: RewardConfig, data: DataConfig | None) -> RunConfig | None:
    try:
        base = forms.suited(preset_config(size).model_copy(update={"reward": reward}), data, home)
        return forms.advanced(base, forms.scope(size, data), forms.scope(size, data, reward))
    except StudioError as error:
        output.problem(error)
        return None


def _say_what_will_run(home: Home, size: str, config: RunConfig) -> bool:
    """The plan, the formula and what slips through the reward; returns whether the run can be started."""
    st.write(words.plan(config))
    st.write(f"Reward of a valid completion: {words.formula(config.reward.weights)}, within −1 and 1.")
    st.write(f"An invalid completion earns {config.reward.invalid_reward:g}.")
    if size_note(size, config) != SIZES[size].note:
        st.caption(size_note(size, config))
    try:
        lab_stress.before_launch(home, config.reward)
    except StudioError as error:
        output.problem(error)
        return False
    return True


def _start(home: Home, config: RunConfig) -> None:
    try:
        with st.spinner("Starting the job"):
            state.open_run(jobs.start(home, config))
    except StudioError as error:
        output.problem(error)
    else:
        st.rerun()
