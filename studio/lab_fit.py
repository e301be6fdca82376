"""Fits weights to what raters prefer, and says how far they can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.lab.fit_result import Fit
from core.lab.votes import PlacedVote, raters, votes, votes_mark, votes_on
from core.paths import Home
from studio import access, lab_state, lab_tasks, lab_weights, output
from studio.lab_board import Opened

_WHO = "lab.fit.raters"


def draw(home: Home, opened: Opened, rater: str | None) -> None:
    """Whose votes count, the button, and what came of it."""
    known = raters(home)
    if not known:
        st.info("Nobody has voted yet. Compare answers first.", icon=":material/how_to_vote:")
        return
    mine = [name for name in known if rater is not None and name.casefold() == rater.casefold()] or known
    chosen = st.pills("Whose votes", known, selection_mode="multi", default=mine, key=_WHO, format_func=output.escape)
    placed = votes_on(opened.board, votes(home))
    counts = Counter(each.vote.rater for each in placed)
    st.caption("On these answers: " + ", ".join(f"{output.escape(name)}: {counts[name]:,}" for name in known) + ".")
    asked = _asked(opened.id, chosen, placed)
    missing = opened.board.missing(lab_state.reward())
    access.button(
        "reward.weigh",
        "Fit weights",
        key="lab.fit.start",
        type="primary",
        icon=":material/model_training:",
        disabled=not chosen or bool(missing) or lab_tasks.is_live(home, "fit", opened.id),
        on_click=_start,
        args=(home, asked),
    )
    if missing:
        st.caption("Measure these answers first; the button for it is in the view of the weights.")
    if lab_tasks.follow(home, "fit", "Fit again.", opened.id):
        return
    found = lab_tasks.newest_result(home, "fit", asked)
    if found is not None:
        _result(Fit.from_json(found), current=True)
        return
    found = lab_tasks.newest_result(home, "fit", {name: asked[name] for name in ("board", "raters")})
    if found is not None:
        output.warning(_OUTDATED)
        _result(Fit.from_json(found), current=False)


_OUTDATED = (
    "This fit was made for another reward, other weights or other votes than there are now; what it calls now and "
    "present is what there was then. Fit again."
)


def _asked(board_id: str, chosen: Sequence[str], placed: Sequence[PlacedVote]) -> dict[str, Any]:
    """What the task is asked, and with which votes; the name of a preset is left out, since a fit does not depend on
    it."""
    reward = lab_state.reward().model_copy(update={"weights": lab_state.weights()})
    return {
        "board": board_id,
        "reward": reward.model_dump(mode="json", exclude={"preset"}),
        "raters": sorted(chosen),
        "seed": 0,
        "votes": votes_mark(each.vote for each in placed if each.vote.rater in chosen),
    }


def _start(home: Home, asked: Mapping[str, Any]) -> None:
    lab_tasks.start(home, "fit", asked)


def _result(fit: Fit, current: bool) -> None:
    """Show a fit.

    Args:
        current: whether it was made for the reward and the votes that there are now; else its weights are not offered.
    """
    with st.container(border=True):
        if fit.enough:
            _weights(fit, current)
        else:
            st.markdown("**No weights yet**")
            st.info(output.escape(fit.reason), icon=":material/hourglass_empty:")
        for sentence in fit.left_out:
            st.caption(output.escape(sentence))
    _kappas(fit)


def _weights(fit: Fit, current: bool) -> None:
    st.markdown("**Weights that agree with these votes**")
    left, right = st.columns([3, 4], gap="large")
    with left:
        if fit.agreement is not None and fit.low is not None and fit.high is not None and fit.current is not None:
            st.metric(
                "Agreement on questions left out",
                f"{fit.agreement:.0%}",
                f"{100 * (fit.agreement - fit.current):+.0f} points against {'now' if current else 'then'}",
                delta_color="off" if fit.better is None else "normal",
                border=True,
                help=f"95 % interval {fit.low:.0%} to {fit.high:.0%}, from resampling questions. A coin reaches 50 %.",
            )
        st.caption(output.escape(fit.verdict))
    with right:
        for sentence in fit.words:
            st.write(f"- {output.escape(sentence)}")
        if current:
            st.button(
                "Use these weights",
                key="lab.fit.use",
                type="primary" if fit.better is True else "secondary",
                icon=":material/tune:",
                on_click=lab_weights.use,
                args=(on_sliders(fit.weights),),
            )


def on_sliders(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights within what a slider can show; only their ratio matters for the order of answers, so that is kept.

    >>> on_sliders({"semantic": 2.0, "tags": -0.5})
    {'semantic': 1.0, 'tags': -0.25}
    """
    largest = max(1.0, *map(abs, weights.values()))
    return {name: round(weight / largest, 2) for name, weight in weights.items()}


def _kappas(fit: Fit) -> None:
    for kappa in fit.kappa:
        with st.container(border=True):
            output.labelled("Two raters", f"{kappa.first} and {kappa.second}")
            st.write(output.escape(kappa.sentence))
