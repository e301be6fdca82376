"""What a run has produced beside its curves: held-out questions, its log and its settings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.config import RunConfig, Tags
from core.runs.completions import HeldOut, held_out
from core.runs.difference import every_setting
from core.runs.run import Run
from core.training.fields import GROUPS, group_of
from studio import output
from studio.settings import LOG_LINES

_WIDE_SCORE = st.column_config.NumberColumn(format="%.2f", width=120)
_QUESTION = st.column_config.TextColumn(width=280)
_ANSWER = st.column_config.TextColumn(width=340)
_ROW_HEIGHT = 82
"""Of the rows of held-out questions, in pixels: room for four lines."""


def held_out_answers(run: Run, tags: Tags) -> None:
    """The held-out questions as the policy answered them before and after training."""
    found = held_out(run)
    if not found:
        st.caption(
            "Questions of the test split, or of validation where there is no test split, are answered before training "
            "begins and again when it has ended; data without either has no held-out questions."
        )
        return
    done = [item for item in found if item.after is not None]
    if done:
        _held_out_tiles(done)
    else:
        st.caption("Answered before training. The same questions are answered again when the run has finished.")
    _held_out_table(found)
    numbered = {f"{number}. {item.question}": item for number, item in enumerate(found, start=1)}
    chosen = st.selectbox("Read one in full", list(numbered), key="held_out_question")
    if chosen:
        _held_out_pair(numbered[chosen], tags)


def _held_out_tiles(done: Sequence[HeldOut]) -> None:
    pairs = [(item.before, item.after) for item in done if item.after is not None]
    reward = [sum(c.reward for c in side) / len(pairs) for side in zip(*pairs, strict=True)]
    formed = [sum(c.well_formed for c in side) / len(pairs) for side in zip(*pairs, strict=True)]
    better = sum(after.reward > before.reward for before, after in pairs)
    with st.grid(3, min_column_width=160):
        st.metric("Mean reward", f"{reward[0]:.2f} → {reward[1]:.2f}", f"{reward[1] - reward[0]:+.2f}", border=True)
        points = f"{100 * (formed[1] - formed[0]):+.0f} points"
        st.metric("Well-formed", f"{formed[0]:.0%} → {formed[1]:.0%}", points, border=True)
        note = "earn more than before"
        st.metric(
            "Answers",
            f"{better} of {len(pairs)}",
            note,
            delta_color="off",
            delta_arrow="off",
            border=True,
            help="A higher reward is not a more correct answer.",
        )


def _held_out_table(found: Sequence[HeldOut]) -> None:
    frame = pd.DataFrame(
        {
            "Question": [item.question for item in found],
            "Reward before": [item.before.reward for item in found],
            "Reward after": [item.after.reward if item.after else None for item in found],
            "Before": [item.before.completion for item in found],
            "After": [item.after.completion if item.after else None for item in found],
            "Reference answer": [item.reference for item in found],
        }
    )
    answers = dict.fromkeys(("Before", "After", "Reference answer"), _ANSWER)
    scores = dict.fromkeys(("Reward before", "Reward after"), _WIDE_SCORE)
    st.dataframe(
        frame,
        hide_index=True,
        key="held_out",
        alt="Held-out questions answered before and after training",
        row_height=_ROW_HEIGHT,
        column_config={"Question": _QUESTION, **answers, **scores},
    )


def _held_out_pair(item: HeldOut, tags: Tags) -> None:
    output.labelled("Question", item.question)
    output.labelled("Reference answer", item.reference)
    left, right = st.columns(2)
    for column, title, answer in ((left, "Before", item.before), (right, "After", item.after)):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{title}**" + (f": reward {answer.reward:.2f}" if answer else ": not answered yet"))
            if answer:
                output.completion(answer.completion, tags)


def log(run: Run) -> None:
    """The last lines that the job printed."""
    st.caption(f"The last {LOG_LINES} lines that the run's job printed.")
    output.lines(output.tail(run.log, LOG_LINES))


def settings(run: Run, config: RunConfig) -> None:
    """What the run was asked to do, and where it lies."""
    output.labelled("Folder", str(run.folder))
    told = every_setting(config)
    for group, title in {"question": "Model, data, prompt and reward", **GROUPS}.items():
        rows = [{"Setting": row.label, "Value": row.value} for row in told if group_of(row.path) == group]
        st.markdown(f"**{title}**")
        output.texts(rows, key=f"settings.{group}")
    with st.expander("All settings as JSON, for the command line"):
        output.lines(config.model_dump_json(indent=2))
