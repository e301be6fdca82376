"""The questions at the top of the form for a new run: its name, how much to train, which model and reward."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import streamlit as st

from core.config import EMBEDDED_POLICY, DataConfig, RewardConfig
from core.models import EMBEDDED
from core.paths import Home
from core.presets import SIZES
from core.reward.formula import PRESET_NOTES, PRESETS
from core.reward.presets import all_presets
from core.training.fields import FIELDS
from studio import forms, output, state
from studio.data_model import Kind, kind_of
from studio.train_origin import Origin
from studio.words import formula, preset_title

_EMBEDDED, _LOCAL, _HUB = "Embedded", "Local directory", "Hugging Face id"
_SOURCES: dict[Kind, str] = {"embedded": _EMBEDDED, "local": _LOCAL, "hub": _HUB}
_AS_CLONED = " as cloned"
"""In place of a preset's name, which cannot begin with a space: the reward of the run that is cloned."""
_BROUGHT = "form.brought"
"""The key of the answers that the chosen size has brought, a list of `_Brought`."""
_NAME_LENGTH = 120
_CLONE = re.compile(r"(.*) \(clone(?: (\d+))?\)")


def run_name(origin: Origin) -> str:
    """Asks what the run is to be called; may stay empty."""
    field = FIELDS["name"]
    named = clone_name(origin.cloned.config.name) if origin.cloned else ""
    return forms.text(field.label, origin.key("run_name"), "optional", field.help, named, _NAME_LENGTH)


def clone_name(name: str) -> str:
    """What the clone of a run is called at first; nothing when the run has no name.

    >>> clone_name("Tuesday"), clone_name("Tuesday (clone)"), clone_name("Tuesday (clone 2)")
    ('Tuesday (clone)', 'Tuesday (clone 2)', 'Tuesday (clone 3)')
    """
    earlier = _CLONE.fullmatch(name)
    stem, number = (earlier[1], int(earlier[2] or 1) + 1) if earlier else (name, 1)
    ending = " (clone)" if number == 1 else f" (clone {number})"
    return f"{stem[: _NAME_LENGTH - len(ending)]}{ending}" if name else ""


@dataclass(frozen=True)
class _Brought:
    """Answers that belong together and came with a size: what widgets were made to hold, and held before, by key."""

    given: Mapping[str, str]
    before: Mapping[str, str | None]


def run_size(origin: Origin) -> str:
    """Asks how much to train. A size may bring a model and a reward."""
    titles = {key: size.title for key, size in SIZES.items()}
    size = forms.choice("Size", list(SIZES), "run_size", titles, on_change=partial(_bring, origin))
    st.caption(SIZES[size].note)
    return size


def _bring(origin: Origin) -> None:
    """Callback of the size: name its model and reward; what the last size brought goes with it, unless it was changed,
    and what had been chosen before comes back."""
    for brought in state.value(_BROUGHT) or []:
        if all(state.value(key) == given for key, given in brought.given.items()):
            for key, before in brought.before.items():
                state.forget(key) if before is None else state.put(key, before)
    size = SIZES[state.value("run_size")]
    model = _model_answers(origin, size.model) if size.model else {}
    reward = {origin.key("reward_preset"): size.reward.preset} if size.reward else {}
    new = [_Brought(given, {key: state.value(key) for key in given}) for given in (model, reward) if given]
    for key, given in (model | reward).items():
        state.put(key, given)
    state.put(_BROUGHT, new)


def show_model(origin: Origin, model: str) -> None:
    """Make the question for the model name this one. Called before it is drawn, or from a callback."""
    for key, given in _model_answers(origin, model).items():
        state.put(key, given)


def _model_answers(origin: Origin, model: str) -> dict[str, str]:
    """What the widgets that ask for the model hold when it is this one."""
    source = _SOURCES[kind_of(model)]
    named = {} if source == _EMBEDDED else {"model_folder" if source == _LOCAL else "model_hub_id": model}
    return {origin.key(name): given for name, given in {"model_source": source, **named}.items()}


def model_name(origin: Origin) -> str:
    """Asks which model to train; empty while none is named."""
    first = _SOURCES[kind_of(origin.model)]
    source = forms.choice("Model", [_EMBEDDED, _LOCAL, _HUB], origin.key("model_source"), default=first)
    if source == _EMBEDDED:
        model = EMBEDDED[EMBEDDED_POLICY]
        st.caption(f"{model.title}: comes with the studio, needs no network, trains on a processor.")
        return EMBEDDED_POLICY
    given = origin.model if source == first else ""
    if source == _LOCAL:
        note = "Holds config.json and .safetensors weights."
        return forms.text("Model folder", origin.key("model_folder"), "/models/my-model", note, given)
    note = "Downloaded when the run starts; needs a network."
    return forms.text("Hugging Face id", origin.key("model_hub_id"), "org/model", note, given)


def scope(size: str, data: DataConfig | None, reward: RewardConfig | None = None) -> str:
    """Names what the settings start from; without a reward those that do not depend on one."""
    return ".".join(filter(None, (size, _named(reward) if reward else None, data.prepared if data else None)))


def _named(reward: RewardConfig) -> str:
    """The reward's name; with a hash unless it is a built-in one as it stands: a run may have changed its own, and the
    user may save another one under the name of a saved one."""
    if reward == PRESETS.get(reward.preset):
        return reward.preset
    return f"{reward.preset}.{hashlib.sha256(reward.model_dump_json().encode()).hexdigest()[:12]}"


def reward_preset(home: Home, origin: Origin) -> RewardConfig:
    """Asks which reward to train with: a built-in one, one that was saved on the Rewards page, or that of the run that
    is cloned."""
    found = all_presets(home)
    if origin.cloned:
        found = {_AS_CLONED: origin.cloned.config.reward, **found}
    key = origin.key("reward_preset")
    if state.value(key) not in found:  # nothing has been chosen yet, or what was has been deleted
        state.put(key, _AS_CLONED if origin.cloned else "robust")
    chosen = st.segmented_control(
        "Reward",
        list(found),
        required=True,
        key=key,
        format_func=_reward_title,
        wrap=True,
        persist_state="session",
    )
    reward = found[str(chosen)]
    if chosen == _AS_CLONED:
        st.caption(f"As in that run: {formula(reward.weights)}.")
    else:
        st.caption(PRESET_NOTES.get(reward.preset, f"Saved on the Rewards page: {formula(reward.weights)}."))
    return reward


def _reward_title(name: str) -> str:
    return "As in that run" if name == _AS_CLONED else output.escape(preset_title(name))
