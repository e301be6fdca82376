"""Typed access to what the Compare page remembers: who answers and what is open, all of it in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from studio.address_state import Views

ASK, BATCH, BLIND = "ask", "batch", "blind"
VIEWS = {
    ASK: ":material/forum: Ask",
    BATCH: ":material/checklist: Batch",
    BLIND: ":material/visibility_off: Blind vote",
}
_PAGE = Views("compare", VIEWS)
view, view_selector, show_view = _PAGE.chosen, _PAGE.selector, _PAGE.show
_WITH = "with"
"""The query parameter that names who answers, once for each."""
_UNDER = "under"
"""The query parameter that names the run whose prompt and reward hold for all."""
_COMPARISON = "comparison"
"""The query parameter of the question that is open in the view Ask."""
_BATCH = "batch"
"""The query parameter of the comparison over many questions that is open in the other two views."""
_PICKER = "compare.candidates"
_UNDER_CHOICE = "compare.under"
_BATCH_CHOICE = "compare.batch.choice"
ADD_OPEN = "compare.add.open"
"""The key of the popover in which a model is added."""
OWN = "own"
"""The value of `under` for the studio's own prompt and reward, which no run has to have."""


def query(candidates: Sequence[str], under: str) -> dict[str, str | list[str]]:
    """The query parameters of the Compare page with these candidates chosen, under the prompt of this run."""
    return {_WITH: list(candidates), _UNDER: under}


def show_vote(comparison: str) -> None:
    """Draw the vote on this comparison from the next run of the page on."""
    open_batch(comparison)
    show_view(BLIND)


def chosen() -> tuple[str, ...]:
    """Who the address says answers, each once; nobody when it says nothing."""
    return tuple(dict.fromkeys(filter(None, st.query_params.get_all(_WITH))))


def hide_candidates() -> None:
    """Take out of the address who answers and under what, where raters may read it."""
    for name in (_WITH, _UNDER):
        st.query_params.pop(name, None)


def choose(candidates: Sequence[str]) -> None:
    """Let these answer from the next run of the page on."""
    st.query_params[_WITH] = list(candidates)


def picker(titles: Mapping[str, str], current: Sequence[str], most: int) -> None:
    """The box in which is chosen who answers.

    Args:
        titles: how each candidate reads, by its name; those of `current` are among them.
    """
    st.session_state[_PICKER] = list(current)
    st.multiselect(
        "Who answers",
        list(titles),
        key=_PICKER,
        format_func=titles.__getitem__,
        max_selections=most,
        placeholder="Choose two or more",
        on_change=_keep_candidates,
        help="Each gets a column of its own. The base model is the model before training; a checkpoint is a run's "
        "model as it was at that step.",
    )


def _keep_candidates() -> None:
    choose(st.session_state[_PICKER] or [""])


def chose_nobody() -> bool:
    """Whether somebody has emptied the box, so that no candidates may be chosen for them."""
    return _WITH in st.query_params and not chosen()


def under() -> str | None:
    """The run whose prompt and reward the address asks for; `OWN` for the studio's; None when it says nothing."""
    return st.query_params.get(_UNDER)


def under_selector(titles: Mapping[str, str], current: str) -> None:
    """The box in which is chosen whose prompt and reward hold."""
    st.session_state[_UNDER_CHOICE] = current
    st.selectbox(
        "Prompt and reward of",
        list(titles),
        key=_UNDER_CHOICE,
        format_func=titles.__getitem__,
        on_change=_keep_under,
        help="All answer after the same instructions and examples, and earn under the same reward. The test questions "
        "are those of this run's data, too.",
    )


def _keep_under() -> None:
    st.query_params[_UNDER] = st.session_state[_UNDER_CHOICE]


def opened() -> str | None:
    """The question that is open in the view Ask, as the id of its comparison."""
    return st.query_params.get(_COMPARISON)


def open_question(comparison: str | None) -> None:
    """Open the answers to a question from the next run of the page on; None closes them."""
    _put(_COMPARISON, comparison)


def opened_batch() -> str | None:
    """The comparison over many questions that is open."""
    return st.query_params.get(_BATCH)


def open_batch(comparison: str | None) -> None:
    """Open a comparison over many questions from the next run of the page on; None closes it."""
    _put(_BATCH, comparison)


def _put(name: str, value: str | None) -> None:
    if value is None:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def batch_selector(titles: Mapping[str, str], current: str) -> str:
    """The box in which is chosen which batch is judged blind; the one chosen stands in the address."""
    st.session_state[_BATCH_CHOICE] = current
    chosen: str = st.selectbox(
        "Answers to judge",
        list(titles),
        key=_BATCH_CHOICE,
        format_func=titles.__getitem__,
        on_change=_keep_batch,
        width=360,
    )
    return chosen


def _keep_batch() -> None:
    open_batch(st.session_state[_BATCH_CHOICE])
