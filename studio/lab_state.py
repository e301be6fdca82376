"""Typed access to what the Rewards page remembers of a session: its reward, what it looks at, who judges what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.config import RewardConfig
from core.reward.formula import PRESETS

_BOARD = "lab.board"
"""The selector of sample completions; its key is what `core.lab.boards.load_board` takes."""
_REWARD = "lab.reward"
"""The reward that the sliders started from."""
_STARTS = "lab.starts"
"""How often the sliders have started from a reward."""
_SHOWN = "lab.shown"
"""The reward of the last repaint and the one before it."""
_FOLLOWED = "lab.followed"
"""The tasks of the Rewards page whose end it waits for, by kind."""
ADD_OPEN = "lab.add.open"
"""The key of the popover in which completions are brought in."""
RATER = "lab.rater"
"""The key of the text field with the name of who judges."""


def open_board(board_id: str) -> None:
    """Look at other sample completions. Called before their selector is drawn, or from a callback."""
    st.session_state[_BOARD] = board_id


def board_selector(titles: Mapping[str, str]) -> str:
    """A select box of sample completions by their ids, at first the first; shown by what they are called."""
    if st.session_state.get(_BOARD) not in titles:
        st.session_state[_BOARD] = next(iter(titles))
    chosen: str = st.selectbox(
        "Sample completions",
        list(titles),
        key=_BOARD,
        format_func=titles.__getitem__,
        label_visibility="collapsed",
        persist_state="session",
    )
    return chosen


def reward() -> RewardConfig:
    """The reward that the sliders started from; the recommended one at first."""
    started: RewardConfig = st.session_state.get(_REWARD, PRESETS["robust"])
    return started


def start_reward(started: RewardConfig) -> None:
    """Start from another reward: the sliders move to its weights. Called before they are drawn, or from a callback."""
    st.session_state[_REWARD] = started
    st.session_state[_STARTS] = st.session_state.get(_STARTS, 0) + 1
    for name in started.components:
        st.session_state[weight_key(name)] = started.weights.get(name, 0.0)


def invalid_key() -> str:
    """The key of the slider of what an invalid completion earns.

    It is another one for each reward that is started from: a slider in a closed popover keeps the value it had last in
    the browser, which would come back as if somebody had chosen it.
    """
    return f"lab.invalid.{st.session_state.get(_STARTS, 0)}"


def change_invalid() -> None:
    """Callback of that slider: the reward in the lab takes its value."""
    invalid = float(st.session_state[invalid_key()])
    st.session_state[_REWARD] = reward().model_copy(update={"invalid_reward": invalid})


def weight_key(component: str) -> str:
    """The key of a component's slider."""
    return f"lab.weight.{component}"


def weights() -> dict[str, float]:
    """The weight of each component of the reward in the lab, as its slider stands."""
    started = reward()
    return {
        name: float(st.session_state.get(weight_key(name), started.weights.get(name, 0.0)))
        for name in started.components
    }


def reward_before(current: RewardConfig) -> RewardConfig:
    """The reward that was shown before the last change, to tell what the change did; `current` itself at first."""
    shown: tuple[RewardConfig, RewardConfig] = st.session_state.get(_SHOWN, (current, current))
    last, before = shown
    if last != current:
        before = last
    st.session_state[_SHOWN] = (current, before)
    return before


def wait_for(kind: str, task_id: str) -> None:
    """Remember the task whose result the Rewards page shows when it is there."""
    st.session_state.setdefault(_FOLLOWED, {})[kind] = task_id


def waited_for(kind: str) -> str | None:
    """The task of this kind that the Rewards page waits for."""
    task_id: str | None = st.session_state.get(_FOLLOWED, {}).get(kind)
    return task_id


def wait_no_more(kind: str) -> None:
    """The result of the task has been taken over."""
    st.session_state.get(_FOLLOWED, {}).pop(kind, None)


def move_weights(moved: Mapping[str, float]) -> None:
    """Move sliders. Called before they are drawn, or from a callback."""
    for name, weight in moved.items():
        st.session_state[weight_key(name)] = weight


def group_key(board_id: str) -> str:
    """The key of the control that pages through the groups of a board."""
    return f"lab.group.{board_id}"


def answer_to_read(board_id: str, group: int) -> str | None:
    """The key of the completion that was clicked in this group, to be read in full; None when none is."""
    key: str | None = st.session_state.get(f"lab.read.{board_id}.{group}")
    return key


def read_answer(board_id: str, group: int, key: str | None) -> None:
    """Remember which completion of a group is read in full."""
    st.session_state[f"lab.read.{board_id}.{group}"] = key


def pairs(board_id: str, rater: str) -> tuple[Any, ...] | None:
    """The pairs that a rater is asked in this session; None before they are drawn."""
    asked: tuple[Any, ...] | None = st.session_state.get(f"lab.pairs.{board_id}.{rater}")
    return asked


def ask_pairs(board_id: str, rater: str, asked: tuple[Any, ...]) -> None:
    """Ask a rater these pairs, from the first on."""
    st.session_state[f"lab.pairs.{board_id}.{rater}"] = asked
    st.session_state[f"lab.judged.{board_id}.{rater}"] = 0


def forget_pairs(board_id: str, rater: str) -> None:
    """Draw new pairs for a rater."""
    st.session_state.pop(f"lab.pairs.{board_id}.{rater}", None)


def judged(board_id: str, rater: str) -> int:
    """How many of the pairs of this session are behind a rater, skipped ones included."""
    return int(st.session_state.get(f"lab.judged.{board_id}.{rater}", 0))


def go_to_pair(board_id: str, rater: str, place: int) -> None:
    """Ask a rater the pair at this place of the session, from 0."""
    st.session_state[f"lab.judged.{board_id}.{rater}"] = place


def ranking(board_id: str, rater: str, group: int) -> tuple[int, ...]:
    """The rows of a group that a rater has given a place so far, the best first."""
    rows: tuple[int, ...] = st.session_state.get(f"lab.placed.{board_id}.{rater}.{group}", ())
    return rows


def place(board_id: str, rater: str, group: int, rows: tuple[int, ...]) -> None:
    """Remember the rows of a group that have a place, the best first."""
    st.session_state[f"lab.placed.{board_id}.{rater}.{group}"] = rows


def group_to_rank(board_id: str, rater: str) -> int | None:
    """The number of the group that a rater ranks; None before one was chosen."""
    group: int | None = st.session_state.get(f"lab.to_rank.{board_id}.{rater}")
    return group


def rank_group(board_id: str, rater: str, group: int) -> None:
    """Let a rater rank this group."""
    st.session_state[f"lab.to_rank.{board_id}.{rater}"] = group
