"""From a file to a data set that a run can be trained on: source, columns, prompt, quality, split."""

import streamlit as st

from core.errors import StudioError
from studio import (
    access,
    data_columns,
    data_draft,
    data_prepared,
    data_preview,
    data_prompt,
    data_quality,
    data_save,
    data_source,
    data_steps,
    output,
    settings,
    state,
)

home = settings.open_home()

st.title("Data", anchor=False)
st.write("What the model will be trained on, seen before it is trained. Everything is kept as you go.")
if access.refuse("data.prepare"):
    st.subheader("Prepared data sets", anchor=False)
    data_prepared.listed(home)
    st.stop()

table, missing = None, None
try:
    table = state.chosen_table(home)
except StudioError as error:
    missing = error
if table:
    data_draft.begin(table)
steps = data_steps.look(home, table)
data_steps.overview(steps)
if missing:
    output.problem(missing)

with st.container(border=True):
    data_steps.heading(steps, data_steps.SOURCE, "Where the rows come from. The source itself is never changed.")
    task_id = state.chosen_import()
    if table:
        data_source.opened(table)
    elif task_id:
        data_source.importing(home, task_id)
    else:
        data_source.choose(home)

if table and steps.reached(data_steps.COLUMNS):
    draft = table.draft()
    with st.container(border=True):
        data_steps.heading(steps, data_steps.COLUMNS, "Which column holds the question and which the reference answer.")
        data_columns.form(table, draft)
        if draft:
            data_preview.side_by_side(table, draft)
    if draft:
        with st.container(border=True):
            data_steps.heading(
                steps, data_steps.PROMPT, "What stands before every question, and what the model makes of it."
            )
            left, right = st.columns(2, gap="large")
            with left:
                data_prompt.editor(table, draft)
            with right:
                data_prompt.preview(home, draft, data_preview.current(table, draft))
    if draft and steps.reached(data_steps.QUALITY):
        with st.container(border=True):
            data_steps.heading(
                steps,
                data_steps.QUALITY,
                "What would spoil the training or leak the test, with a mend for each finding.",
            )
            data_quality.section(home, table, draft)
    if draft and steps.reached(data_steps.SAVE):
        with st.container(border=True):
            data_steps.heading(steps, data_steps.SAVE, "What is held out, and the data set that runs are trained on.")
            data_save.form(home, table, draft)
            data_save.outcome(home, table, draft)

st.subheader("Prepared data sets", anchor=False)
data_prepared.listed(home)
