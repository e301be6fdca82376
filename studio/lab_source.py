"""Which sample completions the Rewards page looks at, and what is still to be measured of them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.config import RewardConfig
from core.lab.boards import BUNDLED, RUN, KeptBoard, bundled_board, list_boards
from core.paths import Home
from core.reward.verdicts import component_title
from core.runs.completions import kept_steps
from core.runs.run import Run, find_run, list_runs
from core.runs.stamps import PerRun
from studio import access, lab_state, lab_tasks, output
from studio.lab_board import Opened


def choose(home: Home) -> str:
    """The selector of sample completions; returns the id of a board."""
    _take_over(home)
    kept = list_boards(home)
    with st.container(gap=None):
        chosen = lab_state.board_selector(_titles(home, kept))
        if chosen == BUNDLED or any(board.id == chosen and board.about.source == BUNDLED for board in kept):
            st.caption("Sample text written for GRPO Studio. Not for clinical use.")
    return _step(home, chosen) if chosen.startswith(RUN) else chosen


def _titles(home: Home, kept: Sequence[KeptBoard]) -> dict[str, str]:
    """What there is to look at, by id; a run stands for all its steps. Boards of one title show their id."""
    bundled = bundled_board()
    titles = {BUNDLED: _title(bundled.title, len(bundled.groups), len(bundled))}
    for board in kept:
        more = ", measured further" if board.about.source else ""
        title = _title(board.about.title, board.about.groups, board.about.completions) + more
        titles[board.id] = f"{title} ({board.id})" if title in titles.values() else title
    titles |= {f"{RUN}{run.id}": f"Run {run.id}" for run in list_runs(home) if _known_samples(run)}
    return titles


def _has_samples(run: Run) -> bool:
    return bool(kept_steps(run))


_known_samples = PerRun(_has_samples, lambda run: run.completions)


def _title(title: str, groups: int, completions: int) -> str:
    """What a board is called, and how much it holds.

    >>> _title("Mine", 1, 8)
    'Mine: 1 group, 8 completions'
    """
    return f"{title}: {groups:,} group{'s'[: groups != 1]}, {completions:,} completion{'s'[: completions != 1]}"


def _step(home: Home, chosen: str) -> str:
    """The id of the board of one training step of a run; the newest step at first."""
    steps = kept_steps(find_run(home, chosen.removeprefix(RUN)))
    step = steps[-1]
    if len(steps) > 1:
        step = st.slider("Training step", steps[0], steps[-1], steps[-1], steps.step, key=f"lab.step.{chosen}")
    return f"{chosen}:{step}"


def _take_over(home: Home) -> None:
    """Open what a task that the page waited for has made. Called before the selector is drawn."""
    kinds: tuple[lab_tasks.Kind, ...] = ("sample", "measure")
    for kind in kinds:
        found = lab_tasks.result(home, kind)
        if found is not None:
            lab_state.wait_no_more(kind)
            lab_state.open_board(found["board"])


def measure(home: Home, opened: Opened) -> bool:
    """Say which components have not been measured on these completions, and measure them; returns whether all are."""
    missing = opened.board.missing(lab_state.reward())
    for note in opened.board.notes:
        output.warning(note)
    if not missing:
        return True
    with st.container(border=True):
        names = ", ".join(component_title(name) for name in missing)
        st.markdown(f"**Not measured yet on these answers:** {output.escape(names)}")
        if lab_tasks.follow(home, "measure", "Measure again.", opened.id):
            return False
        st.caption("It is done once, in the background, and kept. Moving a slider never measures anything.")
        access.button(
            "reward.weigh",
            "Measure",
            icon=":material/speed:",
            type="primary",
            key="lab.measure",
            on_click=start_measuring,
            args=(home, opened.id, lab_state.reward()),
        )
    return False


def start_measuring(home: Home, board_id: str, reward: RewardConfig) -> None:
    """Callback: measure a board for a reward in a task."""
    lab_tasks.start(home, "measure", {"board": board_id, "reward": reward.model_dump(mode="json")})
