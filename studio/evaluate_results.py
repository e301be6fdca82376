"""The view Results of the Evaluate page: what may be said, safety by itself, the scores, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import streamlit as st

from core.evaluate import figures
from core.evaluate.results import EvaluationResults, Measure
from core.evaluate.sentences import headline, safety_sentences
from studio import evaluate_frames, evaluate_tables, evaluate_trust, output

_NO_BAR = {"displayModeBar": False}


def draw(results: EvaluationResults) -> None:
    """All of it, the sentence that matters first."""
    _headline(results)
    _safety(results)
    judged = evaluate_tables.of_all_judges(results)
    if judged:
        st.subheader("Scores", anchor=False)
        _scores(results, judged)
    _types(results)
    evaluate_trust.draw(results)
    _automatic(results, alone=not judged)
    _limits(results)


def _headline(results: EvaluationResults) -> None:
    first, *others = headline(results) or ("There is nothing to count yet.",)
    with st.container(border=True):
        st.subheader(output.escape(first), anchor=False)
        for sentence in others:
            st.write(output.escape(sentence))


def _safety(results: EvaluationResults) -> None:
    """Dangers, apart from every mean."""
    sentences = safety_sentences(results)
    if not results.dangers or not sentences:
        return
    looked_at = any(one.share is not None for one in results.dangers)
    found = any(one.count for one in results.dangers)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Safety, counted by itself**")
            if looked_at:
                st.badge(
                    "Dangers found" if found else "No danger found",
                    icon=":material/warning:" if found else ":material/shield:",
                    color="red" if found else "gray",
                )
        for sentence in sentences:
            st.write(output.escape(sentence))
        with st.expander("By kind of danger"):
            evaluate_frames.table(evaluate_tables.dangers(results), "dangers", "Answers in which a judge saw a danger")
        st.caption(
            "Wilson's 95% intervals. A judge that sees no danger has not shown that there is none; have every answer "
            "that is used read by a clinician."
        )


def _scores(results: EvaluationResults, measures: Sequence[Measure]) -> None:
    """The pictures: outline and dots beside each other, differences beneath."""
    radar, dots, forest = figures.radar(results), figures.dots(results), figures.forest(results)
    if radar is not None and dots is not None:
        left, right = st.columns(2, gap="large")
        radar.update_layout(showlegend=False)  # the dots beside it have the same colours and marks
        dots.update_layout(height=radar.layout.height)
        left.plotly_chart(radar, key="evaluate.radar", config=_NO_BAR, theme=None)
        right.plotly_chart(dots, key="evaluate.dots", config=_NO_BAR, theme=None)
    elif dots is not None:
        st.plotly_chart(dots, key="evaluate.dots", config=_NO_BAR, theme=None)
    if forest is not None:
        st.plotly_chart(forest, key="evaluate.forest", config=_NO_BAR, theme=None)
        st.caption(
            "Right of the line is better than the baseline. Only where the whole interval lies on one side of zero is "
            "“better” or “worse” said."
        )
    _numbers(results, measures, "judged")


def _numbers(results: EvaluationResults, measures: Sequence[Measure], key: str) -> None:
    """Means with standard deviations, those of the checklist apart; then differences with tests."""
    items = [measure for measure in measures if measure.kind == "rubric"]
    others = [measure for measure in measures if measure.kind != "rubric"]
    columns = evaluate_frames.means(results.candidates)
    for name, some in (("means", others), ("items", items)):
        if some:
            frame = evaluate_tables.averages(results, some)
            evaluate_frames.table(frame, f"{key}.{name}", "Mean and standard deviation of each measure", columns)
    frame = evaluate_tables.differences(results, measures)
    if len(frame):
        with st.expander("Differences, tests and effect sizes", icon=":material/functions:"):
            evaluate_frames.table(
                frame, f"{key}.differences", "Differences from the baseline", evaluate_frames.DIFFERENCES
            )


def _types(results: EvaluationResults) -> None:
    """The measure that matters most for each kind of question; the others behind a click."""
    titles = evaluate_tables.typed_measures(results)
    if not titles:
        return
    st.subheader("By kind of question", anchor=False)
    columns = evaluate_frames.means(results.candidates)
    for number, title in enumerate(titles):
        frame = evaluate_tables.types(results, title)
        with st.expander(output.escape(title)) if number else nullcontext():
            if not number:
                st.markdown(f"**{output.escape(title)}**")
            evaluate_frames.table(frame, f"types.{number}", "Results for each kind of question", columns)
    st.caption("Of many kinds one or another looks different by chance alone. Take it as a hint where to look.")


def _automatic(results: EvaluationResults, alone: bool) -> None:
    """What needs no judge, and is named as such."""
    measures = evaluate_tables.automatic(results)
    if not measures:
        return
    st.subheader("Automatic metrics", anchor=False)
    st.write(
        ("" if results.judges else "No judge was asked. ")
        + "These numbers are automatic: rules and small models on this machine took them. None of them says whether an "
        "answer is medically right."
    )
    if alone:
        _automatic_pictures(results)
        _numbers(results, measures, "automatic")
        return
    with st.expander("Automatic metrics as tables", icon=":material/straighten:"):
        columns = evaluate_frames.means(results.candidates)
        frame = evaluate_tables.averages(results, measures)
        evaluate_frames.table(frame, "automatic.means", "Means of the automatic metrics", columns)
        frame = evaluate_tables.differences(results, measures)
        if len(frame):
            evaluate_frames.table(frame, "automatic.differences", "Their differences", evaluate_frames.DIFFERENCES)


def _automatic_pictures(results: EvaluationResults) -> None:
    """The differences of metrics whose scale has two ends, a picture for each scale."""
    for number, scale in enumerate(figures.scales(results)):
        bounded = scale.measures[0].low is not None and scale.measures[0].high is not None
        forest = figures.forest(results, scale.measures) if bounded else None
        if forest is not None:
            st.markdown(f"**{output.escape(scale.title)}**")
            st.plotly_chart(forest, key=f"evaluate.automatic.{number}", config=_NO_BAR, theme=None)


def _limits(results: EvaluationResults) -> None:
    if not results.limits:
        return
    st.subheader("What these results do not show", anchor=False)
    st.markdown("\n".join(f"- {output.escape(limit)}" for limit in results.limits))
