"""Asks for fresh completions: which model answers which questions, and how often."""

from __future__ import annotations

import streamlit as st

from core.config import EMBEDDED_POLICY, PREPARED, SAMPLE
from core.data.prepared import list_prepared
from core.paths import Home
from core.runs.run import list_runs
from studio import access, lab_state, lab_tasks, output, state

_RUN, _MODEL, _DATA, _PROMPTS, _GROUP, _SEED = (
    "lab.fresh.run",
    "lab.fresh.model",
    "lab.fresh.data",
    "lab.fresh.prompts",
    "lab.fresh.group",
    "lab.fresh.seed",
)


def form(home: Home) -> None:
    """The form, and its button."""
    trained = [run.id for run in list_runs(home) if run.adapter.is_dir()]
    run = st.selectbox(
        "Answered by",
        ["", *trained],
        key=_RUN,
        format_func=lambda run_id: f"What run {run_id} has trained" if run_id else "A model as it is",
    )
    if not run:
        st.text_input(
            "Model",
            value=EMBEDDED_POLICY,
            key=_MODEL,
            help="The embedded model, a local directory, or a Hugging Face id.",
        )
    data = [SAMPLE, *(f"{PREPARED}{found.name}" for found in list_prepared(home))]
    st.selectbox(
        "Questions from",
        data,
        key=_DATA,
        format_func=lambda path: "Sample questions" if path == SAMPLE else path.removeprefix(PREPARED),
    )
    left, right = st.columns(2)
    with left:
        st.number_input("Questions", 1, 200, 8, key=_PROMPTS)
    with right:
        st.number_input("Answers to each", 2, 32, 8, key=_GROUP)
    st.number_input("Seed", 0, 2**31, 0, key=_SEED, help="Another seed draws other questions and other answers.")
    live = lab_tasks.is_live(home, "sample")
    access.button(
        "reward.weigh",
        "Write answers",
        key="lab.fresh.write",
        type="primary",
        on_click=_start,
        args=(home,),
        disabled=live,
    )
    st.caption("Written and measured in the background, for the reward as it stands. You may leave this page.")
    problem = state.refusal("sample")
    if problem:
        output.problem(problem)


def _start(home: Home) -> None:
    reward = lab_state.reward()
    lab_tasks.start(
        home,
        "sample",
        {
            "run": state.value(_RUN) or "",
            "model": (state.value(_MODEL) or "").strip() or EMBEDDED_POLICY,
            "data": state.value(_DATA),
            "prompts": int(state.value(_PROMPTS)),
            "completions": int(state.value(_GROUP)),
            "seed": int(state.value(_SEED)),
            "reward": reward.model_dump(mode="json"),
        },
    )
    if state.refusal("sample") is None:
        state.show(lab_state.ADD_OPEN, False)
