"""One widget for one setting of a run: its kind and bounds come from the configuration, its options from the installed
TRL, its words from the table of fields. Only values that may be are offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pandas as pd
import streamlit as st

from core.config import RunConfig
from core.errors import ConfigError
from core.train_config import ALL_PROJECTIONS
from core.training import options, trl_settings
from core.training.fields import Field, bounds, field_info, value_at
from core.training.options import Choice
from core.training.parts import divisors
from studio import output, state

_CHOICES: Mapping[str, Callable[[], tuple[Choice, ...]]] = {
    "train.loss_type": options.loss_types,
    "train.importance_sampling_level": options.importance_sampling_levels,
    "train.scale_rewards": options.reward_scalings,
    "train.multi_objective_aggregation": options.aggregations,
    "train.lr_schedule": options.schedules,
    "train.optimizer": lambda: options.installed(options.optimizers()),
}
_TRL_NAMES = {path: name for name, path in reversed(tuple(trl_settings.OWN.items()))}
"""What TRL calls a setting, the first of its names where it has two."""
_FIELD, _VALUE = "Field", "Value"


@dataclass(frozen=True)
class Sheet:
    """What the widgets of the settings start from.

    Attributes:
        base: the configuration whose values they hold at first.
        scope: how the keys of the widgets begin; another scope has widgets of its own.
        layers: the names of the model's linear layers; empty when they are not known.
    """

    base: RunConfig
    scope: str
    layers: Sequence[str] = ()


def widget(sheet: Sheet, field: Field, chosen: Mapping[str, Any]) -> Any:
    """Ask for one setting; returns its value.

    Args:
        chosen: what has been asked for already in this form.

    Raises:
        ConfigError: what was written is no value of the setting.
    """
    key, value = f"{sheet.scope}.{field.path}", value_at(sheet.base, field.path)
    if field.path == "train.trl":
        return _further(sheet, field)
    state.form_widgets()[field.path] = key
    if field.path == "train.gradient_accumulation":
        return _parts(field, key, value, chosen)
    if field.path == "adapter.target_modules":
        layers = tuple(dict.fromkeys([*(sheet.layers or ALL_PROJECTIONS), *value]))
        return _several(field, key, value, layers)
    if field.path == "train.trackers":
        return _trackers(field, key, value)
    if field.path in _CHOICES:
        return _choice(field, key, value, _CHOICES[field.path]())
    annotation = field_info(field.path).annotation
    if get_origin(annotation) is Literal:
        return _select(field, key, value, list(get_args(annotation)))
    if annotation is bool:
        return st.toggle(field.label, key=state.begin(key, value), help=help_text(field), persist_state="session")
    if annotation is str:
        given = st.text_input(field.label, key=state.begin(key, value), help=help_text(field), persist_state="session")
        return given.strip()
    return _number(field, key, value)


def help_text(field: Field) -> str:
    """What a setting does to the result, and what TRL calls it."""
    name = _TRL_NAMES.get(field.path)
    return output.escape(f"{field.help} In TRL: {name}." if name else field.help)


def widget_value(path: str, value: Any) -> Any:
    """The value of a setting in the form in which its widget holds it."""
    if isinstance(value, tuple | list):
        return list(value)
    kinds = _kinds(path)
    return float(value) if float in kinds and isinstance(value, int) and not isinstance(value, bool) else value


def _kinds(path: str) -> tuple[Any, ...]:
    """The plain types that a number may have; None stands for one that may be left open."""
    if path.startswith("reward.weights."):
        return (float,)
    annotation = field_info(path).annotation
    return get_args(annotation) or (annotation,)


def _number(field: Field, key: str, value: Any) -> Any:
    low, high = bounds(field_info(field.path))
    kinds = _kinds(field.path)
    whole, may_be_open = int in kinds, NoneType in kinds
    kind = int if whole else float  # the widget wants all its numbers of one kind
    numbers: dict[str, Any] = {
        "min_value": None if low is None else kind(low),
        "max_value": None if high is None else kind(high),
        "step": 1 if whole else _step(value or 0.0),
        "value": None if may_be_open else "min",
    }
    return st.number_input(
        field.label,
        **numbers,
        format=None if whole else "%g",
        key=state.begin(key, None if value is None else kind(value)),
        help=help_text(field),
        placeholder="not set" if may_be_open else None,
        persist_state="session",
    )


def _step(value: float) -> float:
    """How far a click moves a number; less for a share that is close to one, such as Adam's.

    >>> _step(1.0), _step(5e-6), _step(0.999)
    (0.1, 5e-07, 0.0001)
    """
    if 0.9 <= value < 1:
        return float(f"{(1 - value) / 10:.0e}")
    return 1.0 if value >= 10 else 0.1 if value >= 0.1 or value <= 0 else float(f"{value / 10:.0e}")


def _select(field: Field, key: str, value: Any, choices: Sequence[Any], titles: Mapping[Any, str] | None = None) -> Any:
    """A select box; what it held is forgotten when it is no longer offered."""
    if state.value(key) not in choices:
        state.put(key, value if value in choices else choices[0])
    shown = titles or {}
    return st.selectbox(
        field.label,
        choices,
        key=key,
        help=help_text(field),
        format_func=lambda option: shown.get(option, str(option)),
        persist_state="session",
    )


def _choice(field: Field, key: str, value: str, choices: Sequence[Choice]) -> str:
    """A select box of names as TRL spells them, and under it what the chosen one does."""
    names = [choice.name for choice in choices]
    chosen: str = _select(field, key, value, names if value in names else [*names, value])
    note = next((choice.note for choice in choices if choice.name == chosen), "")
    st.caption(output.escape(note or "New in the installed TRL; its documentation says what it does."))
    return chosen


def _parts(field: Field, key: str, value: int | None, chosen: Mapping[str, Any]) -> int | None:
    """Only numbers that divide the completions of a step; None stands for the studio's own choice."""
    rows = chosen["train.prompts_per_step"] * chosen["train.num_generations"]
    offered = [None, *divisors(rows)]
    if value is not None and value not in offered:
        value = None
    found: int | None = _select(field, key, value, offered, {None: "auto"})
    return found


def _several(field: Field, key: str, value: Sequence[str], offered: Sequence[str]) -> tuple[str, ...]:
    kept = [name for name in state.value(key) or () if name in offered]
    if state.value(key) is None or len(kept) < len(state.value(key)):
        state.put(key, kept or list(value))
    return tuple(st.multiselect(field.label, list(offered), key=key, help=help_text(field), persist_state="session"))


def _trackers(field: Field, key: str, value: Sequence[str]) -> tuple[str, ...]:
    there = options.installed(options.trackers())
    offered = tuple(dict.fromkeys([*(choice.name for choice in there), *value]))
    if not offered:
        st.caption(f"{field.label}: none is installed. MLflow, Trackio and TensorBoard work with pip install.")
        return ()
    found = _several(field, key, value, offered)
    for choice in there:
        if choice.name in found and choice.note:
            st.caption(output.escape(choice.note))
    return found


def _further(sheet: Sheet, field: Field) -> dict[str, options.Plain]:
    """A small table of names and values."""
    held = sheet.base.train.trl
    offered = trl_settings.offered()
    st.caption(output.escape(f"{field.label}. {field.help}"))
    key = f"{sheet.scope}.{field.path}.{hash(tuple(held.items()))}"
    edited = st.data_editor(
        _lines(key, held),
        key=key,
        num_rows="dynamic",
        hide_index=True,
        column_config={
            _FIELD: st.column_config.SelectboxColumn(options=list(dict.fromkeys([*offered, *held])), width="medium"),
            _VALUE: st.column_config.TextColumn(width="medium"),
        },
    )
    state.put(f"{key}.last", edited.reset_index(drop=True))
    found = trl_values(edited)
    for name in found:
        if name in offered:
            st.caption(output.escape(f"{name}: {offered[name].help} Default: {offered[name].default}."))
    return found


def _lines(key: str, held: Mapping[str, options.Plain]) -> pd.DataFrame:
    """What the table of further fields starts from: the same while it stays on the page, since what is typed is kept
    as changes of it; what it held last when the page was left, which makes Streamlit forget those changes."""
    start, last = f"{key}.start", f"{key}.last"
    if state.value(key) is None:
        fresh = pd.DataFrame([(name, str(value)) for name, value in held.items()], columns=[_FIELD, _VALUE])
        state.put(start, fresh if state.value(last) is None else state.value(last))
    frame: pd.DataFrame = state.value(start)
    return frame


def trl_values(frame: pd.DataFrame) -> dict[str, options.Plain]:
    """The fields and values of the table; lines that are not filled in are left out.

    Raises:
        ConfigError: a value is none of the field's types, or a field stands there twice.
    """
    found: dict[str, options.Plain] = {}
    for name, written in frame[[_FIELD, _VALUE]].dropna().itertuples(index=False):
        if name in found:
            raise ConfigError(f"The further TRL field {name} stands there twice. Keep one of the two lines.")
        field = options.trl_fields().get(name)
        found[name] = options.parse_value(field, written) if field and field.kinds else str(written)
    return found
