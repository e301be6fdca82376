"""The judge on the Rewards page: a language model behind an endpoint whose opinion is a component of the reward."""

from __future__ import annotations

import streamlit as st
from pydantic import ValidationError

from core.config import JUDGE, JudgeConfig, validation_sentence
from core.reward.judge_endpoint import ENDPOINTS, KEYS
from studio import lab_state, output, state

_ON, _MODEL, _URL, _INSTRUCTION, _CONCURRENT = (
    "lab.judge.on",
    "lab.judge.model",
    "lab.judge.url",
    "lab.judge.instruction",
    "lab.judge.concurrent",
)
_FORM = "lab.judge"
_START_WEIGHT = 0.3
_SENT = "Question, reference and answer are sent to the endpoint; do not use it with patient data unless you may."


def draw() -> None:
    """The switch, and the settings while it is on."""
    st.subheader("A judge", anchor=False)
    judge = lab_state.reward().judge
    state.show(_ON, judge is not None)
    st.toggle("Ask a language model for its opinion of each answer", key=_ON, on_change=_switch)
    if judge is None:
        st.caption(
            f"Any OpenAI-compatible endpoint. It is asked when answers are measured and while a run trains. {_SENT}"
        )
        return
    with st.container(border=True):
        _settings(judge)
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)


def _settings(judge: JudgeConfig) -> None:
    values = {_MODEL: judge.model, _URL: judge.base_url, _INSTRUCTION: judge.instruction, _CONCURRENT: judge.concurrent}
    for key, value in values.items():
        state.show(key, value, _FORM)
    left, right = st.columns(2)
    with left:
        st.text_input("Model", key=_MODEL, on_change=_keep)
    with right:
        st.number_input("Questions at once", 1, 256, key=_CONCURRENT, on_change=_keep)
    st.text_input(
        "Endpoint",
        key=_URL,
        on_change=_keep,
        placeholder="http://localhost:8000/v1",
        help="Empty takes OPENAI_BASE_URL from the environment, else OpenAI's own.",
    )
    st.text_area(
        "What to look for",
        key=_INSTRUCTION,
        on_change=_keep,
        height=90,
        placeholder="Empty takes the studio's own words.",
    )
    st.caption(
        f"The key is read from the environment variable {' or else '.join(KEYS)} of the machine that runs the studio; "
        "a server on this machine needs none. It is never asked for here and never written down. Other addresses than "
        f"OpenAI's, OPENAI_BASE_URL and this machine's must be listed in {ENDPOINTS}. {_SENT}"
    )


def _switch() -> None:
    reward, weights = lab_state.reward(), lab_state.weights()
    if state.value(_ON):
        changed = {"judge": JudgeConfig(), "weights": {**reward.weights, JUDGE: _START_WEIGHT}}
    else:
        kept = {name: weight for name, weight in reward.weights.items() if name != JUDGE}
        changed = {"judge": None, "weights": kept}
        weights.pop(JUDGE, None)
    state.accept(_FORM)
    lab_state.start_reward(reward.model_copy(update=changed))
    lab_state.move_weights(weights)


def _keep() -> None:
    try:
        judge = JudgeConfig(
            model=(state.value(_MODEL) or "").strip(),
            base_url=(state.value(_URL) or "").strip(),
            instruction=(state.value(_INSTRUCTION) or "").strip(),
            concurrent=int(state.value(_CONCURRENT)),
        )
    except ValidationError as error:
        state.refuse(_FORM, validation_sentence(error))
        return
    state.accept(_FORM)
    reward, weights = lab_state.reward(), lab_state.weights()
    lab_state.start_reward(reward.model_copy(update={"judge": judge}))
    lab_state.move_weights(weights)
