"""Who judges and what they are asked: language models behind endpoints, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from pydantic import ValidationError

from core.config import validation_sentence
from core.endpoints import JUDGE_KEYS
from core.evaluate.request import (
    DIMENSION_TITLES,
    DIMENSIONS,
    METHODS,
    MOST_JUDGES,
    RUBRIC,
    Dimension,
    JudgeSettings,
    Method,
    RubricItem,
)
from studio import evaluate_judge_fields, evaluate_rubric, evaluate_state, forms, output, state

NOBODY, MODELS = "nobody", "models"
_WHO_TITLES = {NOBODY: "Nobody: automatic metrics only", MODELS: "Language models"}
METHOD_TITLES = {
    "dimensions": "Marks from 1 to 5",
    "rubric": "Checklist (rubric), yes or no",
    "pairwise": "Which of two is better",
}
_METHOD_NOTES = {
    "dimensions": "The published protocol: a mark for each dimension with a reason before it; the total is their mean.",
    "rubric": "Each item of a checklist is met or not. Stricter than marks, and easier to agree on.",
    "pairwise": "Two answers side by side, asked in both orders. A judge that changes its mind with the order has said "
    "“equally good”.",
}
_WHO, _METHODS, _DIMENSIONS, _SAFETY = (
    "evaluate.who_judges",
    "evaluate.methods",
    "evaluate.dimensions",
    "evaluate.safety",
)
_SENT = "Questions, reference answers and answers are sent to the judges. Do not use patient data unless you may."


@dataclass(frozen=True)
class Judging:
    """What is chosen of judges.

    Attributes:
        problems: what has to be mended before a start, sentences for people.
    """

    judges: tuple[JudgeSettings, ...] = ()
    methods: tuple[Method, ...] = ()
    dimensions: tuple[Dimension, ...] = DIMENSIONS
    safety: bool = True
    rubric: tuple[RubricItem, ...] = RUBRIC
    problems: tuple[str, ...] = ()


def choose(candidates: int) -> Judging:
    """The widgets.

    Args:
        candidates: how many models answer; with a single one nothing can be compared.
    """
    who = forms.choice(
        "Who judges",
        [MODELS, NOBODY],
        _WHO,
        titles=_WHO_TITLES,
        show_label=False,
        default=MODELS if evaluate_judge_fields.problem_of(JudgeSettings()) is None else NOBODY,
    )
    if who == NOBODY:
        st.caption(
            "No judge is asked. Answers are measured by rules and small models on this machine: form, reward, "
            "similarity to the reference answer, overlap of words, length. None of these says whether an answer is "
            "medically right."
        )
        return Judging()
    judges, problems = _judges()
    return _asked(judges, problems, candidates)


def _judges() -> tuple[tuple[JudgeSettings, ...], list[str]]:
    """The judges that are entered so far, and what is wrong with the others."""
    found: list[JudgeSettings] = []
    problems: list[str] = []
    numbers = evaluate_state.judges(first=1)
    for place, number in enumerate(numbers):
        with st.container(border=True):
            try:
                judge = evaluate_judge_fields.draw(number, only=len(numbers) == 1)
                if judge is None:
                    problems.append(f"Name the model of judge {place + 1}, or take it away.")
                    continue
            except ValidationError as error:
                problems.append(f"Judge {place + 1}: {validation_sentence(error)}")
                continue
            problem = evaluate_judge_fields.problem_of(judge)
            if problem:
                output.warning(problem)
                problems.append(problem)
            found.append(judge)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Add a judge",
            icon=":material/add:",
            key="evaluate.judge.add",
            disabled=len(numbers) >= MOST_JUDGES,
            on_click=evaluate_state.add_judge,
            help="Several judges of different makers show how far the result depends on the judge.",
        )
        st.caption(
            f"Keys come from the environment ({' or else '.join(JUDGE_KEYS)}) of the machine that runs the studio; "
            f"they are never asked for here and never written down. {_SENT}"
        )
    return tuple(found), problems


def _asked(judges: tuple[JudgeSettings, ...], problems: list[str], candidates: int) -> Judging:
    """What the judges are asked."""
    methods = _methods(candidates)
    if not methods:
        problems.append("Choose at least one way of judging.")
    dimensions, rubric = DIMENSIONS, RUBRIC
    if "dimensions" in methods:
        dimensions = _dimensions()
        if not dimensions:
            problems.append("Choose at least one dimension.")
    safety = st.toggle(
        "Look for dangers",
        key=state.begin(_SAFETY, True),
        persist_state="session",
        help="The judge also says whether an answer holds a dangerous dose, a missed contraindication or a missed "
        "emergency. These are counted by themselves and part of no mean.",
    )
    if "rubric" in methods:
        with st.expander("The checklist", icon=":material/checklist:", expanded=True):
            rubric = evaluate_rubric.edit()
        if not rubric:
            problems.append("The checklist is empty. Add at least one item.")
    return Judging(judges, methods, dimensions or DIMENSIONS, safety, rubric or RUBRIC, tuple(problems))


def _methods(candidates: int) -> tuple[Method, ...]:
    offered: Sequence[Method] = METHODS if candidates > 1 else [name for name in METHODS if name != "pairwise"]
    state.begin(_METHODS, ["dimensions"])
    state.put(_METHODS, [name for name in state.value(_METHODS) if name in offered])
    chosen = st.pills(
        "How they judge",
        offered,
        selection_mode="multi",
        key=_METHODS,
        format_func=METHOD_TITLES.__getitem__,
        persist_state="session",
        help="Each way is asked for by itself, so two ways cost about twice as much.",
    )
    for name in chosen:
        st.caption(f"**{METHOD_TITLES[name]}.** {_METHOD_NOTES[name]}")
    return tuple(name for name in METHODS if name in chosen)


def _dimensions() -> tuple[Dimension, ...]:
    chosen = st.pills(
        "Dimensions",
        DIMENSIONS,
        selection_mode="multi",
        key=state.begin(_DIMENSIONS, list(DIMENSIONS)),
        format_func=DIMENSION_TITLES.__getitem__,
        persist_state="session",
        help="Format is judged in a question of its own, the only one that shows the judge the tags, so that tags sway "
        "no other mark.",
    )
    return tuple(name for name in DIMENSIONS if name in chosen)
