"""Opens a blind vote on the Compare page: which models are voted on, and what raters will be asked."""

from __future__ import annotations

import streamlit as st

from core.access.starters import starter_of
from core.compare.blind import all_pairs, open_vote
from core.compare.blind_ballots import matters_of
from core.compare.blind_votes import Pair
from core.compare.comparison import Comparison
from core.errors import StudioError
from core.paths import Home
from studio import access, compare_names, output, state

_FORM = "blind.open"


def draw(home: Home, comparison: Comparison) -> None:
    """Asks which models are voted on, and says what that comes to."""
    st.write(
        "Raters read two answers to one question, without names and on sides that change, and say which is better. Who "
        "wrote what is shown when you end the vote."
    )
    chosen = _pairs(home, comparison)
    matters, left_out = matters_of(comparison, chosen)
    st.write(f"Each rater judges **{len(matters):,}** pairs of answers.")
    for sentence in left_out.sentences:
        st.caption(sentence)
    if left_out.missing or left_out.failed:
        st.caption("What is left out now stays out, also when an answer comes later.")
    access.button(
        "vote.open",
        "Open the vote",
        type="primary",
        key="blind.open",
        icon=":material/how_to_vote:",
        disabled=not matters,
        owner=starter_of(comparison.folder),
        on_click=_open,
        args=(comparison, tuple(chosen)),
    )
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)


def _pairs(home: Home, comparison: Comparison) -> list[Pair]:
    """Which pairs of models are voted on; all of them at first."""
    pairs = list(all_pairs(comparison))
    names = compare_names.names(home, comparison.request().candidates)
    if len(pairs) < 2:
        return pairs
    return st.multiselect(
        "Which models are compared",
        pairs,
        default=pairs,
        key=f"blind.pairs.{comparison.id}",
        format_func=lambda pair: f"{names[pair[0]]} against {names[pair[1]]}",
        help="Raters see two answers at a time. Each pair adds as many ballots as there are questions.",
    )


def _open(comparison: Comparison, pairs: tuple[Pair, ...]) -> None:
    try:
        open_vote(comparison, pairs)
    except StudioError as error:
        state.refuse(_FORM, str(error))
        return
    state.accept(_FORM)
