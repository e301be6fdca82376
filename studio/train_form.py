"""The form for a new training run: what to train, the settings, what will run, and the buttons that start it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from core.config import DataConfig, RewardConfig, RunConfig, with_changes
from core.errors import StudioError
from core.jobs import queue, supervisor
from core.paths import Home
from core.presets import SIZES, preset_config
from core.runs.run import Run
from core.training.model_shape import model_shape
from studio import access, output, preflight_panel, state, train_data, train_plan, train_questions
from studio.train_origin import Origin, origin
from studio.train_settings import settings
from studio.train_widgets import Sheet, widget_value


def new_run(home: Home) -> None:
    """Ask what to train, say what will run, and start it; only for those who may, since the form reads local files."""
    if access.refuse("train.start"):
        return
    start = origin(home)
    _take_changes(start)
    left, right = st.columns([3, 2], gap="large")
    with left:
        name = train_questions.run_name(start)
        size = _what_it_starts_from(start)
        model = train_questions.model_name(start)
        data = _data(home, start)
        reward = train_questions.reward_preset(home, start)
        with st.expander("Settings", icon=":material/tune:"):
            config, problem = _settings(home, start, size, reward, data, model)
    if config is not None and model and data is not None:
        config = with_changes(config, {"name": name, "model": model, "data": data.model_dump()})
    with right, st.container(border=True):
        st.subheader("What will run", anchor=False)
        if problem:
            output.problem(problem)
        ready = config is not None and train_plan.draw(home, config, size, start)
        if not (model and data):
            st.caption("Name a model and choose data that can be read; then the run can start.")
        _buttons(home, config if ready and model and data else None, start)
        if config is not None and model and data:
            preflight_panel.draw(home, config)


def _take_changes(start: Origin) -> None:
    """Put the changes that a mend has asked for into the widgets; those without one are kept beside them."""
    for path, value in state.take_changes().items():
        key = state.form_widgets().get(path)
        if path == "model":
            train_questions.show_model(start, str(value))
        elif key is not None:
            state.put(key, widget_value(path, value))
        else:
            state.changes_beside(start.prefix)[path] = value
    state.form_widgets().clear()


def _what_it_starts_from(start: Origin) -> str | None:
    """The size; None for the copy of another run."""
    if start.cloned is None:
        return train_questions.run_size(start)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.write(f"The settings of {output.escape(start.cloned.run_id)}.")
        st.button("Start from a size instead", key="no_clone", type="tertiary", on_click=state.open_new_run)
    return None


def _data(home: Home, start: Origin) -> DataConfig | None:
    try:
        data = train_data.data_config(home, start)
        if data:
            train_data.data_preview(data, home)
    except StudioError as error:
        output.problem(error)
        return None
    return data


def _settings(
    home: Home, start: Origin, size: str | None, reward: RewardConfig, data: DataConfig | None, model: str
) -> tuple[RunConfig | None, StudioError | None]:
    """Asks for the settings; returns them, or what is wrong with them, which the closed questions would hide."""
    try:
        base = _base(start, size).model_copy(update={"reward": _with_models(size, reward)})
        base = with_changes(train_data.suited(base, data, home), state.changes_beside(start.prefix))
        shape = model_shape(model, home) if model else None
        scope = f"{start.prefix}{train_questions.scope(size or 'clone', data)}"
        reward_scope = f"{start.prefix}{train_questions.scope(size or 'clone', data, reward)}"
        layers = tuple(shape.linear) if shape else ()
        return settings(Sheet(base, scope, layers), Sheet(base, reward_scope)), None
    except StudioError as error:
        return None, error


def _base(start: Origin, size: str | None) -> RunConfig:
    return start.cloned.config if start.cloned else preset_config(size or next(iter(SIZES)))


def _with_models(size: str | None, reward: RewardConfig) -> RewardConfig:
    """A size that brings a reward brings it with its models."""
    brought = SIZES[size].reward if size else None
    return brought if brought is not None and brought.preset == reward.preset else reward


def _buttons(home: Home, config: RunConfig | None, start: Origin) -> None:
    """The buttons for a run that can be started, dimmed while there is none."""
    at_once = access.button(
        "train.start",
        "Start training",
        type="primary",
        icon=":material/play_arrow:",
        disabled=config is None,
        width="stretch",
        key="start_training",
    )
    wait = access.button(
        "train.start",
        "Add to the queue",
        icon=":material/schedule:",
        disabled=config is None,
        width="stretch",
        key="queue_training",
        help="It starts by itself when this machine has room for it, also when the browser is closed.",
    )
    if at_once and config:
        _open(partial(supervisor.start, home, config), start)
    elif wait and config:
        _open(partial(_queued, home, config), start)


def _queued(home: Home, config: RunConfig) -> Run:
    run = queue.enqueue(home, config)
    queue.start_next(home)
    return run


def _open(made: Callable[[], Run], start: Origin) -> None:
    """Show the run that is made, or why it cannot be."""
    try:
        with st.spinner("Starting the job"):
            run = made()
    except StudioError as error:
        output.problem(error)
        return
    state.changes_beside(start.prefix).clear()
    state.open_run(run)
    st.rerun()
