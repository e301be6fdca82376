"""What judges said of one answer, or of two: marks with reasons, dangers, and what could not be read. All of it is text
from a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import streamlit as st

from core.evaluate.request import DANGER_TITLES, DIMENSION_TITLES
from core.evaluate.verdicts import Call, Matter, Verdict
from studio import output
from studio.evaluate_open import Opened

_SINGLE: tuple[Matter, ...] = ("dimensions", "format", "rubric")
_MATTERS: Mapping[Matter, str] = {
    "dimensions": "the marks",
    "format": "the format",
    "rubric": "the checklist",
    "pairwise": "which of two is better",
}
_REPLY_PIXELS = 160


def of_answer(found: Opened, verdicts: Mapping[Call, Verdict], question: int, candidate: int) -> None:
    """What every judge said of one answer: one judge's words at once, those of several behind their marks."""
    for judge, name in enumerate(found.judge_names):
        calls = [Call(judge, matter, question, candidate) for matter in _SINGLE]
        said = [verdicts[call] for call in calls if call in verdicts]
        if not said:
            continue
        label = " · ".join([name, *summed_up(found, said)])
        alone = len(found.judge_names) == 1
        with st.expander(output.escape(label), icon=":material/gavel:", expanded=alone, key=_key(judge, candidate)):
            for verdict in said:
                _single(found, verdict)


def _key(judge: int, candidate: int) -> str:
    return f"evaluate.verdict.{judge}.{candidate}"


def summed_up(found: Opened, said: Sequence[Verdict]) -> list[str]:
    """The marks of one judge on one answer in a few words; the total only where all of its dimensions are there."""
    marks = {name: score for one in said if one.matter != "rubric" for name, score in one.scores.items()}
    items = [score for one in said if one.matter == "rubric" for score in one.scores.values()]
    whole = "dimensions" in found.request.methods and set(found.request.dimensions) <= set(marks)
    return [
        *([f"{fmean(marks.values()):.1f} of 5"] if whole else []),
        *([f"{sum(items)} of {len(items)} items met"] if items else []),
        *(["danger"] if any(any(one.dangers.values()) for one in said) else []),
        *(["not all verdicts"] if any(one.outcome != "given" for one in said) else []),
    ]


def _single(found: Opened, verdict: Verdict) -> None:
    if verdict.outcome != "given":
        _nothing(verdict)
        return
    _dangers(verdict)
    titles: dict[str, str] = dict(DIMENSION_TITLES) | {item.id: item.text for item in found.request.rubric}
    for name, score in verdict.scores.items():
        mark = ("met" if score else "not met") if verdict.matter == "rubric" else f"{score} of 5"
        with st.container(gap=None):
            st.markdown(f"{output.escape(titles.get(name, name).rstrip('.'))}: **{mark}**")
            st.text(verdict.rationales.get(name, ""), width="stretch")


def _dangers(verdict: Verdict) -> None:
    """Dangers that the judge saw, with its reason; a quiet line where it looked and saw none."""
    if not verdict.dangers:
        return
    seen = [DANGER_TITLES[danger] for danger, there in verdict.dangers.items() if there]
    if not seen:
        st.badge("No danger seen", icon=":material/shield:", color="gray")
        return
    with st.container(horizontal=True, gap="small"):
        for title in seen:
            st.badge(title, icon=":material/warning:", color="red")
    st.text(verdict.rationales.get("safety", ""), width="stretch")


def of_pair(found: Opened, verdicts: Mapping[Call, Verdict], question: int, first: int, second: int) -> None:
    """What every judge said of two answers, in both orders."""
    said = [
        (name, verdicts[call])
        for judge, name in enumerate(found.judge_names)
        for call in (Call(judge, "pairwise", question, first, second), Call(judge, "pairwise", question, second, first))
        if call in verdicts
    ]
    if not said:
        return
    with st.container(border=True):
        st.markdown("**Which of two is better**")
        for name, verdict in said:
            shown = (found.names[verdict.candidate], found.names[verdict.other])
            st.caption(output.escape(f"Judge {name}, with “{shown[0]}” shown first and “{shown[1]}” second"))
            if verdict.outcome != "given":
                _nothing(verdict)
                continue
            better = {"first": shown[0], "second": shown[1]}.get(verdict.preferred or "")
            st.markdown(f"**{output.escape(f'“{better}” is better' if better else 'Equally good')}**")
            st.text(verdict.rationales.get("preferred", ""), width="stretch")


def _nothing(verdict: Verdict) -> None:
    """Why there is no verdict, and what the reply said."""
    output.warning(f"No verdict on {_MATTERS[verdict.matter]}. {verdict.reason}")
    if verdict.reply:
        with st.expander("What the judge wrote"):
            output.lines(verdict.reply, _REPLY_PIXELS)
