"""Custom rewards on the Rewards page: Python files of the user's, listed, tried, and made part of the reward."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.config import CustomReward
from core.errors import StudioError
from core.paths import Home
from core.reward.custom_files import CustomFile, add_custom, custom_reward, list_custom, templates
from core.reward.verdicts import component_title
from studio import access, lab_judge, lab_state, lab_tasks, lab_trial, output, state
from studio.lab_board import Opened

_FORM = "lab.custom"
_UPLOAD, _TEMPLATE, _NAME = "lab.custom.upload", "lab.custom.template", "lab.custom.name"
_START_WEIGHT = 0.2
"""What a component weighs when it joins the reward: heard, and not louder than the others."""


def draw(home: Home, opened: Opened) -> None:
    """The files there are on the left, ways to new ones and the judge on the right."""
    st.write(
        "A custom reward is a Python file with one function that scores completions. It runs in a process of its own "
        "with a time limit, and is not given your keys; it has your rights on this machine, so use only files you "
        "trust."
    )
    left, right = st.columns([6, 5], gap="large")
    with left:
        _files(home, opened)
        lab_judge.draw()
    with right:
        _new(home)


def _files(home: Home, opened: Opened) -> None:
    st.subheader("Your custom rewards", anchor=False)
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)
    found = list_custom(home)
    if not found:
        st.caption(
            f"None yet. They lie in {output.escape(str(home.rewards))}; copy an example from the right to begin."
        )
    lab_tasks.follow(home, "try_reward", "Try it again.")
    for file in found:
        with st.container(border=True):
            _file(home, opened, file)


def _file(home: Home, opened: Opened, file: CustomFile) -> None:
    added = next((custom for custom in lab_state.reward().custom if custom.name == file.name), None)
    used = added is not None
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{output.escape(component_title(file.name))}** · {output.escape(file.name)}.py")
        if file.problem is not None:
            st.badge("Cannot be used", icon=":material/error:", color="red")
        elif used:
            st.badge("In the reward", icon=":material/check:", color="green")
    if file.problem is not None:
        output.problem(file.problem)
        return
    with st.container(horizontal=True):
        access.button(
            "reward.weigh",
            "Try",
            key=f"lab.custom.try.{file.name}",
            icon=":material/play_arrow:",
            help="Scores the first answers of those chosen above, in the background.",
            disabled=lab_tasks.is_live(home, "try_reward"),
            on_click=lab_tasks.start,
            args=(home, "try_reward", {"name": file.name, "board": opened.id}),
        )
        if added is not None:
            if added.sha256 != file.sha256:
                st.button(
                    "Use the changed file",
                    key=f"lab.custom.again.{file.name}",
                    icon=":material/sync:",
                    help="The file has changed since it was added. What was measured with the old one stays beside it.",
                    on_click=_add,
                    args=(home, file.name),
                )
            st.button("Take out of the reward", key=f"lab.custom.out.{file.name}", on_click=_remove, args=(file.name,))
        else:
            st.button(
                "Add to the reward",
                key=f"lab.custom.in.{file.name}",
                icon=":material/add:",
                on_click=_add,
                args=(home, file.name),
            )
    lab_trial.show(home, file)


def _add(home: Home, name: str) -> None:
    try:
        join(custom_reward(home, name))
    except StudioError as error:
        state.refuse(_FORM, str(error))
        return
    state.accept(_FORM)


def join(custom: CustomReward) -> None:
    """Make a custom reward a component of the reward in the lab, with a slider; its newer text replaces an older."""
    reward, weights = lab_state.reward(), lab_state.weights()
    others = tuple(other for other in reward.custom if other.name != custom.name)
    start = {custom.name: reward.weights.get(custom.name, _START_WEIGHT)}
    changed = {"custom": (*others, custom), "weights": {**reward.weights, **start}}
    lab_state.start_reward(reward.model_copy(update=changed))
    lab_state.move_weights(weights)


def _remove(name: str) -> None:
    reward, weights = lab_state.reward(), lab_state.weights()
    rest = tuple(custom for custom in reward.custom if custom.name != name)
    changed = {"custom": rest, "weights": {key: value for key, value in reward.weights.items() if key != name}}
    lab_state.start_reward(reward.model_copy(update=changed))
    lab_state.move_weights({key: value for key, value in weights.items() if key != name})


def _new(home: Home) -> None:
    st.subheader("Start from an example", anchor=False)
    examples = {example.name: example for example in templates()}
    chosen = st.segmented_control(
        "Example",
        list(examples),
        default=next(iter(examples)),
        required=True,
        key=_TEMPLATE,
        label_visibility="collapsed",
        format_func=component_title,
    )
    example = examples[chosen]
    st.caption(output.escape(example.title))
    st.code(example.source, language="python", height=300, wrap_lines=True)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        st.text_input("Name", key=_NAME, placeholder=example.name, help="Lower-case letters, digits and '_'.")
    with right:
        access.button(
            "reward.code",
            "Copy to my rewards",
            key="lab.custom.copy",
            on_click=_copy,
            args=(home, example.name, example.source),
            width="stretch",
        )
    st.download_button(
        "Download",
        example.source,
        f"{example.name}.py",
        "text/x-python",
        key="lab.custom.download",
        on_click="ignore",
        icon=":material/download:",
    )
    st.subheader("Bring a file", anchor=False)
    offer = access.needs("reward.code")
    st.file_uploader(
        "Python file",
        type=["py"],
        key=_UPLOAD,
        on_change=_upload,
        args=(home,),
        max_upload_size=1,
        disabled=offer.disabled,
        help=offer.help,
    )


def _copy(home: Home, example: str, source: str) -> None:
    _keep(home, (state.value(_NAME) or "").strip() or example, source)


def _upload(home: Home) -> None:
    file = state.value(_UPLOAD)
    if file is not None:
        _keep(home, Path(file.name.replace("\\", "/")).stem, file.getvalue())


def _keep(home: Home, name: str, source: str | bytes) -> None:
    try:
        add_custom(home, name, source)
    except StudioError as error:
        state.refuse(_FORM, str(error))
        return
    state.accept(_FORM)
