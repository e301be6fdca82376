"""The view Blind vote: which batch is judged. Who its models are is not said here, for raters may be looking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from core.paths import Home
from studio import compare_blind, compare_list, compare_open, compare_state


def draw(home: Home) -> None:
    """The batches that can be judged, and the vote on the one that is chosen."""
    found = [line for line in compare_list.batches(home) if len(line.candidates) > 1]
    if not found:
        st.info(
            "A blind vote needs answers: start a batch over test questions first.", icon=":material/visibility_off:"
        )
        st.button(
            "Start a batch",
            type="primary",
            key="compare.blind.start",
            on_click=compare_state.show_view,
            args=(compare_state.BATCH,),
        )
        return
    compare_state.hide_candidates()
    titles = _titles(found)
    current = compare_open.opened(home, compare_state.BLIND)
    chosen = compare_state.batch_selector(
        titles, current.id if current and current.id in titles else next(iter(titles))
    )
    compare_blind.draw(home, next(line.comparison for line in found if line.comparison.id == chosen))


def _titles(found: Sequence[compare_list.Line]) -> dict[str, str]:
    """How each batch reads, by its id: when it was made and how long it is, for a name could tell whose it is.

    Those that would read the same are numbered, the oldest first.

    Args:
        found: the newest first.
    """
    short = [f"{line.created:%d %b %Y, %H:%M} · {line.questions} questions" for line in found]
    left = Counter(short)
    counts = Counter(short)
    titles = {}
    for line, text in zip(found, short, strict=True):
        titles[line.comparison.id] = f"{text} · no. {left[text]}" if counts[text] > 1 else text
        left[text] -= 1
    return titles
