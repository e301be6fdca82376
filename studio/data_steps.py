"""The five steps of the Data page: which are done, and what is missing for the next."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core.data.tables import Table
from core.paths import Home
from studio import data_draft, data_prompt, data_quality, data_save, output

TITLES = ("Source", "Columns", "Prompt", "Quality", "Split and save")
SOURCE, COLUMNS, PROMPT, QUALITY, SAVE = range(len(TITLES))


@dataclass(frozen=True)
class Steps:
    """How far the work on a table is.

    Attributes:
        done: for each step whether it is; also those behind one that is not.
        missing: a sentence about the first step that is not done; empty when all are.
    """

    done: tuple[bool, ...]
    missing: str

    def reached(self, step: int) -> bool:
        """Whether everything before the step is done."""
        return all(self.done[:step])


def look(home: Home, table: Table | None) -> Steps:
    """How far the work on the open table is."""
    draft = None if table is None else table.draft()
    if table is None or not data_draft.about(table).rows:
        return Steps((False,) * len(TITLES), "Choose where the rows come from; the next steps appear one by one.")
    if draft is None:
        return Steps((True, *(False,) * 4), "Choose the question column and the answer column to go on.")
    problem = data_prompt.problem(home, draft)
    done = (True, True, problem is None, data_quality.is_reported(table), data_save.is_saved(home, draft))
    return Steps(done, _missing(done, problem))


def _missing(done: tuple[bool, ...], problem: str | None) -> str:
    if problem is not None:
        return f"The prompt cannot be used yet. {problem}"
    if not done[QUALITY]:
        return "Run the quality report once; then the data set can be saved."
    return "" if done[SAVE] else "Save the data set; then it can be trained on."


def overview(steps: Steps) -> None:
    """All steps in one line, with what is missing under it."""
    with st.container(horizontal=True, gap="small"):
        for number, title in enumerate(TITLES):
            if steps.reached(number + 1):
                st.badge(f"{number + 1} {title}", icon=":material/check:", color="green")
            elif steps.reached(number):
                st.badge(f"{number + 1} {title}", icon=":material/edit:", color="blue")
            else:
                st.badge(f"{number + 1} {title}", color="gray")
    if steps.missing:
        st.caption(output.escape(steps.missing))


def heading(steps: Steps, number: int, note: str) -> None:
    """The title of a step, ticked when it is done, and what it is for."""
    mark = ":green[:material/check_circle:]" if steps.done[number] else ":material/radio_button_unchecked:"
    st.subheader(f"{mark} {number + 1}. {TITLES[number]}", anchor=False)
    st.caption(note)
