"""The view Questions of the Evaluate page: every question as a coloured line, and the one chosen read in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.compare.comparison import ComparedAnswer
from core.evaluate.figures import heat_map
from core.evaluate.results import EvaluationResults, Measure
from core.evaluate.sampling import type_of
from core.evaluate.table import ALL_JUDGES, AUTOMATIC, score_table
from core.evaluate.verdicts import Call, Verdict
from core.text import one_line
from studio import (
    compare_answers,
    compare_card,
    compare_columns,
    evaluate_open,
    evaluate_tables,
    evaluate_verdicts,
    output,
    state,
)
from studio.evaluate_open import Opened

_MEASURE = "evaluate.measure"
_MAP_PIXELS = 720
_TITLE_CHARACTERS, _TYPE_CHARACTERS = 110, 60
_ACROSS = 3


def draw(found: Opened, results: EvaluationResults) -> None:
    """The map on the left, the question that is chosen on the right."""
    measures = [*evaluate_tables.of_all_judges(results), *evaluate_tables.automatic(results)]
    if not measures:
        st.info("No answer has a score yet.", icon=":material/hourglass_empty:")
        return
    answers = compare_answers.answers(found.answers.comparison)
    verdicts = evaluate_open.standing(found)
    table = score_table(found.asked, answers, found.request, verdicts, evaluate_open.metrics(found))
    left, right = st.columns([2, 5], gap="large")
    with left:
        _map(found, measures, table)
    with right:
        question = _choose(found)
        _one(found, question, answers, verdicts)


def _map(found: Opened, measures: Sequence[Measure], table: pd.DataFrame) -> None:
    names = [measure.name for measure in measures]
    titles = {measure.name: measure.title for measure in measures}
    if state.value(_MEASURE) not in names:
        state.put(_MEASURE, names[0])
    name = st.selectbox("Show", names, key=_MEASURE, format_func=lambda one: titles.get(one, one))
    measure = next((one for one in measures if one.name == name), measures[0])
    scores = grid(table, measure, len(found.asked.questions), len(found.names))
    numbers = [str(place + 1) for place in range(len(found.names))]
    figure = heat_map(numbers, [question.text for question in found.asked.questions], scores, measure)
    if figure is None:
        st.caption("No answer has been scored by this measure.")
        return
    key = f"evaluate.map.{found.id}.{measure.name}"
    with st.container(height=_MAP_PIXELS, border=False):
        st.plotly_chart(
            figure,
            key=key,
            on_select=lambda: _take(found, state.value(key)),
            selection_mode="points",
            config={"displayModeBar": False},
            theme=None,
        )
    named = ", ".join(f"{number} {name}" for number, name in zip(numbers, found.names, strict=True))
    st.caption(
        f"A line for each question, a column for each model: {output.escape(named)}. Click a cell to read the "
        "question, the answers and what the judges said."
    )


def grid(table: pd.DataFrame, measure: Measure, questions: int, candidates: int) -> NDArray[np.float64]:
    """The scores of one measure, shape (questions, candidates); NaN where there is none."""
    judge = AUTOMATIC if measure.kind == "automatic" else ALL_JUDGES
    rows = table[(table["measure"] == measure.name) & (table["judge"] == judge)]
    found = np.full((questions, candidates), np.nan)
    found[rows["question"].to_numpy(dtype=int), rows["candidate"].to_numpy(dtype=int)] = rows["score"].to_numpy()
    return found


def _choice(found: Opened) -> str:
    """The key of the box that holds which question is read."""
    return f"evaluate.question.{found.id}"


def _take(found: Opened, event: Any) -> None:
    """Read the question whose cell was clicked. A callback."""
    points = event["selection"]["points"] if event else ()
    if points:
        state.put(_choice(found), int(points[0]["customdata"][0]))


def _move(found: Opened, step: int) -> None:
    """Read the next question, or the one before. A callback."""
    count = len(found.asked.questions)
    state.put(_choice(found), ((state.value(_choice(found)) or 0) + step) % count)


def _choose(found: Opened) -> int:
    questions = found.asked.questions
    with st.container(horizontal=True, vertical_alignment="bottom"):
        place = st.selectbox(
            "Question",
            range(len(questions)),
            key=state.begin(_choice(found), 0),
            format_func=lambda number: f"{number + 1}. {one_line(questions[number].text, _TITLE_CHARACTERS)}",
            persist_state="session",
        )
        for step, icon, label in ((-1, ":material/chevron_left:", "Previous"), (1, ":material/chevron_right:", "Next")):
            st.button(label, icon=icon, key=f"evaluate.question.{step}", on_click=_move, args=(found, step))
    return int(place or 0)


def _one(found: Opened, number: int, answers: Sequence[ComparedAnswer], verdicts: Mapping[Call, Verdict]) -> None:
    """A question with its reference, all answers, and every verdict on them."""
    question = found.asked.questions[number]
    with st.container(border=True):
        compare_columns.question(question)
        with st.container(horizontal=True):
            compare_columns.origin(question)
            kind = type_of(question, found.request.type_column)
            if kind:
                told = one_line(evaluate_tables.kind_text(kind), _TYPE_CHARACTERS)
                st.badge(output.escape(told), color="gray", help="The kind of this question, as the data name it.")
        if question.reference:
            with compare_card.text_box(question.reference, pixels=220):
                output.labelled("Reference answer", compare_card.shown(question.reference))
    written = compare_columns.of_question(answers, number)
    places = range(len(found.names))
    for start in range(0, len(places), _ACROSS):
        row = places[start : start + _ACROSS]
        for place, column in zip(row, st.columns(len(row)), strict=True):
            with column, st.container(border=True, height="stretch"):
                st.markdown(f"**{place + 1} · {output.escape(found.names[place])}**")
                _answer(found, written.get(place))
                evaluate_verdicts.of_answer(found, verdicts, number, place)
    for first, second in combinations(places, 2):
        evaluate_verdicts.of_pair(found, verdicts, number, first, second)


def _answer(found: Opened, answer: ComparedAnswer | None) -> None:
    if answer is None:
        st.caption("There is no answer yet.")
        return
    if answer.error:
        output.problem(answer.error)
    if answer.text.strip() or not answer.error:
        with compare_card.text_box(answer.text):
            output.completion(compare_card.shown(answer.text), found.asked.prompt.tags)
