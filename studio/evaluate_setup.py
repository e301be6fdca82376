"""The view Set up of the Evaluate page: whose answers, which judges, what that takes, and the start."""

from __future__ import annotations

import streamlit as st

from core.compare.comparison import create_comparison
from core.errors import StudioError
from core.evaluate.evaluation import create_evaluation
from core.evaluate.request import EvaluationRequest, make_evaluation_request
from core.evaluate.task import start_evaluation
from core.paths import Home
from studio import access, evaluate_answers, evaluate_cost, evaluate_judges, evaluate_state, forms, output, state
from studio.evaluate_answers import Answers
from studio.evaluate_judges import Judging

_FORM, _TITLE = "evaluate.setup", "evaluate.title"
_NOT_MADE = "new"
"""Stands for the id of a comparison that is made at the start."""


def draw(home: Home) -> None:
    """The three steps; the last is not there before the first two are done."""
    _step(1, "Whose answers")
    answers = evaluate_answers.choose(home)
    _step(2, "Who judges them")
    judging = evaluate_judges.choose(len(answers.request.candidates) if answers else 2)
    if answers is None:
        return
    _step(3, "What it takes")
    try:
        request = _request(answers, judging)
    except StudioError as error:
        output.problem(error)
        return
    if not judging.judges or judging.methods:
        evaluate_cost.draw(answers, request)
    _start_row(home, answers, request, judging)
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)


def _step(number: int, title: str) -> None:
    st.subheader(f"{number} · {title}", anchor=False)


def _request(answers: Answers, judging: Judging) -> EvaluationRequest:
    """What is evaluated and how; while no method is chosen, without judges.

    Raises:
        ConfigError: something does not fit together.
    """
    return make_evaluation_request(
        comparison=answers.kept.id if answers.kept else _NOT_MADE,
        judges=judging.judges if judging.methods else (),
        methods=judging.methods if judging.judges else (),
        dimensions=judging.dimensions,
        safety=judging.safety,
        rubric=judging.rubric,
        type_column=answers.type_column,
        baseline=answers.baseline,
    )


def _start_row(home: Home, answers: Answers, request: EvaluationRequest, judging: Judging) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        title = forms.text("Name", _TITLE, _usual_title(answers, request), "What the list calls it.", max_chars=200)
        started = access.button(
            "evaluation.create",
            "Start",
            icon=":material/play_arrow:",
            type="primary",
            key="evaluate.start",
            disabled=bool(judging.problems),
        )
    for problem in judging.problems:
        st.caption(f":material/error: {output.escape(problem)}")
    if not judging.problems:
        st.caption("It goes on when you close the page, and can be stopped and gone on with at any time.")
    if started:
        named = request.model_copy(update={"title": title or _usual_title(answers, request)})
        _start(home, answers, named)


def _usual_title(answers: Answers, request: EvaluationRequest) -> str:
    """What an evaluation is called that nobody has named.

    Text from outside, cut to what a title may hold.
    """
    others = [name for place, name in enumerate(answers.names) if place != request.baseline]
    versus = f" against {answers.names[request.baseline]}" if others else ""
    return f"{', '.join(others) or answers.names[0]}{versus}"[:200]


def _start(home: Home, answers: Answers, request: EvaluationRequest) -> None:
    """Make the comparison where there is none, and the evaluation; start its task and open it."""
    try:
        comparison = answers.kept or create_comparison(home, answers.request)
        evaluation = create_evaluation(home, request.model_copy(update={"comparison": comparison.id}))
    except StudioError as error:
        state.refuse(_FORM, str(error))
        st.rerun()
    evaluate_state.open_evaluation(evaluation.id)
    try:
        start_evaluation(home, evaluation)
    except StudioError as error:
        state.refuse(evaluation.id, str(error))
    state.accept(_FORM)
    state.forget(_TITLE)
    st.rerun()
