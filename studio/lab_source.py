"""Which sample completions the Rewards page looks at, and what is still to be measured of them."""

from __future__ import annotations

import streamlit as st

from core.config import RewardConfig
from core.lab.boards import BUNDLED, RUN, bundled_board, list_boards, steps_with_completions
from core.paths import Home
from core.runs import find_run, list_runs
from core.verdicts import component_title
from studio import lab_tasks, output, state
from studio.lab_board import Opened


def choose(home: Home) -> str:
    """The selector of sample completions; returns the id of a board."""
    _take_over(home)
    chosen = state.board_selector(_titles(home))
    return _step(home, chosen) if chosen.startswith(RUN) else chosen


def _titles(home: Home) -> dict[str, str]:
    """What there is to look at, by id; a run stands for all its steps. Boards of one title show their id."""
    bundled = bundled_board()
    titles = {BUNDLED: f"{bundled.title}: {len(bundled.groups)} questions, {len(bundled)} answers"}
    for kept in list_boards(home):
        title = f"{kept.about.title}: {kept.about.groups:,} questions, {kept.about.completions:,} answers"
        titles[kept.id] = f"{title} ({kept.id})" if title in titles.values() else title
    titles |= {f"{RUN}{run.id}": f"Run {run.id}" for run in list_runs(home) if steps_with_completions(run)}
    return titles


def _step(home: Home, chosen: str) -> str:
    """The id of the board of one training step of a run; the newest step at first."""
    steps = steps_with_completions(find_run(home, chosen.removeprefix(RUN)))
    step = steps[-1]
    if len(steps) > 1:
        step = st.select_slider("Training step", steps, value=steps[-1], key=f"lab.step.{chosen}")
    return f"{chosen}:{step}"


def _take_over(home: Home) -> None:
    """Open what a task that the page waited for has made. Called before the selector is drawn."""
    kinds: tuple[lab_tasks.Kind, ...] = ("sample", "measure")
    for kind in kinds:
        found = lab_tasks.result(home, kind)
        if found is not None:
            state.wait_no_more(kind)
            state.open_board(found["board"])


def measure(home: Home, opened: Opened) -> bool:
    """Say which components have not been measured on these completions, and measure them; returns whether all are."""
    missing = opened.board.missing(state.lab_reward())
    for note in opened.board.notes:
        output.warning(note)
    if not missing:
        return True
    with st.container(border=True):
        names = ", ".join(component_title(name) for name in missing)
        st.markdown(f"**Not measured yet on these answers:** {output.escape(names)}")
        if lab_tasks.follow(home, "measure", "Measure again."):
            return False
        st.caption("It is done once, in the background, and kept. Moving a slider never measures anything.")
        st.button(
            "Measure",
            icon=":material/speed:",
            type="primary",
            key="lab.measure",
            on_click=start_measuring,
            args=(home, opened.id, state.lab_reward()),
        )
    return False


def start_measuring(home: Home, board_id: str, reward: RewardConfig) -> None:
    """Callback: measure a board for a reward in a task."""
    lab_tasks.start(home, "measure", {"board": board_id, "reward": reward.model_dump(mode="json")})
