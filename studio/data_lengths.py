"""How long prompts and answers are, the limits beside them, and the limits that would fit."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.data.draft import Draft
from core.data.findings import Lengths, Report
from core.data.tables import Table
from studio import data_draft, output
from studio.charts import AMBER, INDIGO, TEAL

_HEIGHT = 230


def section(table: Table, draft: Draft, report: Report) -> None:
    """Two histograms with their limits, and one click to take the suggested ones."""
    st.markdown("**Lengths in the model's own tokens**")
    prompt, completion = report.suggested_max_prompt_length, report.suggested_max_completion_length
    left, right = st.columns(2)
    with left:
        _histogram("Whole prompts", report.lengths.prompt, draft.max_prompt_length, prompt, TEAL)
        st.caption(output.escape(report.prompt_length_reason))
    with right:
        _histogram("Reference answers", report.lengths.answer, draft.max_completion_length, completion, INDIGO)
        st.caption(output.escape(report.completion_length_reason))
    if (prompt, completion) == (draft.max_prompt_length, draft.max_completion_length):
        st.caption(
            f":material/check: The limits are the suggested ones: {prompt} for prompts, {completion} for completions."
        )
        return
    st.button(
        f"Use these limits: {prompt} for prompts, {completion} for completions",
        icon=":material/straighten:",
        key="use_limits",
        on_click=_use,
        args=(table, prompt, completion),
    )


def _use(table: Table, prompt: int, completion: int) -> None:
    data_draft.change(table, {"max_prompt_length": prompt, "max_completion_length": completion})


def _histogram(title: str, lengths: Lengths, limit: int, suggested: int, colour: str) -> None:
    if not lengths.texts:
        st.caption(f"{title}: there is no text to measure.")
        return
    numbers = f"half have at most {lengths.median}, 95 of 100 at most {lengths.p95}, the longest has {lengths.longest}"
    st.echarts_chart(
        option(lengths, limit, suggested, colour),
        height=_HEIGHT,
        key=f"lengths {title}",
        alt=f"{title} by length in tokens: {numbers}; the limit is {limit}, suggested {suggested}",
    )
    st.caption(f"{title}: {numbers}.")


def option(lengths: Lengths, limit: int, suggested: int, colour: str) -> dict[str, Any]:
    """A histogram with a line at the present limit, and a dashed one at the suggested limit when that is another."""
    lines: list[dict[str, Any]] = [_line(limit, f"limit {limit}", AMBER, "solid")]
    if suggested != limit:
        lines.append(_line(suggested, f"suggested {suggested}", colour, "dashed"))
    bars = zip(lengths.edges, lengths.edges[1:], lengths.counts, strict=False)
    return {
        "animation": False,
        "grid": {"left": 8, "right": 40, "top": 46, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "value",
            "min": 0,
            "max": round(max(lengths.edges[-1], limit, suggested) * 1.02),
            "splitLine": {"show": False},
        },
        "yAxis": {"type": "value", "minInterval": 1},
        "series": [
            {
                "name": "rows",
                "type": "bar",
                "data": [[(start + end) / 2, count] for start, end, count in bars],
                "barCategoryGap": "8%",
                "itemStyle": {"color": colour},
                "markLine": {"symbol": "none", "data": lines, "animation": False},
            }
        ],
    }


def _line(at: int, name: str, colour: str, style: str) -> dict[str, Any]:
    return {
        "xAxis": at,
        "lineStyle": {"color": colour, "type": style, "width": 2},
        "label": {
            "formatter": name,
            "position": "end" if style == "solid" else "insideEndTop",
            "color": colour,
            "rotate": 0,
        },
    }
