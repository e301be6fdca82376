"""The question that changes the reward weights of a run while it trains."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.reward.verdicts import component_help, component_title
from core.runs.run import Run
from core.training import control
from studio import dialogs, output, words
from studio.feed import feed_of

_RECENT_STEPS = 10
_STEP = 0.05


@st.dialog("Change the reward weights", icon=":material/tune:", on_dismiss="rerun")  # which forgets what was typed
def change(run: Run) -> None:
    """Ask for other weights: each component with its present one, and what it really decides."""
    present = control.latest_weights(run)
    shares = words.recent_shares(feed_of(run).newest(_RECENT_STEPS)) or {}
    wanted = {name: _weight(name, present.get(name, 0.0), shares) for name in run.config().reward.components}
    step = run.written_status().step + 1
    st.caption(
        f"The new weights count from the next step that is scored, step {step} at the earliest. The curve marks where "
        "they changed; rewards before and after the mark are not the same measure."
    )
    dialogs.answer(
        [
            dialogs.Answer("Change", "weights.yes", lambda: control.change_weights(run, wanted), primary=True),
            dialogs.Answer("Keep as they are", "weights.no"),
        ]
    )


def _weight(name: str, present: float, shares: Mapping[str, float]) -> float:
    share = shares.get(name)
    number, effect = st.columns([3, 2], vertical_alignment="bottom")
    with number:
        weight: float = st.number_input(
            output.escape(component_title(name)),
            value=float(present),
            step=_STEP,
            format="%.2f",
            key=f"weights.{name}",
            help=component_help(name),
        )
    with effect:
        decides = "what it decides is not known yet" if share is None else f"decides {share:.0%} of the differences"
        st.caption(f"Now {present:g}; {decides}")
    return weight
