"""What the Evaluate page shows of the evaluation that is open, by the view that is chosen."""

from __future__ import annotations

import streamlit as st

from core.paths import Home
from studio import (
    compare_state,
    evaluate_evidence,
    evaluate_list,
    evaluate_open,
    evaluate_progress,
    evaluate_questions,
    evaluate_results,
    evaluate_state,
    navigation,
    output,
)
from studio.evaluate_list import Line
from studio.evaluate_open import Opened


def draw(home: Home, view: str, found: Opened | None, lines: list[Line]) -> None:
    """One of the views Results, Questions and Evidence."""
    if found is None:
        _none(lines)
        return
    st.subheader(output.escape(found.request.title or found.id), anchor=False)
    st.caption(output.escape(_told(found)))
    running = evaluate_progress.draw(home, found)
    if found.is_sealed:
        _sealed(found)
        return
    if view == evaluate_state.EVIDENCE:
        evaluate_evidence.draw(home, found, running)
        return
    results = evaluate_open.results(found)
    if results is None:
        _not_yet(running)
    elif view == evaluate_state.QUESTIONS:
        evaluate_questions.draw(found, results)
    else:
        evaluate_results.draw(results)
        _vote(found)


def _none(lines: list[Line]) -> None:
    if not lines:
        st.info("Nothing has been evaluated yet. Set up the first evaluation.", icon=":material/info:")
        st.button(
            "Set up",
            type="primary",
            key="evaluate.to_setup",
            on_click=evaluate_state.show_view,
            args=(evaluate_state.SETUP,),
        )
        return
    evaluate_list.draw(lines)


def _told(found: Opened) -> str:
    """Who is compared, on how many questions, and who judges; text from outside."""
    judges = ", ".join(found.judge_names)
    who = f"judged by {judges}" if judges else "no judge, automatic metrics only"
    return f"{', '.join(found.names)} · {len(found.asked.questions):,} questions · {who}"


def _not_yet(running: bool) -> None:
    if running:
        st.caption("The results are counted when the judges are done, or when it is stopped.")
    else:
        st.info("There are no results yet. Go on to get them.", icon=":material/hourglass_empty:")


def _sealed(found: Opened) -> None:
    """What stands in place of results while raters judge the same answers blind."""
    st.info(
        "A blind vote on these answers is open. What the judges say of each model is shown when the vote has ended.",
        icon=":material/visibility_off:",
    )
    if st.button("Go to the vote", icon=":material/how_to_vote:", key="evaluate.vote"):
        _to_vote(found)


def _vote(found: Opened) -> None:
    """The way to the people whose opinion the judges are held against."""
    if len(found.names) > 1 and st.button(
        "Have clinicians vote blind",
        icon=":material/visibility_off:",
        key="evaluate.blind",
        help="Opens these answers on the Compare page: two at a time without a word on who wrote them.",
    ):
        _to_vote(found)


def _to_vote(found: Opened) -> None:
    address = {"view": compare_state.BLIND, "batch": found.answers.id}
    st.switch_page(navigation.COMPARE.path, query_params=address)
