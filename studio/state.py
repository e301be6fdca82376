"""Typed access to what the studio remembers of a session: what is open, in the address, and what widgets hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.config import RewardConfig
from core.data.tables import Table, find_table
from core.paths import Home
from core.rewards import PRESETS
from core.runs import Run, find_run, list_runs

_RUN = "run"
"""The query parameter that names the open run, so that a reload finds it again."""
_NEW = "new"
_RUN_CHOICE = "run_choice"
_TABLE = "table"
"""The query parameter that names the open table."""
_IMPORT = "import"
"""The query parameter that names the task that makes a table."""
_DATA = "data"
"""The query parameter of the form for a new run that names a prepared data set."""
_REFUSED = "refused"
"""Why the last values of a form could not be kept, by the name of the form."""
_BOARD = "lab.board"
"""The selector of sample completions; its key is what `core.lab.boards.load_board` takes."""
_REWARD = "lab.reward"
"""The reward that the sliders started from."""
_SHOWN = "lab.shown"
"""The reward of the last repaint and the one before it."""
_FOLLOWED = "lab.followed"
"""The tasks of the Rewards page whose end it waits for, by kind."""


def run_query(run_id: str) -> dict[str, str]:
    """The query parameters of the Train page with this run open."""
    return {_RUN: run_id}


def new_run_query() -> dict[str, str]:
    """The query parameters of the Train page with the form for a new run."""
    return {_RUN: _NEW}


def open_run(run: Run) -> None:
    """Make the Train page show this run from its next run on."""
    st.query_params[_RUN] = run.id


def open_new_run() -> None:
    """Make the Train page show the form for a new run."""
    st.query_params[_RUN] = _NEW


def open_chosen_run() -> None:
    """Callback of the run selector."""
    chosen = st.session_state[_RUN_CHOICE]
    st.query_params[_RUN] = chosen or _NEW


def chosen_run(home: Home) -> Run | None:
    """The run that the address names, or the newest live run, which the address then names; None for the form.

    Raises:
        RunError: the address names a run that is not there.
    """
    asked = st.query_params.get(_RUN)
    if asked == _NEW:
        return None
    if asked:
        return find_run(home, asked)
    live = next((run for run in list_runs(home) if run.status().live), None)
    if live:
        open_run(live)  # when it ends, the page must not turn into the form
    return live


def run_selector(runs: list[Run], current: Run | None) -> None:
    """A select box of all runs that opens the one chosen."""
    st.session_state[_RUN_CHOICE] = None if current is None else current.id
    st.selectbox(
        "Run",
        [run.id for run in runs],
        key=_RUN_CHOICE,
        index=None,
        placeholder="Open a run",
        label_visibility="collapsed",
        on_change=open_chosen_run,
        width=300,
    )


def new_run_on(name: str) -> dict[str, str]:
    """The query parameters of the Train page with the form for a new run on a prepared data set."""
    return {**new_run_query(), _DATA: name}


def wanted_data() -> str | None:
    """The prepared data set that the address asks a new run to be trained on."""
    return st.query_params.get(_DATA)


def open_table(table_id: str) -> None:
    """Make the Data page show this table from its next run on."""
    st.query_params.from_dict({_TABLE: table_id})


def close_table() -> None:
    """Make the Data page ask for a source again."""
    st.query_params.clear()


def chosen_table(home: Home) -> Table | None:
    """The table that the address names.

    Raises:
        DataError: it is not there.
    """
    asked = st.query_params.get(_TABLE)
    return find_table(home, asked) if asked else None


def open_import(task_id: str) -> None:
    """Make the Data page follow the task that makes a table."""
    st.query_params.from_dict({_IMPORT: task_id})


def chosen_import() -> str | None:
    """The task that the address names."""
    return st.query_params.get(_IMPORT)


def value(key: str) -> Any:
    """What the widget with this key holds; None when it was never drawn."""
    return st.session_state.get(key)


def show(key: str, kept: Any, form: str = "") -> None:
    """Make a widget hold what is kept on disk; while its form is refused it keeps what was entered."""
    if key not in st.session_state or refusal(form) is None:
        st.session_state[key] = kept


def refuse(form: str, reason: str) -> None:
    """Remember why what was entered in a form cannot be kept."""
    st.session_state.setdefault(_REFUSED, {})[form] = reason


def accept(form: str) -> None:
    """What is entered in a form has been kept."""
    st.session_state.setdefault(_REFUSED, {}).pop(form, None)


def refusal(form: str) -> str | None:
    """Why what is entered in a form cannot be kept; None when it has been."""
    reasons: dict[str, str] = st.session_state.get(_REFUSED, {})
    return reasons.get(form)


def chosen_row(table: Table) -> int | None:
    """The number of the row of a table that is looked at in full."""
    number: int | None = st.session_state.get(f"{table.id}.row")
    return number


def choose_row(table: Table, number: int) -> None:
    """Look at another row in full."""
    st.session_state[f"{table.id}.row"] = number


def looked_at(table: Table) -> tuple[int, str] | None:
    """The number of the finding whose mend's changes are shown, and that mend as JSON."""
    mend: tuple[int, str] | None = st.session_state.get(f"{table.id}.mend")
    return mend


def look_at(table: Table, number: int, mend: str) -> None:
    """Show what the mend of a finding changes."""
    st.session_state[f"{table.id}.mend"] = (number, mend)


def look_away(table: Table) -> None:
    """Show no mend's changes any more."""
    st.session_state.pop(f"{table.id}.mend", None)


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


def lab_reward() -> RewardConfig:
    """The reward that the sliders started from; the recommended one at first."""
    reward: RewardConfig = st.session_state.get(_REWARD, PRESETS["robust"])
    return reward


def start_reward(reward: RewardConfig) -> None:
    """Start from another reward: the sliders move to its weights. Called before they are drawn, or from a callback."""
    st.session_state[_REWARD] = reward
    for name in reward.components:
        st.session_state[weight_key(name)] = reward.weights.get(name, 0.0)


def weight_key(component: str) -> str:
    """The key of a component's slider."""
    return f"lab.weight.{component}"


def lab_weights() -> dict[str, float]:
    """The weight of each component of the reward in the lab, as its slider stands."""
    reward = lab_reward()
    return {
        name: float(st.session_state.get(weight_key(name), reward.weights.get(name, 0.0))) for name in reward.components
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


def move_weights(weights: Mapping[str, float]) -> None:
    """Move sliders. Called before they are drawn, or from a callback."""
    for name, weight in weights.items():
        st.session_state[weight_key(name)] = weight


def group_key(board_id: str) -> str:
    """The key of the control that pages through the groups of a board."""
    return f"lab.group.{board_id}"


RATER = "lab.rater"
"""The key of the text field with the name of who judges."""


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


def next_pair(board_id: str, rater: str) -> None:
    """Go on to the next pair."""
    st.session_state[f"lab.judged.{board_id}.{rater}"] = judged(board_id, rater) + 1


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
