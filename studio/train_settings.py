"""The settings of a new run in groups: essential, memory and speed, algorithm, advanced, and the reward's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

from core.config import RunConfig, with_changes
from core.errors import ConfigError
from core.reward.verdicts import component_help, component_title
from core.training.fields import FIELDS, GROUPS, Field, Group, in_group
from studio import state
from studio.train_widgets import Sheet, widget

_COLUMNS: Mapping[Group, int] = {"essential": 3, "memory": 3, "algorithm": 2, "advanced": 3}
_WIDE = ("adapter.target_modules", "train.lr_schedule", "train.optimizer", "train.trackers", "train.trl")
"""Settings that take the whole width."""
_REWARD = ("reward.invalid_reward", "reward.similarity_model", "reward.fluency_model")


def settings(sheet: Sheet, reward_sheet: Sheet) -> RunConfig:
    """Shows the settings as widgets, all of them whatever is wrong; returns the configuration with what was changed.

    Args:
        sheet: for all settings but the reward's.
        reward_sheet: for those of the reward, whose widgets begin anew with another reward.

    Raises:
        ConfigError: a value or a combination is not allowed.
    """
    changes: dict[str, Any] = {}
    problems: list[ConfigError] = []
    tabs = st.tabs([*GROUPS.values(), "Reward"])
    for tab, group in zip(tabs, GROUPS, strict=False):
        with tab:
            _group(sheet, group, changes, problems)
    with tabs[-1]:
        _reward(reward_sheet, changes, problems)
    if problems:
        raise problems[0]
    return with_changes(sheet.base, changes)


def _group(sheet: Sheet, group: Group, changes: dict[str, Any], problems: list[ConfigError]) -> None:
    fields = in_group(group)
    _grid(sheet, [field for field in fields if field.path not in _WIDE], _COLUMNS[group], changes, problems)
    for field in fields:
        if field.path in _WIDE:
            _ask(sheet, field, changes, problems)


def _grid(
    sheet: Sheet, fields: Iterable[Field], count: int, changes: dict[str, Any], problems: list[ConfigError]
) -> None:
    """Rows of `count` settings, so that what belongs together stands on one line."""
    waiting = list(fields)
    while waiting:
        row, waiting = waiting[:count], waiting[count:]
        for column, field in zip(st.columns(count), row, strict=False):
            with column:
                _ask(sheet, field, changes, problems)


def _ask(sheet: Sheet, field: Field, changes: dict[str, Any], problems: list[ConfigError]) -> None:
    """Ask for one setting; what is wrong with it joins the problems, so that the others are drawn too."""
    try:
        changes[field.path] = widget(sheet, field, changes)
    except ConfigError as error:
        problems.append(error)


def _reward(sheet: Sheet, changes: dict[str, Any], problems: list[ConfigError]) -> None:
    reward = sheet.base.reward
    cells = st.columns(4)
    for index, (name, value) in enumerate(zip(reward.components, reward.weight_vector, strict=True)):
        path, key = f"reward.weights.{name}", f"{sheet.scope}.weight.{name}"
        state.form_widgets()[path] = key
        changes[path] = cells[index % 4].number_input(
            component_title(name),
            step=0.05,
            key=state.begin(key, float(value)),
            help=component_help(name),
            persist_state="session",
        )
    _grid(sheet, [FIELDS[path] for path in _REWARD], 3, changes, problems)
