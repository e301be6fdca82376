"""The left half of the Rewards page: a preset, a slider for each component, and what each one really decides."""

from __future__ import annotations

import streamlit as st

from core.config import RewardConfig
from core.errors import StudioError
from core.lab.weighing import Weighed, why
from core.paths import Home
from core.reward_presets import all_presets, broken_presets, delete_preset, save_preset
from core.rewards import PRESET_NOTES, PRESETS, VALIDITY, Aggregation, Scale
from core.verdicts import MEANINGS, Word, component_help, component_title
from studio import output, state, words
from studio.lab_board import View, reward_of_sliders
from studio.words import Colour

SCALES: dict[str, str] = {
    "group": "the spread of its own group",
    "batch": "the spread of all answers",
    "none": "nothing",
}
AGGREGATIONS: dict[str, str] = {
    "sum_then_normalize": "Add the components up, then compare",
    "normalize_then_sum": "Compare each component, then add up",
}
_SCALE, _AGGREGATION, _PRESET, _INVALID = "lab.scale", "lab.aggregation", "lab.preset", "lab.invalid"
_NAME, _SAVE = "lab.save.name", "lab.save"
_AMONG, _VALID, _ALL = "lab.among", "valid", "all"
AMONG: dict[str, str] = {_VALID: "valid answers", _ALL: "all answers"}
"""Whose differences a component's share is taken of. Invalid answers stand so far from the others that, with them, no
component seems to decide anything."""
_FINE: tuple[Word, ...] = ("balanced", "off")
"""Verdicts that need no explanation."""
_SLIDER_STEP = 0.01


def presets(home: Home) -> None:
    """Built-in and saved rewards to start from; a choice moves the sliders."""
    found = all_presets(home)
    reward = state.lab_reward()
    st.session_state[_PRESET] = reward.preset if reward.preset in found else None
    st.segmented_control(
        "Start from",
        list(found),
        key=_PRESET,
        format_func=lambda name: output.escape(words.preset_title(name)),
        on_change=_start,
        args=(found,),
        label_visibility="collapsed",
        width="stretch",
    )
    st.caption(output.escape(PRESET_NOTES.get(reward.preset, f"Saved by you as {reward.preset}.")))


def _start(found: dict[str, RewardConfig]) -> None:
    state.start_reward(found[state.value(_PRESET) or state.lab_reward().preset])


def sliders(view: View | None, reward: RewardConfig) -> None:
    """One slider for each component, and under it what its weight comes to.

    Args:
        view: None when nothing can be made of the weights as they stand.
    """
    shares, whose = _shares(view)
    weights = state.lab_weights()
    for name in reward.components:
        key = state.weight_key(name)
        state.show(key, weights[name])
        st.slider(
            f"**{output.escape(component_title(name))}**",
            -1.0,
            1.0,
            step=_SLIDER_STEP,
            key=key,
            help=f"{component_help(name)} A negative weight punishes it.",
            persist_state="session",
        )
        if view is not None and shares is not None:
            _share(shares, view.reward, name)
    if view is not None:
        _share(view.now, view.reward, VALIDITY, "**Valid or not** ")
        st.caption(f"A bar is the share of the differences between {AMONG[whose]} to one question.", help=_SHARE_HELP)


def _shares(view: View | None) -> tuple[Weighed | None, str]:
    """Where the shares come from, and among which answers they are: all of them where no two valid ones differ."""
    if view is None:
        return None, among()
    if among() == _VALID and view.among_valid.effective is not None:
        return view.among_valid, _VALID
    return view.now, _ALL


_SHARE_HELP = (
    "The effective weight. Training learns only from differences between the answers to one question, so a component "
    "that is the same for all of them decides nothing, whatever its weight. An answer that cannot be read, is empty or "
    "copies the question is invalid and earns a fixed low reward; what that decides stands in the last bar, as a "
    "share of the differences between all answers."
)


def _share(weighed: Weighed, reward: RewardConfig, name: str, before: str = "") -> None:
    """A bar as long as the share of the differences that a component carries, and the word for it."""
    position = weighed.names.index(name)
    word = weighed.verdicts[position]
    share = None if weighed.effective is None else float(weighed.effective[position])
    st.progress(bar(share), text=before + share_text(share, word))
    if word not in _FINE:
        st.caption(output.escape(why(weighed, reward, name)))


def bar(share: float | None) -> float:
    """A share as the length of a bar, from 0 to 1.

    >>> bar(0.4), bar(-0.2), bar(None)
    (0.4, 0.0, 0.0)
    """
    return 0.0 if share is None else min(max(share, 0.0), 1.0)


def share_text(share: float | None, word: Word) -> str:
    """The effective weight in words.

    >>> share_text(0.404, "balanced")
    'decides **40 %** :green-badge[balanced]'
    """
    colour: Colour = words.WORD_COLOURS[list(MEANINGS).index(word)]
    told = "decides nothing" if share is None else f"decides **{100 * share + 0.0:.0f} %**".replace("-", "−")
    return f"{told} :{colour}-badge[{word}]"


def settings(reward: RewardConfig) -> None:
    """How rewards become what a run learns from."""
    with st.popover("More settings", icon=":material/tune:"):
        state.show(_INVALID, reward.invalid_reward)
        st.slider(
            "An invalid answer earns",
            -1.0,
            1.0,
            step=0.05,
            key=_INVALID,
            on_change=_set_invalid,
            help="Invalid: no answer can be read, it is empty, or it copies the question.",
        )
        st.radio(
            "How components are brought together",
            list(AGGREGATIONS),
            key=_AGGREGATION,
            format_func=AGGREGATIONS.__getitem__,
            persist_state="session",
            help="In TRL's words: sum_then_normalize and normalize_then_sum.",
        )
        st.radio(
            "A reward less its group's mean is divided by",
            list(SCALES),
            key=_SCALE,
            format_func=SCALES.__getitem__,
            persist_state="session",
            disabled=aggregation() == "normalize_then_sum",
            help="In TRL's words: scale_rewards is group, batch or none. It decides how strongly answers are pushed.",
        )
        st.radio(
            "What a component decides is told among",
            list(AMONG),
            key=_AMONG,
            format_func=AMONG.__getitem__,
            persist_state="session",
            help="A run reports it among all answers.",
        )


def among() -> str:
    """Whose differences the shares are taken of: a key of `AMONG`."""
    return state.value(_AMONG) or _VALID


def scale() -> Scale:
    """What advantages are divided by."""
    chosen: Scale = state.value(_SCALE) or "group"
    return chosen


def aggregation() -> Aggregation:
    """How components are brought together."""
    chosen: Aggregation = state.value(_AGGREGATION) or "sum_then_normalize"
    return chosen


def _set_invalid() -> None:
    weights = state.lab_weights()
    reward = state.lab_reward().model_copy(update={"invalid_reward": float(state.value(_INVALID))})
    state.start_reward(reward)
    state.move_weights(weights)


def save(home: Home) -> None:
    """Keep the reward as the sliders stand under a name, and change or delete saved ones."""
    with st.popover("Save as preset", icon=":material/bookmark_add:"):
        st.text_input("Name", key=_NAME, placeholder="my-reward", help="Lower-case letters, digits, '.', '_' and '-'.")
        st.button("Save", key=_SAVE, type="primary", on_click=_save, args=(home,))
        problem = state.refusal(_SAVE)
        if problem:
            output.problem(problem)
        st.caption("The Train page offers it at once.")
        _change_saved(home)
    for broken in broken_presets(home):
        output.warning(f"The saved preset {broken.name} cannot be used: {broken.reason}")


def _change_saved(home: Home) -> None:
    """Update or delete the saved preset that the sliders started from."""
    name = state.lab_reward().preset
    if name in PRESETS or name not in all_presets(home):
        return
    with st.container(horizontal=True):
        st.button(f"Update {output.escape(name)}", key="lab.update", on_click=_save, args=(home, name))
        st.button(f"Delete {output.escape(name)}", key="lab.delete", on_click=_delete, args=(home, name))


def _save(home: Home, replaced: str | None = None) -> None:
    name = replaced or (state.value(_NAME) or "").strip()
    try:
        kept = save_preset(home, name, reward_of_sliders(), replace=replaced is not None)
    except StudioError as error:
        state.refuse(_SAVE, str(error))
        return
    state.accept(_SAVE)
    state.start_reward(kept)
    st.toast(f"Saved as {output.escape(name)}.", icon=":material/bookmark_added:")


def _delete(home: Home, name: str) -> None:
    try:
        delete_preset(home, name)
    except StudioError as error:
        state.refuse(_SAVE, str(error))
        return
    state.start_reward(PRESETS["robust"])
