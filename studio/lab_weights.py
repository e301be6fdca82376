"""The left half of the Rewards page: a preset, a slider for each component, and what each one really decides."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.config import RewardConfig
from core.errors import StudioError
from core.lab.weighing import Weighed, why
from core.paths import Home
from core.reward.formula import PRESET_NOTES, PRESETS, VALIDITY
from core.reward.presets import all_presets, broken_presets, delete_preset, save_preset
from core.reward.ready import with_missing_hashes
from core.reward.verdicts import MEANINGS, Word, component_help, component_title
from core.train_config import Aggregation, Scaling
from studio import access, lab_state, output, state, words
from studio.lab_board import View, reward_of_sliders
from studio.words import Colour

SCALES: dict[str, str] = {
    "group": "the spread of its own group",
    "batch": "the spread of all completions",
    "none": "nothing",
}
AGGREGATIONS: dict[str, str] = {
    "sum_then_normalize": "Add the components up, then compare",
    "normalize_then_sum": "Compare each component, then add up",
}
_SCALE, _AGGREGATION, _PRESET = "lab.scale", "lab.aggregation", "lab.preset"
_NAME, _SAVE, _SAVE_OPEN = "lab.save.name", "lab.save", "lab.save.open"
_AMONG, _VALID, _ALL = "lab.among", "valid", "all"
AMONG: dict[str, str] = {_VALID: "among valid completions", _ALL: "over all completions"}
"""Whose differences a component's effective weight is a share of. Invalid completions stand so far from the others
that, with them, no component seems to decide anything."""
_FINE: tuple[Word, ...] = ("balanced", "off")
"""Verdicts that need no explanation."""
_SLIDER_STEP = 0.01


def presets(home: Home) -> None:
    """Built-in and saved rewards to start from; a choice moves the sliders."""
    found = all_presets(home)
    reward = lab_state.reward()
    state.show(_PRESET, reward.preset if reward.preset in found else None)
    st.segmented_control(
        "Start from",
        list(found),
        key=_PRESET,
        format_func=lambda name: output.escape(words.preset_title(name)),
        on_change=_start,
        args=(home, found),
        label_visibility="collapsed",
        width="stretch",
        wrap=True,
    )
    problem = state.refusal(_PRESET)
    if problem:
        output.problem(problem)
    st.caption(output.escape(PRESET_NOTES.get(reward.preset, f"Saved by you as {reward.preset}.")))


def _start(home: Home, found: dict[str, RewardConfig]) -> None:
    _begin(home, found[state.value(_PRESET) or lab_state.reward().preset])


def _begin(home: Home, reward: RewardConfig) -> None:
    """Start from a reward with its custom rewards as their files are now, by which their scores are found."""
    state.accept(_PRESET)
    try:
        reward = with_missing_hashes(home, reward)
    except StudioError as error:
        state.refuse(_PRESET, str(error))
    lab_state.start_reward(reward)


def sliders(view: View | None, reward: RewardConfig) -> None:
    """One slider for each component, and under it what its weight comes to.

    Args:
        view: None when nothing can be made of the weights as they stand.
    """
    shares, whose = _shares(view)
    if view is not None:
        st.caption(f"Bars: effective weight **{AMONG[whose]}**", help=_SHARE_HELP)
    weights = lab_state.weights()
    for name in reward.components:
        key = lab_state.weight_key(name)
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
        _validity(view, whose)


def _validity(view: View, whose: str) -> None:
    """What being valid decides; set apart when the bars of the components are shares of something else."""
    if whose == _ALL:
        _share(view.now, view.reward, VALIDITY, "**Valid or not** ")
        st.caption("All bars together make 100 %.")
        return
    with st.container(border=True):
        st.caption(f"Effective weight **{AMONG[_ALL]}**")
        _share(view.now, view.reward, VALIDITY, "**Valid or not** ")
    st.caption("The bars above the box make 100 % among valid completions. The one in it is not part of them.")


def _shares(view: View | None) -> tuple[Weighed | None, str]:
    """Where the shares come from, and among which answers they are: all of them where no two valid ones differ."""
    if view is None:
        return None, among()
    if among() == _VALID and view.among_valid.effective is not None:
        return view.among_valid, _VALID
    return view.now, _ALL


_SHARE_HELP = (
    "The effective weight of a component is its share of the differences in reward inside a group. Training learns "
    "from nothing else, so a component that is the same for a whole group decides nothing, whatever its slider says. "
    "A completion that cannot be read, is empty or copies the question is invalid and earns a fixed low reward; what "
    "that decides stands in the last bar, over all completions. Under “More settings” all bars can be taken over all "
    "completions."
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
    told = "decides nothing" if share is None else f"decides **{round(100 * share)} %**".replace("-", "−")
    return f"{told} :{colour}-badge[{word}]"


def settings(reward: RewardConfig) -> None:
    """How rewards become what a run learns from."""
    with st.popover("More settings", icon=":material/tune:"):
        key = lab_state.invalid_key()
        state.show(key, reward.invalid_reward)
        st.slider(
            "An invalid completion earns",
            -1.0,
            1.0,
            step=0.05,
            key=key,
            on_change=lab_state.change_invalid,
            help="Invalid: no answer can be read, it is empty, or it copies the question.",
        )
        st.radio(
            "How components are brought together",
            list(AGGREGATIONS),
            key=_AGGREGATION,
            format_func=AGGREGATIONS.__getitem__,
            persist_state="session",
            help=_AGGREGATION_HELP,
        )
        st.radio(
            "Advantage: reward less its group's mean, divided by",
            list(SCALES),
            key=_SCALE,
            format_func=SCALES.__getitem__,
            persist_state="session",
            disabled=aggregation() == "normalize_then_sum",
            help="In TRL's words: scale_rewards is group, batch or none. It decides how strongly training pushes.",
        )
        st.radio(
            "Effective weight of a component is taken",
            list(AMONG),
            key=_AMONG,
            format_func=AMONG.__getitem__,
            persist_state="session",
            help="A run reports it over all completions.",
        )


_AGGREGATION_HELP = (
    "In TRL's words: sum_then_normalize and normalize_then_sum. The second is to look at only: runs add up first, and "
    "a saved preset does not keep this choice."
)


def among() -> str:
    """Whose differences the shares are taken of: a key of `AMONG`."""
    return state.value(_AMONG) or _VALID


def scale() -> Scaling:
    """What advantages are divided by."""
    chosen: Scaling = state.value(_SCALE) or "group"
    return chosen


def aggregation() -> Aggregation:
    """How components are brought together."""
    chosen: Aggregation = state.value(_AGGREGATION) or "sum_then_normalize"
    return chosen


def use(weights: Mapping[str, float]) -> None:
    """Callback: move the sliders, which stand in another view, and say so."""
    lab_state.move_weights(weights)
    st.toast("The sliders have these weights now.", icon=":material/tune:")


def save(home: Home) -> None:
    """Keep the reward as the sliders stand under a name, and change or delete saved ones."""
    with st.popover("Save as preset", icon=":material/bookmark_add:", key=_SAVE_OPEN, on_change="rerun"):
        st.text_input("Name", key=_NAME, placeholder="my-reward", help="Lower-case letters, digits, '.', '_' and '-'.")
        access.button("preset.save", "Save", key=_SAVE, type="primary", on_click=_save, args=(home,))
        problem = state.refusal(_SAVE)
        if problem:
            output.problem(problem)
        st.caption("The Train page offers it at once.")
        _change_saved(home)
    for broken in broken_presets(home):
        output.warning(f"The saved preset {broken.name} cannot be used: {broken.reason}")


def _change_saved(home: Home) -> None:
    """Update or delete the saved preset that the sliders started from."""
    name = lab_state.reward().preset
    if name in PRESETS or name not in all_presets(home):
        return
    with st.container(horizontal=True):
        access.button(
            "preset.save", f"Update {output.escape(name)}", key="lab.update", on_click=_save, args=(home, name)
        )
        if access.button(
            "preset.delete",
            f"Delete {output.escape(name)}",
            key="lab.delete",
            on_click=state.show,  # closed, since it would cover the question
            args=(_SAVE_OPEN, False),
        ):
            _confirm_delete(home, name)


def _save(home: Home, replaced: str | None = None) -> None:
    name = replaced or (state.value(_NAME) or "").strip()
    try:
        kept = save_preset(home, name, reward_of_sliders(), replace=replaced is not None)
    except StudioError as error:
        state.refuse(_SAVE, str(error))
        return
    state.accept(_SAVE)
    state.show(_SAVE_OPEN, False)
    _begin(home, kept)
    st.toast(f"Saved as {output.escape(name)}.", icon=":material/bookmark_added:")


@st.dialog("Delete this preset?", icon=":material/delete:")
def _confirm_delete(home: Home, name: str) -> None:
    """Ask, then delete a saved preset."""
    output.labelled("Preset", name)
    st.write("Runs that were started with it keep their reward.")
    with st.container(horizontal=True):
        delete = st.button("Delete", type="primary", key="lab.delete.yes")
        keep = st.button("Keep", key="lab.delete.no")
    if delete:
        try:
            delete_preset(home, name)
        except StudioError as error:
            output.problem(error)
            return
        state.accept(_SAVE)
        lab_state.start_reward(PRESETS["robust"])
    if delete or keep:
        st.rerun()
